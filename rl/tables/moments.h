// Moments: the distribution nearest to a table q, in KL(p‖q), under which features have given means. It is p = q
// e^{Λ·φ} / Z (Khalifa, Elsahar and Dymetman 2021, arXiv 2012.11635), and Λ is the minimum of the convex log Z(Λ) −
// Λ·μ.
//
// Where q is a sample of a model, each outcome a draw with probability 1/N, the same Λ is the self-normalised
// importance-sampling estimate: Σ w φ / Σ w = μ with w = e^{Λ·φ}.
//
// Texts that continue one of P prompts, all equally likely, are one table too: outcome i, of prompt c, has probability
// q(x|c)/P. A policy cannot change how likely a prompt is, so p keeps 1/P for each, and p(x|c) = q(x|c) e^{Λ·φ} / Z_c:
// each prompt has its own Z (Korbak et al. 2022, arXiv 2112.00791, whose constraints are hard ones). The moments are
// means over all prompts, so their Lagrange multipliers Λ are the same for each, the minimum of mean log Z_c − Λ·μ.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "rl/tables/divergence.h"

namespace gradus {

struct MomentFit {
  std::vector<double> lambda;  // Λ; with one feature, 1/Λ is the β of the reward φ
  Table table;                 // p
  double log_z;                // of several prompts the mean of log Z_c
};
// By Newton's method. phi[k] is feature k of every outcome and mu[k] its wanted mean; prompt[i], 0 and up, is the
// prompt that outcome i continues, all of one where it is empty. Where features depend on each other, such as two that
// sum to 1, many Λ make the same p: this is the smallest, each feature measured in its range. DataError where no Λ does
// it; it says which sum of the features, called by `names`, cannot be what the moments make it.
MomentFit fit_moments(const Table& q, const std::vector<std::vector<double>>& phi, std::span<const double> mu,
                      std::span<const int32_t> prompt = {}, std::span<const std::string> names = {});

// Standard errors of a Λ that was fitted to draws, equally many of each prompt, by the delta method: the roots of the
// diagonal of H⁻¹ S H⁻¹ with H the covariance of φ under p(x|c), its mean over prompts, and S = Σ p² (φ−m)(φ−m)ᵀ, m the
// mean of φ behind the prompt: the variance of the self-normalised means.
std::vector<double> lambda_errors(const MomentFit& fit, const std::vector<std::vector<double>>& phi,
                                  std::span<const int32_t> prompt = {});

}  // namespace gradus
