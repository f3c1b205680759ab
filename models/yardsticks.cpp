#include "models/yardsticks.h"

#include <cmath>

#include "models/families.h"
#include "models/language_model.h"
#include "models/loss.h"

namespace gradus {

static Yardsticks of_labels(const Corpus& corpus, int64_t K, bool held_out) {
  std::vector<double> times(size_t(K), 1);
  const int64_t trains = corpus.lines(Split::kTrain);
  for (int64_t i = 0; i < trains; ++i) ++times[size_t(corpus.window(Split::kTrain, i).label)];
  const Split measured = held_out ? Split::kValidation : Split::kTrain;
  double nats = 0;
  for (int64_t i = 0; i < corpus.lines(measured); ++i)
    nats -= std::log(times[size_t(corpus.window(measured, i).label)] / double(trains + K));
  return {.uniform = std::log(double(K)),
          .unigram = nats / double(corpus.lines(measured)),
          .bigram = NAN,
          .held_out = held_out};
}

Yardsticks yardsticks(const Corpus& corpus, const ModelOptions& run, int64_t V, Shards& shards, int64_t B) {
  const bool held_out = corpus.has_validation();
  if (run.labels > 0) return of_labels(corpus, run.labels, held_out);
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
