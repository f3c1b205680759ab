// Moments: the distribution nearest to a table q, in KL(p‖q), under which features have given means. It is p = q
// e^{Λ·φ} / Z (Khalifa, Elsahar and Dymetman 2021, arXiv 2012.11635), and Λ is the minimum of the convex log Z(Λ) −
// Λ·μ.
//
// Where q is a sample of a model, each outcome a draw with probability 1/N, the same Λ is the self-normalised
// importance-sampling estimate: Σ w φ / Σ w = μ with w = e^{Λ·φ}.
#pragma once

#include <span>
#include <vector>

#include "rl/tables/divergence.h"

namespace gradus {

struct MomentFit {
  std::vector<double> lambda;  // Λ; with one feature, 1/Λ is the β of the reward φ
  Table table;                 // p
  double log_z;
};
// By Newton's method. phi[k] is feature k of every outcome and mu[k] its wanted mean. DataError where no Λ does it.
MomentFit fit_moments(const Table& q, const std::vector<std::vector<double>>& phi, std::span<const double> mu);

// Standard errors of a Λ that was fitted to N draws, by the delta method: the roots of the diagonal of H⁻¹ S H⁻¹ with H
// the covariance of φ under p and S = Σ p² (φ−μ)(φ−μ)ᵀ, the variance of the self-normalised mean.
std::vector<double> lambda_errors(const MomentFit& fit, const std::vector<std::vector<double>>& phi,
                                  std::span<const double> mu);

}  // namespace gradus
