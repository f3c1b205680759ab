#include <cmath>

#include "apps/format.h"
#include "apps/report/facts.h"
#include "apps/report/plot.h"

namespace gradus {
namespace {

double number(const Json& object, const char* key) {
  const Json value = object.is_object() ? object.value(key, Json()) : Json();
  return value.is_number() ? value.get<double>() : NAN;
}

// A curve for each column NAME_1, NAME_2, ... that the log has.
LinePlot trace_plot(const Records& steps, const char* title, const std::string& name) {
  LinePlot plot{.title = title, .x = {.title = "step", .whole = true, .least = 0}, .y = {}, .series = {}};
  constexpr int kMostChains = 8;
  for (int c = 1; c <= kMostChains && steps.columns.contains(text(name, "_", c)); ++c)
    plot.series.push_back({text("chain ", c), steps.step, steps[text(name, "_", c)], c});
  return plot;
}

std::string shown(double x) { return std::isfinite(x) ? significant(x, 4) : "–"; }

}  // namespace

void add_parameters(Page& page, const RunFacts& facts) {
  const Records& steps = facts.log.steps;
  std::vector<std::string> plots;
  for (const auto& [title, name] :
       {std::pair{"log p(data, θ) of each chain", "log_joint"}, {"Acceptance of each chain", "acceptance"}})
    if (LinePlot plot = trace_plot(steps, title, name); !plot.series.empty()) plots.push_back(to_html(plot));
  const Json& record = facts.log.parameters;
  if (plots.empty() && !record.is_object()) return;
  page.section("Posterior over the parameters");
  if (!plots.empty()) page.side_by_side(plots);
  if (!record.is_object()) return;
  std::vector<Page::Fact> known;
  const Json said = record.value("posterior", Json());
  for (const auto& [name, key] : {std::pair{"draws that the predictive averages over", "draws"},
                                  {"acceptance", "acceptance"},
                                  {"least effective sample size", "ess"},
                                  {"greatest R̂", "r_hat"},
                                  {"ELBO, nats", "elbo"},
                                  {"its standard error", "elbo_stderr"},
                                  {"KL from the prior, nats", "kl"}})
    if (const double x = number(said, key); std::isfinite(x)) known.push_back({name, significant(x, 6)});
  if (!known.empty()) page.facts(known);
  page.paragraph("Mean and standard deviation of each parameter, as root mean squares over its numbers:");
  std::vector<Page::Fact> rows;
  const Json parameters = record.value("parameters", Json());
  for (size_t i = 0; parameters.is_array() && i < parameters.size(); ++i) {
    const Json& p = parameters[i];
    if (!p.is_object()) continue;
    rows.push_back({plain(p.value("name", Json())),
                    text("mean ", shown(number(p, "mean")), ", deviation ", shown(number(p, "spread")))});
  }
  page.facts(rows);
}

}  // namespace gradus
