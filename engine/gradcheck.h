// Gradient checks: compares backward with finite differences, for every element of every leaf.
//
//   const GradCheck c = check_gradient("mul", {{"a", {2, 3}, a}, {"b", {2, 3}, b}},
//                                      [](std::span<const Tensor> x) { return mul(x[0], x[1]); });
//   if (!c.passes()) std::cout << c;
//
// What is differentiated is one number, a fixed random projection of all outputs: Σ w y with 1/2 ≤ |w| < 3/2, so that
// no element of an output can hide. The difference is the 4-point stencil
//   (−f(x+2h) + 8 f(x+h) − 8 f(x−h) + f(x−2h)) / 12h,
// with an error of about h⁴ |f⁽⁵⁾| / 30 + 1.5 ε |f| / h, where f counts only outputs that depend on x: the others
// cancel exactly. The function must be smooth within 2h of the point: a kink (relu at 0) shows as an error. Every leaf
// carries a gradient before backward begins, so an op that overwrites where it must add is found too.
//
// In the f64 build the default h, at most 1e-3 max(1, |x|), leaves both parts of the error near 1e-12. In the f32 build
// h is 20 times larger and the error up to 2e-4 (over the table of tests/test_gradients.cpp): enough to see a lost term
// or a factor of 1.01, not a wrong fifth digit.
#pragma once

#include <ostream>
#include <string>
#include <vector>

#include "engine/ops.h"
#include "engine/params.h"

namespace gradus {

inline constexpr double kGradBound = kDouble ? 1e-8 : 1e-3;  // on GradCheck::error

struct GradCheckOptions {
  double step = kDouble ? 1e-3 : 0.02;  // h is the power of two at or below step · max(1, |x|): x ± h is then exact
  double h = 0;                         // if not 0: this h instead, whatever the size of x
  // Where analytic and numeric differ by more than kGradBound: tries again with h/8, h/64, ... and keeps what agrees
  // best, for functions that bend on a scale below h. No choice of h makes a wrong gradient agree to eight digits.
  int retries = 0;
  int64_t most = 0;   // elements checked of each leaf, evenly spread; 0: all
  uint64_t seed = 1;  // of the projection
  StepInfo info{};    // of the step in which the function runs
};

// The element on which analytic and numeric gradient differ most.
struct GradCheck {
  std::string op;    // what was checked
  std::string leaf;  // name of the leaf, parameter or input
  Shape shape;       // of the leaf
  int64_t index = -1;
  double analytic = 0, numeric = 0;
  double error = 0;      // |analytic − numeric| / max(1, |analytic|, |numeric|); infinite if either is not finite
  int64_t elements = 0;  // checked in all

  // False if nothing was checked.
  bool passes(double bound = kGradBound) const { return elements > 0 && error <= bound; }
};
// "mul: of 12 elements the worst is b [2,3] at 4 = (1,1): analytic -1.5, numeric 1.5, error 2"
std::ostream& operator<<(std::ostream& out, const GradCheck& c);
void append(std::string& out, const GradCheck& c);

struct GradLeaf {
  std::string name;
  Shape shape;
  std::vector<real> values;
  bool needs_grad = true;
};

// A function under check builds its outputs from the leaves on the current tape, the same way each time it is called.
using GradFunction = std::vector<Tensor> (*)(const void* context, std::span<const Tensor> leaves);

GradCheck check_gradient(const char* op, const std::vector<GradLeaf>& leaves, GradFunction f, const void* context,
                         const GradCheckOptions& options, Loc where);
GradCheck check_parameters(const char* op, Params& params, GradFunction f, const void* context,
                           const GradCheckOptions& options, Loc where);

// Both take any f(leaves) that returns a Tensor or a std::vector<Tensor>. They run it on a tape of their own.
template <class F>
std::vector<Tensor> call_grad_function(const void* f, std::span<const Tensor> leaves) {
  return {(*static_cast<const F*>(f))(leaves)};
}
template <class F>
GradCheck check_gradient(const char* op, const std::vector<GradLeaf>& leaves, const F& f,
                         const GradCheckOptions& options = {}, Loc where = Loc::here()) {
  return check_gradient(op, leaves, call_grad_function<F>, &f, options, where);
}
// The leaves are all parameters of `params` that are not frozen, in their order. Their values are changed meanwhile and
// restored, bit for bit: no other tape may run on them.
template <class F>
GradCheck check_parameters(const char* op, Params& params, const F& f, const GradCheckOptions& options = {},
                           Loc where = Loc::here()) {
  return check_parameters(op, params, call_grad_function<F>, &f, options, where);
}

// The check of one recorded op.
struct OpCheck {
  GradCheck worst;      // leaf: "input 1 b"
  Loc where;            // the source line that asked for the op
  bool repeats = true;  // forward, run again, gave the recorded outputs bit for bit; if not, an input has changed since
  bool passes(double bound = kGradBound) const { return repeats && worst.passes(bound); }
};
std::ostream& operator<<(std::ostream& out, const OpCheck& c);
void append(std::string& out, const OpCheck& c);

// Checks op `index` of the tape at the values it was recorded with: runs its backward on the recorded outputs and saved
// state, then its forward on copies of its inputs, one element changed at a time. Inputs that look into the same memory
// are told apart. Afterwards inputs, outputs and gradients are what they were, bit for bit, and the saved state is what
// forward makes of the inputs; so it may be called at any time, also between two ops of a backward pass. Shared
// parameters are only read. Where no input needs a gradient there is nothing to check, and passes() is false.
OpCheck check_op(Tape& tape, size_t index, const GradCheckOptions& options = {.retries = 3}, Loc where = Loc::here());

// One of the values that a backward pass begins from, and its weight: the gradient seeded there.
struct Weighted {
  const Value* y;
  std::vector<real> w;  // as many as y has numbers
};
// The gradient of Σ w y with respect to every element of x by finite differences, or with `most` to so many evenly
// spread ones, the others NaN; `analytic` is what backward gave. x is changed, and every op after the one that made it
// runs its forward again. Afterwards all is what it was, bit for bit. Unlike backward it sees through detach().
// REQUIRES: x is no window; a parameter's x is the tape's own.
std::vector<double> numeric_gradient(Tape& tape, Value& x, std::span<const Weighted> of,
                                     std::span<const double> analytic, int64_t most = 0);

// For a debugger: writes the check of op `index` on stderr, or only if it fails, and returns whether it passes or has
// nothing to check.
[[gnu::used]] bool show_check(Tape& tape, size_t index, bool only_failures = false);

}  // namespace gradus
