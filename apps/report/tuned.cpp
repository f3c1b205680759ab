#include <algorithm>
#include <cmath>

#include "apps/format.h"
#include "apps/report/facts.h"
#include "apps/report/plot.h"
#include "engine/error.h"
#include "models/table.h"
#include "models/text/shell_word.h"
#include "models/text/utf8.h"

namespace gradus {
namespace {

bool any(const std::vector<double>& y) {
  return std::any_of(y.begin(), y.end(), [](double x) { return std::isfinite(x); });
}

// A plot of columns of the log over the steps, each with its name in the legend.
struct Curves {
  const char *title, *unit;
  std::vector<std::pair<const char*, const char*>> columns;
};

// Columns that the log lacks are left out.
LinePlot plot_of(const RunLog& log, const Curves& curves) {
  LinePlot plot{.title = curves.title,
                .x = {.title = "step", .whole = true, .least = 0},
                .y = {.title = curves.unit},
                .series = {},
                .levels = {}};
  for (const auto& [column, name] : curves.columns)
    if (const std::vector<double> y = log.steps[column]; any(y))
      plot.series.push_back({name, log.steps.step, y, int(plot.series.size()) + 1});
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

// The member that names the run whose policy this was at the beginning: the prior, if the log has no other.
const char* policy_of(const RunFacts& facts) { return facts.logged("policy").is_string() ? "policy" : "prior"; }

// Of several prompts, or of those with references, the command that writes them to a file, unless they are too many for
// a page: the log has them too.
std::string prompts_file(const Json& prompts, const Json& references) {
  constexpr size_t kMost = 50;
  const bool pairs = references.is_array();
  if ((prompts.size() < 2 && !pairs) || prompts.size() > kMost) return "";
  std::string line = pairs ? "printf '%s\\t%s\\n'" : "printf '%s\\n'";
  for (size_t p = 0; p < prompts.size(); ++p) {
    if (!pairs) line += " " + shell_word(plain(prompts[p]));
    for (size_t r = 0; pairs && r < references[p].size(); ++r)
      line += " " + shell_word(plain(prompts[p])) + " " + shell_word(plain(references[p][r]));
  }
  return line + (pairs ? " > pairs.tsv\n" : " > prompts.txt\n");
}

// The command up to the options of the table.
std::string command_begin(const RunFacts& facts) {
  std::string line =
      program_of(facts) + " tune " + shell_path(plain(facts.logged(policy_of(facts)))) + " --out " + out_again(facts);
  if (facts.logged("policy").is_string()) line += " --prior " + shell_path(plain(facts.logged("prior")));
  const Json prompts = facts.logged("prompts"), references = facts.logged("prompts_references");
  const bool pairs = references.is_array();
  if (pairs)
    line += " --pairs pairs.tsv";
  else if (prompts.size() > 1)
    line += " --prompts prompts.txt";
  else if (prompts.size() == 1 && prompts[0] != "")
    line += " --prompt " + shell_word(plain(prompts[0]));
  const Json held_out = facts.logged("held_out");
  if (held_out.is_array()) line += pairs ? " --held-out held_out.tsv" : " --held-out held_out.txt";
  return prompts_file(prompts, references) + line;
}

}  // namespace

std::string page_of_tuned(const RunFacts& facts) {
  const RunLog& log = facts.log;
  Page page(facts.name, text("Fine-tuned from ", plain(facts.logged(policy_of(facts))), " on ", aim_of(facts.tuning),
                             ": step ", grouped(log.last_step), " of ", facts.tuning.steps));
  page.figures(figures(facts));
  page.section("Training");
  const std::string definition = "Objective J = " + definition_of_j(facts.tuning);
  LinePlot objective =
      plot_of(log, {definition.c_str(), "", {{"objective", "of the batch"}, {"objective_exact", "exact"}}});
  if (const double best = last_of(log.steps["j_star"]); std::isfinite(best))
    objective.levels.push_back({"J*", best, 4});
  objective.height = 300;
  if (!facts.tuning.is_gdc()) page.html(to_html(objective));
  const auto side_by_side = [&](const std::vector<Curves>& rows) {
    std::vector<std::string> plots;
    for (const Curves& row : rows) plots.push_back(to_html(plot_of(log, row)));
    page.side_by_side(plots);
  };
  std::vector<Curves> first{{"KL(policy, prior)", "nats a sequence", {{"kl", "estimated"}, {"kl_exact", "exact"}}},
                            {"Entropy", "nats a sequence", {{"entropy", "estimated"}, {"entropy_exact", "exact"}}}};
  if (!facts.tuning.is_gdc())
    first.insert(first.begin(), {"Reward", "", {{"reward", "of the batch"}, {"reward_exact", "exact"}}});
  side_by_side(first);
  std::vector<Curves> more{
      {"Distinct n-grams", "share", {{"distinct_1", "single tokens"}, {"distinct_2", "pairs"}}},
      {"Gradient norm", "", {{"grad_norm", "norm"}}},
      {"Baseline and spread of the advantage", "", {{"baseline", "baseline"}, {"advantage_spread", "spread"}}}};
  if (facts.tuning.kl_target > 0) more.push_back({"KL coefficient beta", "", {{"kl_coef", "beta"}}});
  if (has_end_mark(log)) {
    more.push_back({"Sequences cut at the limit", "share", {{"cut", "without the end mark"}}});
    more.push_back({"Length", "tokens", {{"length", "mean of the batch"}}});
  }
  for (const Curves& row :
       {Curves{"Divergence from the target",
               "nats",
               {{"kl_to_posterior", "KL(policy, target)"}, {"kl_from_target", "KL(target, policy)"}}},
        Curves{"Z", "", {{"z", "estimated"}}},
        Curves{"Effective sample size", "sequences", {{"ess", "of the weights"}}},
        Curves{"Error of the value network", "mean square", {{"value_loss", "error"}}},
        Curves{"Variance of the returns that the critic explains", "share", {{"explained_variance", "explained"}}},
        Curves{"Clipped draws", "share", {{"clip_share", "clipped"}}},
        Curves{"The reward that is watched", "", {{"watch", "of the batch"}, {"held_out_watch", "held-out prompts"}}},
        Curves{"Reward of held-out prompts", "", {{"held_out_reward", "held out"}, {"reward", "of the batch"}}},
        Curves{"KL of held-out prompts", "nats a sequence", {{"held_out_kl", "held out"}, {"kl", "of the batch"}}}})
    if (any(log.steps[row.columns[0].first])) more.push_back(row);
  if (const auto& terms = facts.tuning.reward; terms.size() > 1) {
    std::vector<std::string> columns;
    for (size_t i = 0; i < terms.size(); ++i) columns.push_back(text("terms_", i + 1));
    Curves by_term{"Reward by term", "", {}};
    for (size_t i = 0; i < terms.size(); ++i) by_term.columns.emplace_back(columns[i].c_str(), terms[i].c_str());
    page.side_by_side({to_html(plot_of(log, by_term))});
  }
  side_by_side(more);
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
