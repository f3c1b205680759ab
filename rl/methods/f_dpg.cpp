// f-DPG (Go et al. 2023, arXiv 2302.08215): descends an f-divergence D_f(π‖p) to a target p by
//
//   −∇D_f(π‖p) = E_π[−f'(π/p) ∇ log π],   p = P/Z,   P = q e^{r/β}
//
// so that w = f'(1) − f'(π/p). The constant f'(1) is a baseline: it changes no mean and makes every weight 0 at π = p.
// For forward-kl it is the Zπ/μ of Korbak et al. 2022 (arXiv 2206.00761). Any target goes with any divergence. The
// divergence is f' of log π/p (rl/tables/divergence.h). The target is r/β: of RLHF the reward over the KL coefficient,
// of GDC Λ·φ + log b with β = 1 (rl/gdc.h). With reverse-kl and a reward this is RLHF: ∇J = −β ∇KL(π‖p).
//
// With several prompts it descends the mean of the divergences to the target of each (Korbak et al. 2022, arXiv
// 2112.00791), so that each prompt has its own Z.
//
// Z is estimated from earlier batches, so each weight is a function of its own sequence. With an unbiased estimate in
// the place of Z the gradients of reverse-kl and chi2-reverse keep their means, and those of forward-kl, chi2,
// hellinger and alpha:A, whose f' is a power of τ and a constant, their directions. js and tv are biased: with Z from
// 63 sequences the gradient of js on four outcomes is off by 0.2 %, that of tv, whose f' jumps, by 20 %
// (tests/test_f_dpg.cpp).
#include <algorithm>
#include <cmath>

#include "rl/methods/method.h"
#include "rl/methods/normaliser.h"
#include "rl/methods/proposal.h"
#include "rl/methods/returns.h"
#include "rl/tables/divergence.h"
#include "rl/tune_values.h"

namespace gradus {
namespace {

class FDpg : public Method {
 public:
  FDpg(const TuneConfig& options, const MethodModels& models)
      : f_(divergence_named(options.divergence)),
        at_one_(f_.slope(0)),
        prompts_(models.prompts),
        proposal_(options.proposal, models) {}

  // An estimate of Z that is not known yet is made from the others of the batch.
  Needs needs() const override { return {.least_batch = z_.empty() ? 2 : 1}; }
  const LanguageModel* behaviour() const override { return proposal_.model(); }

  void prepare(Experience& e, double kl_coef) override {
    beta_ = kl_coef;
    const std::vector<double> log_ratio = log_ratios(e), mu = sum_over_draws(e.batch, e.log_mu);
    const std::vector<double> at_first = log_means_of_others(log_ratio, e.group);
    e.log_target.clear();
    for (size_t b = 0; b < mu.size(); ++b) {
      const Normaliser* z = z_of(e.group[b]);
      e.log_target.push_back(log_ratio[b] + mu[b] - (z ? z->log_z() : at_first[b]));
    }
    proposal_.consider(e);
    e.returns = e.advantage = on_every_draw(e.batch, weights(e, e.log_pi));
    for (double& r : e.returns) r -= at_one_;
  }

  Weights weigh(const Experience& e, const Scores& now) const override {
    return {.log_pi = on_every_draw(e.batch, weights(e, now.log_pi)), .importance = importance_of(e, now.log_pi)};
  }

  MethodMath math() const override {
    return {.weight = text("w = f′(1) − f′(π/p), f of ", f_.name, ", p = q e^{r/β} / Z")};
  }

  bool has_target() const override { return true; }
  // D_f(π‖p) = E_π[f(τ)/τ], τ = π/p.
  std::vector<double> objective(const Experience& e) const override {
    std::vector<double> x = sum_over_draws(e.batch, e.log_pi);
    for (size_t b = 0; b < x.size(); ++b) {
      const double log_t = e.log_target[b] - x[b];  // of an outcome with probability 1
      x[b] = -f_.term({.p = 1, .log_p = 0, .t = std::exp(log_t), .log_t = log_t});
    }
    return x;
  }

  void learn(const Experience& fresh) override {
    const std::vector<double> log_ratio = log_ratios(fresh);
    for (size_t g = 0; g < size_t(std::ranges::max(fresh.group)) + 1; ++g) {
      std::vector<double> part;
      for (size_t b = 0; b < log_ratio.size(); ++b)
        if (size_t(fresh.group[b]) == g) part.push_back(log_ratio[b]);
      if (z_.size() <= g) z_.emplace_back();
      if (!part.empty()) z_[g].add(part);
    }
    proposal_.learn();
  }

  std::vector<NamedNumbers> state() const override {
    NamedNumbers all{"normalisers", {}};
    for (const Normaliser& z : z_) all.values.insert(all.values.end(), {z.log_sum, z.weight, z.relative});
    return {all};
  }
  void restore(std::span<const NamedNumbers> state) override {
    for (const NamedNumbers& part : state) {
      if (part.name != "normalisers") continue;
      if (part.values.size() % 3 != 0) throw DataError("the estimates of Z that were saved are not complete");
      z_.clear();
      for (size_t i = 0; i + 3 <= part.values.size(); i += 3)
        z_.push_back({.log_sum = part.values[i], .weight = part.values[i + 1], .relative = part.values[i + 2]});
    }
  }
  Params* own_params() override { return proposal_.params(); }
  std::optional<Estimate> z() const override {
    if (z_.size() != 1 || !z_[0].known()) return {};
    const double z = std::exp(z_[0].log_z());
    return Estimate{z, z * z_[0].log_z_error()};
  }

 private:
  // log P − log μ of each sequence, P = q e^{r/β}.
  std::vector<double> log_ratios(const Experience& e) const {
    std::vector<double> x = sum_over_draws(e.batch, e.log_q);
    const std::vector<double> r = sum_over_draws(e.batch, e.reward), mu = sum_over_draws(e.batch, e.log_mu);
    for (size_t b = 0; b < x.size(); ++b) x[b] += r[b] / beta_ - mu[b];
    return x;
  }
  // f'(1) − f'(π/p) of each sequence, 0 where π is 0.
  std::vector<double> weights(const Experience& e, std::span<const double> log_pi) const {
    std::vector<double> w = sum_over_draws(e.batch, log_pi);
    for (size_t b = 0; b < w.size(); ++b) {
      const bool excluded = e.log_target[b] == -INFINITY;
      w[b] = w[b] == -INFINITY ? 0 : at_one_ - f_.slope(w[b] - e.log_target[b]);
      if (excluded && !std::isfinite(w[b]))
        throw DataError(text(
            "the policy drew a sequence that the target excludes, which makes ", f_.name,
            " infinite; a divergence that allows it is forward-kl, js, tv, chi2, hellinger or alpha:A with A below 1"));
    }
    return w;
  }
  const Normaliser* z_of(int32_t group) const {
    const size_t g = prompts_ == 1 ? 0 : size_t(group);
    return g < z_.size() && z_[g].known() ? &z_[g] : nullptr;
  }

  const Divergence f_;
  const double at_one_;    // f'(1)
  const int64_t prompts_;  // with one, every group is of it
  Proposal proposal_;
  std::vector<Normaliser> z_;  // of each prompt
  double beta_ = 1;
};

}  // namespace

std::unique_ptr<Method> make_f_dpg(const TuneConfig& options, const MethodModels& models) {
  return std::make_unique<FDpg>(options, models);
}

}  // namespace gradus
