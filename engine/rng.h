// Random numbers as a pure function of (seed, stream, step, coordinates, index): Philox4x32-10 (Salmon, Moraes, Dror
// and Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011). There is no state to save, restore or share:
// code that knows the position of a number can compute it again, on any thread and in any order.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "engine/error.h"

namespace gradus {

// The block of four words at `counter` under `key`. A bijection of the counter for each key: distinct counters give
// distinct blocks.
std::array<uint32_t, 4> philox4x32(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key);

// What the numbers are for. The values are part of the file format (a resumed run must meet its own numbers again):
// add at the end, change none. At most 256.
enum class Stream : uint32_t {
  kInit = 0,      // initial parameters
  kBatch = 1,     // which windows or lines make a training batch
  kEvaluate = 2,  // the same for evaluation
  kDropout = 3,   // masks: at(global row, op ordinal), index = column
  kSample = 4,    // tokens: at(sequence), index = position
  kPrompt = 5,    // which prompts are continued
  kTest = 6,      // tests, gradient checks
  kMask = 7,      // which tokens a masked model does not see: at(global sequence)
  // of a posterior over parameters, the noise of a step: at(0, site) of a guide, at(0 to 2, chain) of a chain; of step
  // 0: at(k + 1, site) draw k of a guide, at(0, chain) where a chain begins
  kPosterior = 8,
  // of a model with a latent vector for each text, of training at(global sequence) the noise, at(global sequence, 1)
  // which tokens the decoder is not shown; of step 0 at(text, 2) the draws of the importance-weighted log p
  kLatent = 9,
};

// The numbers of one (seed, stream, step) at coordinates (a, b): 20 bytes to copy freely.
//
// They form one sequence of words of 32 bits, and bits, uniform, normal and below are views of that sequence: bits(i)
// is word i, the others take words 2i and 2i + 1 (normal: the block they lie in). So views of the same Rng are not
// independent of each other: use one view for each (stream, step, a, b).
//
// Mapping, one to one in the ranges given, so that no two different uses ever share a block:
//   key     = seed                                     64 bits
//   counter = word index / 4 | a | step | stream : b   32 | 32 | 32 | 8 : 24 bits
class Rng {
 public:
  static constexpr int64_t kMaxStep = int64_t(1) << 32;  // step, a, b and indices are below these
  static constexpr int64_t kMaxA = int64_t(1) << 32;
  static constexpr int64_t kMaxB = int64_t(1) << 24;
  static constexpr int64_t kMaxWord = int64_t(1) << 34;  // words; half as many numbers of the other kinds

  // Coordinates (0, 0). A step out of range throws ShapeError.
  Rng(uint64_t seed, Stream stream, int64_t step = 0, Loc where = Loc::here());

  // The numbers at (a, b) of the same seed, stream and step, whatever the coordinates of this one: at() does not nest.
  // A coordinate out of range throws ShapeError.
  Rng at(int64_t a, int64_t b = 0, Loc where = Loc::here()) const;

  // Number i >= 0 of its kind; an index out of range throws ShapeError.
  uint32_t bits(int64_t i, Loc where = Loc::here()) const;   // 32 fair bits
  double uniform(int64_t i, Loc where = Loc::here()) const;  // in [0, 1): a multiple of 2^-53, all equally likely
  double normal(int64_t i, Loc where = Loc::here()) const;   // N(0, 1) by Box-Muller; |normal| < 8.6, never infinite
  // An integer in [0, n). Takes floor(n u / 2^64) of 64 bits u, without rejection, so that number i stays number i: the
  // probability of each integer is within 2^-64 of 1/n. n < 1 throws ShapeError.
  int64_t below(int64_t i, int64_t n, Loc where = Loc::here()) const;

  // out[j] = bits(first + j) for 0 <= j < n, in a loop that vectorises. One Zen 4 core with
  // AVX-512: 1.1 Gelem/s (g++ 12), 1.25 (clang 14), against 0.08 one by one.
  void fill_bits(uint32_t* out, int64_t n, int64_t first = 0, Loc where = Loc::here()) const;

  // bits(i) < threshold(p) has probability p, rounded to a multiple of 2^-32. REQUIRES: 0 <= p < 1.
  static uint32_t threshold(double p, Loc where = Loc::here());

 private:
  std::array<uint32_t, 4> block(int64_t index) const;
  uint64_t bits64(int64_t i, const char* function, const Loc& where) const;

  std::array<uint32_t, 2> key_;
  uint32_t a_ = 0, step_, tail_;  // tail: stream in the high 8 bits, b in the low 24
};

// The index k that u in [0, 1) selects when [0, 1) is divided in proportion to weight: the inverse of the cumulative
// distribution, in double. Weights need not sum to 1 (so the rounding of a softmax favours no token). An index of
// weight 0 is never returned, even if u is 1 by a caller's rounding. No weights, weights that are negative, NaN or
// infinite, and a sum of 0 throw DivergedError.
int64_t categorical(std::span<const double> weight, double u);

}  // namespace gradus
