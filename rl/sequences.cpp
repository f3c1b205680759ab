#include "rl/sequences.h"

#include <algorithm>

#include "engine/ops.h"

namespace gradus {

void Sequences::add(std::span<const int32_t> draws) {
  tokens_.insert(tokens_.end(), draws.begin(), draws.end());
  first_.push_back(int64_t(tokens_.size()));
}

template <class PromptOf, class DrawsOf>
void PaddedBatch::lay_out(int64_t sequences, PromptOf prompt_of, DrawsOf draws_of) {
  B = sequences;
  T = 1;
  prompt.resize(size_t(B));
  length.resize(size_t(B));
  for (int64_t b = 0; b < B; ++b) {
    const std::span<const int32_t> before = prompt_of(b);
    require(!before.empty(), "PaddedBatch", Loc::here(), "the prompt is empty; it needs at least one token");
    prompt[size_t(b)] = int64_t(before.size());
    length[size_t(b)] = int64_t(draws_of(b).size());
    T = std::max(T, end_slot(b));
  }
  inputs.assign(size_t(B * T), B > 0 ? prompt_of(0)[0] : 0);  // any legal token will do as padding
  targets.assign(size_t(B * T), kNoTarget);
  for (int64_t b = 0; b < B; ++b) {
    const std::span<const int32_t> before = prompt_of(b), draws = draws_of(b);
    const auto row = inputs.begin() + b * T;
    std::copy(before.begin(), before.end(), row);
    if (draws.empty()) continue;
    std::copy(draws.begin(), draws.end() - 1, row + prompt[size_t(b)]);
    std::copy(draws.begin(), draws.end(), targets.begin() + b * T + first_slot(b));
  }
}

void PaddedBatch::fill(std::span<const std::vector<int32_t>> prompts, std::span<const int32_t> of,
                       const Sequences& sequences) {
  require(int64_t(of.size()) == sequences.size(), "PaddedBatch", Loc::here(), of.size(), " prompts for ",
          sequences.size(), " sequences");
  lay_out(
      sequences.size(), [&](int64_t b) { return std::span(prompts[size_t(of[size_t(b)])]); },
      [&](int64_t b) { return sequences.draws(b); });
}

void PaddedBatch::fill(std::span<const int32_t> tokens_of_prompt, const Sequences& sequences,
                       std::span<const int64_t> which) {
  lay_out(
      int64_t(which.size()), [&](int64_t) { return tokens_of_prompt; },
      [&](int64_t b) { return sequences.draws(which[size_t(b)]); });
}

void PaddedBatch::fill(std::span<const int32_t> tokens_of_prompt, const Sequences& sequences) {
  lay_out(
      sequences.size(), [&](int64_t) { return tokens_of_prompt; }, [&](int64_t b) { return sequences.draws(b); });
}

}  // namespace gradus
