#include <algorithm>
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

constexpr int kMostChains = 16, kColours = 4;

// How many columns NAME_1, NAME_2, ... the log has.
int columns_of(const Records& steps, const std::string& name) {
  int n = 0;
  while (steps.columns.contains(text(name, "_", n + 1))) ++n;
  return n;
}

// A curve for each chain, of the first of the columns of NAME that belong to it.
LinePlot trace_plot(const Records& steps, const char* title, const std::string& name) {
  LinePlot plot{.title = title, .x = {.title = "step", .whole = true, .least = 0}, .y = {}, .series = {}};
  const int chains = columns_of(steps, "log_joint"), columns = columns_of(steps, name);
  for (int c = 0; c < std::min(chains, kMostChains); ++c)
    if (const int own = columns / chains; own > 0)
      plot.series.push_back({text("chain ", c + 1), steps.step, steps[text(name, "_", c * own + 1)], 1 + c % kColours});
  return plot;
}

std::string shown(double x) { return std::isfinite(x) ? significant(x, 4) : "–"; }

// "; mean ± deviation, ..." of each number of a parameter where the log has them.
std::string each_of(const Json& parameter) {
  const Json means = parameter.value("means", Json()), deviations = parameter.value("deviations", Json());
  if (!means.is_array() || !deviations.is_array()) return "";
  std::string all;
  for (size_t i = 0; i < std::min(means.size(), deviations.size()); ++i) {
    const auto at = [i](const Json& list) { return shown(list[i].is_number() ? list[i].get<double>() : NAN); };
    all += (all.empty() ? "; " : ", ") + at(means) + " ± " + at(deviations);
  }
  return all;
}

}  // namespace

void add_parameters(Page& page, const RunFacts& facts) {
  const Records& steps = facts.log.steps;
  std::vector<std::string> plots;
  for (const auto& [title, name] : {std::pair{"log p(data, θ) of each chain", "log_joint"},
                                    {"Acceptance of each chain", "acceptance"},
                                    {"First number of the first parameter, of each chain", "traced"}})
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
  page.paragraph(
      "Mean and standard deviation of each parameter, as root mean squares over its numbers, and mean ± deviation of "
      "each where there are few:");
  std::vector<Page::Fact> rows;
  const Json parameters = record.value("parameters", Json());
  for (size_t i = 0; parameters.is_array() && i < parameters.size(); ++i) {
    const Json& p = parameters[i];
    if (!p.is_object()) continue;
    rows.push_back({plain(p.value("name", Json())),
                    text("mean ", shown(number(p, "mean")), ", deviation ", shown(number(p, "spread")), each_of(p))});
  }
  page.facts(rows);
}

}  // namespace gradus
