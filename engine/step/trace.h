// Trace: one recorded step, forward and backward, as plain numbers. `gradus step` walks it in a terminal
// (text.h), its page walks it in a browser (page.h), both from the same record. JSON holds it all.
#pragma once

#include <string>
#include <vector>

#include "engine/io/json.h"
#include "engine/tape.h"

namespace gradus {

// A leaf, a parameter, or an output of an op.
struct TraceValue {
  std::string name;   // as engine/inspect.h says it: w, %3
  std::string label;  // the name that the program gave to the output of an op; empty if none
  Shape shape;
  int op = -1;  // that made it
  bool needs_grad = false;
  std::vector<double> data;
  std::vector<double> grad;     // at the end of the pass; empty if none has reached it
  std::vector<double> numeric;  // the same by finite differences of the loss
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
  std::string source;    // the text of that line, empty if the file is not here
  bool checked = false;  // backward against finite differences of the op alone
  bool passes = true;    // ... and they agree
  std::string check;     // in a sentence
};

// What one backward added to one input, [shape of the input].
struct TraceAdd {
  int input = 0;
  std::vector<double> added, now;  // now: the gradient of the input after it
  std::string worked;              // the op's derivative with the numbers put in, for the element that got most
};

struct TraceStep {
  int op = 0;
  std::vector<TraceAdd> adds;
};

struct Trace {
  std::string name, title, precision;
  double loss = 0;                 // Σ of the seeded outputs times their weights
  std::vector<TraceValue> values;  // leaves and outputs in the order of their first use
  std::vector<TraceOp> ops;
  std::vector<TraceStep> steps;                            // the backward pass
  std::vector<std::pair<int, std::vector<double>>> seeds;  // value, gradient before the first step

  // Positions of a walk: after each op of the forward part, then with the pass begun, then after each of its steps.
  int forward_positions() const { return int(ops.size()); }
  int positions() const { return forward_positions() + 1 + int(steps.size()); }
};

// Records the step of a tape on which backward has run, and replays the pass on it; the tape ends as it was.
// Throws ShapeError if backward has not run.
Trace record_trace(Tape& tape, const std::string& name, const std::string& title);

// Whether a page of the step on the tape could be read, and checked in a few seconds.
inline constexpr int64_t kMostOps = 150, kMostNumbers = 4000;
struct TraceSize {
  int64_t ops, numbers;  // numbers: in all values of the step
  bool fits() const { return ops <= kMostOps && numbers <= kMostNumbers; }
};
TraceSize trace_size(const Tape& tape);

// "a = x, b = w_q, y = q": what the letters of the op's formula stand for here.
std::string letters_text(const Trace& trace, const TraceOp& op);
Json to_json(const Trace& trace);

}  // namespace gradus
