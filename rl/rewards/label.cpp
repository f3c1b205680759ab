// The reward `class:RUN=LABEL`: the probability that a classifier gives a text for a label.
#include <algorithm>
#include <memory>

#include "models/run/judge.h"
#include "models/text/words.h"
#include "rl/rewards/terms.h"

namespace gradus {

namespace reward {
// p(LABEL | text) of `gradus classify train`'s RUN, in [0, 1]. The text is cut into the tokens of that run, and judged
// by as many of them as its context holds, as in training; one with a token that it does not know is a DataError.
Scorer label(const std::string& argument, const Tokenizer&) {
  const size_t equals = argument.rfind('=');
  if (equals == argument.npos || equals == 0 || equals + 1 == argument.size())
    throw UsageError(text("needs a run and one of its labels: class:RUN=LABEL, not ", shown(argument)));
  const std::string run = argument.substr(0, equals), wanted = argument.substr(equals + 1);
  const auto classifier = std::make_shared<const Checkpoint>(load_classifier(run));
  const auto found = std::ranges::find(classifier->labels, wanted);
  if (found == classifier->labels.end())
    throw UsageError(text("the label ", shown(wanted), " is not one of ", run, ": ", joined(classifier->labels)));
  const auto place = size_t(found - classifier->labels.begin());
  return [classifier, place, argument](std::span<const Generated> sequences, std::span<double> scores) {
    std::vector<std::vector<int32_t>> ids;
    for (const Generated& g : sequences) try {
        ids.push_back(read_by(*classifier, g.text));
      } catch (const DataError& error) {
        throw DataError(
            text("reward 'class:", argument, "': its model cannot read the text ", shown(g.text), ": ", error.what()));
      }
    const std::vector<Judgement> judged = judge(*classifier, ids);
    for (size_t i = 0; i < scores.size(); ++i) scores[i] = judged[i].probability[place];
  };
}
}  // namespace reward

}  // namespace gradus
