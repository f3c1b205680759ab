#include "apps/look/page.h"

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "apps/candidates.h"
#include "apps/embedded.h"
#include "apps/format.h"
#include "apps/report/page.h"
#include "apps/report/plot.h"
#include "engine/io/json_number.h"
#include "models/text/cutters.h"
#include "models/text/utf8.h"

namespace gradus {
namespace {

constexpr const char* kText = R"(<div id="bar">
<button type="button" id="back" aria-label="the token before">←</button>
<button type="button" id="next" aria-label="the next token">→</button>
<span id="count"></span>
</div>
<div id="text" class="tokens"></div>
<div id="scale"><span>certain</span><span id="ramp"></span><span id="ramp-end"></span></div>
<div id="place" aria-live="polite"><noscript>This page needs JavaScript.</noscript></div>
)";
constexpr const char* kAttention = R"(<div class="columns">
<div>
<div id="heads"></div>
</div>
<div>
<canvas id="head-map" role="img" aria-label="attention of the chosen head"></canvas>
<p class="hint">The attention of one head: a row for each token that is predicted, a column for each token before it.
<span id="window"></span></p>
</div>
<div>
<h3 id="head-name"></h3>
<div id="attended" class="tokens"></div>
<div id="attended-most"></div>
</div>
</div>
)";
constexpr const char* kUnits = R"(<div id="layers"></div>
<div id="maps"></div>
<h3 id="unit-name"></h3>
<div id="by-unit" class="tokens"></div>
<div id="unit-numbers"></div>
)";

using Format = Json (*)(double);
Json whole_number(double x) { return json_number(x); }
Json short_number(double x) {
  char digits[32];
  std::snprintf(digits, sizeof digits, "%.5g", x);
  return json_number(std::isfinite(x) ? std::strtod(digits, nullptr) : x);
}

Json list_of(const std::vector<double>& numbers, Format number) {
  Json list = Json::array();
  for (const double x : numbers) list.push_back(number(x));
  return list;
}

Json token_json(const Checkpoint& run, const Place& place, Format number) {
  Json parts = Json::array();
  for (const std::vector<double>& numbers : place.parts) parts.push_back(list_of(numbers, number));
  return {{"text", valid_utf8(run.tokenizer.token(place.token))},
          {"token", place.token},
          {"sequence", place.sequence},
          {"at", place.at},
          {"first", place.first},
          {"log_prob", number(place.log_prob)},
          {"rank", place.rank},
          {"candidates", candidates_json(run.tokenizer, place.likeliest)},
          {"parts", parts}};
}

// Of each layer one plot: the norm of its gradient and its update beside its weights, on one logarithmic axis.
std::vector<std::string> layer_plots(const std::vector<Json>& training) {
  std::vector<LinePlot> plots;
  for (const Json& record : training)
    for (const Json& layer : record["layers"]) {
      const std::string name = layer["name"].get<std::string>();
      auto plot = std::find_if(plots.begin(), plots.end(), [&](const LinePlot& p) { return p.title == name; });
      if (plot == plots.end()) {
        plot = plots.insert(plot, {.title = name,
                                   .x = {.title = "step", .whole = true, .least = 0},
                                   .y = {.log = true},
                                   .series = {{"gradient norm", {}, {}, 1, Stroke::kDots},
                                              {"update / weights", {}, {}, 2, Stroke::kDots}},
                                   .levels = {},
                                   .height = 150});
      }
      const auto add = [&](size_t series, const Json& y) {
        plot->series[series].x.push_back(record["step"].get<double>());
        plot->series[series].y.push_back(y.is_number() ? y.get<double>() : NAN);
      };
      add(0, layer["grad_norm"]);
      add(1, layer["update_ratio"]);
    }
  std::vector<std::string> html;
  html.reserve(plots.size());
  for (const LinePlot& plot : plots) html.push_back(to_html(plot));
  return html;
}

std::string model_of(const Checkpoint& run) {
  const bool counted = run.config.counts();
  std::string model = run.config.family().title;
  if (!counted) model += text(" of ", grouped(run.model->params().size()), " parameters");
  model += counted ? ", counted" : text(" after ", grouped(run.step), " steps");
  model[0] = char(std::toupper(model[0]));
  return model;
}

}  // namespace

Json to_json(const std::string& name, const Checkpoint& run, const Insight& insight, const std::vector<Json>& training,
             bool short_numbers) {
  const Format number = short_numbers ? short_number : whole_number;
  const auto text_of = [&](int32_t token) { return valid_utf8(run.tokenizer.token(token)); };
  Json parts = Json::array(), inputs = Json::array(), tokens = Json::array(), named = Json::array();
  for (const Part& part : insight.parts)
    parts.push_back({{"layer", part.layer}, {"name", part.name}, {"weights", part.weights}, {"units", part.units}});
  for (const std::vector<int32_t>& sequence : insight.inputs) {
    Json texts = Json::array();
    for (const int32_t token : sequence) texts.push_back(text_of(token));
    inputs.push_back(std::move(texts));
  }
  for (const Place& place : insight.places) tokens.push_back(token_json(run, place, number));
  for (size_t i = 0; i < insight.plane.points.size(); ++i)
    named.push_back({{"text", text_of(insight.named[i])},
                     {"x", number(insight.plane.points[i][0])},
                     {"y", number(insight.plane.points[i][1])}});
  return {{"run", name},
          {"model", run.config.model},
          {"unit", find_cutter(run.config.tokenizer).unit},
          {"separator", run.tokenizer.separator()},
          {"end", run.tokenizer.end_id() >= 0 ? Json(Tokenizer::kEndMark) : Json(nullptr)},
          {"vocabulary", run.model->vocabulary()},
          {"left_out", insight.left_out},
          {"nats_per_token", number(insight.nats())},
          {"parts", parts},
          {"inputs", inputs},
          {"tokens", tokens},
          {"embeddings",
           {{"share", list_of({insight.plane.share.begin(), insight.plane.share.end()}, number)}, {"tokens", named}}},
          {"training", Json(training)}};
}

std::string look_page(const std::string& name, const Checkpoint& run, const Insight& insight,
                      const std::vector<Json>& training) {
  const std::string unit = find_cutter(run.config.tokenizer).unit;
  Page page("Inside " + name, model_of(run));
  page.style(apps_look_page_css);
  const double nats = insight.nats();
  const auto figure = [](double x, int digits) { return std::isinf(x) ? std::string("∞") : fixed(x, digits); };
  page.figures({{"surprise", figure(nats, 3), text("nats a ", unit, "; ", figure(nats / std::log(2.0), 3), " bits")},
                {"perplexity", figure(std::exp(nats), 2),
                 text("like a free choice among so many of the ", run.model->vocabulary(), " ", unit, "s")},
                {"tokens", grouped(int64_t(insight.places.size())),
                 insight.left_out > 0 ? text(grouped(insight.left_out), " more left out") : "all of the text"}});
  page.section("The text, coloured by surprise");
  page.html(kText);
  const auto any = [&](bool weights) {
    return std::any_of(insight.parts.begin(), insight.parts.end(), [=](const Part& p) { return p.weights == weights; });
  };
  if (any(true)) {
    page.section("Attention");
    page.html(kAttention);
  }
  if (any(false)) {
    page.section("Units over the text");
    page.html(kUnits);
  }
  if (!insight.named.empty()) {
    page.section("Embeddings in two dimensions (PCA)");
    page.html("<div id=\"plane\"></div>\n<p class=\"hint\" id=\"share\"></p>\n");
  }
  if (const std::vector<std::string> plots = layer_plots(training); !plots.empty()) {
    page.section("Layers while it was trained");
    page.side_by_side(plots);
  } else if (!run.config.counts()) {
    page.section("Layers while it was trained");
    page.paragraph("The log of this run has no sizes of layers. Training writes them at each evaluation.");
  }
  page.data("look", to_json(name, run, insight, training, true).dump());
  page.script(apps_look_page_js);
  return page.str(text("gradus look, ", kRealName, ". Keys: → next token, ← the one before",
                       any(true) ? ", h another head." : "."));
}

}  // namespace gradus
