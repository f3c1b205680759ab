// Batch: the sequences that a model learns from in one step.
#pragma once

#include "models/text/corpus.h"

namespace gradus {

// B sequences, padded at their ends to the longest, T. Padding is a place, not an id: its target is kNoTarget, so it
// weighs nothing, and no model looks behind a place.
struct Batch {
  std::vector<int32_t> inputs, targets;  // [B,T]
  int64_t B = 0, T = 0;
  int64_t scored = 0;           // targets that count
  std::vector<Window> windows;  // that it was made of

  // B random sequences of a split, from number `first` on.
  void draw(const Corpus& corpus, Split split, const Rng& rng, int64_t first, int64_t sequences);
  // Windows first, first + 1, ... of a split, at most `most`.
  void take(const Corpus& corpus, Split split, int64_t first, int64_t most, int64_t stride = 0);
  void pack();  // windows → the rest. Allocates only to grow.
  std::span<int32_t> inputs_of(int64_t first, int64_t count);
  std::span<int32_t> targets_of(int64_t first, int64_t count);
};

}  // namespace gradus
