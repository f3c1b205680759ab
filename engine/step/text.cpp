#include "engine/step/text.h"

#include <algorithm>
#include <cmath>

#include "engine/error.h"
#include "engine/step/math.h"

namespace gradus {

namespace {

// Code points of UTF-8.
size_t characters(const std::string& s) {
  return size_t(std::count_if(s.begin(), s.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}
std::string left(const std::string& s, size_t width) {
  return s + std::string(width - std::min(width, characters(s)), ' ');
}
std::string right(const std::string& s, size_t width) {
  return std::string(width - std::min(width, characters(s)), ' ') + s;
}

// Rows of numbers, each line behind `indent`; what does not fit a page is left out with dots.
std::string table(const std::vector<double>& x, const Shape& shape, const std::string& indent) {
  constexpr int64_t kRows = 8, kColumns = 8;
  const int64_t M = shape.rank() > 0 ? shape[-1] : 1, N = M > 0 ? int64_t(x.size()) / M : 0;
  std::string s;
  for (int64_t n = 0; n < std::min(N, kRows); ++n) {
    s += n ? indent : "";
    for (int64_t m = 0; m < std::min(M, kColumns); ++m) {
      s += " " + right(brief(x[size_t(n * M + m)]), 9);
    }
    s += M > kColumns ? "  …\n" : "\n";
  }
  return N > kRows ? s + indent + "         …\n" : s;
}

// "w [2,3]" in a column of its own, then the numbers.
std::string entry(const std::string& mark, const std::string& name, const Shape& shape, const std::vector<double>& x) {
  const std::string head = "  " + left(mark + name + " " + text(shape), 26);
  return head + table(x, shape, std::string(characters(head), ' '));
}

std::string called(const TraceValue& v) { return v.label.empty() ? v.name : v.name + " (" + v.label + ")"; }
std::string called(const Trace& t, const TraceInput& in) {
  const TraceValue& v = t.values[size_t(in.value)];
  return v.label.empty() ? in.name : in.name + " (" + v.label + ")";
}

std::string call_text(const Trace& t, const TraceOp& op) {
  std::string s;
  for (size_t i = 0; i < op.out.size(); ++i) s += (i ? ", " : "") + called(t.values[size_t(op.out[i])]);
  s += text(" = ", op.kind->name, "(");
  for (size_t i = 0; i < op.in.size(); ++i) s += (i ? ", " : "") + called(t, op.in[i]);
  return s + ")";
}

std::vector<double> part(const std::vector<double>& x, int64_t offset, const Shape& shape) {
  if (x.empty()) return {};
  return {x.begin() + offset, x.begin() + offset + shape.numel()};
}

std::string source_text(const TraceOp& op) {
  return text("  ", op.file, ':', op.line, op.source.empty() ? "" : "  " + op.source, '\n');
}

// Steps that add to a value, up to and with step `last`.
int additions(const Trace& t, int value, int last) {
  int n = 0;
  for (int s = 0; s <= last; ++s)
    for (const TraceAdd& a : t.steps[size_t(s)].adds)
      n += t.ops[size_t(t.steps[size_t(s)].op)].in[size_t(a.input)].value == value;
  return n;
}

double worst_difference(const TraceValue& v) {
  double worst = 0;
  for (size_t e = 0; e < v.grad.size(); ++e)
    worst = std::max(worst, std::fabs(v.grad[e] - v.numeric[e]) / std::max(1.0, std::fabs(v.grad[e])));
  return worst;
}

// "  dx += dy bᵀ     (a = x, b = w, y = h)"
std::string formula_text(const Trace& t, const TraceOp& op, const char* formula) {
  const std::string letters = letters_text(t, op);
  return std::string("  ") + formula + (letters.empty() ? "" : "     (" + letters + ")") + "\n";
}

std::string seeds_text(const Trace& t) {
  std::string s = text("Backward begins. The loss is ", brief(t.loss), "; its gradient starts as\n");
  for (const auto& [value, grad] : t.seeds)
    s += entry("d", called(t.values[size_t(value)]), t.values[size_t(value)].shape, grad);
  return s;
}

}  // namespace

int step_at(const Trace& t, int position) { return position - t.forward_positions() - 1; }

std::string position_text(const Trace& t, int position) {
  const int step = step_at(t, position);
  if (step == -1) return seeds_text(t);
  if (step < 0) {
    const TraceOp& op = t.ops[size_t(position)];
    std::string s = text("forward ", position + 1, "/", t.ops.size(), "  ", call_text(t, op), '\n', source_text(op));
    s += formula_text(t, op, op.kind->math.formula);
    for (const TraceInput& in : op.in)
      s += entry("", called(t, in), in.shape, part(t.values[size_t(in.value)].data, in.offset, in.shape));
    for (const int out : op.out)
      s += entry("→ ", called(t.values[size_t(out)]), t.values[size_t(out)].shape, t.values[size_t(out)].data);
    return s;
  }
  const TraceStep& at = t.steps[size_t(step)];
  const TraceOp& op = t.ops[size_t(at.op)];
  std::string s = text("backward ", step + 1, "/", t.steps.size(), "  ", call_text(t, op), '\n', source_text(op));
  s += formula_text(t, op, op.kind->math.gradient);
  for (const int out : op.out)
    if (const TraceValue& v = t.values[size_t(out)]; !v.grad.empty())
      s += entry("arrived: d", called(v), v.shape, v.grad);
  for (const TraceAdd& a : at.adds) {
    const TraceInput& in = op.in[size_t(a.input)];
    s += entry("d", called(t, in) + " +=", in.shape, a.added);
    const bool last = std::none_of(&a + 1, at.adds.data() + at.adds.size(),
                                   [&](const TraceAdd& b) { return op.in[size_t(b.input)].value == in.value; });
    if (last && a.now != a.added) s += entry("  now ", "", in.shape, a.now);
  }
  return s;
}

std::string derivative_text(const Trace& t, int position) {
  const int step = step_at(t, position);
  if (step < 0) return "Derivatives belong to the backward part; press b to go there.\n";
  const TraceStep& at = t.steps[size_t(step)];
  const TraceOp& op = t.ops[size_t(at.op)];
  std::string s;
  for (const TraceAdd& a : at.adds)
    s += "  d" + called(t, op.in[size_t(a.input)]) + "  " +
         (a.worked.empty() ? op.kind->math.gradient : a.worked.c_str()) + "\n";
  return s;
}

std::string check_text(const Trace& t, int position) {
  const int step = step_at(t, position);
  if (step < 0) return "Gradients are checked in the backward part; press b to go there.\n";
  const TraceStep& at = t.steps[size_t(step)];
  const TraceOp& op = t.ops[size_t(at.op)];
  std::string s = text("  This op alone against finite differences: ", op.passes ? "agrees" : "DOES NOT AGREE", "; ",
                       op.check, '\n');
  std::vector<int> shown;
  for (const TraceAdd& a : at.adds) {
    const int value = op.in[size_t(a.input)].value;
    if (std::find(shown.begin(), shown.end(), value) != shown.end()) continue;
    shown.push_back(value);
    const TraceValue& v = t.values[size_t(value)];
    const int got = additions(t, value, step), all = additions(t, value, int(t.steps.size()) - 1);
    if (got < all)
      s += text("  d", called(v), " has ", got, " of its ", all, " contributions; finite differences of the loss:\n");
    else
      s += text("  d", called(v), " is complete; finite differences of the loss differ from it by at most ",
                brief(worst_difference(v)), ":\n");
    s += entry("numeric ", "", v.shape, v.numeric);
  }
  return s;
}

std::string gradients_text(const Trace& t) {
  std::string s = "The gradients, each with its greatest difference from finite differences of the loss:\n";
  for (const TraceValue& v : t.values) {
    if (v.op >= 0 || v.grad.empty()) continue;
    s += entry("d", v.name, v.shape, v.grad);
    s += text("    differs by ", brief(worst_difference(v)), '\n');
  }
  return s;
}

std::optional<int> position_of_op(const Trace& t, int op) {
  for (size_t s = 0; s < t.steps.size(); ++s)
    if (t.steps[s].op == op) return t.forward_positions() + 1 + int(s);
  if (op >= 0 && op < int(t.ops.size())) return op;
  return {};
}

std::optional<int> position_of_name(const Trace& t, const std::string& name) {
  for (size_t i = 0; i < t.values.size(); ++i) {
    if (t.values[i].name != name && t.values[i].label != name) continue;
    for (int s = int(t.steps.size()) - 1; s >= 0; --s)
      if (additions(t, int(i), s) > additions(t, int(i), s - 1)) return t.forward_positions() + 1 + s;
    for (const TraceOp& op : t.ops)  // no gradient: where it is used first
      for (const TraceInput& in : op.in)
        if (in.value == int(i)) return int(&op - t.ops.data());
    return t.values[i].op;
  }
  return {};
}

}  // namespace gradus
