#include "models/text/batch.h"

#include <algorithm>

#include "engine/error.h"
#include "engine/target.h"

namespace gradus {

void Batch::draw(const Corpus& corpus, Split split, const Rng& rng, int64_t first, int64_t sequences) {
  windows.clear();
  for (int64_t b = 0; b < sequences; ++b) windows.push_back(corpus.draw(split, rng, first + b));
  pack();
}

void Batch::take(const Corpus& corpus, Split split, int64_t first, int64_t most, int64_t stride) {
  windows.clear();
  const int64_t end = std::min(first + most, corpus.windows(split, stride));
  for (int64_t i = first; i < end; ++i) windows.push_back(corpus.window(split, i, stride));
  pack();
}

void Batch::pack() {
  B = int64_t(windows.size()), T = 0, scored = 0;
  for (const Window& w : windows) T = std::max(T, int64_t(w.inputs.size()));
  inputs.resize(size_t(B * T));
  targets.resize(size_t(B * T));
  for (int64_t b = 0; b < B; ++b) {
    const Window& w = windows[size_t(b)];
    const std::span<int32_t> in = inputs_of(b, 1), out = targets_of(b, 1);
    std::fill(std::copy(w.inputs.begin(), w.inputs.end(), in.begin()), in.end(), w.inputs[0]);
    std::fill(std::copy(w.targets.begin(), w.targets.end(), out.begin()), out.end(), kNoTarget);
    std::fill_n(out.begin(), w.first_scored, kNoTarget);
    scored += int64_t(w.targets.size()) - w.first_scored;
  }
}
std::span<int32_t> Batch::inputs_of(int64_t first, int64_t count) {
  return std::span(inputs).subspan(size_t(first * T), size_t(count * T));
}
std::span<int32_t> Batch::targets_of(int64_t first, int64_t count) {
  return std::span(targets).subspan(size_t(first * T), size_t(count * T));
}

}  // namespace gradus
