// A report of labels (models/text/label_report.h) as a table for people, in the layout that scikit-learn has made
// usual, and the check of such a table that somebody has printed.
#pragma once

#include <string>
#include <vector>

#include "models/text/label_report.h"

namespace gradus {

// With `digits` places behind the points; check_table() reads it.
std::string label_table(const LabelReport& report, int digits = 3);

// What is wrong with a table, one sentence each; nothing of one that some confusion matrix of texts with one label each
// can have. It looks whether, up to the rounding of the printed places,
//   - each F1 is 2PR/(P + R) of its row, and each recall is a whole number of the row's support;
//   - the supports sum to the printed total;
//   - the macro and weighted averages are those of the rows;
//   - the micro precision, recall and F1 and the accuracy are equal, and the share of texts that the rows say are
//   right;
//   - the rows predict as many labels as there are texts.
// `content` is a line that names the columns, then LABEL P R F1 SUPPORT in each line, then the averages. DataError,
// with `name` and the line, for what is no such table.
std::vector<std::string> check_table(const std::string& content, const std::string& name);

}  // namespace gradus
