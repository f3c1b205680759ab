// DPO, direct preference optimisation (Rafailov et al. 2023, arXiv 2305.18290): learns from choices between two texts,
// without a reward model. The posterior q e^{r/β} / Z has r = β log π/q and a constant of the prompt, so the policy is
// a reward model of its own: with h = β (log π − log q), the choices have the loss of Bradley and Terry
// (rl/tables/bradley_terry.h),
//
//   L = −log σ(Δ),   Δ = h(chosen) − h(rejected),   −∇L = β σ(−Δ) (∇ log π(chosen) − ∇ log π(rejected))
//
// so that w = β σ(−Δ) on the chosen text and −w on the rejected one. At π = q the loss is log 2. Over pairs of q that
// are chosen as rewards r say, it is least where π is the posterior of r.
//
// The pairs come from a file and have roles. Where they have none they are draws of the prior, and the choice is not
// drawn but taken in the mean: x is chosen with probability P = σ(r(x) − r(y)), which makes w(x) = β (P − σ(Δ)). In a
// group of more than two each text is compared with every other; groups are of one size.
#include <cmath>

#include "rl/methods/method.h"
#include "rl/tables/bradley_terry.h"

namespace gradus {
namespace {

class Dpo : public Method {
 public:
  explicit Dpo(const LanguageModel* prior) : prior_(prior) {}

  Needs needs() const override { return {.least_batch = 2, .whole_groups = true}; }
  const LanguageModel* behaviour() const override { return prior_; }

  void prepare(Experience& e, double kl_coef) override {
    beta_ = kl_coef;
    of_batch_ = loss(e, e.log_pi);
  }

  // The loss is a mean over pairs, and weights are those of sequences, of which a pair has two.
  Weights weigh(const Experience& e, const Scores& now) const override {
    std::vector<double> w = loss(e, now.log_pi).slope;
    for (double& x : w) x *= -beta_ * double(e.size()) / 2;
    return {.log_pi = on_every_draw(e.batch, w)};
  }

  MethodMath math() const override {
    return {.weight =
                "w = β σ(−Δ) on each token of the chosen text, −w on the rejected one's, Δ = β Σ log π/q of both"};
  }

  std::vector<Figure> figures() const override {
    return {{"preference_loss", of_batch_.loss}, {"preference_accuracy", of_batch_.accuracy}};
  }

 private:
  // Of the choices in a batch, from log π [B,T].
  ChoiceLoss loss(const Experience& e, std::span<const double> log_pi) const {
    std::vector<double> h = sum_over_draws(e.batch, log_pi);
    const std::vector<double> q = sum_over_draws(e.batch, e.log_q), r = sum_over_draws(e.batch, e.reward);
    for (size_t b = 0; b < h.size(); ++b) {
      if (!std::isfinite(h[b]) || !std::isfinite(q[b]))
        throw DataError(
            text("the ", std::isfinite(q[b]) ? "policy" : "prior",
                 " holds a text of the preferences impossible, so log(policy / prior) of it is not finite"));
      h[b] = beta_ * (h[b] - q[b]);
    }
    std::vector<Choice> choices;
    for (size_t x = 0; x < h.size(); ++x)
      for (size_t y = 0; y < h.size(); ++y) {
        if (x == y || e.group[x] != e.group[y]) continue;
        const double p = e.role.empty() ? preference(r[x], r[y]) : double(e.role[x] < e.role[y]);
        if (p > 0) choices.push_back({int64_t(x), int64_t(y), p});
      }
    return choice_loss(h, choices);
  }

  const LanguageModel* prior_;
  double beta_ = 1;
  ChoiceLoss of_batch_;  // as the step began
};

}  // namespace

std::unique_ptr<Method> make_dpo(const TuneConfig&, const MethodModels& models) {
  return std::make_unique<Dpo>(models.prior);
}

}  // namespace gradus
