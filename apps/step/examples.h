// The small steps that `gradus step` and `make gdb` walk through: each records its ops on the current tape, one op a
// line of examples.cpp, so that the line of an op says what it is.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "engine/tape.h"

namespace gradus {

struct StepExample {
  const char* name;   // as `gradus step NAME` says it
  const char* title;  // one line for a person
  Tensor (*build)();  // records the step, returns the loss, a scalar
};
// scalar, neuron, lstm, attention, kl.
std::span<const StepExample> step_examples();
// Throws UsageError with the list of names, and of `others`, for an unknown one.
const StepExample& step_example(const std::string& name, const std::vector<std::string>& others = {});

}  // namespace gradus
