#include "models/posterior/diagnostics.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "engine/error.h"

namespace gradus {
namespace {

double mean_of(const Trace& x) { return std::accumulate(x.begin(), x.end(), 0.0) / double(x.size()); }

Trace centred(const Trace& x) {
  Trace out = x;
  const double m = mean_of(x);
  for (double& value : out) value -= m;
  return out;
}

// Σ_i x_i x_{i+lag} / n, of a trace with mean 0.
double autocovariance(const Trace& x, size_t lag) {
  return std::inner_product(x.begin(), x.end() - int64_t(lag), x.begin() + int64_t(lag), 0.0) / double(x.size());
}

struct Variances {
  double within = 0, total = 0;  // W, and (n-1)/n W + B/n
};
Variances variances(const std::vector<Trace>& chains) {
  const double n = double(chains[0].size()), M = double(chains.size());
  Trace means;
  Variances v;
  for (const Trace& chain : chains) {
    means.push_back(mean_of(chain));
    v.within += autocovariance(centred(chain), 0) * n / (n - 1) / M;
  }
  const double between = autocovariance(centred(means), 0) * M / (M - 1);  // B/n
  v.total = (n - 1) / n * v.within + between;
  return v;
}

std::vector<Trace> halves(std::span<const Trace> chains) {
  std::vector<Trace> out;
  for (const Trace& chain : chains) {
    require(chain.size() == chains[0].size(), "diagnostics", Loc::here(), "traces of ", chains[0].size(), " and ",
            chain.size(), " steps");
    const auto half = int64_t(chain.size() / 2);
    out.emplace_back(chain.begin(), chain.begin() + half);
    out.emplace_back(chain.end() - half, chain.end());
  }
  return out;
}

}  // namespace

int64_t first_unmoved(std::span<const Trace> chains) {
  const auto is_unmoved = [](const Trace& x) {  // one that is not finite has gone too far
    return !x.empty() && std::isfinite(x[0]) && std::ranges::adjacent_find(x, std::not_equal_to()) == x.end();
  };
  const auto found = std::ranges::find_if(chains, is_unmoved);
  return found == chains.end() ? -1 : found - chains.begin();
}

double r_hat(std::span<const Trace> chains) {
  if (chains.empty() || chains[0].size() < 4 || first_unmoved(chains) >= 0) return NAN;
  const Variances v = variances(halves(chains));
  return v.within > 0 ? std::sqrt(v.total / v.within) : NAN;
}

double effective_sample_size(std::span<const Trace> chains) {
  if (chains.empty() || chains[0].size() < 4) return NAN;
  if (first_unmoved(chains) >= 0) return 0;
  std::vector<Trace> parts = halves(chains);
  const Variances v = variances(parts);
  for (Trace& part : parts) part = centred(part);
  if (!(v.within > 0)) return NAN;
  const size_t n = parts[0].size();
  const auto rho = [&](size_t lag) {
    double mean = 0;
    for (const Trace& part : parts) mean += autocovariance(part, lag) / double(parts.size());
    return lag == 0 ? 1 : 1 - (v.within - mean) / v.total;
  };
  double sum = -1, last = INFINITY;  // 1 + 2 Σ_{t>0} ρ_t as sums of pairs
  for (size_t t = 0; t + 1 < n; t += 2) {
    const double pair = std::min(last, rho(t) + rho(t + 1));  // they may only fall
    if (pair < 0) break;
    sum += 2 * pair;
    last = pair;
  }
  return double(parts.size() * n) / std::max(sum, 1 / std::log10(double(parts.size() * n)));
}

}  // namespace gradus
