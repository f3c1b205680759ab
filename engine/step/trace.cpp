#include "engine/step/trace.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <unordered_map>
#include <unordered_set>

#include "engine/gradcheck.h"
#include "engine/inspect.h"
#include "engine/io/json_number.h"
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
    good &= (code >= 0x20 && code < 0x7F) || (code >= 0xA1 && code < 0x600) || (code >= 0x1E00 && code < 0x200B) ||
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

class Recorder {
 public:
  explicit Recorder(Tape& tape) : tape_(tape), names_(tape) {}

  Trace run() {
    for (size_t i = 0; i < tape_.ops().size(); ++i) add_op(i);
    note_gradients();
    replay();
    require(!trace_.steps.empty(), "record_trace", Loc::here(), "backward has not run on this step");
    differentiate();
    return std::move(trace_);
  }

 private:
  int value(Value* v) {
    const auto [found, first] = index_.try_emplace(v, int(values_.size()));
    if (first) {
      values_.push_back(v);
      const int64_t maker = names_.maker(v);
      TraceValue t{names_.of(v), "", v->shape, int(maker), v->needs_grad, doubles(v->data, v->shape.numel()), {}, {}};
      if (maker >= 0 && v->name != tape_.ops()[size_t(maker)].kind->name) t.label = v->name;
      trace_.values.push_back(t);
    }
    return found->second;
  }

  void add_op(size_t i) {
    const Op& op = tape_.ops()[i];
    TraceOp t{op.kind, {}, {}, op.where.file, op.where.function, op.where.line, "", false, true, ""};
    t.source = sources_.line(t.file, t.line);
    for (int32_t k = 0; k < op.n_in; ++k) {
      Value* v = op.in[k];
      t.in.push_back({value(root(v)), v->data - root(v)->data, v->shape, names_.of(v), v->needs_grad});
    }
    for (int32_t k = 0; k < op.n_out; ++k) t.out.push_back(value(op.out[k]));
    const OpCheck check = check_op(tape_, i);
    t.checked = check.worst.elements > 0;
    t.passes = !t.checked || check.passes();
    t.check = text(check.worst);
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
        step.adds.push_back({i, {a.begin(), a.end()}, doubles(now, v->shape.numel()), worked(op, i, a).text});
      }
      trace_.steps.push_back(std::move(step));
    }
  }

  void differentiate() {
    for (size_t i = 0; i < values_.size(); ++i)
      if (TraceValue& t = trace_.values[i]; !t.grad.empty())
        t.numeric = numeric_gradient(tape_, *values_[i], seeds_, t.grad);
  }

  Tape& tape_;
  const Names names_;
  Sources sources_;
  Trace trace_;
  std::vector<Value*> values_;  // of trace_.values
  std::unordered_map<Value*, int> index_;
  std::vector<Weighted> seeds_;
};

// Six digits are what a person reads, and a page stays small. JSON has no NaN or infinity: those are strings.
Json rounded(const std::vector<double>& x) {
  auto a = Json::array();
  char s[32];
  for (const double v : x) {
    std::snprintf(s, sizeof s, "%.6g", v);
    a.push_back(json_number(std::isfinite(v) ? std::strtod(s, nullptr) : v));
  }
  return a;
}

}  // namespace

Trace record_trace(Tape& tape, const std::string& name, const std::string& title) {
  const Tape::Use use(tape);
  Trace trace = Recorder(tape).run();
  trace.name = name;
  trace.title = title;
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

std::string letters_text(const Trace& t, const TraceOp& op) {
  std::istringstream letters(op.kind->math.inputs);
  std::string s, letter;
  for (const TraceInput& in : op.in) {
    if (!(letters >> letter)) break;
    const std::string& label = t.values[size_t(in.value)].label;
    const std::string name = label.empty() ? in.name : label;
    if (name != letter) s.append(letter).append(" = ").append(name).append(", ");
  }
  const TraceValue& out = t.values[size_t(op.out[0])];
  const std::string& name = out.label.empty() ? out.name : out.label;
  return op.kind->math.formula[0] == 0 ? "" : s + (name == "y" ? "" : "y = " + name);
}

Json to_json(const Trace& t) {
  Json values = Json::array(), ops = Json::array(), steps = Json::array(), seeds = Json::array();
  for (const TraceValue& v : t.values)
    values.push_back({{"name", v.name},
                      {"label", v.label},
                      {"shape", v.shape.sizes()},
                      {"op", v.op},
                      {"needs_grad", v.needs_grad},
                      {"data", rounded(v.data)},
                      {"grad", rounded(v.grad)},
                      {"numeric", rounded(v.numeric)}});
  for (const TraceOp& op : t.ops) {
    Json in = Json::array();
    for (const TraceInput& i : op.in)
      in.push_back({{"value", i.value}, {"offset", i.offset}, {"shape", i.shape.sizes()}, {"name", i.name}});
    ops.push_back({{"kind", op.kind->name},
                   {"in", in},
                   {"out", op.out},
                   {"where", text(op.file, ':', op.line)},
                   {"source", op.source},
                   {"forward", op.kind->math.formula},
                   {"backward", op.kind->math.gradient},
                   {"letters", letters_text(t, op)},
                   {"checked", op.checked},
                   {"passes", op.passes},
                   {"check", op.check}});
  }
  for (const TraceStep& s : t.steps) {
    Json adds = Json::array();
    for (const TraceAdd& a : s.adds)
      adds.push_back({{"input", a.input}, {"added", rounded(a.added)}, {"now", rounded(a.now)}, {"worked", a.worked}});
    steps.push_back({{"op", s.op}, {"adds", adds}});
  }
  for (const auto& [value, grad] : t.seeds) seeds.push_back({{"value", value}, {"grad", rounded(grad)}});
  return {{"name", t.name},   {"title", t.title}, {"precision", t.precision}, {"loss", t.loss},
          {"values", values}, {"ops", ops},       {"steps", steps},           {"seeds", seeds}};
}

}  // namespace gradus
