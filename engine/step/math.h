// The derivative of an op for people, with the numbers of one element put in. Its formulas are in its OpKind.
#pragma once

#include <span>
#include <string>

#include "engine/tape.h"

namespace gradus {

struct Worked {
  std::string text;  // "element [0,1]: dy (1 − y²) = 0.8 (1 − 0.5²) = 0.6"; empty where there is no short form
  double value = 0;  // its value
  int64_t element = 0;
};
// The derivative of an op with respect to its input `input`, at the element that got most of `added` (what backward
// added to that input), from the present gradients of its outputs.
Worked worked(const Op& op, int input, std::span<const real> added);

// Four significant digits.
std::string brief(double x);

}  // namespace gradus
