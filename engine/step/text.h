// One position of a walk through a Trace as text: what `gradus step` shows in a terminal or prints. No line is longer
// than a terminal is wide.
#pragma once

#include <optional>
#include <string>

#include "engine/step/trace.h"

namespace gradus {

// How much is shown.
struct TextSize {
  size_t columns = 80;  // of the terminal
  int64_t rows = 8;     // of each table of numbers
};
// The op at a position: its line, formula, inputs, and what it computed or, in the backward part, what arrived at it
// and what it added; in the last part the update of a parameter. Several lines.
std::string position_text(const Trace& trace, int position, const TextSize& size = {});
// The op, its derivative or its update with the numbers put in.
std::string worked_text(const Trace& trace, int position, const TextSize& size = {});
// Every gradient that the op has completed beside finite differences of the loss, and the op's own check.
std::string check_text(const Trace& trace, int position, const TextSize& size = {});
// The gradients of all leaves at the end, beside finite differences.
std::string gradients_text(const Trace& trace, const TextSize& size = {});

// What a terminal of that many columns and lines shows: title, position, what was asked for (w worked_text, v
// check_text, e gradients_text instead of the position, any other character nothing), a remark, and the keys. Tables
// are cut until it fits; the position gives way to what was asked for where both do not.
std::string screen_text(const Trace& trace, int position, char asked, const std::string& remark, size_t columns,
                        size_t lines);

// Everything, one position after the other.
std::string whole_text(const Trace& trace);

// The step of the backward part that runs op `op`, or the forward position of an op that none does; nothing if there is
// no such op.
std::optional<int> position_of_op(const Trace& trace, int op);
// Where the gradient of a value, by its name or place, gets its last contribution; nothing if there is no such name.
std::optional<int> position_of_name(const Trace& trace, const std::string& name);
// Of the backward part at a position: the op's step, -1 where no step has run.
int step_at(const Trace& trace, int position);

}  // namespace gradus
