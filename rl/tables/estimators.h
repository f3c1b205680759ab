// Estimators from one sample, and their expectations: mean and variance of score-function gradients on a table,
// the three estimates of a KL, importance weights, advantages. Formulas in nats; all of double.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "rl/tables/divergence.h"

namespace gradus {

// Mean and variance of a random vector, coordinate by coordinate.
struct Moments {
  std::vector<double> mean, variance;
  double total_variance() const;  // trace of the covariance
};
// Of g(x) = c(x) s(x) for x ~ sampler, with the score s_j(x) = [x = j] − π_j of the logits of π. Every estimator of
// this floor is one c: r − b (REINFORCE with a baseline), log(π/q) + c (KL), π/p·... for samples of p (importance
// sampling).
Moments score_moments(const Table& pi, const Table& sampler, std::span<const double> c);
// The number c that makes the total variance of s (f + c) least for x ~ π: −E[‖s‖² f] / E[‖s‖²]. It depends on the
// parametrisation; −c is the best constant baseline of the reward f.
double best_constant(const Table& pi, std::span<const double> f);
// The same for each coordinate alone: c_j = −E[s_j² f] / E[s_j²]; 0 where s_j is always 0.
std::vector<double> best_constants(const Table& pi, std::span<const double> f);
// ‖s(x)‖² for each x.
std::vector<double> squared_score_norms(const Table& pi);

// Estimates of KL(π‖q) from x ~ π by u = log π(x) − log q(x) (Schulman 2020): k1 = u (unbiased), k2 = u²/2 (biased),
// k3 = e^−u − 1 + u (unbiased, never negative).
enum class KlEstimate { k1, k2, k3 };
double kl_estimate(KlEstimate k, double u);
// dk/du, the factor of the score when k is differentiated as a loss. Its mean is then 0 for k1, ∇KL(π‖q) for k2 and
// ∇KL(q‖π) for k3 (Tang and Munos 2025, arXiv 2506.09477): as a loss, only k2 descends KL(π‖q).
double kl_estimate_slope(KlEstimate k, double u);

// Kish's effective sample size (Σw)² / Σw²; 0 for weights that are all 0.
double effective_sample_size(std::span<const double> weights);
// Σ w f / Σ w: consistent, with a bias of order 1/N. All weights 0 gives NaN.
double self_normalised_mean(std::span<const double> weights, std::span<const double> f);

// What groups of samples with one prompt are compared with. A group of fewer than 2 throws ShapeError.
// For each value the mean of the others of its group; group[i] is that of value i, 0 and up, or empty: all in one.
std::vector<double> leave_one_out_means(std::span<const double> values, std::span<const int32_t> group = {});
// r_i − mean of the others: unbiased (RLOO).
std::vector<double> leave_one_out_advantages(std::span<const double> rewards);
// (r_i − mean) / sample standard deviation (GRPO): a scale that depends on the rewards; all 0 where they are equal.
std::vector<double> normalised_advantages(std::span<const double> rewards);
// Generalised advantage estimation: δ_t = r_t + γ V_{t+1} − V_t, A_t = δ_t + γ λ A_{t+1}, nothing after the last.
std::vector<double> generalised_advantages(std::span<const double> rewards, std::span<const double> values,
                                           double gamma, double lambda);

}  // namespace gradus
