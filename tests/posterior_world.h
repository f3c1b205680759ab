// Posteriors over the parameters of small models of lines.
#pragma once

#include "models/families.h"
#include "models/posterior/chains.h"
#include "models/posterior/variational.h"
#include "tests/line_world.h"

namespace gradus::testing {

inline PosteriorOptions options_of(const std::string& kind, int64_t draws = 4, double scale = 1) {
  PosteriorOptions options;
  options.posterior = kind;
  options.draws = draws;
  options.chains = 2;
  options.prior_scale = scale;
  return options;
}

inline std::unique_ptr<PosteriorModel> posterior(const LineWorld& world, const Config& c,
                                                 const PosteriorOptions& options) {
  auto net =
      declare_model(c, world.tokenizer.size(), c.counts() ? count_tokens(c, world.corpus(c)) : std::vector<double>());
  std::unique_ptr<LanguageModel> model = with_posterior(std::move(net), options);
  model->initialise();
  return std::unique_ptr<PosteriorModel>(dynamic_cast<PosteriorModel*>(model.release()));
}

// Makes draws differ: the deviations of a guide become those of a wide posterior.
inline void widen(PosteriorModel& model, double deviation) {
  for (int64_t i = 0; i < model.params().count(); ++i)
    if (model.params().name(i).ends_with(".log_deviation"))
      std::ranges::fill(model.params().edit(i), real(std::log(deviation)));
}

}  // namespace gradus::testing
