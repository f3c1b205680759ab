#include "rl/experience.h"

#include <algorithm>
#include <numeric>

namespace gradus {

std::vector<double> sum_over_draws(const PaddedBatch& batch, std::span<const double> x) {
  std::vector<double> sum(size_t(batch.B), 0.0);
  for (int64_t b = 0; b < batch.B; ++b)
    for (int64_t t = batch.first_slot(b); t < batch.end_slot(b); ++t) sum[size_t(b)] += x[size_t(b * batch.T + t)];
  return sum;
}

std::vector<double> on_every_draw(const PaddedBatch& batch, std::span<const double> value) {
  std::vector<double> x(size_t(batch.B * batch.T), 0.0);
  for (int64_t b = 0; b < batch.B; ++b)
    for (int64_t t = batch.first_slot(b); t < batch.end_slot(b); ++t) x[size_t(b * batch.T + t)] = value[size_t(b)];
  return x;
}

std::vector<double> on_last_draw(const PaddedBatch& batch, std::span<const double> value) {
  std::vector<double> x(size_t(batch.B * batch.T), 0.0);
  for (int64_t b = 0; b < batch.B; ++b)
    if (batch.length[size_t(b)] > 0) x[size_t(b * batch.T + batch.end_slot(b) - 1)] = value[size_t(b)];
  return x;
}

std::vector<double> on_draws(const PaddedBatch& batch, std::span<const double> x) {
  std::vector<double> y(size_t(batch.B * batch.T), 0.0);
  size_t k = 0;
  for (int64_t b = 0; b < batch.B; ++b)
    for (int64_t t = batch.first_slot(b); t < batch.end_slot(b); ++t) y[size_t(b * batch.T + t)] = x[k++];
  return y;
}

std::vector<double> paid_on_draws(const PaddedBatch& batch, std::span<const double> reward) {
  const int64_t draws = std::accumulate(batch.length.begin(), batch.length.end(), int64_t{0});
  require(std::ssize(reward) == batch.B || std::ssize(reward) == draws, "paid_on_draws", Loc::here(), reward.size(),
          " rewards for ", batch.B, " sequences of ", draws, " draws");
  return std::ssize(reward) == batch.B ? on_last_draw(batch, reward) : on_draws(batch, reward);
}

std::vector<double> at_first_draw(const PaddedBatch& batch, std::span<const double> x) {
  std::vector<double> first;
  for (int64_t b = 0; b < batch.B; ++b) first.push_back(x[size_t(b * batch.T + batch.first_slot(b))]);
  return first;
}

// The rows `which` of x [B, width].
template <class T>
static std::vector<T> rows_of(const std::vector<T>& x, int64_t B, std::span<const int64_t> which) {
  const int64_t width = int64_t(x.size()) / B;
  std::vector<T> rows;
  rows.reserve(which.size() * size_t(width));
  for (const int64_t b : which) rows.insert(rows.end(), x.begin() + b * width, x.begin() + (b + 1) * width);
  return rows;
}

Experience rows_of(const Experience& e, std::span<const int64_t> which) {
  const int64_t B = e.size();
  Experience part{.sequences = Sequences(e.sequences.end_id()),
                  .batch = {.B = int64_t(which.size()),
                            .T = e.batch.T,
                            .inputs = rows_of(e.batch.inputs, B, which),
                            .targets = rows_of(e.batch.targets, B, which),
                            .prompt = rows_of(e.batch.prompt, B, which),
                            .length = rows_of(e.batch.length, B, which)},
                  .group = rows_of(e.group, B, which),
                  .role = rows_of(e.role, B, which)};
  for (const int64_t b : which) part.sequences.add(e.sequences.draws(b));
  for (const auto field :
       {&Experience::features, &Experience::reward, &Experience::log_mu, &Experience::log_q, &Experience::log_pi,
        &Experience::row_kl, &Experience::value, &Experience::credit, &Experience::returns, &Experience::baseline,
        &Experience::advantage, &Experience::log_target})
    part.*field = rows_of(e.*field, B, which);
  return part;
}

std::vector<int64_t> minibatch(const Experience& e, int64_t m, int64_t M, bool whole_groups) {
  std::vector<int32_t> groups;  // those that are there, each once; their numbers may have gaps
  if (whole_groups) {
    groups = e.group;
    std::ranges::sort(groups);
    groups.erase(std::unique(groups.begin(), groups.end()), groups.end());
  }
  const int64_t units = whole_groups ? int64_t(groups.size()) : e.size();
  require(units >= M, "minibatch", Loc::here(), units, whole_groups ? " groups" : " sequences", " cannot make ", M,
          " minibatches: each must hold one");
  std::vector<int64_t> rows;
  for (int64_t b = 0; b < e.size(); ++b) {
    const int64_t unit = whole_groups ? std::ranges::lower_bound(groups, e.group[size_t(b)]) - groups.begin() : b;
    if (unit >= units * m / M && unit < units * (m + 1) / M) rows.push_back(b);
  }
  return rows;
}

}  // namespace gradus
