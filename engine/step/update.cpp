// The optimiser's update of a traced step.
#include <algorithm>
#include <cmath>

#include "engine/muon.h"
#include "engine/step/math.h"
#include "engine/step/trace.h"

namespace gradus {

namespace {

std::vector<double> part(std::span<const real> all, int64_t begin, int64_t n) {
  return {all.begin() + begin, all.begin() + begin + n};
}

std::string signed_term(double x) { return x < 0 ? " − " + brief(-x) : " + " + brief(x); }

// The last row of an update: w, what is taken from it, and what comes out.
std::string worked_step(const TraceUpdate& u, double w, const std::string& direction, double decay, double lr) {
  const size_t e = size_t(u.element);
  return text("w = ", brief(w), " − ", brief(lr), "·(", direction, decay != 0 ? signed_term(decay * w) : "",
              ") = ", brief(w), signed_term(u.change[e]), " = ", brief(u.after[e]));
}

// The rule with the numbers of element u.element of parameter i put in, a line each; w is its value, and `before` and
// `params` have not made the step.
std::vector<std::string> worked_by_adamw(const TraceUpdate& u, double w, const AdamW& before, const Params& params,
                                         int64_t i, double lr) {
  const AdamWOptions& o = before.options();
  const double n = double(before.steps + 1), c1 = 1 - std::pow(o.beta1, n), c2 = 1 - std::pow(o.beta2, n);
  const size_t e = size_t(u.element), at = size_t(params.offset(i)) + e;
  const double g = u.clipped[e], decay = params.shape(i).rank() >= 2 ? o.weight_decay : 0;
  return {text("m = ", brief(o.beta1), "·", factor_text(double(before.m[at])), " + ", brief(1 - o.beta1), "·",
               factor_text(g), " = ", brief(u.m[e])),
          text("v = ", brief(o.beta2), "·", brief(double(before.v[at])), " + ", brief(1 - o.beta2), "·", factor_text(g),
               "² = ", brief(u.v[e])),
          text("m̂ = ", brief(u.m[e]), " / ", brief(c1), " = ", brief(u.m[e] / c1), ",  v̂ = ", brief(u.v[e]), " / ",
               brief(c2), " = ", brief(u.v[e] / c2)),
          worked_step(u, w, text("(", brief(u.m[e] / c1), " / (√", brief(u.v[e] / c2), " + ", brief(o.epsilon), ")"),
                      decay, lr)};
}

std::vector<std::string> worked_by_muon(const TraceUpdate& u, double w, const AdamW& before, const Params& params,
                                        int64_t i, double lr) {
  constexpr double mu = kMuonMomentum;
  const size_t e = size_t(u.element);
  const double g = u.clipped[e], m = double(before.m[size_t(params.offset(i)) + e]),
               decay = before.options().weight_decay, direction = lr > 0 ? -u.change[e] / lr - decay * w : 0;
  return {text("m = ", brief(mu), "·", factor_text(m), " + ", brief(1 - mu), "·", factor_text(g), " = ", brief(u.m[e])),
          text("u = ", brief(mu), "·", factor_text(u.m[e]), " + ", brief(1 - mu), "·", factor_text(g), " = ",
               brief(mu * u.m[e] + (1 - mu) * g)),
          worked_step(u, w, brief(direction), decay, lr)};
}

}  // namespace

void add_updates(Trace& trace, const Params& params, AdamW adamw, std::span<const real> gradient, double lr,
                 double factor, const std::string& prefix) {
  const AdamWOptions& o = adamw.options();
  const AdamW before = adamw;
  Params after = params.clone();
  adamw.step(after, gradient, lr, factor);
  const size_t first = trace.updates.size();
  const std::string g =
      factor == 1 ? "g = the gradient"
                  : text("g = ", brief(factor), " × the gradient, whose norm ", brief(gradient_norm(gradient)),
                         " is above the clip ", brief(factor * gradient_norm(gradient)));
  const std::vector<std::string> rule = {
      g, "m ← β₁ m + (1 − β₁) g,   v ← β₂ v + (1 − β₂) g²",
      "w ← w − lr (m̂ / (√v̂ + ε) + λ w),   m̂ = m / (1 − β₁ⁿ),   v̂ = v / (1 − β₂ⁿ)",
      text("n = ", adamw.steps, ", lr = ", brief(lr), ", β₁ = ", brief(o.beta1), ", β₂ = ", brief(o.beta2),
           ", ε = ", brief(o.epsilon), ", λ = ", brief(o.weight_decay), " (0 for vectors)")};
  const std::vector<std::string> muon_rule = {
      g, "m ← μ m + (1 − μ) g,   u = μ m + (1 − μ) g",
      "w ← w − lr (0.2 √max(R, C) O(u) + λ w),   O: singular values near 1, of each map [R, C]",
      text("lr = ", brief(lr), ", μ = ", brief(kMuonMomentum), ", λ = ", brief(o.weight_decay))};
  for (int64_t i = 0; i < params.count(); ++i) {
    const auto is_it = [&](const TraceValue& v) {
      return v.op < 0 && v.name == prefix + params.name(i) && !v.grad.empty();
    };
    const auto found = std::find_if(trace.values.begin(), trace.values.end(), is_it);
    if (found == trace.values.end() || params.frozen(i)) continue;
    const int64_t begin = params.offset(i), n = params.shape(i).numel();
    found->grad = part(gradient, begin, n);
    TraceUpdate u;
    u.value = int(found - trace.values.begin());
    u.m = part(adamw.m, begin, n);
    u.v = part(adamw.v, begin, n);
    u.after = part(after.data(), begin, n);
    for (int64_t e = 0; e < n; ++e) {
      u.clipped.push_back(double(real(factor) * gradient[size_t(begin + e)]));
      u.change.push_back(u.after[size_t(e)] - found->data[size_t(e)]);
    }
    const auto less = [](double a, double b) { return std::fabs(a) < std::fabs(b); };
    u.element = std::max_element(u.clipped.begin(), u.clipped.end(), less) - u.clipped.begin();
    const bool muon = o.muon && params.maps(i);
    if (muon) u.rule = muon_rule;
    const double w = found->data[size_t(u.element)];
    u.worked = muon ? worked_by_muon(u, w, before, params, i, lr) : worked_by_adamw(u, w, before, params, i, lr);
    u.worked.insert(u.worked.begin(), text("element ", index_text(params.shape(i), u.element), ":"));
    trace.updates.push_back(std::move(u));
  }
  if (trace.update_rule.empty()) trace.update_rule = rule;
  for (size_t u = first; u < trace.updates.size() && rule != trace.update_rule; ++u)
    if (trace.updates[u].rule.empty()) trace.updates[u].rule = rule;
}

}  // namespace gradus
