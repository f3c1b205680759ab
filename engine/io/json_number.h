// Numbers in the JSON that the program writes. JSON has none for infinities and NaN: they are the strings "inf", "-inf"
// and "nan", everywhere; null says that there is no number. Minus zero is 0.
#pragma once

#include <cmath>
#include <optional>
#include <span>

#include "engine/io/json.h"

namespace gradus {

inline Json json_number(double x) {
  if (std::isfinite(x)) return x == 0 ? 0.0 : x;
  return std::isnan(x) ? "nan" : x > 0 ? "inf" : "-inf";
}
inline Json json_number(const std::optional<double>& x) { return x ? json_number(*x) : Json(nullptr); }
inline Json json_numbers(std::span<const double> list) {
  Json numbers = Json::array();
  for (const double x : list) numbers.push_back(json_number(x));
  return numbers;
}

}  // namespace gradus
