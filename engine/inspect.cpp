// Over 350 lines: what a value, an op and a whole tape look like is written by the same few functions.
#include "engine/inspect.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <string_view>
#include <unordered_set>

#include "engine/kernels.h"

namespace gradus {

static const Value* root(const Value* v) { return v->base ? v->base : v; }

Names::Names(const Tape& tape) {
  for (size_t i = 0; i < tape.ops().size(); ++i)
    for (int32_t k = 0; k < tape.ops()[i].n_out; ++k)
      made_[tape.ops()[i].out[k]] = {int64_t(i), k, tape.ops()[i].n_out};
}

int64_t Names::maker(const Value* v) const {
  const auto i = made_.find(root(v));
  return i == made_.end() ? -1 : i->second.op;
}

std::string Names::of(const Value* v) const {
  const Value* whole = root(v);
  std::string s = whole->name;
  if (const auto i = made_.find(whole); i != made_.end()) {
    s = text('%', i->second.op);
    if (i->second.outputs > 1) s += text('.', i->second.output);
  }
  s += window_text(*v);
  return whole->needs_grad && !v->needs_grad ? "detach(" + s + ")" : s;
}

std::string window_text(const Value& v) {
  const Value& whole = *root(&v);
  const int64_t n = v.shape.numel(), first = v.data - whole.data;
  if (n == whole.shape.numel()) return "";
  const int64_t row = n > 0 && whole.shape.rank() > 1 ? whole.shape.numel() / whole.shape[0] : 1;
  const auto range = [](int64_t begin, int64_t count) {
    return count == 1 ? text(begin) : text(begin, ':', begin + count);
  };
  if (first % row == 0 && n % row == 0) return '[' + range(first / row, n / row) + ']';
  if (first / row == (first + n - 1) / row) return text('[', first / row, ", ", range(first % row, n), ']');
  return text("[numbers ", first, ':', first + n, ']');  // no rows of it
}

namespace {

using Numbers = std::span<const real>;

Numbers numbers(const Value& v) { return {v.data, size_t(v.shape.numel())}; }

// What has arrived at v; nothing if v has no gradient, or none yet.
std::optional<Numbers> gradient(const Value& v) {
  const real* g = v.arrived();
  return g ? std::optional(Numbers{g, size_t(v.shape.numel())}) : std::nullopt;
}

Tape* current_tape() {
  try {
    return &Tape::current(Loc::here());
  } catch (const ShapeError&) {
    Tape* only = nullptr;
    for (Tape* tape : gradus_live_tapes) {
      if (tape && only) return nullptr;
      if (tape) only = tape;
    }
    return only;
  }
}

bool backward_has_begun(const Tape& tape) {
  return std::ranges::any_of(tape.ops(), [](const Op& op) {
    return std::any_of(op.out, op.out + op.n_out, [](const Value* v) { return v->grad != nullptr; });
  });
}

// A tape's own Value of a parameter, which carries the gradient; null if no op used it.
const Value* local_value(const Tape& tape, const Value& parameter) {
  for (const Op& op : tape.ops())
    for (int32_t i = 0; i < op.n_in; ++i)
      if (const Value* v = root(op.in[i]); v->index >= 0 && v->data == parameter.data) return v;
  return nullptr;
}

std::string six_digits(double x) {
  if (std::isnan(x)) return "nan";  // whatever its sign
  char s[32];
  std::snprintf(s, sizeof s, "%.6g", x);
  return s;
}

double norm(Numbers x) { return kernel::norm(int64_t(x.size()), x.data()); }
bool finite(Numbers x) { return kernel::all_finite(int64_t(x.size()), x.data()); }
int64_t first_bad(Numbers x) {
  return std::find_if(x.begin(), x.end(), [](real v) { return !std::isfinite(v); }) - x.begin();
}

std::string summary(Numbers x) {
  constexpr size_t kShown = 6;
  std::string s;
  for (size_t i = 0; i < std::min(x.size(), kShown); ++i) s += (i ? " " : "") + six_digits(double(x[i]));
  if (x.empty()) return "no numbers";
  if (x.size() == 1) return s;
  if (x.size() > kShown) s += " ...";
  double least = std::numeric_limits<double>::infinity(), greatest = -least;
  int64_t bad = 0;
  for (const real v : x) {
    bad += !std::isfinite(v);
    if (std::isfinite(v)) least = std::min(least, double(v)), greatest = std::max(greatest, double(v));
  }
  if (bad < int64_t(x.size())) s += text("; min ", six_digits(least), ", max ", six_digits(greatest));
  s += text(", norm ", six_digits(norm(x)));
  return bad ? text(s, ", ", bad, " of ", x.size(), " not finite") : s;
}

std::string gradient_text(const Value& v, const Tape* tape) {
  if (const auto g = gradient(v)) return "gradient " + summary(*g);
  if (!v.needs_grad) return "no gradient: a constant";
  if (root(&v)->given_up) return "its gradient was given up";
  return tape && backward_has_begun(*tape) ? "no gradient has reached it" : "backward has not run";
}

std::string source(const Loc& where) { return text(where.file, ':', where.line); }

std::string inputs_of(const Op& op, const Names& names) {
  std::string s;
  for (int32_t i = 0; i < op.n_in; ++i) s += (i ? ", " : "") + names.of(op.in[i]);
  return "(" + s + ")";
}

// The number of input i that element e of an output is made of; -1 if that is more than one, or e is -1.
int64_t element_of_input(const Op& op, int32_t i, int64_t e) {
  const std::string_view elements = op.kind->math.elements;
  if (op.shape(i).numel() == 1) return 0;
  if (e < 0 || size_t(i) >= elements.size() || elements[size_t(i)] == '-') return -1;
  return elements[size_t(i)] == 'c' ? e % op.shape(i).numel() : e;
}
// The element of an output that element e of input i alone decides, beside other inputs; -1 if there is none.
int64_t element_of_output(const Op& op, int32_t i, int64_t e) {
  const std::string_view elements = op.kind->math.elements;
  return size_t(i) < elements.size() && elements[size_t(i)] == 'e' ? e : -1;
}

// "input %1 (sub, file:12) is -1, input w ...": what stood there at element `out` of an output, or, where `bad` is in
// the gradient of input k, at that element.
std::string inputs_at(BadNumber& bad, const Tape& tape, const Op& op, int64_t out, const Names& names, int32_t k = -1) {
  std::string s;
  for (int32_t i = 0; i < op.n_in; ++i) {
    const Value* v = op.in[i];
    const int64_t maker = names.maker(v), e = i == k ? bad.element : element_of_input(op, i, out);
    bad.inputs.push_back(e < 0 ? std::numeric_limits<double>::quiet_NaN() : double(v->data[e]));
    s += text(i ? ", " : "", "input ", names.of(v));
    if (maker >= 0)
      s += text(" (", tape.ops()[size_t(maker)].kind->name, ", ", source(tape.ops()[size_t(maker)].where), ")");
    s += e >= 0 ? text(" is ", six_digits(bad.inputs.back())) : text(' ', v->shape, " holds ", summary(numbers(*v)));
  }
  return s;
}

// ", output %2 is 3, the gradient that arrived at it 1", for each output that has this element.
std::string outputs_at(const Op& op, int64_t element, const Names& names) {
  std::string s;
  for (int32_t i = 0; i < op.n_out; ++i) {
    const Value& v = *op.out[i];
    const int64_t e = v.shape.numel() == 1 ? 0 : element;
    if (e >= 0) s += text(", output ", names.of(&v), " is ", six_digits(double(v.data[e])));
    if (e >= 0 && v.grad) s += text(", the gradient that arrived at it ", six_digits(double(v.grad[e])));
  }
  return s;
}

BadNumber blame(const Tape& tape, int64_t i, Numbers x, int64_t element, bool in_gradient) {
  const Op& op = tape.ops()[size_t(i)];
  return {in_gradient, i, op.kind->name, op.where, element, double(x[size_t(element)]), {}, ""};
}

constexpr real kMasked = -std::numeric_limits<real>::infinity();

// The values with a -inf that is meant: a constant leaves something out by it, and ops pass it on.
using Masks = std::unordered_set<const Value*>;

// Whether element e of an output, -inf, has it from such an input.
bool from_mask(const Op& op, int64_t e, const Masks& masks) {
  for (int32_t i = 0; i < op.n_in; ++i) {
    if (!masks.contains(root(op.in[i]))) continue;
    const int64_t at = element_of_input(op, i, e);
    if (at >= 0 ? op.x(i)[at] == kMasked : std::ranges::find(numbers(*op.in[i]), kMasked) != numbers(*op.in[i]).end())
      return true;
  }
  return false;
}

std::optional<BadNumber> bad_value(const Tape& tape, const Names& names) {
  Masks masks;
  for (size_t i = 0; i < tape.ops().size(); ++i) {
    const Op& op = tape.ops()[i];
    const std::string here = text(op.kind->name, ", op %", i, " (", source(op.where), ")");
    for (int32_t k = 0; k < op.n_in + op.n_out; ++k) {  // the outputs stand behind the inputs
      const Value& v = *op.in[k];
      if ((k < op.n_in && names.maker(&v) >= 0) || finite(numbers(v))) continue;
      const bool is_constant = !root(&v)->needs_grad && root(&v)->index < 0;
      const auto good = [&](int64_t e) {
        return std::isfinite(v.data[e]) ||
               (v.data[e] == kMasked && (k < op.n_in ? is_constant : from_mask(op, e, masks)));
      };
      int64_t element = 0;
      while (element < v.shape.numel() && good(element)) ++element;
      if (element == v.shape.numel()) {
        masks.insert(root(&v));
        continue;
      }
      BadNumber bad = blame(tape, int64_t(i), numbers(v), element, false);
      const std::string at = index_text(v.shape, bad.element),
                        what = text(names.of(&v), ' ', v.shape, " is ", six_digits(bad.value));
      bad.sentence =
          k < op.n_in ? text("element ", at, " of ", what, " before any op of this step; the first to use it is ", here)
                      : text(here, " makes the first number that is not finite: element ", at, " of its output ", what,
                             "; ", inputs_at(bad, tape, op, bad.element, names));
      return bad;
    }
  }
  return {};
}

}  // namespace

OpCopy::OpCopy(const Op& of) : op(of) {
  const size_t n = size_t(op.n_in) + size_t(op.n_out);
  for (size_t i = 0; i < n; ++i) {
    values_.push_back(*of.in[i]);  // the outputs stand behind the inputs
    data.emplace_back(of.in[i]->data, of.in[i]->data + of.in[i]->shape.numel());
    grad.emplace_back(data[i].size());
  }
  for (size_t i = 0; i < n; ++i) {
    values_[i].data = data[i].data();
    values_[i].grad = grad[i].data();
    values_[i].base = nullptr;
    places_.push_back(&values_[i]);
  }
  op.in = places_.data();
  op.out = op.in + op.n_in;
}

std::vector<std::vector<real>> contributions(const Op& op) {
  OpCopy copy(op);
  for (int32_t k = 0; k < op.n_out; ++k)
    if (op.out[k]->grad) std::ranges::copy(*gradient(*op.out[k]), copy.grad[size_t(op.n_in) + size_t(k)].begin());
  op.kind->backward(copy.op);
  copy.grad.resize(size_t(op.n_in));
  return std::move(copy.grad);
}

namespace {

std::optional<BadNumber> bad_gradient(Tape& tape, const Names& names) {
  const Tape::Use use(tape);  // some backward functions ask it for scratch memory or the step
  const auto bad_arrived = [](const Value* v) {
    const auto g = gradient(*v);
    return g && !finite(*g);
  };
  std::optional<BadNumber> sum;  // finite contributions whose sum is not
  for (int64_t i = int64_t(tape.ops().size()) - 1; i > tape.next; --i) {
    const Op& op = tape.ops()[size_t(i)];
    const std::string here = text(op.kind->name, ", op %", i, " (", source(op.where), ")");
    if (std::none_of(op.out, op.out + op.n_out, [](const Value* v) { return v->grad && v->needs_grad; })) continue;
    if (Value** out = std::find_if(op.out, op.out + op.n_out, bad_arrived); out != op.out + op.n_out) {
      if (sum) return sum;
      BadNumber bad = blame(tape, i, *gradient(**out), first_bad(*gradient(**out)), true);
      bad.sentence =
          text("the gradient that arrives at ", here, " is not finite, though no backward made it so: element ",
               index_text((*out)->shape, bad.element), " of ", (*out)->shape, " is ", six_digits(bad.value),
               "; it was seeded with it, or a sum overflowed");
      return bad;
    }
    if (std::none_of(op.in, op.in + op.n_in, bad_arrived)) continue;
    const auto added = contributions(op);
    for (int32_t k = 0; k < op.n_in; ++k) {
      const Value& v = *op.in[k];
      if (!v.needs_grad || finite(added[size_t(k)])) continue;
      BadNumber bad = blame(tape, i, added[size_t(k)], first_bad(added[size_t(k)]), true);
      const int64_t out = element_of_output(op, k, bad.element);
      bad.sentence = text("the backward pass of ", here, " makes the first gradient that is not finite: element ",
                          index_text(v.shape, bad.element), " of that of ", names.of(&v), ' ', v.shape, " is ",
                          six_digits(bad.value), "; ", inputs_at(bad, tape, op, out, names, k));
      bad.sentence += outputs_at(op, out, names);
      return bad;
    }
    if (sum) continue;
    const Value& v = **std::find_if(op.in, op.in + op.n_in, bad_arrived);
    sum = blame(tape, i, *gradient(v), first_bad(*gradient(v)), true);
    sum->sentence = text("the gradient of ", names.of(&v), ' ', v.shape,
                         " is not finite, the sum of finite ones: element ", index_text(v.shape, sum->element), " is ",
                         six_digits(sum->value), "; the last op that added to it is ", here);
  }
  return sum;
}

}  // namespace

std::string describe(const Value& v) {
  const Tape* tape = current_tape();
  const Value* here = v.owner && tape ? local_value(*tape, v) : nullptr;
  return text(v.name, ' ', v.shape, ": ", summary(numbers(v)), "; ", gradient_text(here ? *here : v, tape));
}

std::string describe(const Tensor& t) {
  try {
    return describe(*t.value(Loc::here()));
  } catch (const ShapeError& e) {
    return e.what();
  }
}

std::string describe(const Op& op) {
  const Tape* tape = current_tape();
  const Names names = tape ? Names(*tape) : Names();
  std::string s = text(names.of(op.out[0]), " = ", op.kind->name, inputs_of(op, names), "  ", source(op.where), " in ",
                       op.where.function, '\n');
  for (int32_t i = 0; i < op.n_in + op.n_out; ++i) {
    const Value& v = *op.in[i];
    s += text(i < op.n_in ? "  in  " : "  out ", names.of(&v), ' ', v.shape, ": ", summary(numbers(v)), "; ",
              gradient_text(v, tape), '\n');
  }
  return s;
}

std::string describe(const Tape& tape) {
  const Names names(tape);
  std::string s = text("   op = kind(inputs) shape  source  |value| |gradient|   (", tape.ops().size(), " ops, ",
                       tape.bytes(), " bytes)\n");
  for (size_t i = 0; i < tape.ops().size(); ++i) {
    const Op& op = tape.ops()[i];
    for (int32_t k = 0; k < op.n_out; ++k) {
      const Value& v = *op.out[k];
      const auto g = gradient(v);
      s += text(int64_t(i) == tape.next && k == 0 ? "=> " : "   ", names.of(&v), " = ", op.kind->name,
                inputs_of(op, names), ' ', v.shape, "  ", source(op.where), "  ", six_digits(norm(numbers(v))), ' ',
                g ? six_digits(norm(*g)) : "-", '\n');
    }
  }
  return s;
}

static void print(const std::string& s) { std::fprintf(stderr, "%s%s", s.c_str(), s.ends_with('\n') ? "" : "\n"); }

void show(const Tensor& t) { print(describe(t)); }
void show(const Value* v) { print(v ? describe(*v) : "no value"); }
void show_op(const Op& op) { print(describe(op)); }
void show_tape(const Tape& tape) { print(describe(tape)); }
void show_tape() {
  const Tape* tape = current_tape();
  print(tape ? describe(*tape)
             : "no tape is current on this thread, and not exactly one is alive; try show_tape(*gradus_live_tapes[0])");
}

std::optional<BadNumber> why_nan(Tape& tape) {
  const Names names(tape);
  if (auto bad = bad_value(tape, names)) return bad;
  tape.restore_gradients();
  return bad_gradient(tape, names);
}

}  // namespace gradus
