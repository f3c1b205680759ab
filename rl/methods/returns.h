// Returns: the reward that each draw of a batch is credited with, from the rewards and the log-probabilities. A method
// subtracts a baseline (rl/methods/baselines.h) from them, or the values of a critic.
//
// The KL and the entropy are rewards like any other. A draw gets r_t − β (log π_t − log q_t) − α log π_t, whose sum
// over a sequence is the sampled form of E[r] − β KL(π‖q) + α H(π), the KL as k1. As a loss, k1 and log π would have
// gradient 0 on average and k3 the gradient of KL(q‖π) (tests/test_policy_gradient.cpp shows it).
//
// With the full estimator the KL of each row over the whole vocabulary takes the place of k1. Its gradient has two
// parts, ∇KL = E[Σ_t ∇KL_t + Σ_t ∇log π_t Σ_{k>t} KL_k]: the rows' own (Scores::kl), and that of the strictly later
// rows, which are the reward of a draw here. The mean is that of k1, with less variance.
//
// Since log π = (log π − log q) + log q, the entropy bonus is a KL coefficient of β + α and the reward r − α log q: the
// optimum is q^{β/(β+α)} e^{r/(β+α)} / Z.
#pragma once

#include "rl/methods/method.h"

namespace gradus {

struct ReturnOptions {
  double kl_coef = 0;       // β ≥ 0
  double entropy_coef = 0;  // α ≥ 0
  bool full_kl = false;     // the KL of whole rows, which the experience has to know; else k1
  double gamma = 1;         // γ, by which a reward counts less for each draw that it comes later
  // false: every draw gets the return of its whole sequence, Σ_k γ^k r_k. true: only the rewards from that draw onward,
  // Σ_{k≥t} γ^{k−t} r_k. With γ = 1 the mean of the gradient is the same. With γ < 1 the first is that of the
  // discounted objective and the second of none, as usual in practice (Thomas 2014).
  bool reward_to_go = false;
};

// What each draw is paid, with its KL and entropy in it: [B,T], 0 in padding. log_pi [B,T] and row_kl [B,T] are those
// of the policy whose KL and entropy count; without row_kl it is the policy as the step begins. DataError where KL(π‖q)
// counts and q excludes a sequence.
std::vector<double> rewards_of_draws(const Experience& e, std::span<const double> log_pi, const ReturnOptions& options,
                                     std::span<const double> row_kl = {});
// The returns of the same, [B,T].
std::vector<double> returns_of_draws(const Experience& e, std::span<const double> log_pi, const ReturnOptions& options,
                                     std::span<const double> row_kl = {});
// x + (now − before), [B,T]: prepared advantages whose KL and entropy follow the policy as it moves within a step. To
// the bit x where nothing has moved.
std::vector<double> moved(std::span<const double> x, std::span<const double> before, std::span<const double> now);

// Sets advantage and returns of prepared rewards [B,T] by generalised advantage estimation with the values of e
// (rl/tables/estimators.h; Schulman et al. 2016, arXiv 1506.02438): A_t = δ_t + γ λ A_{t+1} and A + V. After the last
// draw, whether it ended the sequence or was cut off, V is 0.
void estimate_advantages(Experience& e, std::span<const double> reward, double gamma, double lambda);

// The weights of the rows' own KL: −β, discounted where the returns are those of whole sequences.
std::vector<double> weights_of_rows(const PaddedBatch& batch, const ReturnOptions& options);
// target − value: least squares, −∇ ½ (value − target)².
std::vector<double> errors_of(std::span<const double> target, std::span<const double> value);

// π/μ of each sequence, [B], from log π of its draws, [B,T].
std::vector<double> importance_of(const Experience& e, std::span<const double> log_pi);

}  // namespace gradus
