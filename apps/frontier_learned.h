// What becomes of a true reward where another one, learnt from choices, is raised in its place: the rewards that
// `gradus frontier --learned` puts beside those of the frontier (Gao, Schulman and Hilton 2023, arXiv 2210.10760,
// measure the same with a large model for the truth; in a listed world it is exact).
#pragma once

#include <string>
#include <vector>

#include "apps/report/page.h"
#include "apps/report/plot.h"
#include "engine/io/json.h"
#include "models/text/tokenizer.h"
#include "rl/rewards/reward.h"
#include "rl/tables/divergence.h"

namespace gradus {

class LearnedReward {
 public:
  // Of the prior q over listed sequences, with their true rewards r. A learnt reward knows no constant: it is moved to
  // the mean that r has under q.
  LearnedReward(const std::vector<std::string>& terms, const Tokenizer& tokenizer, const Prompt& prompt, const Table& q,
                const Sequences& sequences, std::span<const double> r);
  LearnedReward(const LearnedReward&) = delete;

  // A run, π over sequences that may be others, with its true reward and its KL from the prior.
  void add(const std::string& run, const Table& pi, const Sequences& sequences, double reward, double kl);

  Json optima() const;                                        // [{"beta","learned","reward","kl"}]
  double of_run(size_t i) const { return runs_[i].learned; }  // in the order in which they were added
  Series truth_of_optima() const;                             // true reward against KL, for the frontier's plot
  void print() const;
  void show(Page& page) const;  // a section: both rewards, and how far they come apart

 private:
  struct Point {
    std::string run = {};  // of an optimum none
    double beta, learned, reward, kl;
  };
  std::vector<double> score(const Sequences& sequences) const;

  const std::vector<std::string> names_;
  const Reward terms_;
  const RewardFunction reward_;
  double shift_ = 0;
  std::vector<Point> optima_, runs_;  // of a run β means nothing
};

}  // namespace gradus
