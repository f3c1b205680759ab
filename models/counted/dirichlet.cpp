#include "models/counted/dirichlet.h"

#include <algorithm>
#include <cmath>

#include "engine/long_loop.h"

namespace gradus {
namespace {

double total_of(const DirichletRows::Counts& counts) {
  double N = 0;
  for (const auto& [token, c] : counts) N += c;
  return N;
}

double count_of(const DirichletRows::Counts& counts, int32_t token) {
  const auto found = counts.find(token);
  return found == counts.end() ? 0 : found->second;
}

}  // namespace

DirichletPosterior dirichlet_posterior(std::span<const double> counts, double A, Loc where) {
  require(!counts.empty(), "dirichlet_posterior", where, "there are no counts");
  require(A > 0, "dirichlet_posterior", where, "the prior's A is ", A, ", it must be above 0");
  const double KA = A * double(counts.size());
  double N = 0;
  for (const double c : counts) {
    require(c >= 0, "dirichlet_posterior", where, "a count is ", c);
    N += c;
  }
  DirichletPosterior posterior{.log_evidence = std::lgamma(KA) - std::lgamma(KA + N)};
  for (const double c : counts) {
    const double mean = (A + c) / (KA + N);
    posterior.mean.push_back(mean);
    posterior.variance.push_back(mean * (1 - mean) / (KA + N + 1));
    if (c > 0) posterior.log_evidence += std::lgamma(A + c) - std::lgamma(A);
  }
  return posterior;
}

DirichletRows::DirichletRows(const Corpus& corpus, Split split, int64_t vocabulary, int64_t longest, double A)
    : V_(vocabulary), longest_(longest), A_(A), lines_(corpus.lines(Split::kAll) > 0) {
  require(A > 0, "DirichletRows", Loc::here(), "the prior's A is ", A, ", it must be above 0");
  const int64_t lines = corpus.lines(split);
  if (!lines_) count(corpus.tokens(split));
  const LongLoop loop("counting lines", lines);
  for (int64_t i = 0; i < lines; ++i) {
    loop.at(i);
    count(corpus.window(split, i).targets);
  }
}

template <class F>
void DirichletRows::walk(std::span<const int32_t> tokens, const F& f) const {
  for (int64_t i = lines_ ? 0 : 1; i < std::ssize(tokens); ++i) {
    const auto at = tokens.begin() + i;
    f(History(at - std::min(i, longest_), at), *at);
  }
}

void DirichletRows::count(std::span<const int32_t> tokens) {
  walk(tokens, [&](const History& h, int32_t token) { ++rows_[h][token]; });
}

std::vector<double> DirichletRows::dense(const Counts& counts) const {
  std::vector<double> all(static_cast<size_t>(V_));
  for (const auto& [token, c] : counts) all[size_t(token)] = c;
  return all;
}

double DirichletRows::log_evidence() const {
  double sum = 0;
  const double KA = A_ * double(V_);
  for (const auto& [history, counts] : rows_) {
    sum += std::lgamma(KA) - std::lgamma(KA + total_of(counts));
    for (const auto& [token, c] : counts) sum += std::lgamma(A_ + c) - std::lgamma(A_);
  }
  return sum;
}

double DirichletRows::log_predictive(std::span<const int32_t> tokens) const {
  double sum = 0;
  std::map<History, Counts> met;  // within these tokens
  walk(tokens, [&](const History& h, int32_t token) {
    const auto row = rows_.find(h);
    Counts& now = met[h];
    const double c = count_of(now, token) + (row == rows_.end() ? 0 : count_of(row->second, token));
    const double N = total_of(now) + (row == rows_.end() ? 0 : total_of(row->second));
    sum += std::log((A_ + c) / (A_ * double(V_) + N));
    ++now[token];
  });
  return sum;
}

double DirichletRows::log_likelihood(std::span<const int32_t> tokens) const {
  double sum = 0;
  walk(tokens, [&](const History& h, int32_t token) {
    const auto row = rows_.find(h);
    sum += row == rows_.end() ? -INFINITY : std::log(count_of(row->second, token) / total_of(row->second));
  });
  return sum;
}

}  // namespace gradus
