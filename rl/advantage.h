// From log-probabilities and rewards to the advantage of every draw: where the methods of policy gradients differ.
// Everything is double, on the host, and a constant to the gradient.
//
// Return of a sequence: R = r − β Σ_t (log π_t − log q_t) − α Σ_t log π_t, the sampled form of E[r] − β KL(π‖q) + α
// H(π) (the KL as k1). Both terms are rewards like any other: as a loss, k1 and log π would have gradient 0 on average
// and k3 the gradient of KL(q‖π) (tests/test_policy_gradient.cpp shows it).
//
// Since log π = (log π − log q) + log q, the entropy bonus is a KL coefficient of β + α and the reward r − α log q: the
// optimum is q^{β/(β+α)} e^{r/(β+α)} / Z.
#pragma once

#include "rl/sequences.h"

namespace gradus {

enum class Baseline {
  kNone,
  kLeaveOneOut,  // the mean return of the other sequences of the same group; unbiased. Wants groups of 2 or more
  kMoving,       // a number made of the returns of earlier batches
  kValue,        // what a value network says of the prefix before the draw
};

struct AdvantageOptions {
  double kl_coef = 0;  // β ≥ 0
  Baseline baseline = Baseline::kNone;
  // false: every draw gets the return of its whole sequence. true: only what is earned from that draw on, as
  // Σ_{k≥t} r_k − β Σ_{k≥t} (log π_k − log q_k) - α Σ_{k≥t} log π_k with r earned by the last draw. The mean of the
  // gradient is the same.
  bool reward_to_go = false;
  double entropy_coef = 0;  // α
};

// What an advantage is made from beyond the batch itself.
struct BaselineInput {
  std::span<const int32_t> group = {};  // [B] of leave-one-out, 0 and up; empty: all in one
  double moving = 0;                    // the baseline of kMoving
  std::span<const double> value = {};   // [B,T], the baseline of kValue; padding is not read
  // [B] π/μ of sequences that another policy μ drew; empty: all 1. Scales the advantages, and what leave-one-out means:
  // E_μ[(π/μ) A ∇ log π] = E_π[A ∇ log π].
  std::span<const double> weight = {};
};

// R of each sequence, [B]. reward [B]; log_pi, log_q [B,T], padding is not read.
std::vector<double> returns(const PaddedBatch& batch, std::span<const double> reward, std::span<const double> log_pi,
                            std::span<const double> log_q, double kl_coef, double entropy_coef = 0);
// What each draw gets before a baseline is taken off: R, or what is left of it from that draw on. [B,T], 0 in padding.
std::vector<double> returns_of_draws(const PaddedBatch& batch, std::span<const double> reward,
                                     std::span<const double> log_pi, std::span<const double> log_q,
                                     const AdvantageOptions& options);
// A, [B,T], 0 in padding. ShapeError for leave-one-out in a group of one.
std::vector<double> advantages(const PaddedBatch& batch, std::span<const double> reward, std::span<const double> log_pi,
                               std::span<const double> log_q, const AdvantageOptions& options,
                               const BaselineInput& input = {});
// value [B] on every draw of its sequence, [B,T], 0 in padding.
std::vector<double> on_every_draw(const PaddedBatch& batch, std::span<const double> value);

// The baseline of kMoving: a mean of the means of earlier batches, of which the last counts 1 − kMemory of all. It is
// read before the batch at hand is added, or it would contain the sample itself.
struct MovingMean {
  static constexpr double kMemory = 0.9;
  double sum = 0, weight = 0;
  double value() const { return weight > 0 ? sum / weight : 0; }
  void add(double mean) {
    sum = kMemory * sum + (1 - kMemory) * mean;
    weight = kMemory * weight + (1 - kMemory);
  }
};

}  // namespace gradus
