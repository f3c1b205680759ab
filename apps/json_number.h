// Numbers in the JSON that the program writes, which has none for infinities.
#pragma once

#include <cmath>
#include <optional>

#include "engine/io/json.h"

namespace gradus {

// The number, or "inf", "-inf", "nan".
inline Json json_number(double x) {
  if (std::isfinite(x)) return x;
  return std::isnan(x) ? "nan" : x > 0 ? "inf" : "-inf";
}
inline Json json_number(const std::optional<double>& x) { return x ? json_number(*x) : Json(nullptr); }

}  // namespace gradus
