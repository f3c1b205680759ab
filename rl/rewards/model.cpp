// The reward `model:RUN`: what a reward model has learnt from choices between texts (rl/reward_model.h). With r alone
// the posterior of a prior q is q·e^{r/β} / Z.
#include <algorithm>
#include <memory>

#include "models/text/words.h"
#include "rl/reward_model.h"
#include "rl/rewards/terms.h"

namespace gradus::reward {

// r of the text behind its prompt, both cut into the tokens of that run. A text that the model cannot read, or that is
// longer than what it sees at once, is a DataError.
Scorer model(const std::string& run, const Tokenizer&) {
  const std::shared_ptr<const RewardModel> learnt = RewardModel::load(run);
  return [learnt, run](std::span<const Generated> sequences, std::span<double> scores) {
    std::vector<std::vector<int32_t>> texts;
    for (const Generated& g : sequences) try {
        texts.push_back(learnt->tokens(g.prompt, g.text));
      } catch (const DataError& error) {
        throw DataError(text("reward 'model:", run, "', of the text ", shown(g.text), ": ", error.what()));
      }
    std::ranges::copy(learnt->score(texts), scores.begin());
  };
}

}  // namespace gradus::reward
