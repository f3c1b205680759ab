// The evaluations of a run: what their loss is called, and whether it has begun to learn its text by heart.
#pragma once

#include <cmath>
#include <optional>
#include <span>

#include "models/run/config.h"

namespace gradus {

// Of a VAE it is no −log p, but a bound.
inline const char* loss_name(const Config& config) { return config.family().has("latent") ? "−ELBO" : "loss"; }

// The evaluation with the lowest validation loss; none where no loss is a number.
inline std::optional<size_t> best_evaluation(std::span<const double> validation) {
  std::optional<size_t> best;
  for (size_t i = 0; i < validation.size(); ++i)
    if (!std::isnan(validation[i]) && (!best || validation[i] < validation[*best])) best = i;
  return best;
}

// That evaluation, where since then the validation loss rises and the training loss falls: in the last two evaluations
// the one is at least 1% above its lowest, and in the last the other is below what it was there. Two, and 1%: the
// losses on the way are means over random batches, and one of them may be high by chance.
inline std::optional<size_t> overfits_since(std::span<const double> training, std::span<const double> validation) {
  const size_t n = validation.size();
  const std::optional<size_t> best = best_evaluation(validation);
  if (!best || n < *best + 3) return {};
  const double high = 1.01 * validation[*best];
  const bool overfits = validation[n - 1] > high && validation[n - 2] > high && training[n - 1] < training[*best];
  return overfits ? best : std::nullopt;
}

}  // namespace gradus
