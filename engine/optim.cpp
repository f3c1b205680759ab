#include "engine/optim.h"

#include <cmath>
#include <numbers>

#include "engine/kernels.h"
#include "engine/muon.h"

namespace gradus {

double gradient_norm(std::span<const real> gradient) { return kernel::norm(int64_t(gradient.size()), gradient.data()); }

double clip_factor(double norm, double max_norm) { return max_norm > 0 && norm > max_norm ? max_norm / norm : 1; }

void sgd_step(Params& params, std::span<const real> gradient, double lr, double factor) {
  require(int64_t(gradient.size()) == params.size(), "sgd_step", Loc::here(), "the gradient has ", gradient.size(),
          " numbers, the parameters have ", params.size());
  const std::span<real> w = params.edit();
  for (int64_t i = 0; i < params.count(); ++i)
    if (const int64_t begin = params.offset(i); !params.frozen(i))
      kernel::axpy(params.shape(i).numel(), real(-lr * factor), gradient.data() + begin, w.data() + begin);
}

AdamW::AdamW(const Params& params, AdamWOptions options)
    : m(size_t(params.size()), real(0)), v(size_t(params.size()), real(0)), options_(options) {
  const auto& [beta1, beta2, epsilon, weight_decay, muon] = options_;
  const auto check = [](const char* name, double x, bool good, const char* range) {
    require(good, "AdamW", Loc::here(), name, " is ", x, ", it must be ", range);
  };
  check("beta1", beta1, beta1 >= 0 && beta1 < 1, "at least 0 and below 1");
  check("beta2", beta2, beta2 >= 0 && beta2 < 1, "at least 0 and below 1");
  check("epsilon", epsilon, real(epsilon * std::sqrt(1 - beta2)) > 0 && std::isfinite(epsilon), "above 0");
  check("weight_decay", weight_decay, weight_decay >= 0 && std::isfinite(weight_decay), "at least 0");
  if (muon) work_.resize(size_t(muon_work(params)));
}

void AdamW::step(Params& params, std::span<const real> gradient, double lr, double factor) {
  require(int64_t(gradient.size()) == params.size() && gradient.size() == m.size(), "AdamW", Loc::here(),
          "the gradient has ", gradient.size(), " numbers, the parameters ", params.size(), ", the state ", m.size());
  ++steps;
  // With the corrections moved out of the loop: lr m̂/(√v̂+ε) = (lr √c2/c1) m/(√v + ε √c2), c = 1 − βⁿ.
  const double c1 = 1 - std::pow(options_.beta1, double(steps)), c2 = 1 - std::pow(options_.beta2, double(steps));
  const real rate = real(lr * std::sqrt(c2) / c1), eps = real(options_.epsilon * std::sqrt(c2)), f = real(factor);
  const real b1 = real(options_.beta1), b2 = real(options_.beta2), a1 = real(1 - options_.beta1),
             a2 = real(1 - options_.beta2);
  real* const values = params.edit().data();
  for (int64_t i = 0; i < params.count(); ++i) {
    if (params.frozen(i)) continue;
    if (const HiddenMaps& maps = params.maps(i); options_.muon && maps) {
      const int64_t at = params.offset(i);
      muon_step(params.shape(i), maps, gradient.data() + at, factor, lr, options_.weight_decay, values + at,
                m.data() + at, work_.data());
      continue;
    }
    const real keep = params.shape(i).rank() >= 2 ? real(1 - lr * options_.weight_decay) : real(1);
    const int64_t begin = params.offset(i), n = params.shape(i).numel();
    const real* __restrict g = gradient.data() + begin;
    real* __restrict w = values + begin, * __restrict mi = m.data() + begin, * __restrict vi = v.data() + begin;
    for (int64_t j = 0; j < n; ++j) {
      const real gj = f * g[j];
      mi[j] = b1 * mi[j] + a1 * gj;
      vi[j] = b2 * vi[j] + a2 * gj * gj;
      w[j] = keep * w[j] - rate * mi[j] / (std::sqrt(vi[j]) + eps);
    }
  }
}

double Schedule::at(int64_t step) const {
  if (step <= warmup) return lr * double(step) / double(warmup);
  if (step >= decay) return min_lr;
  const double progress = double(step - warmup) / double(decay - warmup);
  return min_lr + (lr - min_lr) * (1 + std::cos(std::numbers::pi * progress)) / 2;
}

}  // namespace gradus
