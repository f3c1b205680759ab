#include "models/posterior/posteriors.h"

#include "models/posterior/chains.h"
#include "models/posterior/variational.h"
#include "models/table.h"

namespace gradus {

// Each in the file of its name.
PosteriorKind variational_posterior();
PosteriorKind sgld_posterior();
PosteriorKind hmc_posterior();

const std::vector<PosteriorKind>& posteriors() {
  static const std::vector<PosteriorKind> rows{variational_posterior(), sgld_posterior(), hmc_posterior()};
  return rows;
}

std::vector<std::string> posterior_names() {
  std::vector<std::string> names{kNoPosterior};
  for (const PosteriorKind& kind : posteriors()) names.emplace_back(kind.name);
  return names;
}

std::vector<std::string> posteriors_with_chains() {
  std::vector<std::string> names;
  for (const PosteriorKind& kind : posteriors())
    if (kind.advance) names.emplace_back(kind.name);
  return names;
}

std::vector<std::string> posteriors_with_own_step() {
  std::vector<std::string> names;
  for (const PosteriorKind& kind : posteriors())
    if (kind.own_step) names.emplace_back(kind.name);
  return names;
}

const PosteriorKind* posterior_of(const PosteriorOptions& options) {
  return options.posterior == kNoPosterior ? nullptr : &row_named(posteriors(), options.posterior, "posterior");
}

void PosteriorOptions::check() const {
  const PosteriorKind* kind = posterior_of(*this);
  if (kind && kind->advance && draws % chains != 0)
    throw DataError(
        text("--draws ", draws, ": each of --chains ", chains, " gives as many; use a multiple of ", chains));
}

std::unique_ptr<LanguageModel> with_posterior(std::unique_ptr<LanguageModel> net, const PosteriorOptions& options) {
  const PosteriorKind* kind = posterior_of(options);
  if (!kind) return net;
  if (kind->advance) return std::make_unique<ChainsModel>(std::move(net), options);
  return std::make_unique<VariationalModel>(std::move(net), options);
}

const PosteriorModel* posterior_in(const LanguageModel& model) { return dynamic_cast<const PosteriorModel*>(&model); }

}  // namespace gradus
