// Yardsticks: what a loss can be compared with. They are losses of three models that know little, fitted on the
// training split and measured on the validation split, like the model that trains.
#pragma once

#include "engine/parallel.h"
#include "models/model_options.h"
#include "models/text/corpus.h"

namespace gradus {

// In nats a token.
struct Yardsticks {
  double uniform;  // ln V: every token equally likely
  double unigram;  // knows how often each token occurs
  double bigram;   // knows what follows each token
  bool held_out;   // measured on the validation split; without one on the training split itself
};

// The last two are the family `ngram` of order 1 and 2 with Kneser-Ney smoothing, which gives every token some
// probability. So `gradus train --model ngram --order 2 --smoothing kneser-ney` with the same --val-fraction has the
// bigram's loss. Without a validation split they are raw counts, on the text that they were counted on: then the bigram
// is optimistic, much so where the text is short. `run` says how the text is cut, B how many windows make a batch.
// Of labelled lines they are nats a label: every label equally likely, and each as often as in training, with one line
// more for each label; there is no bigram, NaN.
Yardsticks yardsticks(const Corpus& corpus, const ModelOptions& run, int64_t V, Shards& shards, int64_t B);

}  // namespace gradus
