#include "engine/io/hash.h"

#include <bit>
#include <cstring>
#include <utility>

namespace gradus {

static_assert(std::endian::native == std::endian::little, "the hash of a file must not depend on the machine");

static uint64_t mix(uint64_t hash, uint64_t word) { return std::rotl(hash ^ word, 29) * 0x9E3779B97F4A7C15; }

static uint64_t word_at(const std::byte* p) {
  uint64_t word;
  std::memcpy(&word, p, sizeof word);
  return word;
}

void Hash64::add(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    if (length_ % 8 == 0 && bytes.size() >= 8) {
      const size_t words = bytes.size() / 8;
      uint64_t hash = hash_;
      for (size_t i = 0; i < words; ++i) hash = mix(hash, word_at(bytes.data() + 8 * i));
      hash_ = hash;
      length_ += 8 * words;
      bytes = bytes.subspan(8 * words);
      continue;
    }
    word_ |= static_cast<uint64_t>(bytes[0]) << (length_ % 8 * 8);
    bytes = bytes.subspan(1);
    if (++length_ % 8 == 0) hash_ = mix(hash_, std::exchange(word_, 0));
  }
}

uint64_t Hash64::value() const {
  uint64_t h = mix(mix(hash_, word_), length_);
  // MurmurHash3's last mixing: every bit of the state reaches every bit of the result; also a bijection.
  h = (h ^ (h >> 33)) * 0xFF51AFD7ED558CCD;
  h = (h ^ (h >> 33)) * 0xC4CEB9FE1A85EC53;
  return h ^ (h >> 33);
}

std::string Hash64::hex() const {
  std::string out(16, '0');
  uint64_t h = value();
  for (size_t i = 16; i-- > 0; h >>= 4) out[i] = "0123456789abcdef"[h & 15];
  return out;
}

}  // namespace gradus
