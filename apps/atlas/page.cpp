// The atlas as a page: the two targets, then for each a panel of curves for every divergence, all with one axis, and a
// table of arrivals. Every curve and number is in the page without its script, which lets a reader choose what the
// curves show and read all of them at one step.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "apps/atlas/atlas.h"
#include "apps/embedded.h"
#include "apps/format.h"
#include "apps/report/page.h"
#include "apps/report/plot.h"
#include "models/text/utf8.h"

namespace gradus {
namespace {

constexpr size_t kBars = 8;      // texts whose probabilities are shown
constexpr double kLeast = 1e-8;  // nats at the foot of every plot

// The kinds of descents, and how their curves are drawn.
struct Kind {
  const char* name;
  int colour;
  Stroke stroke = Stroke::kLine;
};
constexpr Kind kPlain{"plain", 3}, kExact{"exact", 1}, kSampled{"sampled", 2, Stroke::kFaint};
constexpr Kind kKinds[] = {kPlain, kExact, kSampled};

Series curve(const Kind& kind, std::string name, std::vector<double> x, std::vector<double> y) {
  return {.name = std::move(name), .x = std::move(x), .y = std::move(y), .colour = kind.colour, .stroke = kind.stroke};
}

std::string number(double x) { return significant(x, 3); }

BarPlot bars(const Atlas& atlas) {
  BarPlot plot{.title = "Probabilities of the most probable texts", .names = {"prior"}, .groups = {}};
  for (const AtlasTarget& t : atlas.targets) plot.names.push_back("target " + t.name);
  std::vector<size_t> order(atlas.texts.size());
  std::iota(order.begin(), order.end(), size_t{0});
  const auto most = [&](size_t i) {
    double log_p = atlas.log_q[i];
    for (const AtlasTarget& t : atlas.targets) log_p = std::max(log_p, t.log_p[i]);
    return log_p;
  };
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return most(a) > most(b); });
  order.resize(std::min(order.size(), kBars));
  for (const size_t i : order) {
    std::vector<double> values{std::exp(atlas.log_q[i])};
    for (const AtlasTarget& t : atlas.targets) values.push_back(std::exp(t.log_p[i]));
    plot.groups.push_back({"\"" + one_line(atlas.texts[i], 60) + "\"", values});
  }
  return plot;
}

// The largest value of a measure over all descents to a target: the top of its plots.
double top(const AtlasTarget& t, size_t measure) {
  double most = kLeast;
  for (const AtlasDescent& d : t.descents) {
    const auto look = [&](const AtlasCurve& c) {
      for (const double x : c.at[measure])
        if (std::isfinite(x)) most = std::max(most, x);
    };
    look(d.plain);
    look(d.exact);
    for (const AtlasCurve& c : d.sampled) look(c);
  }
  return most;
}

std::string plot_of(const Atlas& atlas, const AtlasTarget& t, const AtlasDescent& d, size_t measure) {
  const std::vector<double> steps(atlas.steps.begin(), atlas.steps.end());
  LinePlot plot{.title = d.divergence,
                .x = {.whole = true, .least = 0},
                .y = {.log = true, .least = kLeast, .most = top(t, measure)},
                .series = {},
                .height = 150};
  for (const AtlasCurve& c : d.sampled)
    plot.series.push_back(curve(kSampled, text("seed ", *c.seed), steps, c.at[measure]));
  plot.series.push_back(curve(kPlain, kPlain.name, steps, d.plain.at[measure]));
  plot.series.push_back(curve(kExact, kExact.name, steps, d.exact.at[measure]));
  if (measure == 0) plot.levels.push_back({"arrived below", kArrived});
  return to_html(plot);
}

// What the curves of a panel are at the last step; the script writes the same of any step.
std::string reading(const AtlasDescent& d) {
  std::string line =
      text(kPlain.name, " ", number(d.plain.end()), ", ", kExact.name, " ", number(d.exact.end()), ", ", kSampled.name);
  for (const AtlasCurve& c : d.sampled) line += " " + number(c.end());
  return line;
}

std::string panels(const Atlas& atlas, const AtlasTarget& t) {
  std::string out = "<div class=\"panels\">\n";
  for (const AtlasDescent& d : t.descents) {
    out += "<div class=\"card panel\" data-target=\"" + t.name + "\" data-divergence=\"" + d.divergence + "\">\n";
    for (size_t m = 0; m < kMeasures.size(); ++m)
      out += text("<div class=\"measure\" data-measure=\"", m, "\">\n") + plot_of(atlas, t, d, m) + "</div>\n";
    out += "<p class=\"reading\">" + reading(d) + "</p>\n</div>\n";
  }
  return out + "</div>\n";
}

std::string arrivals(const AtlasTarget& t) {
  const auto step = [](const std::optional<int64_t>& s) { return s ? grouped(*s) : "–"; };
  std::string kinds;
  for (const Kind& kind : kKinds) kinds += text("<th scope=\"col\">", kind.name, "</th>");
  std::string out =
      "<table class=\"arrivals\">\n<thead><tr><th rowspan=\"2\" scope=\"col\">divergence</th><th colspan=\"3\" "
      "scope=\"colgroup\">arrives at step</th><th colspan=\"3\" scope=\"colgroup\">ends at, nats</th></tr>\n<tr>" +
      kinds + kinds + "</tr></thead>\n<tbody>\n";
  for (const AtlasDescent& d : t.descents) {
    out += "<tr><th scope=\"row\">" + d.divergence + "</th>";
    for (const std::string& cell : {step(d.plain.arrival), step(d.exact.arrival), step(last_arrival(d)),
                                    number(d.plain.end()), number(d.exact.end()), number(farthest_end(d))})
      out += "<td>" + cell + "</td>";
    out += "</tr>\n";
  }
  return out + "</tbody>\n</table>\n";
}

std::string bar(const Atlas& atlas) {
  std::string out = "<div id=\"bar\" hidden>\n";
  for (size_t m = 0; m < kMeasures.size(); ++m)
    out += text("<button type=\"button\" data-field=\"", kMeasures[m].field, "\">", kMeasures[m].title, "</button>\n");
  const size_t last = atlas.steps.size() - 1;
  return out + text("<label>step <input type=\"range\" id=\"point\" min=\"0\" max=\"", last, "\" value=\"", last,
                    "\"></label>\n<output id=\"step\"></output>\n</div>\n");
}

// What the reader has to know of the curves, before them and after them.
std::string of_the_curves(const Atlas& atlas) {
  return text(
      "Each panel descends one f-divergence from the prior. Plain is gradient descent with the exact gradient and the "
      "rate ",
      significant(atlas.rate, 3),
      ", so that each divergence goes at its own speed. Exact makes the steps of gradus tune, whose optimiser brings "
      "all "
      "gradients to one scale, with the exact gradient. Sampled is gradus tune: f-DPG from samples, once for each "
      "seed. "
      "All is measured exactly, by enumeration, in nats on a logarithmic axis. Below the dashed line, ",
      significant(kArrived, 3), " nats, a policy has arrived, if it stays there.");
}
constexpr const char* kOfTheSpeeds =
    "Of sampled descents the tables have the last to arrive and the one that ends farthest away. Near its target every "
    "smooth divergence is f″(1)/2 times chi-squared, so the plain descents end in straight lines whose slopes are as "
    "f″(1): 1 for both KL and alpha, 1/4 for js and hellinger, 2 for both chi-squared. The slope of tv does not "
    "vanish "
    "at the target: its steps stay as long as they were, and only a falling learning rate brings it to rest.";

}  // namespace

std::string page_of(const Atlas& atlas) {
  const TuneConfig& o = atlas.options;
  const AtlasTarget &rl = atlas.targets[0], &gdc = atlas.targets[1];
  Page page("An atlas of targets and divergences",
            text("Every way from ", atlas.run, " to two targets, over ", grouped(int64_t(atlas.texts.size())),
                 " texts: ", o.steps, " steps of ", o.batch, " texts, learning rate ", significant(o.lr, 3), "."));
  page.style(apps_atlas_page_css);
  page.section("Two targets, one form");
  page.paragraph(text("Both are the prior times an exponential, over Z. The target rl is the posterior of ", rl.aim,
                      " with β = ", significant(o.kl_coef, 4), ", at which RLHF aims: prior · exp(reward / β) / Z."));
  page.paragraph(text("The target gdc is the nearest to the prior with ", gdc.aim, ": prior · exp(Λ · features) / Z."));
  std::string lambda;
  for (const double x : gdc.lambda) lambda += (lambda.empty() ? "" : ", ") + significant(x, 6);
  page.facts({{"KL(rl, prior)", number(rl.kl) + " nats"},
              {"KL(gdc, prior)", number(gdc.kl) + " nats"},
              {"log Z of rl", significant(rl.log_z, 6)},
              {"log Z of gdc", significant(gdc.log_z, 6)},
              {"Λ", lambda}});
  page.html(to_html(bars(atlas)));
  page.section("Every way to each");
  page.paragraph(of_the_curves(atlas));
  std::vector<Series> kinds;
  for (const Kind& kind : kKinds) kinds.push_back(curve(kind, kind.name, {}, {}));
  page.bare(legend_of(kinds) + bar(atlas));
  for (const AtlasTarget& t : atlas.targets) {
    page.bare("<h3 class=\"target\">Target " + t.name + ": " + escape_html(t.aim) + "</h3>\n");
    page.bare(panels(atlas, t));
    page.html(arrivals(t));
  }
  page.paragraph(kOfTheSpeeds);
  page.data("data", to_json(atlas).dump());
  page.script(apps_atlas_page_js);
  return page.str("gradus atlas");
}

}  // namespace gradus
