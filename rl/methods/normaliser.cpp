#include "rl/methods/normaliser.h"

#include <algorithm>
#include <cmath>

#include "rl/tables/divergence.h"
#include "rl/tables/running_moments.h"

namespace gradus {

double Normaliser::log_z() const { return log_sum - std::log(weight); }
double Normaliser::log_z_error() const { return std::sqrt(relative); }

void Normaliser::add(std::span<const double> log_ratios) {
  weight = kMemory * weight + (1 - kMemory);
  const double top = std::ranges::max(log_ratios);
  if (!std::isfinite(top)) {  // nothing in this batch has P > 0
    if (known()) log_sum += std::log(kMemory);
    return;
  }
  RunningMoments batch;  // of P/μ, in units of the largest
  for (const double x : log_ratios) batch.add(std::exp(x - top));
  const double n = double(batch.count()), mean = batch.mean()[0];
  const double error = n > 1 ? batch.variance()[0] / (n * mean * mean) : 0;
  const double terms[] = {known() ? std::log(kMemory) + log_sum : kNothing,
                          std::log(1 - kMemory) + top + std::log(mean)};
  log_sum = log_sum_exp(terms);
  const double old = std::exp(terms[0] - log_sum), fresh = std::exp(terms[1] - log_sum);
  relative = old * old * relative + fresh * fresh * error;
}

std::vector<double> log_means_of_others(std::span<const double> x, std::span<const int32_t> group) {
  const size_t groups = size_t(std::ranges::max(group)) + 1;
  std::vector<double> top(groups, -INFINITY), sum(groups, 0.0), size(groups, 0.0), means;
  for (size_t i = 0; i < x.size(); ++i) top[size_t(group[i])] = std::max(top[size_t(group[i])], x[i]);
  const auto part = [&](size_t i) { return x[i] == -INFINITY ? 0 : std::exp(x[i] - top[size_t(group[i])]); };
  for (size_t i = 0; i < x.size(); ++i) sum[size_t(group[i])] += part(i), ++size[size_t(group[i])];
  for (size_t i = 0; i < x.size(); ++i) {
    const size_t g = size_t(group[i]);
    const double others = sum[g] - part(i);
    const double mean = others > 0 ? others / (size[g] - 1) : sum[g] / size[g];
    means.push_back(top[g] == -INFINITY ? 0 : top[g] + std::log(mean));  // any Z will do where no P is above 0
  }
  return means;
}

}  // namespace gradus
