#include "engine/step/labels.h"

#include <algorithm>
#include <string_view>

#include "engine/ops_inside.h"

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

// Of a window whose rows have a label each, these.
Labels::Axes Labels::of(const TraceInput& in, const std::vector<TraceValue>& values) {
  const TraceValue& v = values[size_t(in.value)];
  if (in.shape == v.shape && (v.rows < 0 || lists_[size_t(v.rows)].size() == size_t(v.shape[0])))
    return {v.rows, v.columns};
  if (in.shape.rank() != 2 || in.shape.numel() == 0) return {};
  const int columns = v.shape.rank() == 2 && in.shape[1] == v.shape[1] ? v.columns : -1;
  if (v.rows < 0 || v.numel_of_label(lists_) != in.shape[1] || in.offset % in.shape[1] != 0) return {-1, columns};
  const auto begin = lists_[size_t(v.rows)].begin() + in.offset / in.shape[1];
  return {list({begin, begin + in.shape[0]}), columns};
}

Labels::Label Labels::at(const TraceInput& in, int64_t element, const std::vector<TraceValue>& values) const {
  const TraceValue& v = values[size_t(in.value)];
  return v.rows < 0 ? nullptr : &lists_[size_t(v.rows)][size_t((in.offset + element) / v.numel_of_label(lists_))];
}

// `labels`, one for each number of y: a label for each row, or for equal parts of rows, as long as may be.
void Labels::by_elements(TraceValue& y, const std::vector<Label>& labels) {
  const int64_t M = y.shape[1];
  for (int64_t parts = 1; parts < std::max<int64_t>(M, 2); ++parts) {
    if (M % parts != 0) continue;
    const int64_t n = M / parts;
    bool same = true;
    for (int64_t e = 0; same && e < int64_t(labels.size()); ++e)
      same = labels[size_t(e)] && *labels[size_t(e)] == *labels[size_t(e - e % n)];
    if (!same) continue;
    std::vector<std::string> rows;
    for (size_t e = 0; e < labels.size(); e += size_t(n)) rows.push_back(*labels[e]);
    y.rows = list(rows);
    return;
  }
}

void Labels::hand_on(const TraceOp& op, const Op& of_tape, std::vector<TraceValue>& values) {
  TraceValue& y = values[size_t(op.out[0])];
  const std::string_view kind = op.kind->name;
  if (op.in.empty() || y.shape.rank() == 0) return;
  const Axes u = of(op.in[0], values), v = op.in.size() > 1 ? of(op.in[1], values) : Axes{};
  const Shape& shape = op.in[0].shape;
  if (kind == "columns" || kind == "concat") {
    std::vector<Label> labels;
    const int64_t first = kind == "columns" ? first_column(of_tape) : 0;
    for (int64_t n = 0; n < y.shape[0]; ++n)
      for (const TraceInput& in : op.in)
        for (int64_t j = 0; j < (kind == "columns" ? y.shape[1] : in.shape[1]); ++j)
          labels.push_back(at(in, n * in.shape[1] + first + j, values));
    by_elements(y, labels);
  } else if (kind == "embedding") {
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
