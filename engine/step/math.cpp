#include "engine/step/math.h"

#include <cmath>
#include <cstdio>
#include <cstring>
#include <utility>

namespace gradus {

namespace {

// A number as a factor: negative ones in brackets.
std::string factor(double x) { return x < 0 ? "(" + brief(x) + ")" : brief(x); }

// Σ of products, as text and as number; long sums are cut in the text.
class Sum {
 public:
  void add(double a, double b) {
    value += a * b;
    if (++terms <= 4) text += (text.empty() ? "" : " + ") + factor(a) + "·" + factor(b);
  }
  void add(double a) {
    value += a;
    if (++terms <= 5) text += (text.empty() ? "" : " + ") + factor(a);
  }
  std::string str() const { return text + (terms > 5 ? " + …" : ""); }
  std::string text;
  double value = 0;
  int terms = 0;
};

// What the rules below need of one element: e within input `input`, row and column of it.
struct Place {
  const Op& op;
  int input;
  int64_t e, row, column, width;
  double x(int i, int64_t at) const { return double(op.x(i)[at]); }
  double y(int64_t at) const { return double(op.y()[at]); }
  double dy(int64_t at) const { return double(op.dy()[at]); }
};

using Rule = Worked (*)(const Place& p);

// "rule = numbers = value"
Worked line(const char* rule, const std::string& numbers, double value) {
  return {std::string(rule) + " = " + numbers + (numbers == brief(value) ? "" : " = " + brief(value)), value, 0};
}

Worked passed_on(const Place& p) { return line("dy", brief(p.dy(p.e)), p.dy(p.e)); }
Worked sub_rule(const Place& p) {
  return p.input == 0 ? passed_on(p) : line("−dy", "−" + factor(p.dy(p.e)), -p.dy(p.e));
}
Worked mul_rule(const Place& p) {
  const double other = p.x(1 - p.input, p.e);
  return line(p.input == 0 ? "dy b" : "dy a", factor(p.dy(p.e)) + "·" + factor(other), p.dy(p.e) * other);
}
Worked scale_rule(const Place& p) {
  // The factor is in the op's saved state; where x is 0 it cannot be computed from x and y.
  const double k = p.x(0, p.e) != 0 ? p.y(p.e) / p.x(0, p.e) : 0;
  return k == 0 ? Worked{} : line("factor dy", factor(k) + "·" + factor(p.dy(p.e)), k * p.dy(p.e));
}
Worked add_rows_rule(const Place& p) {
  if (p.input == 0) return passed_on(p);
  Sum s;
  for (int64_t n = 0; n < p.op.shape(0)[0]; ++n) s.add(p.dy(n * p.width + p.column));
  return line("Σ_n dy[n]", s.str(), s.value);
}
Worked mul_rows_rule(const Place& p) {
  if (p.input == 0)
    return line("dy g", factor(p.dy(p.e)) + "·" + factor(p.x(1, p.column)), p.dy(p.e) * p.x(1, p.column));
  Sum s;
  for (int64_t n = 0; n < p.op.shape(0)[0]; ++n) s.add(p.dy(n * p.width + p.column), p.x(0, n * p.width + p.column));
  return line("Σ_n dy[n] x[n]", s.str(), s.value);
}
Worked tanh_rule(const Place& p) {
  const double y = p.y(p.e), dy = p.dy(p.e);
  return line("dy (1 − y²)", factor(dy) + "·(1 − " + factor(y) + "²)", dy * (1 - y * y));
}
Worked sigmoid_rule(const Place& p) {
  const double y = p.y(p.e), dy = p.dy(p.e);
  return line("dy y (1 − y)", factor(dy) + "·" + brief(y) + "·(1 − " + brief(y) + ")", dy * y * (1 - y));
}
Worked relu_rule(const Place& p) {
  const double x = p.x(0, p.e);
  return line(x > 0 ? "x > 0: dy" : "x ≤ 0: 0", brief(x > 0 ? p.dy(p.e) : 0), x > 0 ? p.dy(p.e) : 0);
}
Worked exp_rule(const Place& p) {
  return line("dy y", factor(p.dy(p.e)) + "·" + brief(p.y(p.e)), p.dy(p.e) * p.y(p.e));
}
Worked log_rule(const Place& p) {
  return line("dy / x", factor(p.dy(p.e)) + " / " + factor(p.x(0, p.e)), p.dy(p.e) / p.x(0, p.e));
}
Worked rsqrt_rule(const Place& p) {
  const double y = p.y(p.e), dy = p.dy(p.e);
  return line("−dy y³ / 2", "−" + factor(dy) + "·" + brief(y) + "³ / 2", -dy * y * y * y / 2);
}
// y = a b, a [M,K], b [K,N]
Worked matmul_rule(const Place& p) {
  const int64_t M = p.op.shape(0)[0], K = p.op.shape(0)[1], N = p.op.shape(1)[1];
  Sum s;
  if (p.input == 0)
    for (int64_t j = 0; j < N; ++j) s.add(p.dy(p.row * N + j), p.x(1, p.column * N + j));
  else
    for (int64_t i = 0; i < M; ++i) s.add(p.x(0, i * K + p.row), p.dy(i * N + p.column));
  return line(p.input == 0 ? "Σ_j dy[i,j] b[k,j]" : "Σ_i a[i,k] dy[i,j]", s.str(), s.value);
}
// y = a bᵀ, a [M,K], b [N,K]
Worked matmul_nt_rule(const Place& p) {
  const int64_t M = p.op.shape(0)[0], K = p.op.shape(0)[1], N = p.op.shape(1)[0];
  Sum s;
  if (p.input == 0)
    for (int64_t j = 0; j < N; ++j) s.add(p.dy(p.row * N + j), p.x(1, j * K + p.column));
  else
    for (int64_t i = 0; i < M; ++i) s.add(p.dy(i * N + p.row), p.x(0, i * K + p.column));
  return line(p.input == 0 ? "Σ_j dy[i,j] b[j,k]" : "Σ_i dy[i,j] a[i,k]", s.str(), s.value);
}
Worked sum_rule(const Place& p) { return line("dy", brief(p.dy(0)), p.dy(0)); }
Worked mean_rule(const Place& p) {
  const double n = double(p.op.shape(0).numel());
  return line("dy / n", factor(p.dy(0)) + " / " + brief(n), p.dy(0) / n);
}
Worked row_means_rule(const Place& p) {
  return line("dy[n] / M", factor(p.dy(p.row)) + " / " + brief(double(p.width)), p.dy(p.row) / double(p.width));
}
Worked softmax_rule(const Place& p) {
  Sum dot;
  for (int64_t j = 0; j < p.width; ++j)
    if (const double y = p.y(p.row * p.width + j); y != 0) dot.add(y, p.dy(p.row * p.width + j));
  const double y = p.y(p.e), dy = p.dy(p.e), value = y * (dy - dot.value);
  return line("y_j (dy_j − Σ_k y_k dy_k)", brief(y) + "·(" + brief(dy) + " − (" + dot.str() + "))", value);
}
Worked log_softmax_rule(const Place& p) {
  Sum s;
  for (int64_t j = 0; j < p.width; ++j) s.add(p.dy(p.row * p.width + j));
  const double share = std::exp(p.y(p.e)), dy = p.dy(p.e);
  return line("dy_j − softmax_j Σ_k dy_k", brief(dy) + " − " + brief(share) + "·(" + s.str() + ")",
              dy - share * s.value);
}

constexpr std::pair<std::string_view, Rule> kRules[] = {
    {"add", passed_on},
    {"sub", sub_rule},
    {"mul", mul_rule},
    {"scale", scale_rule},
    {"add_rows", add_rows_rule},
    {"mul_rows", mul_rows_rule},
    {"tanh", tanh_rule},
    {"sigmoid", sigmoid_rule},
    {"relu", relu_rule},
    {"exp", exp_rule},
    {"log", log_rule},
    {"rsqrt", rsqrt_rule},
    {"matmul", matmul_rule},
    {"matmul_nt", matmul_nt_rule},
    {"sum", sum_rule},
    {"mean", mean_rule},
    {"row_means", row_means_rule},
    {"softmax", softmax_rule},
    {"log_softmax", log_softmax_rule},
    {"causal_softmax", softmax_rule},
};

}  // namespace

std::string brief(double x) {
  if (std::isnan(x)) return "nan";
  char s[32];
  std::snprintf(s, sizeof s, "%.4g", x);
  return std::strcmp(s, "-0") == 0 ? "0" : s;
}

Worked worked(const Op& op, int input, std::span<const real> added) {
  int64_t most = 0;
  for (size_t e = 1; e < added.size(); ++e)
    if (std::fabs(added[e]) > std::fabs(added[size_t(most)])) most = int64_t(e);
  const Shape& shape = op.shape(input);
  const int64_t width = shape.rank() > 0 ? shape[-1] : 1;
  const Place place{op, input, most, most / std::max<int64_t>(width, 1), most % std::max<int64_t>(width, 1), width};
  for (const auto& [name, rule] : kRules)
    if (name == op.kind->name) {
      Worked w = rule(place);
      if (!w.text.empty() && added.size() > 1) w.text = "element " + index_text(shape, most) + ": " + w.text;
      w.element = most;
      return w;
    }
  return {};
}

}  // namespace gradus
