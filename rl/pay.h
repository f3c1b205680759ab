// When the reward R of a text is paid: with its last draw, or with each draw what it adds,
//
//   r_t = R(y_≤t) − R(y_<t),   R of nothing yet counted as 0
//
// in the token-level decision process, where a state is a prompt and the tokens so far, an action is the next token,
// which is certain to follow, and the end mark or the limit of draws ends it. Either way the rewards of a text sum to
// R: the differences telescope (Ng, Harada and Russell 1999, with the potential R). So the optimum is the same; what
// changes is how soon a draw hears of its worth.
#pragma once

#include "rl/sequences.h"

namespace gradus {

// The reward that pays R draw by draw. It asks R of every beginning of a text.
RewardFunction paid_by_step(RewardFunction whole);

// Σ of what the draws of each sequence are paid, [B], from either kind of reward.
std::vector<double> paid_in_all(const Sequences& sequences, std::span<const double> reward);

}  // namespace gradus
