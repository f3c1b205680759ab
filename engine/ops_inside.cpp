#include "engine/ops_inside.h"

namespace gradus {

std::vector<Inside> inside(const Op& op, int64_t sequence) {
  for (const auto of : {inside_of_attention, inside_of_lstm, inside_of_rnn})
    if (std::vector<Inside> found = of(op, sequence); !found.empty()) return found;
  return {};
}

}  // namespace gradus
