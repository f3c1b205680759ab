// gradus frontier: the most reward at each KL(policy, prior) in a world small enough to list, best-of-N beside it, and
// where given runs stand.
#include <cmath>
#include <cstdio>

#include "apps/exact.h"
#include "apps/format.h"
#include "apps/report/page.h"
#include "apps/report/plot.h"
#include "engine/io/file.h"
#include "engine/io/json_number.h"
#include "models/text/utf8.h"
#include "rl/rewards/reward.h"
#include "rl/tables/frontier.h"

namespace gradus {
namespace {

constexpr int kPoints = 41;
constexpr int64_t kMostDraws = 1024;  // of best-of-N

struct RunPoint {
  std::string run;
  double reward, kl, above;  // above: nats more than the frontier
};
struct Points {
  std::vector<FrontierPoint> curve;
  std::vector<BestOfN> best;
  std::vector<RunPoint> runs;
};

Points find_points(const FrontierCommand& command) {
  const Checkpoint prior = load_checkpoint(command.run);
  const Reward reward(command.reward, prior.tokenizer);
  const World world{prior.beginning(command.prompt), prior.tokenizer.end_id(), command.max_tokens, command.temperature};
  const RewardFunction score = text_reward(reward, prior.tokenizer, {prior.prompt(command.prompt)});
  const Enumeration all = enumerate_one(prior, world);
  const std::vector<double> r = rewards_of(all.sequences, score);
  const Table q = Table::of_logs(all.log_prob[0]);
  Points points{.curve = frontier_points(q, r, kPoints), .best = {}, .runs = {}};
  for (int64_t n = 1; n <= kMostDraws; n *= 2) points.best.push_back(best_of_n(q, r, n));
  for (const std::string& name : command.runs) {
    const Checkpoint run = load_beside(name, prior);
    const Enumeration both = enumerate_both(run, prior, world);
    const std::vector<double> rewards = rewards_of(both.sequences, score);
    const Table pi = Table::of_logs(both.log_prob[0]), from = Table::of_logs(both.log_prob[1]);
    points.runs.push_back({name, pi.mean(rewards), kl(pi, from), kl_to_frontier(pi, from, rewards)});
  }
  return points;
}

Json to_json(const Points& points) {
  Json json{{"frontier", Json::array()}, {"best_of_n", Json::array()}, {"runs", Json::array()}};
  for (const FrontierPoint& p : points.curve)
    json["frontier"].push_back({{"beta", json_number(p.beta)}, {"reward", p.reward}, {"kl", p.kl}});
  for (const BestOfN& b : points.best)
    json["best_of_n"].push_back({{"n", b.n}, {"reward", b.reward}, {"kl", b.kl}, {"kl_usual", b.kl_usual}});
  for (const RunPoint& p : points.runs)
    json["runs"].push_back(
        {{"run", p.run}, {"reward", p.reward}, {"kl", json_number(p.kl)}, {"kl_to_frontier", json_number(p.above)}});
  return json;
}

void print(const Points& points) {
  const auto cell = [](double x) { return right(fixed(x, 6), 12); };
  std::printf("%12s %12s %12s\n", "beta", "E[reward]", "KL, nats");
  for (size_t k = 0; k < points.curve.size(); k += 4)
    std::printf("%12s %s %s\n", significant(points.curve[k].beta, 6).c_str(), cell(points.curve[k].reward).c_str(),
                cell(points.curve[k].kl).c_str());
  std::printf("\n%12s %12s %12s %12s\n", "best of", "E[reward]", "KL, nats", "log N - (N-1)/N");
  for (const BestOfN& b : points.best)
    std::printf("%12s %s %s %s\n", grouped(b.n).c_str(), cell(b.reward).c_str(), cell(b.kl).c_str(),
                cell(b.kl_usual).c_str());
  if (!points.runs.empty()) std::printf("\n%12s %12s %12s  run\n", "E[reward]", "KL, nats", "above");
  for (const RunPoint& p : points.runs)
    std::printf("%s %s %s  %s\n", cell(p.reward).c_str(), cell(p.kl).c_str(), cell(p.above).c_str(),
                one_line(p.run, 80).c_str());
}

std::string page_of(const FrontierCommand& command, const Points& points) {
  Page page("Frontier", text("of ", command.run, " on the reward ", joined(command.reward, " + ")));
  LinePlot plot{.title = "E[reward] against KL(policy, prior)",
                .x = {.title = "nats a sequence"},
                .y = {},
                .series = {},
                .height = 360};
  Series frontier{.name = "frontier", .x = {}, .y = {}},
      draws{.name = "best of N", .x = {}, .y = {}, .colour = 2, .stroke = Stroke::kDots};
  for (const FrontierPoint& p : points.curve) frontier.x.push_back(p.kl), frontier.y.push_back(p.reward);
  for (const BestOfN& b : points.best) draws.x.push_back(b.kl), draws.y.push_back(b.reward);
  plot.series = {frontier, draws};
  for (size_t i = 0; i < points.runs.size(); ++i) {
    const RunPoint& r = points.runs[i];
    plot.series.push_back(
        {.name = r.run, .x = {r.kl}, .y = {r.reward}, .colour = 3 + int(i % 2), .stroke = Stroke::kDots});
  }
  page.section("The frontier");
  page.html(to_html(plot));
  page.paragraph(
      "No policy lies above the curve: it is prior e^(reward / beta) over Z, for every beta. Best of N is the first of "
      "the best among N draws from the prior.");
  if (points.runs.empty()) return page.str("gradus");
  page.section("Runs");
  std::vector<Page::Fact> facts;
  for (const RunPoint& r : points.runs)
    facts.push_back({r.run, text("reward ", fixed(r.reward, 6), ", KL ", fixed(r.kl, 6), ", ", fixed(r.above, 6),
                                 " nats more than the frontier")});
  page.facts(facts);
  return page.str("gradus");
}

}  // namespace

int frontier(const FrontierCommand& command) {
  const Points points = find_points(command);
  if (!command.html.empty()) write_file_atomically(command.html, page_of(command, points));
  if (command.common.json) return print_json(to_json(points));
  print(points);
  return kDone;
}

}  // namespace gradus
