#include "rl/tables/bradley_terry.h"

#include <cmath>

#include "engine/error.h"

namespace gradus {

double preference(double r_x, double r_y) { return 1 / (1 + std::exp(r_y - r_x)); }

// −log σ(x) = log(1 + e^−x), of an x far below 0 too.
static double minus_log_sigmoid(double x) { return x > 0 ? std::log1p(std::exp(-x)) : std::log1p(std::exp(x)) - x; }

ChoiceLoss choice_loss(std::span<const double> r, std::span<const Choice> choices) {
  ChoiceLoss of{.slope = std::vector<double>(r.size(), 0.0)};
  double total = 0;
  for (const Choice& c : choices) {
    require(c.chosen >= 0 && c.rejected >= 0 && c.chosen < std::ssize(r) && c.rejected < std::ssize(r), "choice_loss",
            Loc::here(), "a choice between texts ", c.chosen, " and ", c.rejected, " of ", r.size());
    const double chosen = r[size_t(c.chosen)], rejected = r[size_t(c.rejected)];
    total += c.weight;
    of.loss += c.weight * minus_log_sigmoid(chosen - rejected);
    of.accuracy += c.weight * (chosen > rejected ? 1 : chosen == rejected ? 0.5 : 0);
    const double pull = c.weight * preference(rejected, chosen);  // σ(−Δ)
    of.slope[size_t(c.chosen)] -= pull;
    of.slope[size_t(c.rejected)] += pull;
  }
  require(total > 0, "choice_loss", Loc::here(), "the weights of ", choices.size(), " choices add up to ", total);
  of.loss /= total;
  of.accuracy /= total;
  for (double& s : of.slope) s /= total;
  return of;
}

}  // namespace gradus
