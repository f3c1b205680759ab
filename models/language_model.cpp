#include "models/language_model.h"

#include <algorithm>

namespace gradus {

State::State(int64_t B, int64_t reals, int64_t window_tokens)
    : rows(B),
      width(reals),
      window(window_tokens),
      memory(size_t(B * reals)),
      tokens(size_t(B * window_tokens)),
      position(size_t(B)) {}

// to = the chosen rows of from, `width` numbers each; the two change places afterwards.
template <class T>
static void gather(std::vector<T>& from, std::vector<T>& to, int64_t width, std::span<const int64_t> which) {
  to.resize(which.size() * size_t(width));
  for (size_t i = 0; i < which.size(); ++i)
    std::copy_n(from.begin() + which[i] * width, width, to.begin() + int64_t(i) * width);
  from.swap(to);
}

void State::select(std::span<const int64_t> which) {
  for (int64_t r : which)
    require(r >= 0 && r < rows, "select", Loc::here(), "row ", r, " is not among the ", rows, " of the state");
  gather(memory, spare_memory_, width, which);
  gather(tokens, spare_tokens_, window, which);
  gather(position, spare_position_, 1, which);
  rows = int64_t(which.size());
}

LanguageModel::LanguageModel(const Config& config, int64_t vocabulary)
    : config_(config), vocabulary_(vocabulary), rung_(config.ops == "composed" ? composed_rung() : fused_rung()) {}

}  // namespace gradus
