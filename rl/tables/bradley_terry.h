// Preferences between two texts (Bradley and Terry 1952): whoever has the rewards r prefers x to y with probability
// σ(r(x) − r(y)). Rewards are fitted to such choices by the loss −log σ(r(chosen) − r(rejected)), which sees only their
// differences: a constant added to all of them changes nothing. A reward model (rl/reward_model.h) lowers it by its
// scores, DPO (rl/methods/dpo.cpp) by β log π/q in their place.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace gradus {

// σ(r_x − r_y), the probability that x is preferred. For any finite rewards in [0, 1], without overflow.
double preference(double r_x, double r_y);

// One choice between two of a list of texts, and how much it counts.
struct Choice {
  int64_t chosen, rejected;
  double weight = 1;
};

// The loss of choices under rewards r [N], in nats, weighted means over the choices.
struct ChoiceLoss {
  double loss = 0;                 // −log σ(r(chosen) − r(rejected))
  double accuracy = 0;             // share of the choices that the rewards make too; a tie counts half
  std::vector<double> slope = {};  // ∂loss/∂r, [N]
};
// ShapeError for a choice of a text that is not there, or weights that do not add up to more than 0.
ChoiceLoss choice_loss(std::span<const double> r, std::span<const Choice> choices);

}  // namespace gradus
