// One position of a walk through a Trace as text: what `gradus step` shows in a terminal or prints.
#pragma once

#include <optional>
#include <string>

#include "engine/step/trace.h"

namespace gradus {

// The op at a position: its line, formula, inputs, and what it computed or, in the backward part, what arrived at it
// and what it added. Several lines.
std::string position_text(const Trace& trace, int position);
// The derivative of the op with the numbers put in, for each input.
std::string derivative_text(const Trace& trace, int position);
// Every gradient that the op added to, complete or not, beside finite differences of the loss, and the op's own check.
std::string check_text(const Trace& trace, int position);
// The gradients of all leaves at the end, beside finite differences.
std::string gradients_text(const Trace& trace);

// The step of the backward part that runs op `op`, or the forward position of an op that none does; nothing if there is
// no such op.
std::optional<int> position_of_op(const Trace& trace, int op);
// Where the gradient of a value, by name or label, gets its last contribution; nothing if there is no such name.
std::optional<int> position_of_name(const Trace& trace, const std::string& name);
// Of the backward part at a position: the op's step, -1 where no step has run.
int step_at(const Trace& trace, int position);

}  // namespace gradus
