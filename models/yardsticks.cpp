#include "models/yardsticks.h"

#include <cmath>

#include "models/families.h"
#include "models/language_model.h"
#include "models/loss.h"

namespace gradus {

Yardsticks yardsticks(const Corpus& corpus, const ModelOptions& run, int64_t V, Shards& shards, int64_t B) {
  const bool held_out = corpus.has_validation();
  const auto loss = [&](int64_t order) {
    ModelOptions options = run;
    options.model = "ngram";
    options.order = order;
    options.smoothing = held_out ? "kneser-ney" : "none";
    const auto model = declare_model(options, V, count_tokens(options, corpus));
    return loss_of_split(*model, corpus, held_out ? Split::kValidation : Split::kTrain, shards, B).mean();
  };
  return {.uniform = std::log(double(V)), .unigram = loss(1), .bigram = loss(2), .held_out = held_out};
}

}  // namespace gradus
