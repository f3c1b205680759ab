// Looking into a step: the numbers of a tensor, the ops on a tape, the op that made the first NaN. For people at a
// debugger (`call gradus::show_tape()`), for tests, and for programs that stop when a number is not finite. Everything
// here only reads: no value, gradient or entry of a tape changes.
//
// Names: %3 is the output of op 3 of the tape, %3.1 its second output; parameters and leaves go by their own names.
// %3[1] is row 1 of %3, %3[4:6] its rows 4 and 5, %3[1, 4:6] numbers 4 and 5 of its row 1.
#pragma once

#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/tape.h"

namespace gradus {

// Name, shape, first numbers, least, greatest and Euclidean norm of the values, and the same of the gradient if one has
// arrived. Of a dead or empty tensor: the sentence that its use would throw. The gradient of a parameter is that of
// the current tape.
[[gnu::used]] std::string describe(const Tensor& t);
// The same, of an input or output of an op: describe(*op.in[1]).
[[gnu::used]] std::string describe(const Value& v);
// One op: its place on the tape, its source line, inputs and outputs with values and gradients.
[[gnu::used]] std::string describe(const Op& op);
// All ops in order, one a line: index, name, shape, inputs, source line, norm of the value and of the gradient ("-"
// where none has arrived). => marks the op whose backward is next.
[[gnu::used]] std::string describe(const Tape& tape);

// The descriptions on stderr. Without an argument: the tape that is current on this thread, else the only one alive.
[[gnu::used]] void show(const Tensor& t);
[[gnu::used]] void show(const Value* v);
[[gnu::used]] void show_op(const Op& op);
[[gnu::used]] void show_tape(const Tape& tape);
[[gnu::used]] void show_tape();

// Where a step first went wrong.
struct BadNumber {
  bool in_gradient = false;    // else in the values
  int64_t op = -1;             // index on the tape of the op that made it, or met it in a leaf or a seed
  std::string name;            // of that op
  Loc where;                   // the source line that asked for it
  int64_t element = 0;         // which number of the output (the input, for gradients), counted in row-major order
  double value = 0;            // NaN or infinite
  std::vector<double> inputs;  // the op's inputs at that element, where they have one (NaN where they have none)
  std::string sentence;        // all of it for a person
};
// The first number that is not finite: of values, in the order in which they were computed; if all are finite, of
// gradients, in the order of the backward pass. So an early NaN is laid to the op that made it, not to the one whose
// backward met it (PyTorch's anomaly mode does that, its issue 160016). A leaf or parameter that was bad before any op
// is named as such. A -inf that a constant holds is no bad number, nor is one that ops pass on from there: masks leave
// tokens out by it. Nothing, if all is finite. Costs up to one more backward pass; the step must still be alive.
[[gnu::used]] std::optional<BadNumber> why_nan(Tape& tape);

// An op on copies of its inputs and outputs, each place with numbers and a gradient, at first zero, of its own. Its
// functions may be run at will: all they change of the tape is the saved state, which forward writes.
struct OpCopy {
  explicit OpCopy(const Op& of);
  OpCopy(const OpCopy&) = delete;

  Op op;
  std::vector<std::vector<real>> data, grad;  // of the inputs, then of the outputs

 private:
  std::vector<Value> values_;
  std::vector<Value*> places_;
};

// What the backward of one op adds to each of its inputs (zeros where one needs no gradient), computed anew on copies
// from what has arrived at its outputs. An input that occurs twice has two contributions. REQUIRES: the op's tape is
// current.
std::vector<std::vector<real>> contributions(const Op& op);

// Which part of the Value it looks into a window is, "[4:6]" as above; empty where it is all of it.
std::string window_text(const Value& v);

// How inputs and outputs are called here: %3, %3.1, w, %3[4:6].
class Names {
 public:
  Names() = default;  // knows no op
  explicit Names(const Tape& tape);
  std::string of(const Value* v) const;
  int64_t maker(const Value* v) const;  // the op behind v or the Value it looks into; -1 for leaves and parameters

 private:
  struct Place {
    int64_t op;
    int32_t output, outputs;
  };
  std::unordered_map<const Value*, Place> made_;
};

}  // namespace gradus
