#include "engine/rng.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/error.h"

namespace gradus {

namespace {

constexpr uint32_t kMul0 = 0xD2511F53, kMul1 = 0xCD9E8D57;    // the paper's multipliers, and its key increments:
constexpr uint32_t kWeyl0 = 0x9E3779B9, kWeyl1 = 0xBB67AE85;  // golden ratio and sqrt(3) - 1
constexpr uint32_t kRounds = 10;

void require_below(int64_t bound, int64_t value, const char* function, const char* what, const Loc& where) {
  require(value >= 0 && value < bound, function, where, what, " is ", value, ", must be at least 0 and below ", bound);
}

// One round: counter c, key of the round k.
inline void round_once(uint32_t& c0, uint32_t& c1, uint32_t& c2, uint32_t& c3, uint32_t k0, uint32_t k1) {
  const uint64_t p0 = uint64_t(kMul0) * c0, p1 = uint64_t(kMul1) * c2;
  c0 = uint32_t(p1 >> 32) ^ c1 ^ k0;
  c1 = uint32_t(p1);
  c2 = uint32_t(p0 >> 32) ^ c3 ^ k1;
  c3 = uint32_t(p0);
}

// out [n, 4]: the blocks at counters (first + l, c1, c2, c3).
void fill_blocks(uint32_t* out, int64_t n, uint32_t first, uint32_t b1, uint32_t b2, uint32_t b3, uint32_t k0,
                 uint32_t k1) {
  for (int64_t l = 0; l < n; ++l) {
    uint32_t c0 = first + uint32_t(l), c1 = b1, c2 = b2, c3 = b3;
    for (uint32_t r = 0; r < kRounds; ++r) round_once(c0, c1, c2, c3, k0 + r * kWeyl0, k1 + r * kWeyl1);
    out[4 * l] = c0;
    out[4 * l + 1] = c1;
    out[4 * l + 2] = c2;
    out[4 * l + 3] = c3;
  }
}

}  // namespace

std::array<uint32_t, 4> philox4x32(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key) {
  auto [c0, c1, c2, c3] = counter;
  for (uint32_t r = 0; r < kRounds; ++r) round_once(c0, c1, c2, c3, key[0] + r * kWeyl0, key[1] + r * kWeyl1);
  return {c0, c1, c2, c3};
}

Rng::Rng(uint64_t seed, Stream stream, int64_t step, Loc where)
    : key_{uint32_t(seed), uint32_t(seed >> 32)}, step_(uint32_t(step)), tail_(uint32_t(stream) << 24) {
  require_below(kMaxStep, step, "Rng", "step", where);
}

Rng Rng::at(int64_t a, int64_t b, Loc where) const {
  require_below(kMaxA, a, "Rng::at", "a", where);
  require_below(kMaxB, b, "Rng::at", "b", where);
  Rng r = *this;
  r.a_ = uint32_t(a);
  r.tail_ = (tail_ & 0xFF000000) | uint32_t(b);
  return r;
}

std::array<uint32_t, 4> Rng::block(int64_t index) const {
  return philox4x32({uint32_t(index), a_, step_, tail_}, key_);
}

uint32_t Rng::bits(int64_t i, Loc where) const {
  require_below(kMaxWord, i, "Rng::bits", "index", where);
  return block(i / 4)[size_t(i % 4)];
}

// Words 2i (low half) and 2i + 1.
uint64_t Rng::bits64(int64_t i, const char* function, const Loc& where) const {
  require_below(kMaxWord / 2, i, function, "index", where);
  const auto w = block(i / 2);
  return i % 2 == 0 ? w[0] | uint64_t(w[1]) << 32 : w[2] | uint64_t(w[3]) << 32;
}

double Rng::uniform(int64_t i, Loc where) const { return double(bits64(i, "Rng::uniform", where) >> 11) * 0x1p-53; }

// Numbers 2k and 2k + 1 are the cosine and the sine of one pair of uniforms, block k.
double Rng::normal(int64_t i, Loc where) const {
  require_below(kMaxWord / 2, i, "Rng::normal", "index", where);
  const auto w = block(i / 2);
  const double u = double(((w[0] | uint64_t(w[1]) << 32) >> 11) + 1) * 0x1p-53;  // in (0, 1], so the log is finite
  const double v = double((w[2] | uint64_t(w[3]) << 32) >> 11) * 0x1p-53;
  const double radius = std::sqrt(-2 * std::log(u)), angle = 6.283185307179586 * v;
  return radius * (i % 2 == 0 ? std::cos(angle) : std::sin(angle));
}

int64_t Rng::below(int64_t i, int64_t n, Loc where) const {
  require(n >= 1, "Rng::below", where, "n is ", n, ", must be at least 1");
  return int64_t((static_cast<unsigned __int128>(bits64(i, "Rng::below", where)) * uint64_t(n)) >> 64);
}

// Whole blocks in one loop that vectorises; the ends of out that share a block with other numbers one by one.
void Rng::fill_bits(uint32_t* out, int64_t n, int64_t first, Loc where) const {
  require_below(kMaxWord + 1, n, "Rng::fill_bits", "n", where);
  require_below(kMaxWord - n + 1, first, "Rng::fill_bits", "first", where);
  int64_t j = 0;
  for (; j < n && (first + j) % 4 != 0; ++j) out[j] = bits(first + j);
  const int64_t blocks = (n - j) / 4;
  fill_blocks(out + j, blocks, uint32_t((first + j) / 4), a_, step_, tail_, key_[0], key_[1]);
  for (j += 4 * blocks; j < n; ++j) out[j] = bits(first + j);
}

uint32_t Rng::threshold(double p, Loc where) {
  require(p >= 0 && p < 1, "Rng::threshold", where, "p is ", p, ", must be at least 0 and below 1");
  return uint32_t(std::min(std::round(p * 0x1p32), 0x1p32 - 1));
}

int64_t categorical(std::span<const double> weight, double u) {
  double total = 0;
  for (double w : weight) {
    if (!(w >= 0)) throw DivergedError(text("categorical: weight ", w, " is not a number of at least 0"));
    total += w;
  }
  if (!(total > 0 && total <= std::numeric_limits<double>::max()))
    throw DivergedError(text("categorical: ", weight.size(), " weights sum to ", total));
  const double target = u * total;
  double sum = 0;
  int64_t last = 0;  // the last index of positive weight, if u rounded up to 1
  for (size_t k = 0; k < weight.size(); ++k) {
    if (weight[k] > 0) last = int64_t(k);
    sum += weight[k];
    if (target < sum) return int64_t(k);  // sum has just grown, so weight[k] > 0
  }
  return last;
}

}  // namespace gradus
