#include "engine/gradcheck.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <limits>
#include <utility>

#include "engine/checks.h"
#include "engine/inspect.h"
#include "engine/rng.h"

namespace gradus {

namespace {

// Weight k of output i: in ±[1/2, 3/2), rounded to real so that both sides of the comparison use the same number.
real weight(uint64_t seed, int64_t i, int64_t k) {
  const double u = Rng(seed, Stream::kTest).at(i).uniform(k);
  return real(u < 0.5 ? -0.5 - 2 * u : 2 * u - 0.5);
}

std::vector<real> some_weights(uint64_t seed, int64_t i, int64_t n) {
  std::vector<real> w(static_cast<size_t>(n));
  for (int64_t k = 0; k < n; ++k) w[size_t(k)] = weight(seed, i, k);
  return w;
}
constexpr int64_t kFirstLeaf = 1 << 20;  // the leaves' own weights: numbers apart from those of the outputs

// The outputs of several runs, each times a factor, added up element by element before anything is summed: what does
// not depend on the element under check then cancels exactly, however large it is. What a mask leaves out, -inf, is
// -inf in every run and has no difference.
class Combination {
 public:
  explicit Combination(const std::vector<std::vector<real>>& w) : w_(w), sum_(w.size()) {
    for (size_t i = 0; i < w.size(); ++i) sum_[i].resize(w[i].size());
  }
  void add(double factor, size_t i, const real* y) {
    for (size_t k = 0; k < sum_[i].size(); ++k)
      if (y[k] != -INFINITY) sum_[i][k] += factor * double(y[k]);
  }
  double projection() const {
    double s = 0;
    for (size_t i = 0; i < w_.size(); ++i)
      for (size_t k = 0; k < w_[i].size(); ++k) s += double(w_[i][k]) * sum_[i][k];
    return s;
  }

 private:
  const std::vector<std::vector<real>>& w_;  // of the projection, for each output
  std::vector<std::vector<double>> sum_;
};

// Puts a number back when it goes out of scope.
struct Restore {
  real* x;
  real before = *x;
  ~Restore() { *x = before; }
};

// The stencil on *x. f.run(factor, sum) adds the outputs at the present values to the sum.
template <class F>
double difference(real* x, double h, F& f) {
  const Restore restore{x};
  const double at = double(*x);
  Combination sum(f.weights());
  const std::pair<int, double> stencil[] = {{8, h}, {-8, -h}, {-1, 2 * h}, {1, -2 * h}};
  for (const auto& [factor, offset] : stencil) {
    *x = real(at + offset);
    f.run(factor, sum);
  }
  return sum.projection() / (12 * h);
}

double error_of(double analytic, double numeric) {
  const double e = std::fabs(analytic - numeric) / std::max({1.0, std::fabs(analytic), std::fabs(numeric)});
  return std::isfinite(analytic) && std::isfinite(numeric) ? e : std::numeric_limits<double>::infinity();
}

// The difference at the h of the options, or at a smaller one where that agrees better.
template <class F>
double best_difference(real* x, double analytic, const GradCheckOptions& o, F& f) {
  if (*x == -INFINITY) return 0;  // a mask made it, and no step from it leads anywhere
  double h = o.h != 0 ? o.h : std::exp2(std::floor(std::log2(o.step * std::max(1.0, std::fabs(double(*x))))));
  double numeric = difference(x, h, f);
  for (int r = 0; r < o.retries && !(error_of(analytic, numeric) <= kGradBound); ++r) {
    h /= 8;
    const double again = difference(x, h, f);
    if (error_of(analytic, again) < error_of(analytic, numeric)) numeric = again;
  }
  return numeric;
}

// Checks the elements of one leaf, x [shape], whose gradient backward gave as `analytic`.
template <class F>
void check_leaf(GradCheck& worst, const std::string& name, const Shape& shape, real* x,
                const std::vector<double>& analytic, const GradCheckOptions& o, F& f) {
  const int64_t n = shape.numel(), count = o.most > 0 ? std::min(o.most, n) : n;
  for (int64_t j = 0; j < count; ++j) {
    const int64_t i = count == n ? j : j * n / count;
    const double a = analytic[size_t(i)], numeric = best_difference(x + i, a, o, f), error = error_of(a, numeric);
    ++worst.elements;
    if (worst.index >= 0 && error <= worst.error) continue;
    worst.leaf = name;
    worst.shape = shape;
    worst.index = i;
    worst.analytic = a;
    worst.numeric = numeric;
    worst.error = error;
  }
}

// A function under check, on its leaves, on a tape. The leaves are variables and constants made anew from their values
// at each run, or parameters, which the tape finds at their present values.
class Function {
 public:
  Function(Tape& tape, GradFunction f, const void* context, const GradCheckOptions& o, const Loc& where)
      : tape_(tape), f_(f), context_(context), o_(o), where_(where) {}

  std::vector<GradLeaf> leaf;
  std::vector<Tensor> x;
  Params* params = nullptr;  // of which x are the parameters; edited at each run, since an element may have changed
  const std::vector<std::vector<real>>& weights() const { return w_; }

  // Seeds the outputs and the leaves, runs backward.
  void backward() {
    const std::vector<Tensor> y = call();
    for (size_t i = 0; i < y.size(); ++i) {
      w_.push_back(some_weights(o_.seed, int64_t(i), y[i].numel(where_)));
      if (y[i].value(where_)->needs_grad) tape_.seed(y[i], w_.back(), where_);
    }
    for (size_t i = 0; i < x.size(); ++i)
      if (x[i].value(where_)->needs_grad)
        tape_.seed(x[i], some_weights(o_.seed, kFirstLeaf + int64_t(i), x[i].numel(where_)), where_);
    tape_.backward(Keep::kAll, where_);
  }
  // What backward gave to leaf i, which needs a gradient, without the leaf's own weight.
  std::vector<double> gradient(size_t i) const {
    std::vector<double> g;
    for (const real dx : x[i].grad(where_))
      g.push_back(double(dx) - double(weight(o_.seed, kFirstLeaf + int64_t(i), int64_t(g.size()))));
    return g;
  }
  // The outputs alone.
  void run(double factor, Combination& sum) {
    const NoGrad no_grad;
    const std::vector<Tensor> y = call();
    require(y.size() == w_.size(), "check_gradient", where_, "the function gave ", w_.size(), " outputs, then ",
            y.size());
    for (size_t i = 0; i < y.size(); ++i) {
      require_count("check_gradient", "an output, at another call,", y[i].numel(where_), int64_t(w_[i].size()), where_);
      sum.add(factor, i, y[i].data(where_));
    }
  }

 private:
  std::vector<Tensor> call() {
    tape_.new_step(o_.info);
    if (params) params->edit();
    if (!leaf.empty()) x.resize(leaf.size());
    for (size_t i = 0; i < leaf.size(); ++i) {
      const GradLeaf& l = leaf[i];
      x[i] = l.needs_grad ? variable(l.name.c_str(), l.shape, l.values, where_) : constant(l.shape, l.values, where_);
    }
    return f_(context_, x);
  }

  Tape& tape_;
  GradFunction f_;
  const void* context_;
  const GradCheckOptions& o_;
  Loc where_;
  std::vector<std::vector<real>> w_;  // of each output
};

}  // namespace

GradCheck check_gradient(const char* op, const std::vector<GradLeaf>& leaves, GradFunction f, const void* context,
                         const GradCheckOptions& o, Loc where) {
  Tape tape;
  const Tape::Use use(tape);
  GradCheck worst{.op = op, .leaf = {}, .shape = {}};
  if (std::none_of(leaves.begin(), leaves.end(), [](const GradLeaf& l) { return l.needs_grad; })) return worst;
  Function function(tape, f, context, o, where);
  function.leaf = leaves;
  function.backward();
  std::vector<std::vector<double>> analytic(leaves.size());
  for (size_t i = 0; i < leaves.size(); ++i)
    if (leaves[i].needs_grad) analytic[i] = function.gradient(i);
  for (size_t i = 0; i < leaves.size(); ++i)
    if (leaves[i].needs_grad)
      check_leaf(worst, leaves[i].name, leaves[i].shape, function.leaf[i].values.data(), analytic[i], o, function);
  return worst;
}

GradCheck check_parameters(const char* op, Params& params, GradFunction f, const void* context,
                           const GradCheckOptions& o, Loc where) {
  Tape tape;
  const Tape::Use use(tape);
  GradCheck worst{.op = op, .leaf = {}, .shape = {}};
  std::vector<int64_t> trained;
  Function function(tape, f, context, o, where);
  function.params = &params;
  for (int64_t i = 0; i < params.count(); ++i) {
    if (params.frozen(i)) continue;
    trained.push_back(i);
    function.x.push_back(params.tensor(i));
  }
  if (trained.empty()) return worst;
  function.backward();
  std::vector<std::vector<double>> analytic;
  for (size_t j = 0; j < trained.size(); ++j) analytic.push_back(function.gradient(j));
  for (size_t j = 0; j < trained.size(); ++j) {
    const int64_t i = trained[j];
    check_leaf(worst, params.name(i), params.shape(i), params.edit(i).data(), analytic[j], o, function);
  }
  return worst;
}

namespace {

// One op under check, on copies. An input given twice counts once, as it does to finite differences.
struct Alone : OpCopy {
  Alone(const Op& recorded, uint64_t seed) : OpCopy(recorded) {
    for (int32_t i = 0; i < op.n_in; ++i)
      op.in[i] = op.in[std::find(recorded.in, recorded.in + i, recorded.in[i]) - recorded.in];
    for (int32_t i = 0; i < op.n_out; ++i) w.push_back(some_weights(seed, i, op.out[i]->shape.numel()));
    for (size_t i = 0; i < w.size(); ++i)
      for (size_t k = 0; k < w[i].size(); ++k)
        if (recorded.y(int(i))[k] == -INFINITY) w[i][k] = 0;
  }
  const std::vector<std::vector<real>>& weights() const { return w; }
  void run(double factor, Combination& sum) {
    op.kind->forward(op);
    for (size_t i = 0; i < w.size(); ++i) sum.add(factor, i, op.y(int(i)));
  }
  std::vector<std::vector<real>> w;  // of the projection, for each output
};

}  // namespace

OpCheck check_op(Tape& tape, size_t index, const GradCheckOptions& o, Loc where) {
  require(index < tape.ops().size(), "check_op", where, "there is no op ", index, " among the ", tape.ops().size(),
          " of the tape");
  const Tape::Use use(tape);
  Alone it(tape.ops()[index], o.seed);
  const Op& op = it.op;
  OpCheck result{.worst = {.op = op.kind->name, .leaf = {}, .shape = {}}, .where = op.where};
  if (std::none_of(op.in, op.out, [](const Value* v) { return v->needs_grad; })) return result;
  const size_t n_in = size_t(op.n_in);
  std::vector<std::vector<double>> analytic(n_in);
  for (size_t i = 0; i < n_in; ++i) {
    std::ranges::copy(some_weights(o.seed, kFirstLeaf + int64_t(i), int64_t(it.data[i].size())), it.grad[i].begin());
    for (const real begin : it.grad[i]) analytic[i].push_back(-double(begin));
  }
  for (size_t i = 0; i < it.w.size(); ++i) std::ranges::copy(it.w[i], it.grad[n_in + i].begin());
  op.kind->backward(it.op);
  for (size_t i = 0; i < n_in; ++i)
    for (size_t k = 0; k < analytic[i].size(); ++k) analytic[i][k] += double(it.grad[i][k]);
  op.kind->forward(it.op);
  for (size_t i = 0; i < it.w.size(); ++i)
    result.repeats &= std::memcmp(op.out[i]->data, tape.ops()[index].out[i]->data, it.w[i].size() * sizeof(real)) == 0;
  for (size_t i = 0; i < n_in; ++i)
    if (op.in[i]->needs_grad && std::find(op.in, op.in + i, op.in[i]) == op.in + i)
      check_leaf(result.worst, text("input ", i, " ", op.in[i]->name), op.in[i]->shape, it.data[i].data(), analytic[i],
                 o, it);
  op.kind->forward(it.op);  // the saved state is that of the inputs again
  return result;
}

namespace {

// The part of a recorded step that comes after x, run again at the present values of x.
class Later {
 public:
  Later(Tape& tape, const Value& x, std::span<const Weighted> of) : tape_(tape), of_(of) {
    for (size_t i = 0; i < tape.ops().size(); ++i)
      if (const Op& op = tape.ops()[i]; std::find(op.out, op.out + op.n_out, &x) != op.out + op.n_out) first_ = i + 1;
    for (const Weighted& y : of) w_.push_back(y.w);
  }
  const std::vector<std::vector<real>>& weights() const { return w_; }
  void run() {
    for (Op op : tape_.ops().subspan(first_)) op.kind->forward(op);
  }
  void run(double factor, Combination& sum) {
    run();
    for (size_t i = 0; i < of_.size(); ++i) sum.add(factor, i, of_[i].y->data);
  }

 private:
  Tape& tape_;
  std::span<const Weighted> of_;
  size_t first_ = 0;
  std::vector<std::vector<real>> w_;
};

}  // namespace

std::vector<double> numeric_gradient(Tape& tape, Value& x, std::span<const Weighted> of,
                                     std::span<const double> analytic, int64_t most) {
  const Tape::Use use(tape);
  Later later(tape, x, of);
  std::vector<double> numeric(analytic.size(), std::numeric_limits<double>::quiet_NaN());
  const size_t n = analytic.size(), count = most > 0 ? std::min(size_t(most), n) : n;
  for (size_t j = 0; j < count; ++j) {
    const size_t i = j * n / count;
    numeric[i] = best_difference(x.data + i, analytic[i], {.retries = 6}, later);
  }
  later.run();
  return numeric;
}

bool show_check(Tape& tape, size_t index, bool only_failures) {
  const OpCheck check = check_op(tape, index);
  const bool good = check.passes() || (check.repeats && check.worst.elements == 0);
  if (!good || !only_failures) std::fprintf(stderr, "%s\n", text(check).c_str());
  return good;
}

static std::string digits(double x, int most) {
  char buffer[40];
  std::snprintf(buffer, sizeof buffer, "%.*g", most, x);
  return buffer;
}

void append(std::string& out, const GradCheck& c) {
  if (c.elements == 0) {
    out += c.op + ": nothing was checked, no input needs a gradient";
    return;
  }
  out += text(c.op, ": of ", c.elements, " elements the worst is ", c.leaf, ' ', c.shape, " at ", c.index);
  if (c.shape.rank() > 1) {
    const std::string at = index_text(c.shape, c.index);
    out += text(" = (", at.substr(1, at.size() - 2), ')');
  }
  out +=
      text(": analytic ", digits(c.analytic, 12), ", numeric ", digits(c.numeric, 12), ", error ", digits(c.error, 3));
}
std::ostream& operator<<(std::ostream& out, const GradCheck& c) { return out << text(c); }

void append(std::string& out, const OpCheck& c) {
  out += text(c.worst, " (", c.where.file, ':', c.where.line, ')');
  if (!c.repeats) out += "; its forward does not give the recorded outputs again: an input has changed since";
}
std::ostream& operator<<(std::ostream& out, const OpCheck& c) { return out << text(c); }

}  // namespace gradus
