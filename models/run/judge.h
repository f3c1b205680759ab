// What a trained classifier says of texts.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "models/run/checkpoint.h"

namespace gradus {

// As a classifier reads a text: the mark, then its tokens, as many of both as the context of the run; `cut` counts the
// texts that have more. DataError for a token that is not in its vocabulary.
std::vector<int32_t> read_by(const Checkpoint& classifier, std::string_view text, int64_t* cut = nullptr);

struct Judgement {
  std::vector<double> probability;  // of each label
  std::vector<double> features;     // the pooled ones that they were made from
  size_t likeliest() const;         // of equal ones the first
};
inline constexpr int64_t kSideBySide = 32;  // texts that judge() asks at once
// Of texts that read_by() has read, some side by side: what is said of one does not depend on the others but for the
// last bits of a product. Makes a tape of its own, so several threads may call it. DivergedError where a number is NaN.
std::vector<Judgement> judge(const Checkpoint& classifier, std::span<const std::vector<int32_t>> texts);

}  // namespace gradus
