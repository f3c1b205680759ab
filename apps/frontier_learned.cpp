#include "apps/frontier_learned.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "apps/exact.h"
#include "apps/format.h"
#include "engine/io/json_number.h"
#include "models/text/utf8.h"
#include "rl/tables/frontier.h"
#include "rl/tables/posterior.h"

namespace gradus {

static constexpr int kOptima = 41;
static constexpr Stroke kRuns = Stroke::kMarks;
static constexpr const char *kPromised = "learnt reward at its optima", *kTrue = "true reward there";

LearnedReward::LearnedReward(const std::vector<std::string>& terms, const Tokenizer& tokenizer, const Prompt& prompt,
                             const Table& q, const Sequences& sequences, std::span<const double> r)
    : names_(terms), terms_(terms, tokenizer), reward_(text_reward(terms_, tokenizer, {prompt})) {
  std::vector<double> learned = score(sequences);
  shift_ = q.mean(r) - q.mean(learned);
  for (double& x : learned) x += shift_;
  for (const FrontierPoint& p : frontier_points(q, learned, kOptima)) {
    if (p.beta == 0) continue;  // the best sequence alone
    const double truth = std::isinf(p.beta) ? q.mean(r) : posterior(q, learned, p.beta).table.mean(r);
    optima_.push_back({.beta = p.beta, .learned = p.reward, .reward = truth, .kl = p.kl});
  }
}

std::vector<double> LearnedReward::score(const Sequences& sequences) const {
  std::vector<double> x = rewards_of(sequences, reward_);
  for (double& one : x) one += shift_;
  return x;
}

void LearnedReward::add(const std::string& run, const Table& pi, const Sequences& sequences, double reward, double kl) {
  runs_.push_back({.run = run, .beta = 0, .learned = pi.mean(score(sequences)), .reward = reward, .kl = kl});
}

Json LearnedReward::optima() const {
  Json list = Json::array();
  for (const Point& p : optima_)
    list.push_back({{"beta", json_number(p.beta)}, {"learned", p.learned}, {"reward", p.reward}, {"kl", p.kl}});
  return list;
}

Series LearnedReward::truth_of_optima() const {
  Series s{.name = "optima of the learnt reward", .x = {}, .y = {}, .colour = 4};
  for (const Point& p : optima_) s.x.push_back(p.kl), s.y.push_back(p.reward);
  return s;
}

void LearnedReward::print() const {
  const auto line = [](const Point& p, const std::string& what) {
    const auto cell = [](double x) { return right(fixed(x, 6), 12); };
    std::printf("%s %s %s %s  %s\n", cell(p.learned).c_str(), cell(p.reward).c_str(),
                cell(p.learned - p.reward).c_str(), cell(p.kl).c_str(), what.c_str());
  };
  std::printf("\n%12s %12s %12s %12s  where the learnt reward is raised\n", "E[learnt]", "E[true]", "gap", "KL, nats");
  for (size_t k = 0; k < optima_.size(); k += 4) line(optima_[k], "beta " + significant(optima_[k].beta, 6));
  for (size_t i = 0; i < runs_.size(); ++i) line(runs_[i], one_line(runs_[i].run, 80));
}

// What `value` says of these points, against their KL.
template <class Points, class Value>
static Series series_of(Points points, const std::string& name, int colour, Stroke stroke, Value value) {
  std::ranges::sort(points, {}, [](const auto& p) { return p.kl; });
  Series s{.name = name, .x = {}, .y = {}, .colour = colour, .stroke = stroke};
  for (const auto& p : points) {
    s.x.push_back(p.kl);
    s.y.push_back(value(p));
    if (stroke == kRuns) s.labels.push_back(p.run);
  }
  return s;
}

void LearnedReward::show(Page& page) const {
  const auto learned = [](const Point& p) { return p.learned; };
  const auto truth = [](const Point& p) { return p.reward; };
  const auto gap = [](const Point& p) { return p.learned - p.reward; };
  LinePlot plot{.title = "Learnt and true reward against KL(policy, prior)",
                .x = {.title = "nats a sequence"},
                .y = {},
                .series = {series_of(optima_, kPromised, 4, Stroke::kLine, learned),
                           series_of(optima_, kTrue, 1, Stroke::kLine, truth)},
                .height = 360},
      apart{.title = "The gap: learnt minus true reward",
            .x = {.title = "nats a sequence"},
            .y = {},
            .series = {series_of(optima_, "at the optima", 2, Stroke::kLine, gap)}};
  if (!runs_.empty()) {
    plot.series.push_back(series_of(runs_, "learnt reward of runs", 4, kRuns, learned));
    plot.series.push_back(series_of(runs_, "true reward of runs", 1, kRuns, truth));
    apart.series.push_back(series_of(runs_, "of runs", 3, kRuns, gap));
  }
  page.section("The learnt reward");
  page.html(to_html(plot));
  page.html(to_html(apart));
  const auto best = std::ranges::max_element(optima_, {}, &Point::reward);
  const Point& last = optima_.back();
  page.paragraph(text("The lines are exact. The line \"", kPromised, "\" is E[", joined(names_, " + "),
                      "] where it is raised as far as it goes at each KL, and \"", kTrue,
                      "\" is the true reward of the same policies. Choices leave the constant of a learnt reward open, "
                      "so it is moved to have the mean of the true one under the prior, where both lines begin. Its "
                      "scale stays as it was learnt: a gap is also what a larger or smaller scale makes. The true "
                      "reward is at its best, ",
                      fixed(best->reward, 4), ", at ", fixed(best->kl, 2), " nats (beta ", significant(best->beta, 3),
                      "), where the gap is ", fixed(best->learned - best->reward, 4), "; at ", fixed(last.kl, 2),
                      " nats the gap is ", fixed(last.learned - last.reward, 4), "."));
  std::vector<Page::Fact> facts;
  for (size_t i = 0; i < runs_.size(); ++i)
    facts.push_back({runs_[i].run, text("learnt ", fixed(runs_[i].learned, 6), ", true ", fixed(runs_[i].reward, 6),
                                        ", gap ", fixed(runs_[i].learned - runs_[i].reward, 6))});
  if (!facts.empty()) page.facts(facts);
}

}  // namespace gradus
