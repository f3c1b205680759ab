#include "models/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace gradus {

void log_distribution(std::span<const real> logits, double temperature, std::span<double> log_p) {
  const size_t V = logits.size();
  const size_t best = size_t(std::max_element(logits.begin(), logits.end()) - logits.begin());
  double total = 0;  // logits - best before the division: a small temperature must not make infinities
  for (size_t v = 0; v < V; ++v) {
    const double below = double(logits[v]) - double(logits[best]);
    log_p[v] = temperature > 0 ? below / temperature : v == best ? 0 : -std::numeric_limits<double>::infinity();
    total += std::exp(log_p[v]);
  }
  const double log_sum = std::log(total);
  for (double& x : log_p) x -= log_sum;
}

void sampling_distribution(std::span<const real> logits, const SampleOptions& options, std::span<double> log_p,
                           std::span<double> p, std::span<int32_t> order) {
  const size_t V = logits.size();
  log_distribution(logits, options.temperature, log_p);
  for (size_t v = 0; v < V; ++v) p[v] = std::exp(log_p[v]);

  const bool cut_k = options.top_k > 0 && size_t(options.top_k) < V, cut_p = options.top_p < 1;
  if (cut_k || cut_p) {
    std::iota(order.begin(), order.end(), 0);
    std::sort(order.begin(), order.end(),
              [&](int32_t a, int32_t b) { return p[size_t(a)] != p[size_t(b)] ? p[size_t(a)] > p[size_t(b)] : a < b; });
    const size_t most = cut_k ? size_t(options.top_k) : V;
    double kept = 0, among_k = 0;
    for (size_t i = 0; i < most; ++i) among_k += p[size_t(order[i])];
    size_t n = 0;
    while (n < most && (n == 0 || kept < options.top_p * among_k)) kept += p[size_t(order[n++])];
    for (size_t i = 0; i < V; ++i) p[size_t(order[i])] = i < n ? p[size_t(order[i])] / kept : 0;
  }
}

std::vector<double> score_sequence(const LanguageModel& model, int32_t start, std::span<const int32_t> tokens,
                                   double temperature) {
  Tape tape;
  const Tape::Use use(tape);
  State state = model.start(1);
  std::vector<double> log_p(size_t(model.vocabulary())), log_probs;
  for (size_t t = 0; t < tokens.size(); ++t) {
    const Tape::Mark mark(tape);
    const Tensor logits = model.next(state, {t == 0 ? &start : &tokens[t - 1], 1});
    log_distribution(logits.span(), temperature, log_p);
    log_probs.push_back(log_p[size_t(tokens[t])]);
  }
  return log_probs;
}

Sampler::Sampler(const LanguageModel& model, std::span<const std::vector<int32_t>> prompts,
                 const SampleOptions& options, const Rng& rng, int64_t first_sequence)
    : model_(model),
      options_(options),
      rng_(rng),
      first_sequence_(first_sequence),
      state_(model.start(int64_t(prompts.size()))),
      token_(prompts.size()),
      order_(size_t(model.vocabulary())),
      log_prob_(prompts.size()),
      log_p_(size_t(model.vocabulary())),
      p_(log_p_.size()) {
  const Tape::Use use(tape_);
  for (const auto& prompt : prompts)
    require(!prompt.empty() && prompt.size() == prompts[0].size(), "Sampler", Loc::here(),
            "every prompt must have the same length, at least one token; one has ", prompt.size());
  for (size_t t = 0; t < prompts[0].size(); ++t) {
    if (t > 0) {
      const Tape::Mark mark(tape_);
      model_.next(state_, token_);
    }
    for (size_t b = 0; b < prompts.size(); ++b) token_[b] = prompts[b][t];
  }
}

void Sampler::next() {
  const Tape::Use use(tape_);
  const Tape::Mark mark(tape_);
  const Tensor logits = model_.next(state_, token_);
  const size_t V = size_t(model_.vocabulary());
  for (size_t b = 0; b < token_.size(); ++b) {
    const std::span<const real> row = logits.span().subspan(b * V, V);
    sampling_distribution(row, options_, log_p_, p_, order_);
    const double u = rng_.at(first_sequence_ + int64_t(b)).uniform(drawn_);
    token_[b] = int32_t(categorical(p_, u));
    log_prob_[b] = log_p_[size_t(token_[b])];
  }
  ++drawn_;
}

}  // namespace gradus
