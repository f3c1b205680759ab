// The report of a classifier: precision, recall and F1 of each label and their averages, all from the integers of a
// confusion matrix. For label k, of N texts with one label each,
//
//   precision = n_kk / Σ_t n_tk,   recall = n_kk / Σ_p n_kp,   F1 = 2 n_kk / (Σ_t n_tk + Σ_p n_kp),   support = Σ_p
//   n_kp.
//
// 0/0 is 0. The macro average is the plain mean over the labels; the weighted one weighs with the support. Over all
// texts together precision = recall = F1 = accuracy, since each wrong text is one false positive and one false
// negative.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace gradus {

struct LabelScores {
  double precision = 0, recall = 0, f1 = 0;
  int64_t support = 0;
};

struct LabelReport {
  std::vector<std::string> labels;
  std::vector<LabelScores> rows;                // of each label
  LabelScores micro, macro, weighted;           // support: N
  double accuracy = 0;                          // 0 of no texts
  std::vector<std::vector<int64_t>> confusion;  // [true label][predicted label]
  int64_t undefined = 0;                        // how many precisions, recalls and F1 were 0/0
};
LabelReport label_report(std::vector<std::string> labels, std::vector<std::vector<int64_t>> confusion);

// The probability that a text of the label has a higher score than one without it, equal scores counting half: the area
// under the ROC curve. None unless there are both. REQUIRES: no score is NaN.
std::optional<double> area_under_curve(const std::vector<double>& score, const std::vector<bool>& has_label);

}  // namespace gradus
