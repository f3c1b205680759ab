#include <algorithm>
#include <cmath>
#include <filesystem>

#include "apps/format.h"
#include "apps/overfitting.h"
#include "apps/report/facts.h"
#include "apps/report/plot.h"
#include "models/table.h"
#include "models/text/cutters.h"
#include "models/text/shell_word.h"

namespace gradus {

namespace {

std::string per_token(const Config& c) { return c.labels > 0 ? "text" : find_cutter(c.tokenizer).unit; }
std::string count(const Json& n) { return n.is_number_integer() ? grouped(n.get<int64_t>()) : "unknown"; }
std::string fixed_or_dash(double x, int digits) { return std::isfinite(x) ? fixed(x, digits) : "–"; }

std::vector<std::string> corpus_files(const RunFacts& facts) {
  std::vector<std::string> files;
  if (const Json list = facts.logged("corpus"); list.is_array())
    for (const Json& file : list) files.push_back(plain(file));
  return files;
}

// Older logs measured their yardsticks on the training text.
bool is_held_out(const RunFacts& facts) { return facts.logged("yardsticks", "held_out") == Json(true); }

constexpr const char* kEntropyRate = "entropy rate";
// What a loss can be compared with, as far as it is known: nats a token.
std::vector<std::pair<std::string, double>> marks(const RunFacts& facts) {
  std::vector<std::pair<std::string, double>> out;
  const auto add = [&](const char* name, const Json& y) {
    if (y.is_number()) out.emplace_back(name, y.get<double>());
  };
  for (const char* name : {"uniform", "unigram", "bigram"}) add(name, facts.logged("yardsticks", name));
  add(kEntropyRate, facts.logged("entropy_rate"));
  return out;
}

// The default options of a run for a given family and text. Those that depend on the machine are 0.
Config usual_config(const Config& config) {
  Config usual;
  usual.model = config.model;
  usual.lines = config.lines;
  usual.resolve(1);
  usual.model = Config().model;  // what follows from it is usual, but the family itself must be said
  usual.lines = config.pairs;    // --pairs says it
  usual.decay_steps = config.steps;
  usual.burn_in = config.samples() ? config.steps / 2 : 0;
  usual.shards = config.counts() ? config.shards : 0;
  return usual;
}

// The command up to the options of the table.
std::string command_begin(const RunFacts& facts) {
  std::string line = program_of(facts) + (facts.config.labels > 0 ? " classify train" : " train");
  for (const std::string& file : corpus_files(facts)) line += " " + shell_path(file);
  line += " --out " + out_again(facts);
  if (const Json rate = facts.logged("entropy_rate"); rate.is_number()) line += " --entropy-rate " + rate.dump();
  if (const Json drop = facts.logged("drop"); drop.is_string()) line += " --drop " + shell_path(plain(drop));
  return line;
}

std::string subtitle(const RunFacts& facts) {
  const Config& c = facts.config;
  const std::vector<std::string> files = corpus_files(facts);
  std::string line = c.family().title;
  if (facts.logged("parameters") != Json(0)) line += text(" of ", count(facts.logged("parameters")), " parameters");
  line[0] = 'A';
  if (!files.empty()) line += " on " + std::filesystem::path(files[0]).filename().string();
  if (files.size() > 1) line += text(" and ", files.size() - 1, " more");
  if (c.counts()) return line + (facts.saved_step < 0 ? ": no checkpoint in the folder" : ": counted");
  const int64_t last = facts.log.last_step;
  line += last >= c.steps ? text(": ", grouped(c.steps), c.steps == 1 ? " step" : " steps", ", finished")
                          : text(": stopped or still running after step ", grouped(last), " of ", grouped(c.steps));
  if (facts.saved_step < 0) return line + ", no checkpoint in the folder";
  if (facts.saved_step < last || last < c.steps) line += text(", saved at step ", grouped(facts.saved_step));
  return line;
}

double median(std::vector<double> values) {
  if (values.empty()) return NAN;
  const auto middle = values.begin() + std::ptrdiff_t(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

void add_speed(std::vector<Page::Figure>& out, const RunLog& log) {
  if (!log.steps.empty())
    out.push_back(
        {"speed", grouped_whole(median(log.steps["tokens_per_second"])), "tokens per second, median of the steps"});
}

std::vector<Page::Figure> figures(const RunFacts& facts) {
  const RunLog& log = facts.log;
  const std::string unit = "nats a " + per_token(facts.config);
  std::vector<Page::Figure> out;
  const auto loss = [&](const std::string& name, const std::vector<double>& column) {
    const double last = last_of(column);
    if (!std::isfinite(last)) return;
    size_t best = 0;
    for (size_t i = 0; i < column.size(); ++i)
      if (column[i] < column[best] || !std::isfinite(column[best])) best = i;
    std::string remark = text(unit, "; ", fixed(last / std::log(2.0), 3), " bits");
    if (column[best] < last)
      remark += text("; best ", fixed(column[best], 3), " at step ", grouped(int64_t(log.evals.step[best])));
    out.push_back({name, fixed(last, 3), remark});
  };
  const std::string name = loss_name(facts.config);
  loss("validation " + name, log.evals["val_loss"]);
  loss("training " + name, log.evals["train_loss"]);
  if (facts.config.family().has("latent")) {  // a bound is no better or worse than a log-probability
    if (const double kl = last_of(log.evals["kl"]); std::isfinite(kl))
      out.push_back({"KL of the latent vectors", fixed(kl, 3), "nats a text; near 0 they say nothing of their texts"});
    add_speed(out, log);
    return out;
  }
  const Json rate = facts.logged("entropy_rate"), pairs = facts.logged("yardsticks", "bigram");
  const Json& mark = rate.is_number() ? rate : pairs;
  double above = last_of(log.evals["val_loss"]);
  if (!std::isfinite(above)) above = last_of(log.evals["train_loss"]);
  if (std::isfinite(above) && mark.is_number()) {
    above -= mark.get<double>();
    const char* const other = rate.is_number() ? "the entropy rate" : "a bigram model";
    out.push_back({text(above < 0 ? "better than " : "worse than ", other), fixed(std::abs(above), 3), unit});
  }
  add_speed(out, log);
  return out;
}

// Half the width of the mean that smooths a curve: about a sixtieth of it on either side.
size_t half_width(size_t n) { return n < 20 ? 0 : std::max<size_t>(2, n / 60); }

// A noisy column: raw and pale, with its mean on top. Few points are drawn as they are.
void add_noisy(LinePlot& plot, const Records& steps, const std::string& field, const std::string& prefix) {
  const std::vector<double> y = steps[field];
  const size_t half = half_width(y.size());
  if (y.empty()) return;
  if (half == 0) {
    plot.series.push_back({prefix + "each step", steps.step, y});
    return;
  }
  plot.series.push_back({prefix + "each step", steps.step, y, 1, Stroke::kFaint});
  plot.series.push_back(
      {text(prefix, "mean of ", grouped(int64_t(2 * half + 1)), " steps"), steps.step, smoothed(y, half)});
}

LinePlot loss_plot(const RunFacts& facts) {
  const RunLog& log = facts.log;
  LinePlot plot{.title = facts.config.family().has("latent") ? loss_name(facts.config) : "Loss",
                .x = {.title = "step", .whole = true, .least = 0},
                .y = {.title = "nats a " + per_token(facts.config)},
                .series = {},
                .levels = {},
                .height = 380};
  add_noisy(plot, log.steps, "loss", "training, ");
  if (!log.evals.empty())
    plot.series.push_back({"training, evaluated", log.evals.step, log.evals["train_loss"], 3, Stroke::kDots});
  if (std::isfinite(last_of(log.evals["val_loss"])))
    plot.series.push_back({"validation, evaluated", log.evals.step, log.evals["val_loss"], 2, Stroke::kDots});
  for (const auto& [name, y] : marks(facts)) plot.levels.push_back({name, y, name == kEntropyRate ? 4 : 0});
  return plot;
}

std::vector<std::string> small_plots(const RunFacts& facts) {
  const Records& steps = facts.log.steps;
  if (steps.empty()) return {};
  const Axis x{.title = "step", .whole = true, .least = 0};
  LinePlot rate{
      .title = "Learning rate", .x = x, .y = {.least = 0}, .series = {{"learning rate", steps.step, steps["lr"]}}};
  LinePlot norm{.title = "Gradient norm", .x = x, .y = {.log = true}, .series = {}};
  add_noisy(norm, steps, "grad_norm", "");
  if (facts.config.clip > 0) norm.levels.push_back({"clipped above", facts.config.clip});
  LinePlot speed{.title = "Tokens per second", .x = x, .y = {.least = 0}, .series = {}};
  add_noisy(speed, steps, "tokens_per_second", "");
  std::vector<std::string> plots{to_html(rate), to_html(norm), to_html(speed)};
  const Records& evals = facts.log.evals;
  if (std::isfinite(last_of(evals["kl"])))
    plots.push_back(to_html({.title = "KL, nats a text",
                             .x = x,
                             .y = {.least = 0},
                             .series = {{"KL of the latent vectors", evals.step, evals["kl"], 1, Stroke::kDots}}}));
  return plots;
}

// At most `most` of n, evenly spread, the first and the last among them.
std::vector<size_t> spread(size_t n, size_t most) {
  std::vector<size_t> out;
  for (size_t i = 0; i < std::min(n, most); ++i) out.push_back(n <= most ? i : i * (n - 1) / (most - 1));
  return out;
}

std::vector<Page::Passage> milestones(const RunFacts& facts) {
  const RunLog& log = facts.log;
  const std::vector<double> train = log.evals["train_loss"], val = log.evals["val_loss"];
  std::vector<Page::Passage> out;
  for (size_t i : spread(log.samples.step.size(), 10)) {
    const double step = log.samples.step[i];
    std::string heading = facts.config.counts() ? "counted" : "step " + grouped(int64_t(step));
    const auto at = std::find(log.evals.step.begin(), log.evals.step.end(), step) - log.evals.step.begin();
    if (size_t(at) < train.size()) heading += "\ntrain " + fixed_or_dash(train[size_t(at)], 3);
    if (size_t(at) < val.size() && std::isfinite(val[size_t(at)])) heading += "\nval " + fixed(val[size_t(at)], 3);
    out.push_back({heading, log.samples.texts[i]});
  }
  return out;
}

// What the curves show, in words; nothing where they show nothing.
std::string remark(const RunFacts& facts) {
  const Records& evals = facts.log.evals;
  const auto best = overfits_since(evals["train_loss"], evals["val_loss"]);
  if (!best) return "";
  return text(
      "Since step ", grouped(int64_t(evals.step[*best])),
      " the validation loss rises while the training loss falls: the model learns its text by heart. The weights "
      "of that step are in best.safetensors.");
}

std::vector<Page::Fact> dataset(const RunFacts& facts) {
  std::vector<Page::Fact> out;
  for (const char* split : {"train", "validation"})
    if (const Json n = facts.logged("tokens", split); n.is_number()) out.push_back({text(split, ", tokens"), count(n)});
  out.push_back(
      {text("vocabulary, ", find_cutter(facts.config.tokenizer).unit, "s"), count(facts.logged("vocabulary"))});
  for (const auto& [name, y] : marks(facts)) out.push_back({name + ", nats", fixed(y, 4)});
  if (const Json hash = facts.logged("corpus_hash"); hash.is_string()) out.push_back({"hash", plain(hash)});
  return out;
}

}  // namespace

std::string page_of_trained(const RunFacts& facts) {
  Page page(facts.name, subtitle(facts));
  if (const auto numbers = figures(facts); !numbers.empty()) page.figures(numbers);
  if (!facts.log.steps.empty() || facts.log.evals.step.size() > 1) {
    page.section("Training");
    page.html(to_html(loss_plot(facts)));
    if (const std::string words = remark(facts); !words.empty()) page.paragraph(words);
    if (const auto plots = small_plots(facts); !plots.empty()) page.side_by_side(plots);
  }
  add_parameters(page, facts);
  if (!facts.log.samples.empty()) {
    page.section("Samples");
    page.passages(milestones(facts));
  }
  page.section("Dataset");
  if (const auto files = corpus_files(facts); !files.empty()) page.code(joined(files, "\n"));
  page.facts(dataset(facts));
  if (facts.logged("yardsticks", "bigram").is_number())
    page.paragraph(text("Unigram and bigram are n-gram models fitted on the training text and measured on the ",
                        is_held_out(facts) ? "validation" : "training", " text."));
  Config config = facts.config, usual = usual_config(config);
  const bool labelled = config.labels > 0;
  if (labelled) config.encoder = config.family().encoder;
  add_configuration(page, labelled ? classify_options(config) : options(config),
                    labelled ? classify_options(usual) : options(usual), command_begin(facts));
  std::string foot = "gradus " + (facts.logged("version").is_string() ? plain(facts.logged("version")) : "");
  foot += ", " + precision_of(facts);
  if (facts.logged("blas_core").is_string()) foot += ", OpenBLAS " + plain(facts.logged("blas_core"));
  return page.str(foot);
}

}  // namespace gradus
