// Every sequence of a world with its log-probability under one or several models: a walk over the tree of prefixes,
// depth first, a chunk of prefixes at a time, so that a model sees each prefix once and memory stays bounded.
#pragma once

#include <limits>

#include "models/language_model.h"
#include "rl/sequences.h"

namespace gradus {

inline constexpr int64_t kMaxSequences = 1'000'000;  // of an exact world
inline constexpr int64_t kMaxDraws = 100'000'000;    // of all its sequences together
inline constexpr double kImpossible = -std::numeric_limits<double>::infinity();

// Thrown for a world that is not exact, with what would be.
struct WorldTooLarge : DataError {
  using DataError::DataError;
};

struct Enumeration {
  Sequences sequences;
  std::vector<std::vector<double>> log_prob;  // [model][sequence]; kImpossible where that model excludes it

  // Σ exp(log_prob[model]): 1 up to rounding, since a sequence cut at the limit counts too.
  double total_probability(size_t model = 0) const;
};

// All sequences of non-zero probability under at least one of the models. In no meaningful order, but always the same.
//
// Memory: the result takes 4 bytes a draw and 8 (1 + models) a sequence, 100 MB for 10^6 sequences of 20 draws; the
// walk itself about kWalkBytes (but at least 16 prefixes of each length), whatever the number of sequences.
// WorldTooLarge where there are more than `most`, or more than kMaxDraws draws; DivergedError where a logit is NaN.
// REQUIRES: the models share a vocabulary; temperature > 0; max_tokens ≥ 1.
Enumeration enumerate(std::span<const LanguageModel* const> models, const World& world, int64_t most = kMaxSequences);
Enumeration enumerate(const LanguageModel& model, const World& world, int64_t most = kMaxSequences);
inline constexpr int64_t kWalkBytes = int64_t{64} << 20;

// WorldTooLarge where that can be known before the walk: every token can follow every other, and they are too many.
void require_listable(std::span<const LanguageModel* const> models, const World& world, int64_t most = kMaxSequences);
// Bytes of the walk and of its result, at most; what a model's exclusions leave is not known, and not counted.
double walk_bytes(std::span<const LanguageModel* const> models, const World& world);

// Sequences of a world in which every token can follow every other, up to `most` + 1: what enumerate() will meet unless
// a model excludes something.
int64_t full_size(const World& world, int64_t vocabulary, int64_t most = kMaxSequences);

}  // namespace gradus
