#include "rl/rewards/text_reward.h"

#include <algorithm>

namespace gradus {

static constexpr int64_t kTextsAtOnce = 4096;

PromptedReward text_reward(const Reward& reward, const Tokenizer& tokenizer, std::vector<std::string> prompts) {
  return [&reward, &tokenizer, prompts = std::move(prompts)](const Sequences& sequences, std::span<const int32_t> of) {
    std::vector<double> r;
    std::vector<std::string> texts;
    std::vector<Generated> generated;
    for (int64_t first = 0; first < sequences.size(); first += kTextsAtOnce) {
      const int64_t end = std::min(first + kTextsAtOnce, sequences.size());
      texts.clear();
      generated.clear();
      for (int64_t i = first; i < end; ++i) texts.push_back(tokenizer.decode(sequences.text(i)));
      for (int64_t i = first; i < end; ++i)
        generated.push_back(
            {texts[size_t(i - first)], sequences.text(i), sequences.ended(i), prompts[size_t(of[size_t(i)])]});
      const std::vector<double> part = reward.score(generated);
      r.insert(r.end(), part.begin(), part.end());
    }
    return r;
  };
}

}  // namespace gradus
