#include <algorithm>
#include <cmath>

#include "apps/format.h"
#include "apps/report/facts.h"
#include "apps/report/plot.h"
#include "engine/error.h"
#include "models/table.h"
#include "models/text/shell_word.h"
#include "models/text/utf8.h"
#include "rl/gdc.h"

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
  return text(config.entropy_coef > 0 ? "reward − β KL + α entropy" : "reward − β KL",
              config.gamma < 1 ? ", discounted" : "");
}

// What the best policy is, for a reader of its probabilities.
std::string definition_of_optimum(const TuneConfig& config) {
  if (config.is_gdc())
    return text("The target, prior", config.pointwise.empty() ? "" : " · hard constraints",
                config.feature.empty() ? "" : " · exp(Λ · features)",
                " / Z, is the nearest to the prior that has what was asked for.");
  if (config.gamma < 1)
    return "The optimum of discounted rewards gives each token the prior's probability times exp((Q − V) / β), with "
           "the soft values of gradus exact values; it is the best policy that fine-tuning can reach.";
  return "The posterior, prior · exp(reward / β) / Z, is the best policy that fine-tuning can reach.";
}

// A plot for each list that the log has under `column`: of the features of gdc, their moments beside the wanted ones,
// and Λ; and of the hard constraints the share of texts that keeps each.
struct Lists {
  const char *title, *column;
  const std::vector<std::string>& names;
  bool of_moments = true, has_levels = false;
};
LinePlot plot_of_lists(const RunLog& log, const Lists& lists) {
  LinePlot plot{.title = lists.title, .x = {.title = "step", .whole = true, .least = 0}, .y = {}, .series = {}};
  for (size_t i = 0; i < lists.names.size(); ++i) {
    const int colour = 1 + int(i % 4);
    const std::vector<double> y = log.steps[text(lists.column, "_", i + 1)];
    if (!any(y)) continue;
    std::string name = lists.names[i];
    if (lists.of_moments) try {
        const auto [feature, moment] = split_feature(name);
        name = feature;
        if (lists.has_levels) plot.levels.push_back({"wanted", moment, colour});
      } catch (const UsageError&) {  // a log that somebody has changed
        continue;
      }
    plot.series.push_back({name, log.steps.step, y, colour});
  }
  return plot;
}

std::vector<std::string> plots_of_features(const RunFacts& facts) {
  const std::vector<std::string>&feature = facts.tuning.feature, &pointwise = facts.tuning.pointwise;
  std::vector<std::string> plots;
  for (const Lists& lists :
       {Lists{"Moments", "moments", feature, true, true},
        Lists{"Moments of held-out prompts", "held_out_moments", feature, true, true}, Lists{"Λ", "lambda", feature},
        Lists{"Texts that keep a hard constraint, share", "pointwise", pointwise, false},
        Lists{"The same behind held-out prompts", "held_out_pointwise", pointwise, false}})
    if (const LinePlot plot = plot_of_lists(facts.log, lists); !plot.series.empty()) plots.push_back(to_html(plot));
  return plots;
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
  const std::string optimum = optimum_of(facts.tuning), to = "KL(policy, " + optimum + ")",
                    from = "KL(" + optimum + ", policy)";
  add(to.c_str(), "kl_to_posterior", "nats, by enumeration", 5);
  // Beside a hard constraint the other side is the finite one.
  if (!facts.tuning.pointwise.empty()) add(from.c_str(), "kl_from_target", "nats, by enumeration", 5);
  return out;
}

BarPlot bars(const RunLog& log, const TuneConfig& config) {
  std::vector<std::string> fields{"prior", "policy", "posterior"};
  const Json list = log.posterior.value("bars", Json::array());
  if (!list.empty() && !list[0].contains(fields.back())) fields.pop_back();
  BarPlot plot{.title = "Probabilities of the most probable sequences", .names = fields, .groups = {}};
  if (fields.size() == 3) plot.names.back() = optimum_of(config);
  for (const Json& bar : list) {
    std::vector<double> values;
    values.reserve(fields.size());
    for (const std::string& field : fields) values.push_back(bar.value(field, 0.0));
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
  if (!facts.tuning.preferences.empty())
    ;  // their file has the prompts
  else if (pairs)
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
  const bool rewarded = !facts.tuning.is_gdc() && facts.tuning.preferences.empty();
  if (rewarded) page.html(to_html(objective));
  const auto side_by_side = [&](const std::vector<Curves>& rows) {
    std::vector<std::string> plots;
    plots.reserve(rows.size());
    for (const Curves& row : rows) plots.push_back(to_html(plot_of(log, row)));
    page.side_by_side(plots);
  };
  std::vector<Curves> first{{"KL(policy, prior)", "nats a sequence", {{"kl", "estimated"}, {"kl_exact", "exact"}}},
                            {"Entropy", "nats a sequence", {{"entropy", "estimated"}, {"entropy_exact", "exact"}}}};
  if (rewarded) first.insert(first.begin(), {"Reward", "", {{"reward", "of the batch"}, {"reward_exact", "exact"}}});
  side_by_side(first);
  std::vector<Curves> more{
      {"Distinct n-grams", "share", {{"distinct_1", "single tokens"}, {"distinct_2", "pairs"}}},
      {"Gradient norm", "", {{"grad_norm", "norm"}}},
      {"Baseline and spread of the advantage", "", {{"baseline", "baseline"}, {"advantage_spread", "spread"}}}};
  if (facts.tuning.kl_target > 0) more.push_back({"KL coefficient β", "", {{"kl_coef", "β"}}});
  if (has_end_mark(log)) {
    more.push_back({"Sequences cut at the limit", "share", {{"cut", "without the end mark"}}});
    more.push_back({"Length", "tokens", {{"length", "mean of the batch"}}});
  }
  for (const Curves& row :
       {Curves{"Divergence from the target",
               "nats",
               {{"kl_to_posterior", "KL(policy, target)"}, {"kl_from_target", "KL(target, policy)"}}},
        Curves{"Loss of the preferences", "nats", {{"preference_loss", "of the batch"}}},
        Curves{"Preferences that the policy shares", "share", {{"preference_accuracy", "of the batch"}}},
        Curves{"Z", "", {{"z", "estimated"}}},
        Curves{"Effective sample size", "sequences", {{"ess", "of the weights"}}},
        Curves{"Error of the value network", "mean square", {{"value_loss", "error"}}},
        Curves{"Variance of its targets that the critic explains", "share", {{"explained_variance", "explained"}}},
        Curves{"Clipped draws", "share", {{"clip_share", "clipped"}}},
        Curves{"Updates of a step", "", {{"updates", "before --stop-kl"}}},
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
  if (const std::vector<std::string> plots = plots_of_features(facts); !plots.empty()) page.side_by_side(plots);
  side_by_side(more);
  if (log.posterior.is_object()) {
    page.section("The world");
    page.paragraph(text("The most probable of ", grouped(log.posterior.value("sequences", int64_t{0})), " sequences. ",
                        definition_of_optimum(facts.tuning)));
    page.html(to_html(bars(log, facts.tuning)));
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
