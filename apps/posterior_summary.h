// What a run with a posterior over its parameters tells of it at the end of `gradus train`, in its log and in its
// report.
#pragma once

#include "apps/console.h"
#include "apps/run.h"
#include "engine/parallel.h"
#include "models/posterior/chains.h"
#include "models/run/checkpoint.h"

namespace gradus {

// The fields that a step of chains adds to its record: log_joint and acceptance of each chain, and `traced`, the same
// few parameters of each chain, one chain after the other.
Json record_of(const ChainSampler::Step& step);

// Of chains: mean acceptance (null where no step is rejected), and over log_joint and the traced parameters behind the
// burn-in, which the log of the run has, the least effective sample size and the greatest R̂; 0 and null where one of
// the chains has not moved, which it says. Of a guide: its KL from the prior, and the ELBO of the training text from
// draws, with its standard error. With `log` also a record of that type of the log. It can be interrupted.
inline constexpr const char* kParametersRecord = "parameters";
Json tell_posterior(const Checkpoint& run, const Corpus& corpus, Shards& shards, RunFolder& folder, Console& console,
                    bool log);

// Each parameter of the net: [{"name","shape","mean","spread"}], the root mean square of the means of its numbers and
// of their standard deviations; of a parameter of at most 16 numbers also "means" and "deviations", of each. REQUIRES:
// the run has a posterior.
Json posterior_parameters(const Checkpoint& run);

}  // namespace gradus
