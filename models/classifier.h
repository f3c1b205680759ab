// Classifier: an encoder that says which of K labels a text has. On top of the features of a net, pooled to one vector
// for each text, stand K linear scores:
//
//   logits = W pool(features) + b,   loss = −log softmax(logits)[label]
//
// Its texts are the inputs of a language model, the mark and then the text; the one target is the label, an id from 0
// to K − 1 at the last of them (models/text/corpus.h).
#pragma once

#include <utility>

#include "models/family.h"
#include "models/language_model.h"

namespace gradus {

// One row for each sequence, of its first lengths[b] rows: the last, or their mean.   features [B·T,C] → [B,C]
Tensor pooled(const Tensor& features, std::span<const int32_t> lengths, int64_t B, int64_t T, Pooling pooling);

// Of texts, tokens [B,T] of which sequence b has lengths[b]: their pooled features [B,C]. ShapeError as
// Encoder::features.
Tensor text_features(const LanguageModel& classifier, std::span<const int32_t> tokens, std::span<const int32_t> lengths,
                     int64_t B, int64_t T);
// The same, and what the classifier makes of them: the logits of the labels, [B,K].
inline Tensor label_logits(const LanguageModel& classifier, std::span<const int32_t> tokens,
                           std::span<const int32_t> lengths, int64_t B, int64_t T) {
  return classifier.head(text_features(classifier, tokens, lengths, B, T));
}
// What Classifier::losses() returns: −log p(label) of each sequence, [B]. REQUIRES: as losses().
Tensor label_losses(const LanguageModel& classifier, std::span<const int32_t> tokens, std::span<const int32_t> targets,
                    int64_t B, int64_t T);

template <class Net>
class Classifier : public Net {
 public:
  // W and b begin at 0, so the first loss is ln K.
  Classifier(const ModelOptions& options, int64_t V) : Net(options, V) {
    w_ = this->params_.add("classifier.weight", {options.labels, this->width()}, Init::constant(0));
    b_ = this->params_.add("classifier.bias", {options.labels}, Init::constant(0));
  }
  Tensor head(const Tensor& pooled) const override {
    return named("logits of labels", add_rows(matmul_nt(pooled, w_), b_));
  }
  Tensor losses(std::span<const int32_t> tokens, std::span<const int32_t> targets, int64_t B,
                int64_t T) const override {
    return label_losses(*this, tokens, targets, B, T);
  }
  bool predicts_next() const override { return false; }
  State start(int64_t) const override {
    throw DataError("a classifier says which label a text has and does not write; gradus classify asks it");
  }

 private:
  Tensor advance(State& state, std::span<const int32_t>) const override { return start(state.rows), Tensor(); }
  Tensor w_, b_;  // [K,C], [K]
};

}  // namespace gradus
