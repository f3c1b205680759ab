#include "rl/gdc.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <numeric>

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

MomentFit Features::fit(const Table& q, std::span<const double> values, bool sampled, std::span<const int32_t> prompt) {
  const size_t F = of.size(), n = count(), P = prompt.empty() ? 1 : size_t(std::ranges::max(prompt)) + 1;
  const std::string where = sampled ? text("in ", q.size(), " samples of the prior") : "in the prior's texts";
  std::vector<double> log_q;
  std::vector<std::vector<double>> phi(n);
  std::vector<int32_t> kept;                // the prompts of what is allowed
  std::vector<bool> allows(P, false);       // whether anything is, of each prompt
  std::vector<bool> kept_by(F - n, false);  // whether any text keeps each constraint
  // Of each feature the least and the largest value behind each prompt.
  std::vector<std::vector<double>> least(n, std::vector<double>(P, kInfinity)),
      most(n, std::vector<double>(P, -kInfinity));
  for (size_t i = 0; i < q.size(); ++i) {
    const std::span<const double> row = values.subspan(i * F, F);
    for (size_t f = n; f < F; ++f)
      if (q.p[i] > 0 && row[f] != 0) kept_by[f - n] = true;
    if (q.p[i] == 0 || std::ranges::count(row.subspan(n), 0.0) > 0) continue;
    log_q.push_back(q.log_p[i]);
    kept.push_back(prompt.empty() ? 0 : prompt[i]);
    const size_t c = size_t(kept.back());
    allows[c] = true;
    for (size_t f = 0; f < n; ++f) {
      phi[f].push_back(row[f]);
      least[f][c] = std::min(least[f][c], row[f]);
      most[f][c] = std::max(most[f][c], row[f]);
    }
  }
  for (size_t f = n; f < F; ++f)
    if (!kept_by[f - n]) throw DataError(text("--pointwise ", names[f], ": no text that is allowed was seen ", where));
  for (size_t c = 0; c < P; ++c)
    if (!allows[c])
      throw DataError(text("--pointwise ", F - n == 1 ? names[n] : text("of ", F - n, " constraints together"),
                           ": no text that is allowed was seen ", where, P > 1 ? text(" behind prompt ", c + 1) : ""));
  for (size_t f = 0; f < n; ++f) {
    const double low = std::accumulate(least[f].begin(), least[f].end(), 0.0) / double(P),
                 high = std::accumulate(most[f].begin(), most[f].end(), 0.0) / double(P);
    if (low == high)
      throw DataError(text("--feature ", names[f], "=", moments[f], ": it was ", low, " in every text seen ", where,
                           ", so no weight of it can move its mean"));
    if (!(low < moments[f] && moments[f] < high))
      throw DataError(text(
          "--feature ", names[f], "=", moments[f], ": the moment is out of reach, it must lie between ", low, " and ",
          high, ", the least and the largest value seen ", where, P > 1 ? ", their means over the prompts" : ""));
  }
  MomentFit found = fit_moments(Table::of_logs(std::move(log_q)), phi, moments, kept, std::span(names).first(n));
  lambda = found.lambda;
  lambda_error = sampled ? lambda_errors(found, phi, kept) : std::vector<double>();
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
