#include "tests/mdp.h"

#include "engine/checks.h"

namespace gradus {

TokenMdp::TokenMdp(const Tokenizer& tokenizer, int64_t max_tokens, Pay pay,
                   std::function<double(const Generated&)> reward, Loc where)
    : tokenizer_(tokenizer), max_tokens_(max_tokens), pay_(pay), reward_(std::move(reward)) {
  require(max_tokens >= 1, "TokenMdp", where, "max_tokens is ", max_tokens, ", it must be at least 1");
}

TokenMdp::State TokenMdp::reset(std::vector<int32_t> prompt, Loc where) const {
  require_ids("reset", "prompt", prompt, tokenizer_.size(), where);
  State state;
  state.prompt_ = std::move(prompt);
  return state;
}

TokenMdp::Step TokenMdp::step(const State& state, int32_t token, Loc where) const {
  require(!state.done(), "step", where,
          "the walk is over: ", state.ended() ? "it has drawn the end mark" : "it was cut off",
          "; begin another one with reset()");
  require(token >= 0 && token < tokenizer_.size(), "step", where, "token ", token, " is outside the vocabulary of ",
          tokenizer_.size(), " tokens");
  Step step{state, 0};
  State& next = step.state;
  if (token == tokenizer_.end_id())
    next.ended_ = true;
  else
    next.tokens_.push_back(token);
  next.cut_ = int64_t(next.tokens_.size()) == max_tokens_;
  if (pay_ == Pay::kPerStep || next.done()) {
    const double total = value(next);
    step.reward = total - state.paid_;
    next.paid_ = total;
  }
  return step;
}

double TokenMdp::value(const State& state) const {
  const std::string text = tokenizer_.decode(state.tokens_), prompt = tokenizer_.decode(state.prompt_);
  return reward_({text, state.tokens_, state.ended_, prompt});
}

std::vector<double> returns(std::span<const double> rewards, double gamma) {
  std::vector<double> g(rewards.begin(), rewards.end());
  for (size_t t = g.size(); t-- > 1;) g[t - 1] += gamma * g[t];
  return g;
}

}  // namespace gradus
