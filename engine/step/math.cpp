// Over 350 lines: a table of a rule for each op and direction, each a few lines.
#include "engine/step/math.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>

#include "engine/ops.h"
#include "engine/ops_inside.h"
#include "engine/vmath.h"

namespace gradus {

namespace {

std::string factor(double x) { return factor_text(x); }

// Σ of products, as text and as number; long sums are cut in the text.
class Sum {
 public:
  void add(double a, double b) {
    value += a * b;
    if (++terms <= 4) text += (text.empty() ? "" : " + ") + factor(a) + "·" + factor(b);
  }
  void add(double a) { add(factor(a), a); }
  void add(const std::string& term, double a) {
    value += a;
    if (++terms <= 4) text += (text.empty() ? "" : " + ") + term;
  }
  std::string str() const { return terms == 0 ? "0" : text + (terms > 4 ? " + …" : ""); }
  std::string text;
  double value = 0;
  int terms = 0;
};

// What the rules below need of one element: number e of input `input`, or of the output where that is -1; its row and
// column.
struct Place {
  const Op& op;
  int input;
  int64_t e, row, column, width;
  double x(int i, int64_t at) const { return double(op.x(i)[at]); }
  double y(int64_t at) const { return double(op.y()[at]); }
  double dy(int64_t at) const { return double(op.dy()[at]); }
  int64_t columns(int i) const { return op.shape(i)[-1]; }
  int64_t rows(int i) const { return op.shape(i)[0]; }
};

using Rule = Worked (*)(const Place& p);

// "rule = numbers = value"
Worked line(const std::string& rule, const std::string& numbers, double value) {
  return {rule + (numbers == rule ? "" : " = " + numbers) + (numbers == brief(value) ? "" : " = " + brief(value)),
          value};
}

// ------------------------------------------------------------------------------------------- forward, element e of y

Worked add_y(const Place& p) {
  const double u = p.x(0, p.e), v = p.x(1, p.e);
  return line("u + v", brief(u) + " + " + factor(v), u + v);
}
Worked sub_y(const Place& p) {
  const double u = p.x(0, p.e), v = p.x(1, p.e);
  return line("u − v", brief(u) + " − " + factor(v), u - v);
}
Worked mul_y(const Place& p) {
  const double u = p.x(0, p.e), v = p.x(1, p.e);
  return line("u v", factor(u) + "·" + factor(v), u * v);
}
// The factor is in the op's saved state; where u is 0 it cannot be computed from u and y.
double factor_of(const Place& p) { return p.x(0, p.e) != 0 ? p.y(p.e) / p.x(0, p.e) : 0; }
Worked scale_y(const Place& p) {
  const double k = factor_of(p), u = p.x(0, p.e);
  return k == 0 ? Worked{} : line("factor u", factor(k) + "·" + factor(u), k * u);
}
Worked dropout_y(const Place& p) {
  const double k = factor_of(p), u = p.x(0, p.e);
  return k == 0 ? Worked{} : line("u / (1 − p)", factor(k) + "·" + factor(u), k * u);
}
Worked add_rows_y(const Place& p) {
  const double u = p.x(0, p.e), v = p.x(1, p.column);
  return line("u[n] + v", brief(u) + " + " + factor(v), u + v);
}
Worked mul_rows_y(const Place& p) {
  const double u = p.x(0, p.e), v = p.x(1, p.column);
  return line("u[n] v", factor(u) + "·" + factor(v), u * v);
}
Worked tanh_y(const Place& p) { return line("tanh u", "tanh " + factor(p.x(0, p.e)), std::tanh(p.x(0, p.e))); }
Worked sigmoid_y(const Place& p) {
  const double u = p.x(0, p.e);
  return line("1 / (1 + e^−u)", "1 / (1 + e^" + brief(-u) + ")", 1 / (1 + std::exp(-u)));
}
Worked relu_y(const Place& p) {
  const double u = p.x(0, p.e);
  return line("max(u, 0)", "max(" + brief(u) + ", 0)", std::max(u, 0.0));
}
Worked gelu_y(const Place& p) {
  const real u = p.op.x(0)[p.e];
  return line("gelu(u)", "gelu(" + brief(double(u)) + ")", double(vmath::gelu(u)));
}
Worked exp_y(const Place& p) { return line("e^u", "e^" + brief(p.x(0, p.e)), std::exp(p.x(0, p.e))); }
Worked log_y(const Place& p) { return line("log u", "log " + factor(p.x(0, p.e)), std::log(p.x(0, p.e))); }
Worked rsqrt_y(const Place& p) { return line("1/√u", "1/√" + brief(p.x(0, p.e)), 1 / std::sqrt(p.x(0, p.e))); }
// y = u v, u [M,K], v [K,N]
Sum product(const Place& p) {
  const int64_t K = p.columns(0), N = p.columns(1);
  Sum s;
  for (int64_t k = 0; k < K; ++k) s.add(p.x(0, p.row * K + k), p.x(1, k * N + p.column));
  return s;
}
Worked matmul_y(const Place& p) {
  const Sum s = product(p);
  return line("Σ_k u[i,k] v[k,j]", s.str(), s.value);
}
Worked matmul_nt_y(const Place& p) {
  const int64_t K = p.columns(0);
  Sum s;
  for (int64_t k = 0; k < K; ++k) s.add(p.x(0, p.row * K + k), p.x(1, p.column * K + k));
  return line("Σ_k u[i,k] v[j,k]", s.str(), s.value);
}
Worked linear_y(const Place& p) {
  const Sum s = product(p);
  if (p.op.n_in < 3) return line("Σ_k u[n,k] v[k,j]", s.str(), s.value);
  const double b = p.x(2, p.column);
  return line("Σ_k u[n,k] v[k,j] + s[j]", s.str() + " + " + factor(b), s.value + b);
}
Worked linear_gelu_y(const Place& p) {
  const double b = p.op.n_in > 2 ? p.x(2, p.column) : 0;
  const Sum s = product(p);
  const double t = s.value + b, y = double(vmath::gelu(real(t)));
  return line("gelu(Σ_k u[n,k] v[k,j] + s[j])", "gelu(" + s.str() + " + " + factor(b) + ") = gelu(" + brief(t) + ")",
              y);
}
Worked sum_y(const Place& p) {
  Sum s;
  for (int64_t i = 0; i < p.op.shape(0).numel(); ++i) s.add(p.x(0, i));
  return line("Σ_i u[i]", s.str(), s.value);
}
Worked mean_y(const Place& p) {
  Sum s;
  for (int64_t i = 0; i < p.op.shape(0).numel(); ++i) s.add(p.x(0, i));
  return line("Σ_i u[i] / n", "(" + s.str() + ") / " + brief(s.terms), s.value / s.terms);
}
Worked row_means_y(const Place& p) {
  const int64_t M = p.columns(0);
  Sum s;
  for (int64_t j = 0; j < M; ++j) s.add(p.x(0, p.e * M + j));
  return line("Σ_j u[n,j] / M", "(" + s.str() + ") / " + brief(double(M)), s.value / double(M));
}
// Σ_k e^u_k over the first `count` numbers of the row.
Sum exponentials(const Place& p, int64_t row, int64_t width, int64_t count) {
  Sum s;
  for (int64_t k = 0; k < count; ++k) s.add("e^" + brief(p.x(0, row * width + k)), std::exp(p.x(0, row * width + k)));
  return s;
}
Worked softmax_over(const Place& p, int64_t count) {
  const Sum s = exponentials(p, p.row, p.width, count);
  const double u = p.x(0, p.e);
  return line("e^u_j / Σ_k e^u_k", "e^" + brief(u) + " / (" + s.str() + ")", std::exp(u) / s.value);
}
Worked softmax_y(const Place& p) { return softmax_over(p, p.width); }
Worked causal_softmax_y(const Place& p) { return softmax_over(p, p.row % p.width + 1); }
Worked log_softmax_y(const Place& p) {
  const Sum s = exponentials(p, p.row, p.width, p.width);
  const double u = p.x(0, p.e);
  return line("u_j − log Σ_k e^u_k", brief(u) + " − log(" + s.str() + ")", u - std::log(s.value));
}
Worked cross_entropy_y(const Place& p) {
  const int64_t V = p.columns(0), target = p.op.kind->ids(p.op)[size_t(p.e)];
  if (target < 0) return {};
  const Sum s = exponentials(p, p.e, V, V);
  const double u = p.x(0, p.e * V + target);
  return line("log Σ_j e^u[n,j] − u[n,target]", "log(" + s.str() + ") − " + factor(u), std::log(s.value) - u);
}
Worked embedding_y(const Place& p) {
  const int64_t id = p.op.kind->ids(p.op)[size_t(p.row)];
  const double u = p.x(0, id * p.width + p.column);
  return line(text("u[", id, ',', p.column, ']'), brief(u), u);
}
Worked pick_y(const Place& p) {
  const int64_t id = p.op.kind->ids(p.op)[size_t(p.e)];
  const double u = p.x(0, p.e * p.columns(0) + id);
  return line(text("u[", p.e, ',', id, ']'), brief(u), u);
}
Worked columns_y(const Place& p) {
  const int64_t first = first_column(p.op);
  const double u = p.x(0, p.row * p.columns(0) + first + p.column);
  return line(text("u[", p.row, ',', first, '+', p.column, ']'), brief(u), u);
}
// The part that column p.column of y is from, and its first column there.
std::pair<int, int64_t> part_of(const Place& p) {
  int part = 0;
  int64_t first = 0;
  while (first + p.columns(part) <= p.column) first += p.columns(part++);
  return {part, first};
}
Worked concat_y(const Place& p) {
  const auto [part, first] = part_of(p);
  const int64_t column = p.column - first;
  const double u = p.x(part, p.row * p.columns(part) + column);
  return line(text("[", p.row, ',', column, "] of part ", part + 1, " of ", p.op.n_in), brief(u), u);
}
struct Normal {
  double mean = 0, rstd = 0;
};
Normal normal(const Place& p, int64_t row) {
  const int64_t C = p.columns(0);
  double sum = 0, squares = 0;
  for (int64_t j = 0; j < C; ++j) sum += p.x(0, row * C + j);
  const double mean = sum / double(C);
  for (int64_t j = 0; j < C; ++j) squares += std::pow(p.x(0, row * C + j) - mean, 2);
  return {mean, 1 / std::sqrt(squares / double(C) + kLayerNormEps)};
}
Worked layer_norm_y(const Place& p) {
  const Normal n = normal(p, p.row);
  const double u = p.x(0, p.e), v = p.x(1, p.column), b = p.op.n_in > 2 ? p.x(2, p.column) : 0;
  const std::string hat = "(" + brief(u) + " − " + factor(n.mean) + ")·" + brief(n.rstd) + "·" + factor(v);
  const double y = (u - n.mean) * n.rstd * v + b;
  return p.op.n_in > 2 ? line("û v + s", hat + " + " + factor(b), y) : line("û v", hat, y);
}

// ------------------------------------------------------------------------- backward, element e of the gradient of
// input

Worked passed_on(const Place& p) { return line("∂y", brief(p.dy(p.e)), p.dy(p.e)); }
Worked sub_rule(const Place& p) {
  return p.input == 0 ? passed_on(p) : line("−∂y", "−" + factor(p.dy(p.e)), -p.dy(p.e));
}
Worked mul_rule(const Place& p) {
  const double other = p.x(1 - p.input, p.e);
  return line(p.input == 0 ? "∂y v" : "∂y u", factor(p.dy(p.e)) + "·" + factor(other), p.dy(p.e) * other);
}
Worked scale_rule(const Place& p) {
  const double k = factor_of(p);
  return k == 0 ? Worked{} : line("factor ∂y", factor(k) + "·" + factor(p.dy(p.e)), k * p.dy(p.e));
}
Worked dropout_rule(const Place& p) {
  const double k = factor_of(p);
  return k == 0 ? Worked{} : line("∂y / (1 − p)", factor(k) + "·" + factor(p.dy(p.e)), k * p.dy(p.e));
}
// Σ over the rows of ∂y, for what is added to each row.
Worked column_sum(const Place& p) {
  const int64_t M = p.op.out[0]->shape[1];
  Sum s;
  for (int64_t n = 0; n < p.op.out[0]->shape[0]; ++n) s.add(p.dy(n * M + p.column));
  return line("Σ_n ∂y[n]", s.str(), s.value);
}
Worked add_rows_rule(const Place& p) { return p.input == 0 ? passed_on(p) : column_sum(p); }
Worked mul_rows_rule(const Place& p) {
  if (p.input == 0)
    return line("∂y v", factor(p.dy(p.e)) + "·" + factor(p.x(1, p.column)), p.dy(p.e) * p.x(1, p.column));
  Sum s;
  for (int64_t n = 0; n < p.rows(0); ++n) s.add(p.dy(n * p.width + p.column), p.x(0, n * p.width + p.column));
  return line("Σ_n ∂y[n] u[n]", s.str(), s.value);
}
Worked tanh_rule(const Place& p) {
  const double y = p.y(p.e), dy = p.dy(p.e);
  return line("∂y (1 − y²)", factor(dy) + "·(1 − " + factor(y) + "²)", dy * (1 - y * y));
}
Worked sigmoid_rule(const Place& p) {
  const double y = p.y(p.e), dy = p.dy(p.e);
  return line("∂y y (1 − y)", factor(dy) + "·" + brief(y) + "·(1 − " + brief(y) + ")", dy * y * (1 - y));
}
Worked relu_rule(const Place& p) {
  const bool on = p.x(0, p.e) > 0;
  return line(on ? "u > 0: ∂y" : "u ≤ 0: 0", brief(on ? p.dy(p.e) : 0), on ? p.dy(p.e) : 0);
}
Worked gelu_rule(const Place& p) {
  const double slope = double(vmath::gelu_derivative(p.op.x(0)[p.e])), dy = p.dy(p.e);
  return line("∂y gelu′(u)", factor(dy) + "·gelu′(" + brief(p.x(0, p.e)) + ") = " + factor(dy) + "·" + factor(slope),
              dy * slope);
}
Worked exp_rule(const Place& p) {
  return line("∂y y", factor(p.dy(p.e)) + "·" + brief(p.y(p.e)), p.dy(p.e) * p.y(p.e));
}
Worked log_rule(const Place& p) {
  return line("∂y / u", factor(p.dy(p.e)) + " / " + factor(p.x(0, p.e)), p.dy(p.e) / p.x(0, p.e));
}
Worked rsqrt_rule(const Place& p) {
  const double y = p.y(p.e), dy = p.dy(p.e);
  return line("−∂y y³ / 2", "−" + factor(dy) + "·" + brief(y) + "³ / 2", -dy * y * y * y / 2);
}
// y = u v, u [M,K], v [K,N]
Worked matmul_rule(const Place& p) {
  const int64_t M = p.rows(0), K = p.columns(0), N = p.columns(1);
  Sum s;
  if (p.input == 0)
    for (int64_t j = 0; j < N; ++j) s.add(p.dy(p.row * N + j), p.x(1, p.column * N + j));
  else
    for (int64_t i = 0; i < M; ++i) s.add(p.x(0, i * K + p.row), p.dy(i * N + p.column));
  return line(p.input == 0 ? "Σ_j ∂y[i,j] v[k,j]" : "Σ_i u[i,k] ∂y[i,j]", s.str(), s.value);
}
// y = u vᵀ, u [M,K], v [N,K]
Worked matmul_nt_rule(const Place& p) {
  const int64_t M = p.rows(0), K = p.columns(0), N = p.rows(1);
  Sum s;
  if (p.input == 0)
    for (int64_t j = 0; j < N; ++j) s.add(p.dy(p.row * N + j), p.x(1, j * K + p.column));
  else
    for (int64_t i = 0; i < M; ++i) s.add(p.dy(i * N + p.row), p.x(0, i * K + p.column));
  return line(p.input == 0 ? "Σ_j ∂y[i,j] v[j,k]" : "Σ_i ∂y[i,j] u[i,k]", s.str(), s.value);
}
Worked linear_rule(const Place& p) { return p.input == 2 ? column_sum(p) : matmul_rule(p); }
// The same from ∂t = ∂y gelu′(t).
Worked linear_gelu_rule(const Place& p) {
  const int64_t N = p.rows(0), M = p.columns(1);
  const auto dt = [&](int64_t n, int64_t j) {
    const Sum t = product({p.op, -1, n * M + j, n, j, M});
    return p.dy(n * M + j) * double(vmath::gelu_derivative(real(t.value + (p.op.n_in > 2 ? p.x(2, j) : 0))));
  };
  Sum s;
  if (p.input == 0)
    for (int64_t j = 0; j < M; ++j) s.add(dt(p.row, j), p.x(1, p.column * M + j));
  else
    for (int64_t n = 0; n < N; ++n) {
      if (p.input == 1) s.add(p.x(0, n * p.columns(0) + p.row), dt(n, p.column));
      if (p.input == 2) s.add(dt(n, p.column));
    }
  constexpr const char* kRules[] = {"Σ_j ∂t[n,j] v[k,j]", "Σ_n u[n,k] ∂t[n,j]", "Σ_n ∂t[n,j]"};
  return line(kRules[p.input], s.str(), s.value);
}
Worked sum_rule(const Place& p) { return line("∂y", brief(p.dy(0)), p.dy(0)); }
Worked mean_rule(const Place& p) {
  const double n = double(p.op.shape(0).numel());
  return line("∂y / n", factor(p.dy(0)) + " / " + brief(n), p.dy(0) / n);
}
Worked row_means_rule(const Place& p) {
  return line("∂y[n] / M", factor(p.dy(p.row)) + " / " + brief(double(p.width)), p.dy(p.row) / double(p.width));
}
Worked softmax_rule(const Place& p) {
  Sum dot;
  for (int64_t j = 0; j < p.width; ++j)
    if (const double y = p.y(p.row * p.width + j); y != 0) dot.add(y, p.dy(p.row * p.width + j));
  const double y = p.y(p.e), dy = p.dy(p.e), value = y * (dy - dot.value);
  return line("y_j (∂y_j − Σ_k y_k ∂y_k)", brief(y) + "·(" + brief(dy) + " − (" + dot.str() + "))", value);
}
Worked log_softmax_rule(const Place& p) {
  Sum s;
  for (int64_t j = 0; j < p.width; ++j) s.add(p.dy(p.row * p.width + j));
  const double share = std::exp(p.y(p.e)), dy = p.dy(p.e);
  return line("∂y_j − softmax_j Σ_k ∂y_k", brief(dy) + " − " + brief(share) + "·(" + s.str() + ")",
              dy - share * s.value);
}
Worked cross_entropy_rule(const Place& p) {
  const int64_t target = p.op.kind->ids(p.op)[size_t(p.row)];
  if (target < 0) return {};
  const Sum s = exponentials(p, p.row, p.width, p.width);
  const double share = std::exp(p.x(0, p.e)) / s.value, one = target == p.column ? 1 : 0, dy = p.dy(p.row);
  return line("∂y (softmax − onehot)", factor(dy) + "·(" + brief(share) + " − " + brief(one) + ")", dy * (share - one));
}
Worked embedding_rule(const Place& p) {
  const auto ids = p.op.kind->ids(p.op);
  Sum s;
  for (size_t n = 0; n < ids.size(); ++n)
    if (ids[n] == p.row) s.add(p.dy(int64_t(n) * p.width + p.column));
  return line(text("Σ ∂y[n] where id[n] = ", p.row), s.str(), s.value);
}
Worked pick_rule(const Place& p) {
  const bool picked = p.op.kind->ids(p.op)[size_t(p.row)] == p.column;
  return line(picked ? "picked: ∂y" : "not picked: 0", brief(picked ? p.dy(p.row) : 0), picked ? p.dy(p.row) : 0);
}
// Each column of u is column `column` of y, or none.
Worked column_rule(const Place& p, int64_t column) {
  const int64_t M = p.op.out[0]->shape[1];
  if (column < 0 || column >= M) return line("no column of y: 0", "0", 0);
  const double dy = p.dy(p.row * M + column);
  return line(text("∂y[", p.row, ',', column, ']'), brief(dy), dy);
}
Worked columns_rule(const Place& p) { return column_rule(p, p.column - first_column(p.op)); }
Worked concat_rule(const Place& p) {
  int64_t first = 0;
  for (int i = 0; i < p.input; ++i) first += p.columns(i);
  return column_rule(p, first + p.column);
}
Worked layer_norm_rule(const Place& p) {
  const int64_t C = p.columns(0);
  const auto hat = [&](int64_t n, int64_t j, const Normal& of) { return (p.x(0, n * C + j) - of.mean) * of.rstd; };
  if (p.input == 0) {
    const Normal n = normal(p, p.row);
    double m1 = 0, m2 = 0;
    for (int64_t j = 0; j < C; ++j) {
      const double d = p.dy(p.row * C + j) * p.x(1, j);
      m1 += d / double(C);
      m2 += d * hat(p.row, j, n) / double(C);
    }
    const double d = p.dy(p.e) * p.x(1, p.column), u = hat(p.row, p.column, n);
    return line("rstd (∂û − mean(∂û) − û mean(∂û ∘ û))",
                brief(n.rstd) + "·(" + brief(d) + " − " + factor(m1) + " − " + factor(u) + "·" + factor(m2) + ")",
                n.rstd * (d - m1 - u * m2));
  }
  Sum s;
  for (int64_t n = 0; n < p.rows(0); ++n)
    if (p.input == 1)
      s.add(p.dy(n * C + p.column), hat(n, p.column, normal(p, n)));
    else
      s.add(p.dy(n * C + p.column));
  return line(p.input == 1 ? "Σ_n ∂y[n] û[n]" : "Σ_n ∂y[n]", s.str(), s.value);
}

struct Rules {
  std::string_view op;
  Rule forward, backward;
};
constexpr Rules kRules[] = {
    {"add", add_y, passed_on},
    {"sub", sub_y, sub_rule},
    {"mul", mul_y, mul_rule},
    {"scale", scale_y, scale_rule},
    {"dropout", dropout_y, dropout_rule},
    {"add_rows", add_rows_y, add_rows_rule},
    {"mul_rows", mul_rows_y, mul_rows_rule},
    {"tanh", tanh_y, tanh_rule},
    {"sigmoid", sigmoid_y, sigmoid_rule},
    {"relu", relu_y, relu_rule},
    {"gelu", gelu_y, gelu_rule},
    {"exp", exp_y, exp_rule},
    {"log", log_y, log_rule},
    {"rsqrt", rsqrt_y, rsqrt_rule},
    {"matmul", matmul_y, matmul_rule},
    {"matmul_nt", matmul_nt_y, matmul_nt_rule},
    {"linear", linear_y, linear_rule},
    {"linear_gelu", linear_gelu_y, linear_gelu_rule},
    {"sum", sum_y, sum_rule},
    {"mean", mean_y, mean_rule},
    {"row_means", row_means_y, row_means_rule},
    {"softmax", softmax_y, softmax_rule},
    {"log_softmax", log_softmax_y, log_softmax_rule},
    {"causal_softmax", causal_softmax_y, softmax_rule},
    {"softmax_cross_entropy", cross_entropy_y, cross_entropy_rule},
    {"embedding", embedding_y, embedding_rule},
    {"pick", pick_y, pick_rule},
    {"layer_norm", layer_norm_y, layer_norm_rule},
    {"columns", columns_y, columns_rule},
    {"concat", concat_y, concat_rule},
};

// At the largest number of the last row that is not 0 throughout: the first row of attention sees nothing but itself.
// `numbers` are those of input `input`, or of the output where that is -1.
Worked at_largest(const Op& op, int input, const Shape& shape, std::span<const real> numbers) {
  const int64_t width = std::max<int64_t>(shape.rank() > 0 ? shape[-1] : 1, 1);
  const auto less = [](real a, real b) { return std::fabs(a) < std::fabs(b); };
  int64_t most = 0;
  for (auto end = int64_t(numbers.size()); end >= width; end -= width) {
    const auto row = numbers.begin() + end - width;
    most = std::max_element(row, row + width, less) - numbers.begin();
    if (numbers[size_t(most)] != 0) break;
  }
  for (const Rules& rules : kRules)
    if (rules.op == op.kind->name && !numbers.empty()) {
      Worked w = (input < 0 ? rules.forward : rules.backward)({op, input, most, most / width, most % width, width});
      if (w.text.empty() || !std::isfinite(w.value)) return {};  // the kernels scale what e^u cannot hold
      if (numbers.size() > 1) w.text = "element " + index_text(shape, most) + ": " + w.text;
      w.element = most;
      return w;
    }
  return {};
}

}  // namespace

std::string brief(double x) {
  if (std::isnan(x)) return "nan";
  char s[32];
  std::snprintf(s, sizeof s, "%.4g", x);
  return std::strcmp(s, "-0") == 0 ? "0" : s;
}

std::string in_brackets(const std::string& name) {
  int depth = 0;
  for (const char c : name) {
    depth += (c == '(' || c == '[') - (c == ')' || c == ']');
    if (c == ' ' && depth == 0) return "(" + name + ")";
  }
  return name;
}

std::string factor_text(double x) { return x < 0 ? "(" + brief(x) + ")" : brief(x); }

Worked worked(const Op& op, int input, std::span<const real> added) {
  return at_largest(op, input, op.shape(input), added);
}

Worked worked_forward(const Op& op) {
  const Value& y = *op.out[0];
  return at_largest(op, -1, y.shape, {y.data, size_t(y.shape.numel())});
}

}  // namespace gradus
