// The token-level Markov decision process: writing a text as a walk. A state is (prompt, tokens so far), an action is
// the next token, the transition appends it and is certain; the walk ends with the end mark, or is cut off after
// max_tokens draws.
//
//   const TokenMdp mdp(tokenizer, 32, TokenMdp::Pay::kPerStep, [&](const Generated& g) { return reward(g); });
//   TokenMdp::State s = mdp.reset({});
//   while (!s.done()) {
//     const auto [next, r] = mdp.step(s, choose(s));       // s itself stays as it is
//     ...
//   }
#pragma once

#include <functional>
#include <vector>

#include "rl/rewards/terms.h"

namespace gradus {

class TokenMdp {
 public:
  // When the reward R of the text is paid. kTerminal: R(y) with the last step, 0 before. kPerStep: what each step adds,
  // r_t = R(y_≤t) − R(y_<t), with R of nothing yet counted as 0. Either way the rewards of a finished walk sum to R(y):
  // differences telescope, whatever R is (Ng, Harada and Russell 1999, with potential R). Paying R(y_≤t) itself at each
  // step would not: an early hit would be paid again and again.
  enum class Pay { kTerminal, kPerStep };

  class State {
   public:
    const std::vector<int32_t>& prompt() const { return prompt_; }
    const std::vector<int32_t>& tokens() const { return tokens_; }  // drawn so far, without the end mark
    bool ended() const { return ended_; }                           // by the end mark
    bool cut() const { return cut_; }                               // max_tokens drawn, none of them the end mark
    bool done() const { return ended_ || cut_; }

   private:
    friend class TokenMdp;
    std::vector<int32_t> prompt_, tokens_;
    bool ended_ = false, cut_ = false;
    double paid_ = 0;  // the rewards so far
  };
  struct Step {
    State state;
    double reward;
  };

  // `tokenizer` is used as long as this lives; without an end mark every walk is cut. ShapeError for max_tokens < 1:
  // in a world without draws there is nothing to decide.
  TokenMdp(const Tokenizer& tokenizer, int64_t max_tokens, Pay pay, std::function<double(const Generated&)> reward,
           Loc where = Loc::here());

  // The beginning of a walk. ShapeError for a token of the prompt outside the vocabulary.
  State reset(std::vector<int32_t> prompt, Loc where = Loc::here()) const;
  // ShapeError for a token outside the vocabulary and for a step after the end. The end mark counts as a draw.
  Step step(const State& state, int32_t token, Loc where = Loc::here()) const;

 private:
  double value(const State& state) const;

  const Tokenizer& tokenizer_;
  int64_t max_tokens_;
  Pay pay_;
  std::function<double(const Generated&)> reward_;
};

// The return from each step on: G_t = Σ_{k≥t} γ^(k−t) r_k. Empty for no rewards.
std::vector<double> returns(std::span<const double> rewards, double gamma = 1);

}  // namespace gradus
