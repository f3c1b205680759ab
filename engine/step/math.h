// An op for people, with the numbers of one element put in: what forward computed, and what backward added. The
// formulas are in its OpKind.
#pragma once

#include <span>
#include <string>

#include "engine/tape.h"

namespace gradus {

struct Worked {
  std::string text;  // "element [0,1]: ∂y (1 − y²) = 0.8·(1 − 0.5²) = 0.6"; empty where there is no short form
  double value = 0;  // its value
  int64_t element = -1;  // which it is
};
// The derivative of an op with respect to its input `input`, at the largest element of `added` (what backward added
// to that input) in its last row that is not 0, from the present gradients of its outputs.
Worked worked(const Op& op, int input, std::span<const real> added);
// The largest number in the last row of the op's first output that is not 0.
Worked worked_forward(const Op& op);

// Four significant digits, and the same as a factor: negative ones in brackets.
std::string brief(double x);
std::string factor_text(double x);
// "x", "(x w)": a name behind a ∂ or before an index.
std::string in_brackets(const std::string& name);

}  // namespace gradus
