// From log-probabilities and rewards to the advantage of every draw: where the methods of policy gradients differ.
// Everything is double, on the host, and a constant to the gradient.
//
// Return of a sequence: R = r − β Σ_t (log π_t − log q_t), the sampled form (k1) of E[r] − β KL(π‖q). The KL term is a
// reward like any other: as a loss, k1 would have gradient 0 on average and k3 the gradient of KL(q‖π)
// (tests/test_policy_gradient.cpp shows both).
#pragma once

#include "rl/sequences.h"

namespace gradus {

enum class Baseline {
  kNone,
  kLeaveOneOut,  // the mean return of the other sequences of the batch; unbiased. Wants B ≥ 2
};

struct AdvantageOptions {
  double kl_coef = 0;  // β ≥ 0
  Baseline baseline = Baseline::kNone;
  // false: every draw gets the return of its whole sequence. true: only what is earned from that draw on, as
  // Σ_{k≥t} r_k − β Σ_{k≥t} (log π_k − log q_k) with r earned by the last draw. The mean of the gradient is the same.
  bool reward_to_go = false;
};

// R of each sequence, [B]. reward [B]; log_pi, log_q [B,T], padding is not read.
std::vector<double> returns(const PaddedBatch& batch, std::span<const double> reward, std::span<const double> log_pi,
                            std::span<const double> log_q, double kl_coef);
// A, [B,T], 0 in padding. ShapeError for leave-one-out with a single sequence.
std::vector<double> advantages(const PaddedBatch& batch, std::span<const double> reward, std::span<const double> log_pi,
                               std::span<const double> log_q, const AdvantageOptions& options);
// value [B] on every draw of its sequence, [B,T], 0 in padding.
std::vector<double> on_every_draw(const PaddedBatch& batch, std::span<const double> value);

}  // namespace gradus
