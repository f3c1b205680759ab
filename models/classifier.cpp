#include "models/classifier.h"

#include <algorithm>

#include "engine/ops.h"

namespace gradus {

Tensor pooled(const Tensor& features, std::span<const int32_t> lengths, int64_t B, int64_t T, Pooling pooling) {
  Arena& arena = Tape::current(Loc::here()).arena();
  if (pooling == Pooling::kEnd) {
    int32_t* last = arena.array<int32_t>(B);
    for (int64_t b = 0; b < B; ++b) last[b] = int32_t(b * T) + lengths[size_t(b)] - 1;
    return named("end", embedding(features, {last, size_t(B)}));
  }
  Tensor* means = arena.array<Tensor>(B);  // of one row each; side by side they are the rows of the result
  for (int64_t b = 0; b < B; ++b) {
    const int64_t n = lengths[size_t(b)];
    means[b] = matmul(constant({1, n}, 1 / double(n)), features.rows(b * T, n));
  }
  return named("mean", concat({means, size_t(B)}).reshape({B, features.dim(1)}));
}

Tensor text_features(const LanguageModel& classifier, std::span<const int32_t> tokens, std::span<const int32_t> lengths,
                     int64_t B, int64_t T) {
  const Pooling pooling = row_named(kPoolings, classifier.options().pool, "pool").value;
  return pooled(classifier.features(tokens, lengths, B, T), lengths, B, T, pooling);
}

Tensor label_losses(const LanguageModel& classifier, std::span<const int32_t> tokens, std::span<const int32_t> targets,
                    int64_t B, int64_t T) {
  Arena& arena = Tape::current(Loc::here()).arena();
  int32_t *lengths = arena.array<int32_t>(B), *label = arena.array<int32_t>(B);
  for (int64_t b = 0; b < B; ++b) {
    int64_t last = T - 1;
    while (last > 0 && targets[size_t(b * T + last)] == kNoTarget) --last;
    lengths[b] = int32_t(last) + 1;
    label[b] = targets[size_t(b * T + last)];
  }
  const Tensor logits = label_logits(classifier, tokens, {lengths, size_t(B)}, B, T);
  return named("−log p", classifier.rung().softmax_cross_entropy(logits, {label, size_t(B)}, Loc::here()));
}

}  // namespace gradus
