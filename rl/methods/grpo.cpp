// GRPO (Shao et al. 2024, arXiv 2402.03300): PPO without a critic. G sequences of one prompt are a group, and each is
// credited with how its return R compares with those of its group, on every one of its T draws:
//
//   A = (R − mean) / std / T,   raised as in PPO, min(ρ A, clip(ρ, 1 ± ε) A) of each draw
//
// Each part has its bias (Liu et al. 2025, arXiv 2503.20783). The mean has the sequence itself in it, which makes the
// gradient (G − 1)/G of that of J. The standard deviation (that of a sample, n − 1) gives prompts of little spread more
// weight. The length gives long sequences less weight for each draw. Without the last two the mean of the first
// gradient is exactly (G − 1)/G ∇J. A group without spread teaches nothing: A = 0.
//
// The KL to the prior is part of the return (k1), not a loss of its own.
#include <numeric>
#include <utility>

#include "rl/methods/clip.h"
#include "rl/methods/returns.h"
#include "rl/tables/estimators.h"
#include "rl/tune_values.h"

namespace gradus {
namespace {

class Grpo : public Method {
 public:
  explicit Grpo(const TuneConfig& options)
      : returns_({.entropy_coef = options.entropy_coef, .gamma = options.gamma}),
        group_(options.group),
        epsilon_(options.clip_ratio),
        divides_std_(options.divide_std),
        divides_length_(options.divide_length) {}

  Needs needs() const override { return {.least_batch = group_}; }

  // Every G sequences of a prompt are a group, in the order of the batch.
  void prepare(Experience& e, double kl_coef) override {
    returns_.kl_coef = kl_coef;
    e.credit = rewards_of_draws(e, e.log_pi, returns_);
    e.returns = returns_of(e.batch, e.credit, returns_);
    const std::vector<double> whole = at_first_draw(e.batch, e.returns);
    std::vector<double> advantage(whole.size(), 0.0), baseline(whole.size(), 0.0);
    std::vector<std::vector<size_t>> open;  // of each prompt, the group that is not full
    for (size_t b = 0; b < whole.size(); ++b) {
      const size_t prompt = size_t(e.group[b]);
      if (open.size() <= prompt) open.resize(prompt + 1);
      open[prompt].push_back(b);
      if (int64_t(open[prompt].size()) == group_)
        compare(std::exchange(open[prompt], {}), whole, e.batch.length, advantage, baseline);
    }
    for (const std::vector<size_t>& rest : open)
      require(rest.empty(), "Grpo", Loc::here(), rest.size(), " sequences of a prompt are left in groups of ", group_);
    e.baseline = on_every_draw(e.batch, baseline);
    e.advantage = on_every_draw(e.batch, advantage);
  }

  Weights weigh(const Experience& e, const Scores& now) const override {
    return clipped_weights(e, now.log_pi, epsilon_);
  }

  MethodMath math() const override {
    return {.credit = rule_of_rewards(returns_),
            .returns = rule_of_returns(returns_),
            .advantage = text("A = (R − mean)", divides_std_ ? " / std" : "", divides_length_ ? " / T" : "", ", mean",
                              divides_std_ ? " and std" : "", " of the ", group_, " sequences of its group"),
            .weight = kRuleOfClip};
  }

 private:
  void compare(const std::vector<size_t>& group, std::span<const double> whole, std::span<const int64_t> length,
               std::vector<double>& advantage, std::vector<double>& baseline) const {
    std::vector<double> r;
    r.reserve(group.size());
    for (const size_t b : group) r.push_back(whole[b]);
    const double mean = std::accumulate(r.begin(), r.end(), 0.0) / double(r.size());
    const std::vector<double> normalised = divides_std_ ? normalised_advantages(r) : std::vector<double>();
    for (size_t i = 0; i < r.size(); ++i) {
      const double a = divides_std_ ? normalised[i] : r[i] - mean;
      advantage[group[i]] = divides_length_ ? a / double(length[group[i]]) : a;
      baseline[group[i]] = mean;
    }
  }

  ReturnOptions returns_;  // with the β of this step
  const int64_t group_;
  const double epsilon_;
  const bool divides_std_, divides_length_;
};

}  // namespace

std::unique_ptr<Method> make_grpo(const TuneConfig& options, const MethodModels&) {
  return std::make_unique<Grpo>(options);
}

}  // namespace gradus
