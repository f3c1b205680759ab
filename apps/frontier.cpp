// gradus frontier: the most reward at each KL(policy, prior) in a world small enough to list, best-of-N beside it, and
// where given runs stand.
#include <cmath>
#include <cstdio>
#include <memory>
#include <optional>

#include "apps/exact.h"
#include "apps/format.h"
#include "apps/frontier_learned.h"
#include "apps/report/page.h"
#include "apps/report/plot.h"
#include "apps/run.h"
#include "engine/io/file.h"
#include "engine/io/json_number.h"
#include "models/text/utf8.h"
#include "rl/rewards/reward.h"
#include "rl/tables/frontier.h"

namespace gradus {
namespace {

constexpr int kPoints = 41;
constexpr int64_t kMostDraws = 1024;  // of best-of-N

// Runs that were tuned on rewards aim at the frontier; those of moments, and those that were trained, do not.
struct Kind {
  const char* name;
  int colour;  // on the page
};
constexpr Kind kRewarded{"tuned on rewards", 3}, kOther{"other runs", 4};

struct RunPoint {
  std::string run;
  const Kind* kind;
  double reward, kl, above;  // above: nats more than the least with this reward
};
struct Points {
  std::vector<FrontierPoint> curve;
  std::vector<BestOfN> best;
  std::vector<RunPoint> runs;
  std::unique_ptr<LearnedReward> learned;  // where one was given
};

Points find_points(const FrontierCommand& command) {
  const Checkpoint prior = load_checkpoint(command.run);
  note_burn_in(prior, command.common);
  const Reward reward(command.reward, prior.tokenizer);
  const World world{prior.beginning(command.prompt), prior.tokenizer.end_id(), command.max_tokens, command.temperature};
  const RewardFunction score = text_reward(reward, prior.tokenizer, {prior.prompt(command.prompt)});
  const Enumeration all = enumerate_one(prior, world);
  const std::vector<double> r = rewards_of(all.sequences, score);
  const Table q = Table::of_logs(all.log_prob[0]);
  Points points{.curve = frontier_points(q, r, kPoints), .best = {}, .runs = {}, .learned = {}};
  if (!command.learned.empty())
    points.learned = std::make_unique<LearnedReward>(command.learned, prior.tokenizer, prior.prompt(command.prompt), q,
                                                     all.sequences, r);
  for (int64_t n = 1; n <= kMostDraws; n *= 2) points.best.push_back(best_of_n(q, r, n));
  for (const std::string& name : command.runs) {
    const Checkpoint run = load_beside(name, prior);
    const Enumeration both = enumerate_both(run, prior, world);
    const std::vector<double> rewards = rewards_of(both.sequences, score);
    const Table pi = Table::of_logs(both.log_prob[0]), from = Table::of_logs(both.log_prob[1]);
    const std::optional<TuneConfig> tuning = tuning_of(name);
    points.runs.push_back({name, tuning && !tuning->is_gdc() ? &kRewarded : &kOther, pi.mean(rewards), kl(pi, from),
                           kl_to_frontier(pi, from, rewards)});
    if (points.learned) points.learned->add(name, pi, both.sequences, points.runs.back().reward, points.runs.back().kl);
  }
  return points;
}

Json to_json(const Points& points) {
  Json json{{"frontier", Json::array()}, {"best_of_n", Json::array()}, {"runs", Json::array()}};
  for (const FrontierPoint& p : points.curve)
    json["frontier"].push_back({{"beta", json_number(p.beta)}, {"reward", p.reward}, {"kl", p.kl}});
  for (const BestOfN& b : points.best)
    json["best_of_n"].push_back({{"n", b.n}, {"reward", b.reward}, {"kl", b.kl}, {"kl_usual", b.kl_usual}});
  for (size_t i = 0; i < points.runs.size(); ++i) {
    const RunPoint& p = points.runs[i];
    Json run{{"run", p.run}, {"reward", p.reward}, {"kl", json_number(p.kl)}, {"kl_to_frontier", json_number(p.above)}};
    if (points.learned) run["learned"] = json_number(points.learned->of_run(i));
    json["runs"].push_back(std::move(run));
  }
  if (points.learned) json["learned"] = points.learned->optima();
  return json;
}

// The frontier begins at the prior: a run that earns less is compared with the nearest policy that earns as little.
bool is_below_prior(const Points& points, const RunPoint& p) {
  return p.reward < points.curve[0].reward - 1e-9 * std::fabs(points.curve[0].reward);
}

void print(const Points& points) {
  const auto cell = [](double x) { return right(fixed(x, 6), 12); };
  std::printf("%13s %12s %12s\n", "β", "E[reward]", "KL, nats");
  for (size_t k = 0; k < points.curve.size(); k += 4)
    std::printf("%12s %s %s\n", significant(points.curve[k].beta, 6).c_str(), cell(points.curve[k].reward).c_str(),
                cell(points.curve[k].kl).c_str());
  std::printf("\n%12s %12s %12s %12s\n", "best of", "E[reward]", "KL, nats", "usual KL");
  for (const BestOfN& b : points.best)
    std::printf("%12s %s %s %s\n", grouped(b.n).c_str(), cell(b.reward).c_str(), cell(b.kl).c_str(),
                cell(b.kl_usual).c_str());
  if (!points.runs.empty()) std::printf("\n%12s %12s %12s  run\n", "E[reward]", "KL, nats", "excess KL");
  for (const RunPoint& p : points.runs)
    std::printf("%s %s %s  %s%s\n", cell(p.reward).c_str(), cell(p.kl).c_str(), cell(p.above).c_str(),
                one_line(p.run, 80).c_str(), is_below_prior(points, p) ? " (earns less than the prior)" : "");
  if (points.learned) points.learned->print();
}

std::string page_of(const FrontierCommand& command, const Points& points) {
  Page page("Frontier", text("of ", command.run, " on the reward ", joined(command.reward, " + ")));
  LinePlot plot{.title = "E[reward] against KL(policy, prior)",
                .x = {.title = "nats a sequence"},
                .y = {},
                .series = {},
                .height = 360};
  Series frontier{.name = "frontier", .x = {}, .y = {}},
      usual{.name = "best of N at log N − (N−1)/N", .x = {}, .y = {}, .colour = 2, .stroke = Stroke::kFaint},
      draws{.name = "best of N", .x = {}, .y = {}, .colour = 2, .stroke = Stroke::kMarks};
  for (const FrontierPoint& p : points.curve) frontier.x.push_back(p.kl), frontier.y.push_back(p.reward);
  for (const BestOfN& b : points.best) {
    draws.x.push_back(b.kl), usual.x.push_back(b.kl_usual);
    draws.y.push_back(b.reward), usual.y.push_back(b.reward);
    draws.labels.push_back(text("best of ", grouped(b.n)));
  }
  plot.series = {frontier, usual, draws};
  if (points.learned) plot.series.push_back(points.learned->truth_of_optima());
  for (const Kind* kind : {&kRewarded, &kOther}) {
    Series runs{.name = kind->name, .x = {}, .y = {}, .colour = kind->colour, .stroke = Stroke::kMarks};
    for (const RunPoint& r : points.runs)
      if (r.kind == kind) runs.x.push_back(r.kl), runs.y.push_back(r.reward), runs.labels.push_back(r.run);
    if (!runs.x.empty()) plot.series.push_back(runs);
  }
  page.section("The frontier");
  page.html(to_html(plot));
  page.paragraph(
      "No policy lies above the curve: it is prior · exp(reward / β) / Z, for every β. Best of N is the first of "
      "the best among N draws from the prior: a point where it is, and the pale line at the KL that is usually given "
      "for it, which is an upper bound.");
  if (points.learned) points.learned->show(page);
  if (points.runs.empty()) return page.str("gradus");
  page.section("Runs");
  std::vector<Page::Fact> facts;
  for (const RunPoint& r : points.runs)
    facts.push_back({r.run, text("reward ", fixed(r.reward, 6), ", KL ", fixed(r.kl, 6), ", ", fixed(r.above, 6),
                                 is_below_prior(points, r) ? " nats more than the nearest policy that earns as little, "
                                                             "for it earns less than the prior"
                                                           : " nats more than the frontier")});
  page.facts(facts);
  return page.str("gradus");
}

}  // namespace

int frontier(const FrontierCommand& command) {
  std::vector<std::string> runs = command.runs;
  runs.push_back(command.run);
  note_action_values(runs, command.common);
  const Points points = find_points(command);
  if (!command.html.empty()) write_file_atomically(command.html, page_of(command, points));
  if (command.common.json) return print_json(to_json(points));
  print(points);
  return kDone;
}

}  // namespace gradus
