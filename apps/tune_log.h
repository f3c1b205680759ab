// The output of gradus tune: records of the log, and progress lines and samples for a person.
#pragma once

#include "apps/tuned_run.h"
#include "rl/worlds/known_worlds.h"

namespace gradus {

void introduce(Console& console, const TunedRun& run, const std::string& workers, const KnownWorlds* known);
// The first record of the log.
Json run_record(const TunedRun& run);

// What the metrics of a step say, and the truth of a world that is known.
Json record_of(int64_t step, const TuneMetrics& m);
// `rewarded`: there is a reward; else what is said of it is null.
void add_truth(Json& record, const Truth& t, bool rewarded);
// What f-DPG knows of Z and, of a target with features (else null), moments and Λ; there the reward is null, for it is
// Λ·φ + log b.
void add_target(Json& record, const TuneMetrics& m, const Method& method, const Features* target);
// In one line, of which a person keeps every tenth part of the run.
void show_step(Console& console, const TuneMetrics& m, int64_t step, const std::optional<Truth>& truth,
               const TuneConfig& config);

// A few samples of the model that acts, with their prompts. The same random numbers whenever they are drawn, so that
// what changed between two calls is the policy.
void log_samples(RunFolder& folder, const TunedRun& run, const LanguageModel& acting);
void show_samples(Console& console, const TunedRun& run, const LanguageModel& acting);
// Policy, prior and posterior of the most probable sequences of the first prompt.
void log_bars(RunFolder& folder, const TunedRun& run, const KnownWorlds& known);

}  // namespace gradus
