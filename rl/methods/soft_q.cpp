// Soft Q-learning to the posterior, token by token (Haarnoja et al. 2017, arXiv 1702.08165, with a prior as in Jaques
// et al. 2017, arXiv 1611.02796). The optimum of E[r] − β KL(π‖q) is a policy in every prefix h:
//
//   Q(h,a) = r(h,a) + γ V(ha),   V(h) = β log Σ_a q(a|h) e^{Q(h,a)/β},   π*(a|h) = q(a|h) e^{(Q(h,a) − V(h))/β}
//
// and V = 0 after the last draw. Here the logits are z = log q + Q/β. Their softmax is the policy itself, so that a run
// stays a language model and its samples are those of π. And V = β log Σ e^z is known from the scores of one draw, z −
// log π. So the error of temporal differences needs no other network,
//
//   δ_t = r_t + γ V_{t+1} − Q_t,   Q = β (z − log q),   V = β (z − log π),   w_t = δ_t / β on the logit of the draw
//
// with V_{t+1} a constant. Where δ is 0 everywhere, the policy is π*. Which policy drew does not matter, as long as it
// draws everything.
#include <cmath>

#include "rl/methods/method.h"
#include "rl/tune_values.h"

namespace gradus {
namespace {

class SoftQ : public Method {
 public:
  explicit SoftQ(const TuneConfig& options) : gamma_(options.gamma), temperature_(options.temperature) {}

  Needs needs() const override { return {.logit = true}; }
  void prepare(Experience&, double kl_coef) override { beta_ = kl_coef; }

  Weights weigh(const Experience& e, const Scores& now) const override {
    const PaddedBatch& batch = e.batch;
    Weights w{.logit = std::vector<double>(now.logit.size(), 0.0)};
    for (int64_t b = 0; b < batch.B; ++b) {
      double next = 0;  // V/β behind the draw
      for (int64_t t = batch.end_slot(b) - 1; t >= batch.first_slot(b); --t) {
        const size_t i = size_t(b * batch.T + t);
        const double z = now.logit[i] / temperature_;
        if (!std::isfinite(e.log_q[i]))
          throw DataError("the policy drew a sequence that the prior excludes: its posterior is 0");
        w.logit[i] = e.reward[i] / beta_ + gamma_ * next - (z - e.log_q[i]);
        next = z - now.log_pi[i];
      }
    }
    return w;
  }

  MethodMath math() const override {
    return {.weight = "wₜ = δₜ / β on the logit z = log q + Q/β; δₜ = rₜ + γ Vₜ₊₁ − Qₜ, V = β (z − log π)"};
  }

 private:
  const double gamma_, temperature_;
  double beta_ = 1;
};

}  // namespace

std::unique_ptr<Method> make_soft_q(const TuneConfig& options, const MethodModels&) {
  return std::make_unique<SoftQ>(options);
}

}  // namespace gradus
