// Experience: a batch of sequences, and what was known of every draw when it was drawn. A source draws it
// (rl/source.h), a method prepares it once (rl/methods/method.h), and every update of the policy reads it.
//
// Arrays [B,T] are laid out as the padded batch: slot (b, t) belongs to one draw; padding holds 0 and is never read.
#pragma once

#include "rl/sequences.h"

namespace gradus {

enum Role : int32_t { kChosen, kRejected };  // of the two sequences of a pair

struct Experience {
  Sequences sequences = Sequences(-1);
  PaddedBatch batch = {};               // the same sequences, laid out
  std::vector<int32_t> group = {};      // [B], 0 and up: the prompt that each continues, or the pair that it belongs to
  std::vector<int32_t> role = {};       // [B] of pairs, a Role each; else empty
  int64_t independent = 0;              // sequences b and b + independent share a prompt that was drawn for both
  std::vector<double> features = {};    // [B,F], φ of each sequence where moments are to be met; else empty
  std::vector<double> reward = {};      // [B,T]; a reward of the whole sequence is paid on its last draw
  std::vector<double> log_mu = {};      // [B,T], log μ of each draw by the model that drew it
  std::vector<double> log_q = {};       // [B,T], of the prior
  std::vector<double> log_pi = {};      // [B,T], of the policy as the step begins
  std::vector<double> row_kl = {};      // [B,T], KL(π‖q) of the rows then, where the method needs it; else empty
  std::vector<double> value = {};       // [B,T], of the value network as the step begins; empty without one
  std::vector<double> credit = {};      // [B,T], made by Method::prepare: what each draw is paid, with KL and entropy
  std::vector<double> returns = {};     // [B,T], made by Method::prepare: what each draw gets
  std::vector<double> baseline = {};    // [B,T], made by Method::prepare: what its return is compared with
  std::vector<double> advantage = {};   // [B,T], made by Method::prepare: its return minus a baseline
  std::vector<double> log_target = {};  // [B], made by Method::prepare where there is a target: log p

  int64_t size() const { return batch.B; }
};

// Σ over the draws of each sequence of x [B,T] → [B]. Padding is not read.
std::vector<double> sum_over_draws(const PaddedBatch& batch, std::span<const double> x);
// value [B] on every draw of its sequence, or on its last one; [B,T], 0 in padding.
std::vector<double> on_every_draw(const PaddedBatch& batch, std::span<const double> value);
std::vector<double> on_last_draw(const PaddedBatch& batch, std::span<const double> value);
// One number for each draw, sequence after sequence, on its draw.
std::vector<double> on_draws(const PaddedBatch& batch, std::span<const double> x);
// What a RewardFunction gave (rl/sequences.h), on the draws that it is paid on.
std::vector<double> paid_on_draws(const PaddedBatch& batch, std::span<const double> reward);
// x [B,T] at the first draw of each sequence → [B]. REQUIRES: every sequence has a draw.
std::vector<double> at_first_draw(const PaddedBatch& batch, std::span<const double> x);

// The sequences which[0], which[1], ... with everything that is known of them; rows may be repeated. Which of them
// share a drawn prompt is not kept: `independent` is 0.
Experience rows_of(const Experience& e, std::span<const int64_t> which);
// The rows of minibatch m of M: about the same number in each, every row in one of them; with `whole_groups` no group
// is cut. ShapeError where there are fewer sequences, or groups, than minibatches.
std::vector<int64_t> minibatch(const Experience& e, int64_t m, int64_t M, bool whole_groups);

}  // namespace gradus
