// Trace: one recorded step, forward, backward and the optimiser's update, as plain numbers. `gradus step` walks it in a
// terminal (walk.h), its page walks it in a browser (page.h), both from the same record, which needs no tape any more.
// JSON holds it all.
//
//   tape.backward(loss);
//   Trace trace = record_trace(tape, {.name = "mine", .title = "loss = (a b + c)²"});
//   write_file_atomically("mine.html", step_page(trace));
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "engine/io/json.h"
#include "engine/optim.h"
#include "engine/tape.h"

namespace gradus {

// A leaf, a parameter, or an output of an op.
struct TraceValue {
  std::string name;  // no two have the same: what the program calls it, h.0.attn.head.1.P, or %3 where nothing names it
  std::string scope;  // of an op's output: the scope that its name begins with, h.0.attn.head.1; empty if none
  std::string place;  // as engine/inspect.h and gdb say it: %3, and of a leaf its name
  Shape shape;
  int op = -1;  // that made it
  bool needs_grad = false;
  std::vector<double> data;
  std::vector<double> grad;     // at the end of the pass; empty if none has reached it
  std::vector<double> numeric;  // the same by finite differences of the loss; empty where only some were computed
  int64_t checked = 0;          // elements of grad that were compared with finite differences
  double worst = 0;             // their largest difference, |grad − numeric| / max(1, |grad|)
  bool agrees = true;
  // In Trace::labels: what each column stands for, and each row; more labels than rows are for equal parts of rows.
  int rows = -1, columns = -1;
  int64_t numel_of_label(const std::vector<std::vector<std::string>>& labels) const {
    return shape.numel() / std::max<int64_t>(1, int64_t(labels[size_t(rows)].size()));
  }
};

// An input of an op: a value, or a window on one.
struct TraceInput {
  int value = 0;
  int64_t offset = 0;
  Shape shape;
  std::string name;
  bool needs_grad = false;
};

struct TraceOp {
  const OpKind* kind = nullptr;
  std::vector<TraceInput> in;
  std::vector<int> out;  // values
  std::string file, function;
  int line = 0;
  std::string source;             // the text of that line, empty if the file is not here
  std::string forward, backward;  // its two lines of mathematics
  std::string letters;            // "u = a, v = b, y = ab": what their letters stand for here
  std::string worked;        // a number of its output with the numbers put in, a large one; empty if there is no form
  int64_t element = -1;      // which that is
  std::vector<int32_t> ids;  // for each row of the output, where the op has them: token, target, column
  bool checked = false;      // backward against finite differences of the op alone
  bool passes = true;        // ... and they agree
  double error = 0;          // ... up to this
};

// What one backward added to one input, [shape of the input].
struct TraceAdd {
  int input = 0;
  std::vector<double> added, now;  // now: the gradient of the input after it
  std::string worked;              // the op's derivative with the numbers put in, for an element that got much
  int64_t element = -1;            // which that is
};

struct TraceStep {
  int op = 0;
  std::vector<TraceAdd> adds;
};

// What the optimiser made of a parameter.
struct TraceUpdate {
  int value = 0;
  std::vector<double> clipped, m, v, change, after;  // clipped: the gradient times the factor; after: the new numbers
  std::vector<std::string> worked;                   // of the element with the largest gradient, a line for each rule
  int64_t element = -1;
  std::vector<std::string> rule;  // the lines of mathematics of its optimiser; empty: Trace::update_rule
};

// What else belongs to the step: the batch, rewards, advantages.
struct TraceTable {
  using Cell = std::variant<std::string, double>;
  std::string title, note;
  std::vector<std::string> columns;
  std::vector<std::vector<Cell>> rows;
  std::vector<int> tinted = {};  // columns that a page colours by sign and size
  bool grouped = false;          // rows with the same first cell belong together, and only the first shows it
};

// A place of the walk that is no op: how the numbers came about that the forward pass begins from, or what the step has
// led to.
struct TraceScene {
  std::string title;
  std::vector<std::string> lines = {};     // sentences
  std::vector<std::string> formulas = {};  // its mathematics
  std::vector<std::string> worked = {};    // the same with the numbers put in
  std::vector<TraceTable> tables = {};
};

struct Trace {
  std::string name, title, precision;
  std::string note;                // a sentence about where the numbers are from; may be empty
  double loss = 0;                 // Σ of the seeded outputs times their weights
  std::vector<TraceValue> values;  // leaves and outputs in the order of their first use
  std::vector<TraceOp> ops;
  std::vector<TraceStep> steps;                            // the backward pass
  std::vector<std::pair<int, std::vector<double>>> seeds;  // value, gradient before the first step
  std::vector<TraceUpdate> updates;                        // the optimiser's, by parameter; may be empty
  std::vector<std::string> update_rule;                    // its lines of mathematics
  std::vector<TraceTable> tables;
  std::vector<std::vector<std::string>> labels;  // for rows and columns
  std::vector<TraceScene> opening, closing;      // before the forward part and after the updates; may be empty

  // Positions of a walk: the opening scenes, then after each op of the forward part, then with the pass begun, then
  // after each of its steps, then after the update of each parameter, then the closing scenes.
  int first_op() const { return int(opening.size()); }
  int begin() const { return first_op() + int(ops.size()); }  // of the pass
  int first_update() const { return begin() + 1 + int(steps.size()); }
  int first_closing() const { return first_update() + int(updates.size()); }
  int positions() const { return first_closing() + int(closing.size()); }
  int first_seen() const { return opening.empty() ? begin() : 0; }  // where a walk starts
  const TraceScene* scene(int position) const {                     // null where the position is none
    if (position < first_op()) return &opening[size_t(position)];
    return position >= first_closing() ? &closing[size_t(position - first_closing())] : nullptr;
  }
};

struct TraceOptions {
  std::string name = "step", title = {};
  // By the name of a leaf: what its rows and columns stand for (tokens).
  std::map<std::string, std::vector<std::string>> rows = {}, columns = {};
  // Parameters whose names get a word in front, because those of another model are called the same.
  std::vector<std::pair<const Params*, std::string>> prefixes = {};
  int64_t checked = 0;  // elements of each value that are compared with finite differences; 0: all
};
// Records the step of a tape on which backward has run, and replays the pass on it; the tape ends as it was.
// Throws ShapeError if backward has not run.
Trace record_trace(Tape& tape, const TraceOptions& options);

// Adds what adamw.step(params, gradient, lr, factor), which is about to come, will make of each parameter of the trace,
// to the bit: it is done here on copies. The trace's gradients of the parameters become `gradient`. `prefix` is that of
// their names in the trace.
void add_updates(Trace& trace, const Params& params, AdamW adamw, std::span<const real> gradient, double lr,
                 double factor, const std::string& prefix = "");

// Whether a page of the step on the tape could be read, and checked in a few seconds.
inline constexpr int64_t kMostOps = 400, kMostNumbers = 20000;
struct TraceSize {
  int64_t ops, numbers;  // numbers: in all values of the step
  bool fits() const { return ops <= kMostOps && numbers <= kMostNumbers; }
};
TraceSize trace_size(const Tape& tape);

Json to_json(const Trace& trace);

}  // namespace gradus
