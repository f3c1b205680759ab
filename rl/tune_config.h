// The options of a fine-tuning run: the one table of their names, ranges, meanings and owners (models/run/options.h),
// like models/run/config.h for training, with the checks that involve several options.
#pragma once

#include "rl/tune_values.h"

namespace gradus {

// Replaces zeros by the defaults that they mean. Throws DataError if two options do not fit together.
void resolve(TuneConfig& config, int cores);
// Sets the algorithm that target and divergence imply; UsageError where another was given.
void imply_algorithm(TuneConfig& config, bool given);
// Replayed batches of dqn, which is used to some, where nobody has said how many.
inline constexpr int64_t kReplayOfDqn = 8;
void imply_replay(TuneConfig& config, bool given);
// Whether the logits of such a run are action values: what it has learnt is the greedy policy, not their softmax.
bool learns_action_values(const TuneConfig& config);
// Whether such a run learns from choices between two texts, and not from a reward.
bool learns_from_pairs(const TuneConfig& config);
// DataError where a reward cannot be paid as --pay says.
void require_payable(const TuneConfig& config);
// Only that. REQUIRES: resolved, or read from a file.
void check(const TuneConfig& config);
// The table, in the order of --help and of files. The rows point into `config`.
std::vector<Option> options(TuneConfig& config);
// What to do where the gradient of a step is not finite. That of the first knows no --lr: its target is to blame.
std::string remedy_of_step(const TuneConfig& config, int64_t step);
std::string remedy_of_target(const TuneConfig& config);
// What the run is tuned on, for a person.
std::string aim_of(const TuneConfig& config);
// And what the best policy is called: the posterior of a reward, which with a discount is none, or a target of moments.
std::string optimum_of(const TuneConfig& config);

std::string to_json(const TuneConfig& config);
// Throws DataError as config_from_json.
TuneConfig tune_config_from_json(const std::string& json, const std::string& source);

}  // namespace gradus
