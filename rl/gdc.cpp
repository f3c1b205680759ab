#include "rl/gdc.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

namespace gradus {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

std::vector<double> Features::values(const Sequences& sequences, std::span<const int32_t> prompt) const {
  const size_t F = of.size();
  std::vector<double> all(size_t(sequences.size()) * F);
  for (size_t f = 0; f < F; ++f) {
    const std::vector<double> one = of[f](sequences, prompt);
    for (size_t i = 0; i < one.size(); ++i) {
      if (f >= count() && one[i] != 0 && one[i] != 1)
        throw DataError(text("--pointwise ", names[f], " is ", one[i],
                             " for a text; a hard constraint must be 1 where a text is allowed and 0 elsewhere"));
      all[i * F + f] = one[i];
    }
  }
  return all;
}

std::vector<double> Features::rewards(std::span<const double> values) const {
  const size_t F = of.size();
  std::vector<double> r(values.size() / F, 0.0);
  for (size_t i = 0; i < r.size(); ++i)
    for (size_t f = 0; f < F; ++f)
      if (const double x = values[i * F + f]; f < count())
        r[i] += lambda[f] * x;
      else if (x == 0)
        r[i] = -kInfinity;
  for (const double x : r)
    if (std::isnan(x) || x == kInfinity || (x == -kInfinity && F == count()))
      throw DataError(text("the rewards of a text add up to ", x, "; give them a smaller weight"));
  return r;
}

RewardFunction Features::reward() const {
  return [this](const Sequences& s, std::span<const int32_t> prompt) { return rewards(values(s, prompt)); };
}

MomentFit Features::fit(const Table& q, std::span<const double> values, bool sampled) {
  const size_t F = of.size(), n = count();
  const std::string where = sampled ? text("in ", q.size(), " samples of the prior") : "in the prior's texts";
  std::vector<double> log_q;
  std::vector<std::vector<double>> phi(n);
  for (size_t i = 0; i < q.size(); ++i) {
    const std::span<const double> row = values.subspan(i * F, F);
    if (q.p[i] == 0 || std::ranges::count(row.subspan(n), 0.0) > 0) continue;
    log_q.push_back(q.log_p[i]);
    for (size_t f = 0; f < n; ++f) phi[f].push_back(row[f]);
  }
  if (log_q.empty()) throw DataError(text("--pointwise ", names[n], ": no text that is allowed was seen ", where));
  for (size_t f = 0; f < n; ++f) {
    const auto [least, most] = std::ranges::minmax(phi[f]);
    if (!(least < moments[f] && moments[f] < most))
      throw DataError(text("--feature ", names[f], "=", moments[f],
                           ": the moment is out of reach, it must lie between ", least, " and ", most,
                           ", the least and the largest value seen ", where));
  }
  MomentFit found = fit_moments(Table::of_logs(std::move(log_q)), phi, moments);
  lambda = found.lambda;
  lambda_error = sampled ? lambda_errors(found, phi, moments) : std::vector<double>();
  return found;
}

std::pair<std::string, double> split_feature(const std::string& spec) {
  const size_t equals = spec.rfind('=');
  double moment = 0;
  if (equals != std::string::npos && equals > 0) {
    const char *first = spec.data() + equals + 1, *last = spec.data() + spec.size();
    const auto [end, error] = std::from_chars(first, last, moment);
    if (first < last && error == std::errc() && end == last && std::isfinite(moment))
      return {spec.substr(0, equals), moment};
  }
  throw UsageError(text("--feature ", spec, ": it must be NAME[:ARGUMENT]=MOMENT, such as contains:cat=0.5"));
}

}  // namespace gradus
