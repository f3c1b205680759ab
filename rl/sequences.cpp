#include "rl/sequences.h"

#include <algorithm>

#include "engine/ops.h"

namespace gradus {

void Sequences::add(std::span<const int32_t> draws) {
  tokens_.insert(tokens_.end(), draws.begin(), draws.end());
  first_.push_back(int64_t(tokens_.size()));
}

void PaddedBatch::fill(std::span<const std::vector<int32_t>> prompts, std::span<const int32_t> of,
                       const Sequences& sequences) {
  require(int64_t(of.size()) == sequences.size(), "PaddedBatch", Loc::here(), of.size(), " prompts for ",
          sequences.size(), " sequences");
  const auto prompt_of = [&](int64_t b) -> const std::vector<int32_t>& { return prompts[size_t(of[size_t(b)])]; };
  B = sequences.size();
  T = 1;
  prompt.resize(size_t(B));
  length.resize(size_t(B));
  for (int64_t b = 0; b < B; ++b) {
    require(!prompt_of(b).empty(), "PaddedBatch", Loc::here(), "the prompt is empty; it needs at least one token");
    prompt[size_t(b)] = int64_t(prompt_of(b).size());
    length[size_t(b)] = int64_t(sequences.draws(b).size());
    T = std::max(T, end_slot(b));
  }
  inputs.assign(size_t(B * T), B > 0 ? prompt_of(0)[0] : 0);  // any legal token will do as padding
  targets.assign(size_t(B * T), kNoTarget);
  for (int64_t b = 0; b < B; ++b) {
    const std::span<const int32_t> draws = sequences.draws(b);
    const auto row = inputs.begin() + b * T;
    std::ranges::copy(prompt_of(b), row);
    if (draws.empty()) continue;
    std::copy(draws.begin(), draws.end() - 1, row + prompt[size_t(b)]);
    std::ranges::copy(draws, targets.begin() + b * T + first_slot(b));
  }
}

void PaddedBatch::fill(const std::vector<int32_t>& only_prompt, const Sequences& sequences) {
  fill({&only_prompt, 1}, std::vector<int32_t>(size_t(sequences.size()), 0), sequences);
}

}  // namespace gradus
