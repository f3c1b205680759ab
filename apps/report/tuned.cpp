#include "apps/report/tuned.h"

#include <algorithm>
#include <cmath>

#include "apps/format.h"
#include "apps/report/configuration.h"
#include "apps/report/page.h"
#include "apps/report/plot.h"
#include "engine/error.h"
#include "models/text/utf8.h"
#include "models/text/shell_word.h"
#include "rl/tune_config.h"

namespace gradus {
namespace {

bool any(const std::vector<double>& y) {
  for (const double x : y)
    if (std::isfinite(x)) return true;
  return false;
}

struct Curve {
  const char *field, *name;
};
// Columns of the log over the steps; those that it lacks are left out.
LinePlot curves(const RunLog& log, const std::string& title, const std::string& unit,
                std::initializer_list<Curve> list) {
  LinePlot plot{.title = title,
                .x = {.title = "step", .whole = true, .least = 0},
                .y = {.title = unit},
                .series = {},
                .levels = {}};
  for (const Curve& c : list)
    if (const std::vector<double> y = log.steps[c.field]; any(y))
      plot.series.push_back({c.name, log.steps.step, y, int(plot.series.size()) + 1});
  return plot;
}

// A model of one long text has none: its sequences always reach the limit.
bool has_end_mark(const RunLog& log) { return log.run.value("model", Json::object()).value("lines", false); }

std::string definition_of_j(const TuneConfig& config) {
  return config.entropy_coef > 0 ? "reward - beta KL + alpha entropy" : "reward - beta KL";
}

std::vector<Page::Figure> figures(const RunFacts& facts) {
  const RunLog& log = facts.log;
  std::vector<Page::Figure> out;
  const auto add = [&](const char* name, const char* field, const std::string& remark, int digits) {
    if (const double x = last_of(log.steps[field]); std::isfinite(x)) out.push_back({name, fixed(x, digits), remark});
  };
  const double stderr_of_kl = last_of(log.steps["kl_stderr"]);
  add("reward", "reward", "mean of the last batch", 3);
  add("KL(policy, prior)", "kl", "nats a sequence, ± " + fixed(stderr_of_kl, 3), 3);
  add("entropy", "entropy", "nats a sequence", 2);
  add("J", "objective", definition_of_j(facts.tuning), 3);
  add("J*", "j_star", "the largest possible J", 3);
  add("KL(policy, posterior)", "kl_to_posterior", "nats, by enumeration", 5);
  return out;
}

BarPlot bars(const RunLog& log) {
  BarPlot plot{
      .title = "Probabilities of the most probable sequences", .names = {"prior", "policy", "posterior"}, .groups = {}};
  const Json list = log.posterior.value("bars", Json::array());
  if (!list.empty() && !list[0].contains("posterior")) plot.names.pop_back();
  for (const Json& bar : list) {
    std::vector<double> values;
    for (const std::string& name : plot.names) values.push_back(bar.value(name, 0.0));
    plot.groups.push_back({"\"" + one_line(bar.value("text", std::string()), 60) + "\"", values});
  }
  return plot;
}

// The command up to the options of the table.
std::string command_begin(const RunFacts& facts) {
  std::string line =
      "gradus tune " + shell_word(plain(facts.logged("prior"))) + " --out " + shell_word(facts.name + "-again");
  const Json prompts = facts.logged("prompts");
  if (prompts.size() == 1 && prompts[0] != "") line += " --prompt " + shell_word(plain(prompts[0]));
  if (prompts.size() > 1) line += " --prompts PROMPTS.txt";
  return line;
}

}  // namespace

std::string page_of_tuned(const RunFacts& facts) {
  const RunLog& log = facts.log;
  std::string rewards;
  for (const std::string& reward : facts.tuning.reward) rewards += (rewards.empty() ? "" : " + ") + reward;
  Page page(facts.name, text("Fine-tuned from ", plain(facts.logged("prior")), " on the reward ", rewards, ": step ",
                             grouped(log.last_step), " of ", facts.tuning.steps));
  page.figures(figures(facts));
  page.section("Training");
  LinePlot objective = curves(log, "Objective J = " + definition_of_j(facts.tuning), "",
                              {{"objective", "of the batch"}, {"objective_exact", "exact"}});
  if (const double best = last_of(log.steps["j_star"]); std::isfinite(best))
    objective.levels.push_back({"J*", best, 4});
  objective.height = 300;
  page.html(to_html(objective));
  page.side_by_side(
      {to_html(curves(log, "Reward", "", {{"reward", "of the batch"}, {"reward_exact", "exact"}})),
       to_html(curves(log, "KL(policy, prior)", "nats a sequence", {{"kl", "estimated"}, {"kl_exact", "exact"}})),
       to_html(curves(log, "Entropy", "nats a sequence", {{"entropy", "estimated"}, {"entropy_exact", "exact"}}))});
  std::vector<std::string> more{
      to_html(curves(log, "Different n-grams", "share", {{"distinct_1", "single tokens"}, {"distinct_2", "pairs"}})),
      to_html(curves(log, "Gradient norm", "", {{"grad_norm", "norm"}})),
      to_html(curves(log, "Baseline and spread of the advantage", "",
                     {{"baseline", "baseline"}, {"advantage_spread", "spread"}}))};
  if (facts.tuning.kl_target > 0)
    more.push_back(to_html(curves(log, "KL coefficient beta", "", {{"kl_coef", "beta"}})));
  if (has_end_mark(log)) {
    more.push_back(to_html(curves(log, "Sequences cut at the limit", "share", {{"cut", "without the end mark"}})));
    more.push_back(to_html(curves(log, "Length", "tokens", {{"length", "mean of the batch"}})));
  }
  if (any(log.steps["kl_to_posterior"]))
    more.push_back(to_html(curves(log, "KL(policy, posterior)", "nats", {{"kl_to_posterior", "exact"}})));
  if (any(log.steps["ess"]))
    more.push_back(to_html(curves(log, "Effective sample size", "sequences", {{"ess", "of the weights"}})));
  if (any(log.steps["value_loss"]))
    more.push_back(to_html(curves(log, "Error of the value network", "mean square", {{"value_loss", "error"}})));
  page.side_by_side(more);
  if (log.posterior.is_object()) {
    page.section("The world");
    page.paragraph(text("The most probable of ", grouped(log.posterior.value("sequences", int64_t{0})),
                        " sequences. The posterior, the prior times e^(reward / beta) over Z, is the best policy that "
                        "fine-tuning can reach."));
    page.html(to_html(bars(log)));
  }
  if (!log.samples.empty()) {
    page.section("Samples, drawn with the same random numbers at each step");
    std::vector<Page::Passage> passages;
    for (size_t i = 0; i < log.samples.step.size(); ++i)
      passages.push_back({"step " + grouped(int64_t(log.samples.step[i])), log.samples.texts[i]});
    page.passages(passages);
  }
  TuneConfig config = facts.tuning, usual;
  usual.decay_steps = config.steps;
  add_configuration(page, options(config), options(usual), command_begin(facts),
                    {{"prior-hash", plain(facts.logged("prior_hash"))}});
  return page.str("gradus, " + precision_of(facts));
}

}  // namespace gradus
