// The optimiser's update of a traced step.
#include <algorithm>
#include <cmath>

#include "engine/step/math.h"
#include "engine/step/trace.h"

namespace gradus {

namespace {

std::vector<double> part(std::span<const real> all, int64_t begin, int64_t n) {
  return {all.begin() + begin, all.begin() + begin + n};
}

std::string signed_term(double x) { return x < 0 ? " − " + brief(-x) : " + " + brief(x); }

}  // namespace

void add_updates(Trace& trace, const Params& params, AdamW adamw, std::span<const real> gradient, double lr,
                 double factor, const std::string& prefix) {
  const AdamWOptions& o = adamw.options();
  const AdamW before = adamw;
  Params after = params.clone();
  adamw.step(after, gradient, lr, factor);
  const double c1 = 1 - std::pow(o.beta1, double(adamw.steps)), c2 = 1 - std::pow(o.beta2, double(adamw.steps));
  const size_t first = trace.updates.size();
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
    const size_t e = size_t(u.element), at = size_t(begin) + e;
    const double g = u.clipped[e], decay = params.shape(i).rank() >= 2 ? o.weight_decay : 0;
    u.worked = {
        text("element ", index_text(params.shape(i), u.element), ":"),
        text("m = ", brief(o.beta1), "·", factor_text(double(before.m[at])), " + ", brief(1 - o.beta1), "·",
             factor_text(g), " = ", brief(u.m[e])),
        text("v = ", brief(o.beta2), "·", brief(double(before.v[at])), " + ", brief(1 - o.beta2), "·", factor_text(g),
             "² = ", brief(u.v[e])),
        text("m̂ = ", brief(u.m[e]), " / ", brief(c1), " = ", brief(u.m[e] / c1), ",  v̂ = ", brief(u.v[e]), " / ",
             brief(c2), " = ", brief(u.v[e] / c2)),
        text("w = ", brief(found->data[e]), " − ", brief(lr), "·(", brief(u.m[e] / c1), " / (√", brief(u.v[e] / c2),
             " + ", brief(o.epsilon), ")", decay != 0 ? signed_term(decay * found->data[e]) : "",
             ") = ", brief(found->data[e]), signed_term(u.change[e]), " = ", brief(u.after[e]))};
    trace.updates.push_back(std::move(u));
  }
  const std::vector<std::string> rule = {
      factor == 1 ? text("g = the gradient")
                  : text("g = ", brief(factor), " × the gradient, whose norm ", brief(gradient_norm(gradient)),
                         " is above the clip ", brief(factor * gradient_norm(gradient))),
      "m ← β₁ m + (1 − β₁) g,   v ← β₂ v + (1 − β₂) g²",
      "w ← w − lr (m̂ / (√v̂ + ε) + λ w),   m̂ = m / (1 − β₁ⁿ),   v̂ = v / (1 − β₂ⁿ)",
      text("n = ", adamw.steps, ", lr = ", brief(lr), ", β₁ = ", brief(o.beta1), ", β₂ = ", brief(o.beta2),
           ", ε = ", brief(o.epsilon), ", λ = ", brief(o.weight_decay), " (0 for vectors)")};
  if (trace.update_rule.empty()) trace.update_rule = rule;
  for (size_t u = first; u < trace.updates.size() && rule != trace.update_rule; ++u) trace.updates[u].rule = rule;
}

}  // namespace gradus
