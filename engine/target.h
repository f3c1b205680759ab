// kNoTarget, which marks a position that is not scored; for ops, and for texts, which never see `real`.
#pragma once

#include <cstdint>

namespace gradus {

inline constexpr int32_t kNoTarget = -1;  // as a row's target: its loss is 0 and it gets no gradient

}  // namespace gradus
