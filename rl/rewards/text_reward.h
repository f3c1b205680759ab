// A Reward (rl/rewards/reward.h), which sees texts, for whoever has sequences of tokens.
#pragma once

#include "rl/rewards/reward.h"
#include "rl/tuner.h"

namespace gradus {

// r of each sequence from its text without prompt and end mark; prompts[p] is the text of prompt p. Refers to the
// reward and the tokenizer.
PromptedReward text_reward(const Reward& reward, const Tokenizer& tokenizer, std::vector<std::string> prompts);

}  // namespace gradus
