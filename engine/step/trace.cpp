#include "engine/step/trace.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <sstream>
#include <unordered_map>
#include <unordered_set>

#include "engine/gradcheck.h"
#include "engine/inspect.h"
#include "engine/step/labels.h"
#include "engine/step/math.h"

namespace gradus {

namespace {

std::vector<double> doubles(const real* x, int64_t n) { return {x, x + n}; }

Value* root(Value* v) { return v->base ? v->base : v; }

// A line as a terminal may be given it: at most 120 characters of UTF-8, and a question mark for each that it would
// obey or that cannot be seen.
std::string printable(std::string_view line) {
  std::string s;
  for (size_t at = 0, n = 0; at < line.size() && n < 120; ++n) {
    const auto byte = [&](size_t i) { return at + i < line.size() ? uint8_t(line[at + i]) : uint8_t(0); };
    const size_t length = byte(0) < 0x80 ? 1 : byte(0) >> 5 == 6 ? 2 : byte(0) >> 4 == 14 ? 3 : 0;
    uint32_t code = length == 1 ? byte(0) : byte(0) & (0xFF >> (length + 1));
    bool good = length > 0;
    for (size_t i = 1; i < length; ++i) good &= byte(i) >> 6 == 2, code = code << 6 | (byte(i) & 0x3F);
    good &= (code >= 0x20 && code < 0x7F) || (code >= 0xA1 && code < 0x600) || (code >= 0x1D00 && code < 0x200B) ||
            (code >= 0x2010 && code < 0x2028) || (code >= 0x2030 && code < 0x2060) || (code >= 0x2070 && code < 0xD800);
    s += good ? std::string(line.substr(at, length)) : "?";
    at += good ? length : 1;
  }
  return s;
}

// The lines of source files, as far as they lie here. What lies here may be anything of that name.
class Sources {
 public:
  std::string line(const std::string& file, int number) {
    auto [found, first] = lines_.try_emplace(file);
    std::vector<std::string>& lines = found->second;
    if (first) {
      constexpr uintmax_t kLargest = 1 << 20;
      std::error_code error;
      const bool readable =
          std::filesystem::is_regular_file(file, error) && std::filesystem::file_size(file) <= kLargest;
      std::ifstream in(readable ? file : "");
      for (std::string s; std::getline(in, s);) lines.push_back(s);
    }
    if (number < 1 || size_t(number) > lines.size()) return "";
    const std::string& s = lines[size_t(number) - 1];
    const size_t begin = s.find_first_not_of(" \t");
    return begin == std::string::npos ? "" : printable(std::string_view(s).substr(begin));
  }

 private:
  std::map<std::string, std::vector<std::string>> lines_;
};

// What people call the values of a step. That of an op: the name that the program gave it, or that of the module whose
// weights it takes first, or its kind; each within the scopes around it. %3 where nothing says more.
class DisplayNames {
 public:
  DisplayNames(const Tape& tape, const TraceOptions& options) : options_(options) {
    std::vector<std::string> path;
    auto mark = tape.scopes().begin();
    for (size_t i = 0; i < tape.ops().size(); ++i) {
      for (; mark != tape.scopes().end() && mark->op <= int64_t(i); ++mark) {
        if (!mark->name) {
          path.pop_back();
        } else {
          path.push_back((path.empty() ? "" : path.back() + ".") + mark->name);
          if (mark->index >= 0) path.back() += text('.', mark->index);
        }
      }
      scope_.push_back(path.empty() ? "" : path.back());
    }
  }
  std::string of_leaf(const Value& v) { return unique(prefix(v) + printable(v.name)); }
  std::string of_output(const Op& op, size_t i, int32_t k, const std::string& place) {
    const std::string within = scope_[i].empty() ? "" : scope_[i] + ".";
    if (op.out[k]->name != op.kind->name) return unique(within + printable(op.out[k]->name));
    const std::string number = k > 0 ? text('.', k) : "";
    if (const std::string name = module(op); !name.empty() && !taken_.contains(name + number))
      return unique(name + number);
    return within.empty() ? place : unique(within + op.kind->name + number);
  }
  const std::string& scope(size_t i) const { return scope_[i]; }  // of op i
  bool taken(const std::string& name) const { return taken_.contains(name); }

 private:
  // "value.", of a parameter that lies among those of the options.
  std::string prefix(const Value& v) const {
    for (const auto& [params, word] : options_.prefixes)
      if (v.index >= 0 && v.data >= params->data().data() && v.data < params->data().data() + params->size())
        return word;
    return "";
  }
  // "h.0.attn.c_attn", whose weight is an input.
  std::string module(const Op& op) const {
    for (int32_t i = 0; i < op.n_in; ++i)
      if (const std::string_view name = root(op.in[i])->name; root(op.in[i])->index >= 0 && name.ends_with(".weight"))
        return prefix(*root(op.in[i])) + std::string(name.substr(0, name.size() - std::string_view(".weight").size()));
    return "";
  }
  std::string unique(const std::string& name) {
    std::string s = name;
    for (int n = 2; !taken_.insert(s).second; ++n) s = text(name, '#', n);
    return s;
  }

  const TraceOptions& options_;
  std::vector<std::string> scope_;  // of each op
  std::set<std::string> taken_;
};

// `rule` with a prime behind each letter of `letters` that stands alone: no letter is the name of a value then.
std::string primed(const std::string& rule, const std::set<std::string>& letters) {
  const auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  std::string s;
  for (size_t i = 0; i < rule.size(); ++i) {
    s += rule[i];
    const bool alone =
        is_letter(rule[i]) && (i == 0 || !is_letter(rule[i - 1])) && (i + 1 == rule.size() || !is_letter(rule[i + 1]));
    if (alone && letters.contains(std::string(1, rule[i]))) s += "′";
  }
  return s;
}

constexpr int kRetries = 6;  // with a smaller step of the finite differences: variances are small

class Recorder {
 public:
  Recorder(Tape& tape, const TraceOptions& options)
      : tape_(tape), options_(options), names_(tape), display_(tape, options), labels_(trace_.labels, options) {}

  Trace run() {
    for (size_t i = 0; i < tape_.ops().size(); ++i) add_op(i);
    note_gradients();
    replay();
    require(!trace_.steps.empty(), "record_trace", Loc::here(), "backward has not run on this step");
    differentiate();
    for (size_t i = 0; i < trace_.ops.size(); ++i) say_mathematics(trace_.ops[i]);
    return std::move(trace_);
  }

 private:
  int value(Value* v) {
    const auto [found, first] = index_.try_emplace(v, int(values_.size()));
    if (!first) return found->second;
    values_.push_back(v);
    const int64_t maker = names_.maker(v);
    TraceValue t;
    t.place = names_.of(v);
    t.shape = v->shape;
    t.op = int(maker);
    t.needs_grad = v->needs_grad;
    t.data = doubles(v->data, v->shape.numel());
    if (maker < 0) {
      t.name = display_.of_leaf(*v);
      labels_.leaf(t);
    } else {
      const Op& op = tape_.ops()[size_t(maker)];
      t.name =
          display_.of_output(op, size_t(maker), int32_t(std::find(op.out, op.out + op.n_out, v) - op.out), t.place);
    }
    if (maker >= 0 && t.name.starts_with(display_.scope(size_t(maker)) + ".")) t.scope = display_.scope(size_t(maker));
    trace_.values.push_back(std::move(t));
    return found->second;
  }

  // "ab", "ab[2]", "(x w + b)[2:4]"
  std::string name_of(Value* v, int value) {
    const Value* base = root(v);
    const std::string& whole = trace_.values[size_t(value)].name;
    const std::string window = window_text(*v), name = window.empty() ? whole : in_brackets(whole) + window;
    return base->needs_grad && !v->needs_grad ? "detach(" + name + ")" : name;
  }

  void add_op(size_t i) {
    const Op& op = tape_.ops()[i];
    TraceOp t;
    t.kind = op.kind;
    t.file = printable(op.where.file);
    t.function = op.where.function;
    t.line = op.where.line;
    t.source = sources_.line(op.where.file, t.line);
    for (int32_t k = 0; k < op.n_in; ++k) {
      Value* v = op.in[k];
      const int at = value(root(v));
      t.in.push_back({at, v->data - root(v)->data, v->shape, name_of(v, at), v->needs_grad});
    }
    for (int32_t k = 0; k < op.n_out; ++k) t.out.push_back(value(op.out[k]));
    if (op.kind->ids) t.ids.assign(op.kind->ids(op).begin(), op.kind->ids(op).end());
    labels_.hand_on(t, op, trace_.values);
    const Worked w = worked_forward(op);
    t.worked = w.text;
    t.element = w.element;
    const OpCheck check = check_op(tape_, i, {.retries = kRetries, .most = options_.checked});
    t.checked = check.worst.elements > 0;
    t.passes = !t.checked || check.passes();
    t.error = check.worst.error;
    trace_.ops.push_back(std::move(t));
  }

  // What the pass gave, before anything is replayed.
  void note_gradients() {
    for (size_t i = 0; i < values_.size(); ++i)
      if (const Value* v = values_[i]; v->grad && v->needs_grad)
        trace_.values[i].grad = doubles(v->grad, v->shape.numel());
  }

  void replay() {
    int64_t next = tape_.rewind(0);
    for (size_t i = 0; i < values_.size(); ++i) {
      const Value* v = values_[i];
      if (!v->grad || std::all_of(v->grad, v->grad + v->shape.numel(), [](real g) { return g == 0; })) continue;
      const std::vector<double> seed = doubles(v->grad, v->shape.numel());
      trace_.seeds.emplace_back(int(i), seed);
      seeds_.push_back({v, {v->grad, v->grad + v->shape.numel()}});
      for (size_t e = 0; e < seed.size(); ++e) trace_.loss += seed[e] * double(v->data[e]);
    }
    for (int64_t k = 0; next >= 0; ++k) {
      const Op& op = tape_.ops()[size_t(next)];
      TraceStep step{int(next), {}};
      const auto added = contributions(op);
      next = tape_.rewind(k + 1);
      for (int32_t i = 0; i < op.n_in; ++i) {
        const Value* v = op.in[i];
        if (!v->needs_grad) continue;
        const std::vector<real>& a = added[size_t(i)];
        const real* now = root(op.in[i])->grad + (v->data - root(op.in[i])->data);
        const Worked w = worked(op, i, a);
        step.adds.push_back({i, {a.begin(), a.end()}, doubles(now, v->shape.numel()), w.text, w.element});
      }
      trace_.steps.push_back(std::move(step));
    }
  }

  void differentiate() {
    for (size_t i = 0; i < values_.size(); ++i) {
      TraceValue& t = trace_.values[i];
      if (t.grad.empty()) continue;
      t.numeric = numeric_gradient(tape_, *values_[i], seeds_, t.grad, options_.checked);
      for (size_t e = 0; e < t.grad.size(); ++e) {
        if (std::isnan(t.numeric[e]) && options_.checked > 0 && int64_t(t.grad.size()) > options_.checked) continue;
        ++t.checked;
        const double error = std::fabs(t.grad[e] - t.numeric[e]) / std::max(1.0, std::fabs(t.grad[e]));
        t.agrees &= error <= kGradBound;  // not where it is NaN
        if (!(error <= t.worst)) t.worst = error;
      }
      if (t.checked < int64_t(t.grad.size())) t.numeric.clear();
    }
  }

  // The lines of mathematics of an op and what their letters stand for here. A letter that is also the name of a value
  // gets a prime.
  void say_mathematics(TraceOp& op) {
    std::istringstream words(op.kind->math.inputs);
    std::vector<std::string> letters{std::istream_iterator<std::string>(words), {}};
    std::set<std::string> taken;
    letters.resize(std::min(letters.size(), op.in.size()));
    letters.push_back("y");
    for (const std::string& letter : letters)
      if (display_.taken(letter)) taken.insert(letter);
    op.forward = primed(op.kind->math.formula, taken);
    op.backward = primed(op.kind->math.gradient, taken);
    op.worked = primed(op.worked, taken);
    for (TraceStep& step : trace_.steps)
      if (&trace_.ops[size_t(step.op)] == &op)
        for (TraceAdd& add : step.adds) add.worked = primed(add.worked, taken);
    if (op.forward.empty()) return;
    for (size_t i = 0; i < letters.size(); ++i) {
      const bool is_output = i + 1 == letters.size();
      const std::string& name = is_output ? trace_.values[size_t(op.out[0])].name : op.in[i].name;
      op.letters += text(i ? ", " : "", primed(letters[i], taken), " = ", name);
    }
  }

  Tape& tape_;
  const TraceOptions& options_;
  const Names names_;
  DisplayNames display_;
  Sources sources_;
  Trace trace_;
  Labels labels_;
  std::vector<Value*> values_;  // of trace_.values
  std::unordered_map<Value*, int> index_;
  std::vector<Weighted> seeds_;
};

}  // namespace

Trace record_trace(Tape& tape, const TraceOptions& options) {
  const Tape::Use use(tape);
  tape.restore_gradients();
  Trace trace = Recorder(tape, options).run();
  trace.name = options.name;
  trace.title = options.title;
  trace.precision = kRealName;
  return trace;
}

TraceSize trace_size(const Tape& tape) {
  TraceSize size{int64_t(tape.ops().size()), 0};
  std::unordered_set<const Value*> seen;
  for (const Op& op : tape.ops())
    for (int32_t i = 0; i < op.n_in + op.n_out; ++i)
      if (Value* v = root(op.in[i]); seen.insert(v).second) size.numbers += v->shape.numel();
  return size;
}

}  // namespace gradus
