#include <map>

#include "tests/exercises/12_bpe/exercise.h"

namespace gradus::lesson {

std::vector<Merge> train_bpe(std::string_view text, int most) {
  std::vector<int> tokens;
  for (const char c : text) tokens.push_back(static_cast<unsigned char>(c));
  std::vector<Merge> merges;
  while (int(merges.size()) < most) {
    std::map<std::pair<int, int>, int> count;  // in the order that decides between equals
    for (size_t i = 1; i < tokens.size(); ++i) ++count[{tokens[i - 1], tokens[i]}];
    std::pair<int, int> best;
    int times = 1;
    for (const auto& [pair, n] : count)
      if (n > times) best = pair, times = n;
    if (times == 1) break;
    std::vector<int> shorter;
    for (size_t i = 0; i < tokens.size(); ++i) {
      if (i + 1 < tokens.size() && tokens[i] == best.first && tokens[i + 1] == best.second) {
        shorter.push_back(256 + int(merges.size()));
        ++i;  // both are used up
      } else {
        shorter.push_back(tokens[i]);
      }
    }
    tokens = shorter;
    merges.push_back({best.first, best.second});
  }
  return merges;
}

}  // namespace gradus::lesson
