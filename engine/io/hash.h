// Hash64: the checksum of our checkpoints and of texts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace gradus {

// 64-bit hash of a stream of bytes, however it is cut into pieces. For each 8-byte word w: h = rotl(h ^ w, 29) * odd.
// Each step is a bijection of h for a fixed w and of w for a fixed h, so damage within one aligned word, a flipped bit
// above all, always changes the result; wider damage escapes with probability about 2^-64. The product carries bits
// upward, the rotation brings them down again. Against accidents, not against forgers.
class Hash64 {
 public:
  void add(std::span<const std::byte> bytes);
  void add(std::string_view text) { add(std::as_bytes(std::span(text))); }
  uint64_t value() const;
  std::string hex() const;  // value() as 16 digits

 private:
  uint64_t hash_ = 0x6772616475732e31;  // "gradus.1"
  uint64_t length_ = 0, word_ = 0;      // bytes so far; those beyond the last full word
};

}  // namespace gradus
