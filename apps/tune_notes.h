// Notes of gradus tune on runs that will not do what their user wants, each said once.
#pragma once

#include "apps/tuned_run.h"

namespace gradus {

// As the run begins: rewards that can never change, and one that looks like several.
void note_rewards(Console& console, const TunedRun& run);

class StepNotes {
 public:
  explicit StepNotes(const TuneConfig& config)
      : has_reward_(!config.is_gdc() && !learns_from_pairs(config)),
        one_update_(config.epochs * config.minibatches == 1) {}
  // After a step: all rewards of its batch are equal, the clip cannot act, or the KL has run away.
  void look(Console& console, const TuneMetrics& metrics, const Experience& fresh);

 private:
  const bool has_reward_;  // not one of moments and constraints, which are met where it is the same for all
  const bool one_update_;
  bool said_equal_ = false, said_clip_ = false, said_kl_ = false;
};

}  // namespace gradus
