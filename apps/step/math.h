// The mathematics of each op for people: its formulas, and its derivative with the numbers of one element put in.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "engine/tape.h"

namespace gradus {

struct Formula {
  const char* forward;
  const char* backward;
  const char* inputs;  // what they call the inputs, in order, with a blank between; the output is y
};
// As the comments above the op in engine/ops_*.cpp say it (tests/check_formulas.sh holds them equal); empty strings for
// an op that is not in the table.
Formula formula(std::string_view kind);

struct Worked {
  std::string text;  // "element [0,1]: dy (1 − y²) = 0.8 (1 − 0.5²) = 0.6"; empty where there is no short form
  double value = 0;  // what the numbers in it come to
  int64_t element = 0;
};
// The derivative of an op with respect to its input `input`, at the element that got most of `added` (what backward
// added to that input), from what stands at its outputs now.
Worked worked(const Op& op, int input, std::span<const real> added);

// Element 5 of [2,3] is "[1,2]".
std::string index_text(const Shape& shape, int64_t element);
// Four significant digits.
std::string brief(double x);

}  // namespace gradus
