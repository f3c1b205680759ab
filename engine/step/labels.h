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
  // From the inputs of an op to its first output.
  void hand_on(const TraceOp& op, std::vector<TraceValue>& values);

 private:
  struct Axes {
    int rows = -1, columns = -1;  // in lists_
  };
  Axes of(const TraceInput& in, const std::vector<TraceValue>& values);
  int list(std::vector<std::string> labels);

  std::vector<std::vector<std::string>>& lists_;
  const TraceOptions& known_;
};

}  // namespace gradus
