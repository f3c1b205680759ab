#include "apps/bayes/lesson.h"

#include <cmath>

#include "models/counted/dirichlet.h"
#include "models/posterior/gaussian_toy.h"
#include "rl/tables/posterior.h"

namespace gradus {

WorkedNumbers bayes_numbers() {
  WorkedNumbers out;
  const std::vector<double> counts{4, 3, 2, 1};
  const DirichletPosterior theta = dirichlet_posterior(counts, 1);
  std::vector<double> mle, deviation, mode2;
  double likelihood = 0;
  for (size_t k = 0; k < 4; ++k) {
    mle.push_back(counts[k] / 10);
    mode2.push_back((counts[k] + 1) / 14);  // of Dirichlet(2 + c): (2 + c - 1) / (4·2 + 10 - 4)
    deviation.push_back(std::sqrt(theta.variance[k]));
    likelihood += counts[k] * std::log(mle[k]);
  }
  out.add("mle", mle);
  out.add("mode", mle);  // of Dirichlet(1 + c): c / N
  out.add("mode2", mode2);
  out.add("mean", theta.mean);
  out.add("deviation", deviation);
  out.add("evidence", theta.log_evidence);
  out.add("likelihood", likelihood);
  const DirichletPosterior five = dirichlet_posterior(std::vector<double>{4, 3, 2, 1, 0}, 1);
  out.add("unseen", five.mean[4]);
  out.add("unseen.cost", -std::log(five.mean[4]));

  const FourSentences world;
  const Posterior texts = posterior(world.q, world.r, 1);
  out.add("pi", texts.table.p);
  out.add("j", texts.j_star);
  const Posterior of_mean =
      posterior(Table::of({theta.mean[0], theta.mean[1], theta.mean[2], theta.mean[3]}), world.r, 1);
  out.add("pi.mean", of_mean.table.p);

  const std::pair<double, double> guides[] = {{0, 1}, {0.5, std::sqrt(0.5)}, {1, 0.5}};
  out.add("toy.evidence", gaussian_toy::log_evidence(1));
  std::vector<double> elbo, gap;
  for (const auto& [mean, sigma] : guides) {
    elbo.push_back(gaussian_toy::elbo(1, mean, sigma));
    gap.push_back(gaussian_toy::kl_from_posterior(1, mean, sigma));
  }
  out.add("toy.elbo", elbo);
  out.add("toy.gap", gap);
  return out;
}

}  // namespace gradus
