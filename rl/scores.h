// Scores: the log-probability of every draw of a batch under the current policy, and other outputs on request. Weights:
// the gradient of the objective with respect to each score; they are all that a method decides. rl/teacher_forcing.h
// computes the scores and carries the weights backward.
//
// Every method is ∇ = E[ Σ_t w_t ∇ log π(y_t | y_<t) ], and some raise other rows as well: w is the weight of a row
// that is to be raised. The minus sign for the optimiser, which descends, is in rl/learner.cpp and nowhere else.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace gradus {

class LanguageModel;

// Which scores a method needs; log π is always computed.
struct Needs {
  bool value = false;                    // of the value network
  bool own_critic = false;               // which then has an encoder of its own (rl/value.h)
  bool entropy = false;                  // of the row
  bool kl = false;                       // of the row to that of the prior
  bool logit = false;                    // of the draw
  const LanguageModel* other = nullptr;  // whose largest logit
  int64_t least_batch = 1;               // sequences in a batch
  // weigh() compares the sequences of a group, so that no minibatch may cut one.
  bool whole_groups = false;
};

// [B,T] each, 0 in padding; empty if the method does not need it. A row is the distribution that a draw was taken from.
struct Scores {
  std::vector<double> log_pi;   // log π(draw | what came before)
  std::vector<double> value;    // the prediction of the value network before the draw
  std::vector<double> entropy;  // H of the row, nats
  std::vector<double> kl;       // KL(π‖q) of the row, nats
  std::vector<double> logit;    // of the draw, as the head gives it, before temperature and softmax
  std::vector<double> largest;  // the largest logit of the row of Needs::other; has no gradient
};

// [B,T] each, on the score of the same name; empty: 0 everywhere. Padding is not read.
struct Weights {
  std::vector<double> log_pi = {}, value = {}, entropy = {}, kl = {}, logit = {};
  // [B], multiplies all weights of a sequence that another policy drew, π/μ: E_μ[(π/μ) w ∇ log π] = E_π[w ∇ log π].
  // Empty: 1 everywhere.
  std::vector<double> importance = {};
  std::optional<int64_t> clipped = {};  // draws that a method which clips left out, for the log
  std::vector<double> ratio = {};       // [B,T], there: π/μ of each draw
};

// What Experience, Scores and Weights hold of a slot, at most: for estimates of memory.
inline constexpr double kBytesOfSlot = 17 * sizeof(double);

// The scores that have a gradient, and their weights in the same order.
inline constexpr size_t kScores = 5;
inline constexpr std::vector<double> Scores::*kScoreOf[kScores] = {&Scores::log_pi, &Scores::value, &Scores::entropy,
                                                                   &Scores::kl, &Scores::logit};
inline constexpr std::vector<double> Weights::*kWeightOf[kScores] = {&Weights::log_pi, &Weights::value,
                                                                     &Weights::entropy, &Weights::kl, &Weights::logit};

}  // namespace gradus
