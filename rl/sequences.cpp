#include "rl/sequences.h"

#include <algorithm>
#include <numeric>

#include "engine/ops.h"

namespace gradus {

void Sequences::add(std::span<const int32_t> draws) {
  tokens_.insert(tokens_.end(), draws.begin(), draws.end());
  first_.push_back(int64_t(tokens_.size()));
}

void PaddedBatch::fill(std::span<const int32_t> tokens_of_prompt, const Sequences& sequences,
                       std::span<const int64_t> which) {
  require(!tokens_of_prompt.empty(), "PaddedBatch", Loc::here(), "the prompt is empty: at least one token is wanted");
  B = int64_t(which.size());
  prompt.assign(which.size(), int64_t(tokens_of_prompt.size()));
  length.resize(which.size());
  T = 1;
  for (int64_t b = 0; b < B; ++b) {
    length[size_t(b)] = int64_t(sequences.draws(which[size_t(b)]).size());
    T = std::max(T, end_slot(b));
  }
  inputs.assign(size_t(B * T), tokens_of_prompt[0]);  // any legal token will do as padding
  targets.assign(size_t(B * T), kNoTarget);
  for (int64_t b = 0; b < B; ++b) {
    const std::span<const int32_t> draws = sequences.draws(which[size_t(b)]);
    const auto row = inputs.begin() + b * T;
    std::copy(tokens_of_prompt.begin(), tokens_of_prompt.end(), row);
    if (draws.empty()) continue;
    std::copy(draws.begin(), draws.end() - 1, row + int64_t(tokens_of_prompt.size()));
    std::copy(draws.begin(), draws.end(), targets.begin() + b * T + first_slot(b));
  }
}

void PaddedBatch::fill(std::span<const int32_t> tokens_of_prompt, const Sequences& sequences) {
  std::vector<int64_t> all(size_t(sequences.size()));
  std::iota(all.begin(), all.end(), 0);
  fill(tokens_of_prompt, sequences, all);
}

}  // namespace gradus
