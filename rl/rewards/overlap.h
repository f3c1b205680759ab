// How much a text agrees with the texts that are wanted, token by token: the metrics of translations and summaries.
// Each lies in [0, 1] and is 1 where the text is one of its references. An empty text is worth 1 where a reference is
// empty, else 0.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

namespace gradus {

using Tokens = std::span<const int32_t>;
using References = std::span<const std::vector<int32_t>>;  // at least one

// BLEU of one text or of many: the geometric mean of the shares p_n of the n-grams, n = 1..4, that occur in a reference
// too, no more often than it has them, times e^(1 − r/c) where the c tokens of the texts are fewer than the r of the
// references nearest to them in length (Papineni et al. 2002). n-grams for which all texts are too short do not count.
class Bleu {
 public:
  void add(Tokens text, References references);
  double score() const;  // as above: 0 where nothing matches at one n
  // For n > 1 with one more match and one more n-gram, so that a short text is not worth 0 for want of four tokens in a
  // row (Lin and Och 2004).
  double smoothed() const;

 private:
  static constexpr size_t kOrders = 4;
  double geometric_mean(double more) const;
  std::array<double, kOrders> matches_{}, grams_{};
  double length_ = 0, wanted_ = 0;  // c and r
};

// F1 of the longest common subsequence with the best of the references: 2 L / (tokens of the text + of the reference)
// (ROUGE-L; Lin 2004).
double rouge_l(Tokens text, References references);
// 1 where the text is one of the references.
double exact_match(Tokens text, References references);

}  // namespace gradus
