#include "models/run/judge.h"

#include <algorithm>
#include <cmath>

#include "engine/long_loop.h"
#include "models/classifier.h"
#include "models/sampler.h"

namespace gradus {

size_t Judgement::likeliest() const {
  return size_t(std::max_element(probability.begin(), probability.end()) - probability.begin());
}

std::vector<int32_t> read_by(const Checkpoint& classifier, std::string_view text, int64_t* cut) {
  std::vector<int32_t> ids = classifier.tokenizer.encode(text);
  ids.insert(ids.begin(), classifier.tokenizer.end_id());
  if (std::ssize(ids) <= classifier.config.context) return ids;
  ids.resize(size_t(classifier.config.context));
  if (cut) ++*cut;
  return ids;
}

std::vector<Judgement> judge(const Checkpoint& classifier, std::span<const std::vector<int32_t>> texts) {
  const LanguageModel& model = *classifier.model;
  const int64_t K = classifier.config.labels, C = model.width();
  std::vector<Judgement> all;
  std::vector<int32_t> tokens, lengths;
  Tape tape;
  const Tape::Use use(tape);
  const NoGrad no_grad;
  const LongLoop loop("judging texts", std::ssize(texts));
  for (size_t first = 0; first < texts.size(); first += size_t(kSideBySide)) {
    loop.at(int64_t(first));
    const auto group = texts.subspan(first, std::min(size_t(kSideBySide), texts.size() - first));
    size_t T = 0;
    for (const std::vector<int32_t>& text : group) T = std::max(T, text.size());
    tokens.assign(group.size() * T, 0);
    lengths.clear();
    for (size_t b = 0; b < group.size(); ++b) {
      std::ranges::copy(group[b], tokens.begin() + std::ptrdiff_t(b * T));
      lengths.push_back(int32_t(group[b].size()));
    }
    const Tape::Mark mark(tape);
    const Tensor features = text_features(model, tokens, lengths, std::ssize(group), int64_t(T));
    const Tensor logits = model.head(features);
    for (size_t b = 0; b < group.size(); ++b) {
      Judgement one{.probability = std::vector<double>(size_t(K)), .features = {}};
      log_distribution(logits.span().subspan(b * size_t(K), size_t(K)), 1, one.probability);
      require_numbers(one.probability);
      for (double& p : one.probability) p = std::exp(p);
      const std::span<const real> row = features.span().subspan(b * size_t(C), size_t(C));
      one.features.assign(row.begin(), row.end());
      all.push_back(std::move(one));
    }
  }
  return all;
}

}  // namespace gradus
