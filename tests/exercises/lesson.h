// What the suites of the exercises share: comparisons that say what was expected and what came, and
// ask a question. README.md, "The form of an exercise", says what a question may tell.
#pragma once

#include <doctest/doctest.h>

#include <sstream>
#include <string>
#include <vector>

#include "engine/gradcheck.h"
#include "tests/near.h"

namespace gradus::lesson {

using Numbers = std::vector<double>;

// "1 2.5 -3", with the digits that tell two numbers of a lesson apart.
inline std::string text_of(const Numbers& list) {
  std::ostringstream out;
  out.precision(12);
  for (const double x : list)
    out << (out.tellp() > 0 ? " " : "") << (x != x ? std::nan("") : x);  // one NaN like another
  return list.empty() ? "nothing" : out.str();
}

// Fails, at the line that calls it, with "what: expected ..., got ... Question: ...".
inline void expect(bool ok, const char* what, const std::string& wanted, const std::string& got, const char* question,
                   const Loc& where) {
  if (ok) {
    CHECK(ok);  // counted
    return;
  }
  ADD_FAIL_CHECK_AT(where.file, where.line,
                    text(what, ": expected ", wanted, ", got ", got, "\n  Question: ", question));
}

// Two lists of numbers: the greatest difference is at most bound, relative to the greatest number wanted or to 1.
inline void expect(const char* what, const Numbers& got, const Numbers& wanted, const char* question,
                   double bound = 1e-12, Loc where = Loc::here()) {
  expect(near(got, wanted, 1) <= bound, what, text_of(wanted), text_of(got), question, where);
}
inline void expect(const char* what, double got, double wanted, const char* question, double bound = 1e-12,
                   Loc where = Loc::here()) {
  expect(what, Numbers{got}, Numbers{wanted}, question, bound, where);
}
// The gradient that backward computes ("analytic") and the one by finite differences ("numeric").
inline void expect(const GradCheck& c, const char* question, Loc where = Loc::here()) {
  expect(c.passes(), "against finite differences", text(text_of({c.numeric}), " (numeric)"),
         text(text_of({c.analytic}), " (analytic). ", c), question, where);
}

// The gradient of a leaf; zeros if none has arrived.
inline Numbers gradient_of(const Tensor& t, Loc where = Loc::here()) {
  const Value* v = t.value(where);
  return v->grad ? Numbers(v->grad, v->grad + v->shape.numel()) : Numbers(size_t(t.numel()));
}
inline Numbers values_of(const Tensor& t) { return {t.span().begin(), t.span().end()}; }

// n numbers between -1.5 and 1.5 without a pattern, the same each time.
inline std::vector<real> some_numbers(int64_t n, double seed) {
  std::vector<real> x(static_cast<size_t>(n));
  for (size_t i = 0; i < x.size(); ++i) x[i] = real(1.5 * std::sin(seed + 2.3 * double(i) + 0.7 * double(i * i)));
  return x;
}

}  // namespace gradus::lesson
