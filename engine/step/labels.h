// What the rows and columns of a step's values stand for, such as tokens: known of some leaves, and handed on by ops.
#pragma once

#include <string>

#include "engine/step/trace.h"

namespace gradus {

class Labels {
 public:
  // The options say what the rows and columns of leaves stand for. The lists go to `lists`, Trace::labels.
  Labels(std::vector<std::vector<std::string>>& lists, const TraceOptions& known) : lists_(lists), known_(known) {}
  void leaf(TraceValue& v);
  // From the inputs of an op to its first output. `op` is that on the tape.
  void hand_on(const TraceOp& traced, const Op& op, std::vector<TraceValue>& values);

 private:
  struct Axes {
    int rows = -1, columns = -1;  // in lists_
  };
  using Label = const std::string*;  // null: none
  Axes of(const TraceInput& in, const std::vector<TraceValue>& values);
  Label at(const TraceInput& in, int64_t element, const std::vector<TraceValue>& values) const;
  void by_elements(TraceValue& y, const std::vector<Label>& labels);
  int list(std::vector<std::string> labels);

  std::vector<std::vector<std::string>>& lists_;
  const TraceOptions& known_;
};

}  // namespace gradus
