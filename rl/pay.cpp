#include "rl/pay.h"

#include <numeric>
#include <utility>

namespace gradus {

RewardFunction paid_by_step(RewardFunction whole) {
  return [whole = std::move(whole)](const Sequences& sequences, std::span<const int32_t> prompt) {
    Sequences beginnings(sequences.end_id());
    std::vector<int32_t> of;
    for (int64_t i = 0; i < sequences.size(); ++i)
      for (size_t n = 1; n <= sequences.draws(i).size(); ++n) {
        beginnings.add(sequences.draws(i).first(n));
        of.push_back(prompt[size_t(i)]);
      }
    std::vector<double> r = whole(beginnings, of);
    size_t end = 0;
    for (int64_t i = 0; i < sequences.size(); ++i) {
      const size_t first = std::exchange(end, end + sequences.draws(i).size());
      for (size_t t = end; t-- > first + 1;) r[t] -= r[t - 1];
    }
    return r;
  };
}

std::vector<double> paid_in_all(const Sequences& sequences, std::span<const double> reward) {
  if (std::ssize(reward) == sequences.size()) return {reward.begin(), reward.end()};
  std::vector<double> sum;
  size_t end = 0;
  for (int64_t i = 0; i < sequences.size(); ++i) {
    const size_t first = std::exchange(end, end + sequences.draws(i).size());
    sum.push_back(std::accumulate(reward.begin() + int64_t(first), reward.begin() + int64_t(end), 0.0));
  }
  return sum;
}

}  // namespace gradus
