#include "rl/rewards/overlap.h"

#include <algorithm>
#include <cmath>
#include <map>

namespace gradus {

// n-grams of a text, with how often each occurs.
static std::map<std::vector<int32_t>, int64_t> grams_of(Tokens text, size_t n) {
  std::map<std::vector<int32_t>, int64_t> grams;
  for (size_t t = 0; t + n <= text.size(); ++t) ++grams[{text.begin() + int64_t(t), text.begin() + int64_t(t + n)}];
  return grams;
}

void Bleu::add(Tokens text, References references) {
  const auto off = [&](const std::vector<int32_t>& r) { return std::abs(std::ssize(r) - std::ssize(text)); };
  length_ += double(text.size());
  wanted_ += double(std::ranges::min_element(references, [&](const auto& a, const auto& b) {
                      return off(a) != off(b) ? off(a) < off(b) : a.size() < b.size();
                    })->size());
  for (size_t n = 1; n <= kOrders; ++n) {
    std::map<std::vector<int32_t>, int64_t> most;  // of each n-gram, in one reference
    for (const std::vector<int32_t>& reference : references)
      for (const auto& [gram, times] : grams_of(reference, n)) most[gram] = std::max(most[gram], times);
    for (const auto& [gram, times] : grams_of(text, n)) {
      grams_[n - 1] += double(times);
      if (const auto found = most.find(gram); found != most.end())
        matches_[n - 1] += double(std::min(times, found->second));
    }
  }
}

// `more` matches and n-grams beside those of n > 1.
double Bleu::geometric_mean(double more) const {
  if (length_ == 0) return wanted_ == 0 ? 1 : 0;
  double sum = 0, orders = 0;
  for (size_t n = 1; n <= kOrders; ++n) {
    const double beside = n > 1 ? more : 0, matches = matches_[n - 1] + beside, grams = grams_[n - 1] + beside;
    if (grams == 0) continue;
    if (matches == 0) return 0;
    sum += std::log(matches / grams);
    ++orders;
  }
  return std::exp(sum / orders + std::min(0.0, 1 - wanted_ / length_));
}

double Bleu::score() const { return geometric_mean(0); }
double Bleu::smoothed() const { return geometric_mean(1); }

static int64_t longest_common_subsequence(Tokens a, Tokens b) {
  std::vector<int64_t> row(b.size() + 1, 0);  // of a's tokens so far with the first j of b
  for (const int32_t token : a) {
    int64_t diagonal = 0;
    for (size_t j = 1; j <= b.size(); ++j) {
      const int64_t above = row[j];
      row[j] = token == b[j - 1] ? diagonal + 1 : std::max(above, row[j - 1]);
      diagonal = above;
    }
  }
  return row.back();
}

// The largest value of `f` over the references.
template <class F>
static double best(References references, F f) {
  double most = 0;
  for (const std::vector<int32_t>& reference : references) most = std::max(most, f(Tokens(reference)));
  return most;
}

double rouge_l(Tokens text, References references) {
  return best(references, [&](Tokens r) {
    const double tokens = double(text.size() + r.size());
    return tokens == 0 ? 1.0 : 2 * double(longest_common_subsequence(text, r)) / tokens;
  });
}

double exact_match(Tokens text, References references) {
  return best(references, [&](Tokens r) { return std::ranges::equal(text, r) ? 1.0 : 0.0; });
}

}  // namespace gradus
