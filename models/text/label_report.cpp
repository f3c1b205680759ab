#include "models/text/label_report.h"

#include <algorithm>
#include <numeric>

namespace gradus {

LabelReport label_report(std::vector<std::string> labels, std::vector<std::vector<int64_t>> confusion) {
  const size_t K = labels.size();
  LabelReport report;
  report.labels = std::move(labels);
  report.rows.resize(K);
  const auto share = [&](int64_t n, int64_t of) {
    report.undefined += of == 0;
    return of == 0 ? 0.0 : double(n) / double(of);
  };
  int64_t right = 0, all = 0;
  for (size_t k = 0; k < K; ++k) {
    const int64_t support = std::accumulate(confusion[k].begin(), confusion[k].end(), int64_t{0}),
                  hits = confusion[k][k];
    int64_t predicted = 0;
    for (const auto& row : confusion) predicted += row[k];
    report.rows[k] = {share(hits, predicted), share(hits, support), share(2 * hits, predicted + support), support};
    right += hits;
    all += support;
  }
  report.accuracy = all == 0 ? 0 : double(right) / double(all);
  report.micro = {report.accuracy, report.accuracy, report.accuracy, all};
  const auto average = [&](auto weight, double total) {
    LabelScores mean;
    mean.support = all;
    for (const LabelScores& row : report.rows) {
      mean.precision += weight(row) * row.precision;
      mean.recall += weight(row) * row.recall;
      mean.f1 += weight(row) * row.f1;
    }
    for (double* x : {&mean.precision, &mean.recall, &mean.f1}) *x = total == 0 ? 0 : *x / total;
    return mean;
  };
  report.macro = average([](const LabelScores&) { return 1.0; }, double(K));
  report.weighted = average([](const LabelScores& row) { return double(row.support); }, double(all));
  report.confusion = std::move(confusion);
  return report;
}

std::optional<double> area_under_curve(const std::vector<double>& score, const std::vector<bool>& has_label) {
  std::vector<size_t> order(score.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t i, size_t j) { return score[i] < score[j]; });
  int64_t with = 0, without = 0, twice = 0;  // twice: the pairs in the right order, equal ones once
  for (size_t i = 0; i < order.size();) {
    int64_t ties[2] = {0, 0};
    size_t end = i;
    for (; end < order.size() && score[order[end]] == score[order[i]]; ++end) ++ties[has_label[order[end]] ? 1 : 0];
    twice += ties[1] * (2 * without + ties[0]);
    without += ties[0];
    with += ties[1];
    i = end;
  }
  if (with == 0 || without == 0) return {};
  return double(twice) / (2 * double(with) * double(without));
}

}  // namespace gradus
