#include "engine/step/labels.h"

#include <algorithm>
#include <string_view>

namespace gradus {

int Labels::list(std::vector<std::string> labels) {
  const auto found = std::find(lists_.begin(), lists_.end(), labels);
  if (found != lists_.end()) return int(found - lists_.begin());
  lists_.push_back(std::move(labels));
  return int(lists_.size()) - 1;
}

void Labels::leaf(TraceValue& v) {
  const auto known = [&](const std::map<std::string, std::vector<std::string>>& names, int axis) {
    const auto found = names.find(v.name);
    const bool fits = found != names.end() && v.shape.rank() == 2 && v.shape[axis] == int64_t(found->second.size());
    return fits ? list(found->second) : -1;
  };
  v.rows = known(known_.rows, 0);
  v.columns = known(known_.columns, 1);
}

// Of a window on whole rows their part of the labels.
Labels::Axes Labels::of(const TraceInput& in, const std::vector<TraceValue>& values) {
  const TraceValue& v = values[size_t(in.value)];
  if (in.shape == v.shape) return {v.rows, v.columns};
  if (in.shape.rank() != 2 || v.shape.rank() != 2 || in.shape[1] != v.shape[1] || in.shape[1] == 0) return {};
  if (v.rows < 0) return {-1, v.columns};
  const auto begin = lists_[size_t(v.rows)].begin() + in.offset / in.shape[1];
  return {list({begin, begin + in.shape[0]}), v.columns};
}

void Labels::hand_on(const TraceOp& op, std::vector<TraceValue>& values) {
  TraceValue& y = values[size_t(op.out[0])];
  const std::string_view kind = op.kind->name;
  if (op.in.empty() || y.shape.rank() == 0) return;
  const Axes u = of(op.in[0], values), v = op.in.size() > 1 ? of(op.in[1], values) : Axes{};
  const Shape& shape = op.in[0].shape;
  if (kind == "embedding") {
    if (u.rows >= 0) {
      std::vector<std::string> rows;
      for (const int32_t id : op.ids) rows.push_back(lists_[size_t(u.rows)][size_t(id)]);
      y.rows = list(rows);
    }
    y.columns = u.columns;
  } else if (kind == "matmul" || kind == "linear" || kind == "linear_gelu") {
    y.rows = u.rows;
    y.columns = v.columns;
  } else if (kind == "matmul_nt") {
    y.rows = u.rows;
    y.columns = v.rows;
  } else if (y.shape.rank() == 1) {  // a number for each row
    if (shape.rank() == 2 && shape[0] == y.shape[0]) y.columns = u.rows;
    if (shape.rank() == 1 && shape[0] == y.shape[0]) y.columns = u.columns;
  } else if (y.shape.rank() == 2 && shape.rank() == 2 && shape[0] == y.shape[0]) {
    y.rows = u.rows >= 0 || op.in.size() < 2 || op.in[1].shape != shape ? u.rows : v.rows;
    if (shape[1] == y.shape[1]) y.columns = u.columns;
  }
}

}  // namespace gradus
