#include "apps/label_table.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "apps/format.h"
#include "engine/error.h"
#include "engine/io/json_reader.h"
#include "models/text/read_text.h"
#include "models/text/utf8.h"

namespace gradus {

static constexpr const char *kMicro = "micro avg", *kMacro = "macro avg", *kWeighted = "weighted avg",
                            *kAccuracy = "accuracy";

std::string label_table(const LabelReport& report, int digits) {
  int64_t names = std::ssize(std::string(kWeighted));
  for (const std::string& label : report.labels) names = std::max(names, count_characters(label));
  const int64_t width = digits + 7;
  std::string out(size_t(names), ' ');
  for (const char* name : {"precision", "recall", "f1-score", "support"}) out += right(name, width);
  out += "\n\n";
  const auto line = [&](const std::string& name, const LabelScores& row) {
    out += right(name, names);
    for (const double x : {row.precision, row.recall, row.f1}) out += right(fixed(x, digits), width);
    out += right(std::to_string(row.support), width) + "\n";
  };
  for (size_t k = 0; k < report.labels.size(); ++k) line(report.labels[k], report.rows[k]);
  out += "\n" + right(kAccuracy, names) + right(fixed(report.accuracy, digits), 3 * width) +
         right(std::to_string(report.micro.support), width) + "\n";
  line(kMacro, report.macro);
  line(kWeighted, report.weighted);
  return out;
}

namespace {

// A printed number, which was anything within `half` of its value.
struct Printed {
  double value = 0, half = 0;
  double least() const { return std::max(0.0, value - half); }
  double most() const { return std::min(1.0, value + half); }
};
struct PrintedRow {
  std::string name;
  std::vector<Printed> scores;  // precision, recall, F1; of the accuracy one
  int64_t support = 0;
};
constexpr const char* kScores[] = {"precision", "recall", "F1"};
constexpr double kTiny = 1e-12;
// Then every sum of supports is a whole number in double precision too, and far from the ends of int64_t.
constexpr int64_t kMostSupport = 100'000'000'000, kMostRows = 1 << 16;

bool read_printed(std::string_view word, Printed& out) {
  const auto [end, error] =
      std::from_chars(word.data(), word.data() + word.size(), out.value, std::chars_format::fixed);
  if (error != std::errc() || end != word.data() + word.size() || !(out.value >= 0 && out.value <= 1)) return false;
  const size_t point = word.find('.');
  out.half = 0.5 * std::pow(10, -double(point == word.npos ? 0 : word.size() - point - 1)) + kTiny;
  return true;
}

// The last word of a line is taken off it; empty if there is none.
std::string_view take_last(std::string_view& line) {
  while (line.ends_with(' ') || line.ends_with('\t')) line.remove_suffix(1);
  const size_t space = line.find_last_of(" \t");
  const std::string_view word = line.substr(space == line.npos ? 0 : space + 1);
  line.remove_suffix(word.size());
  return word;
}

PrintedRow read_row(std::string_view line, const std::string& where) {
  const auto fail = [&](const std::string& what) {
    throw DataError(text(where, ": ", what, "; a line is a label, its precision, recall and F1, and its support"));
  };
  PrintedRow row;
  const std::string_view support = take_last(line);
  const auto [end, error] = std::from_chars(support.data(), support.data() + support.size(), row.support);
  if (error != std::errc() || end != support.data() + support.size() || row.support < 0)
    fail(text(in_quotes(std::string(support)), " is not a whole number of texts"));
  if (row.support > kMostSupport)
    throw DataError(text(where, ": a support of ", row.support, " texts; it may be ", kMostSupport, " at most"));
  while (row.scores.size() < 3) {
    std::string_view rest = line;
    Printed score;
    if (!read_printed(take_last(rest), score)) break;
    row.scores.insert(row.scores.begin(), score);
    line = rest;
  }
  while (line.starts_with(' ') || line.starts_with('\t')) line.remove_prefix(1);
  while (line.ends_with(' ') || line.ends_with('\t')) line.remove_suffix(1);
  row.name = line;
  if (row.scores.size() != (row.name == kAccuracy ? 1u : 3u))
    fail(text("has ", row.scores.size(), " numbers from 0 to 1 before the support"));
  if (row.name.empty()) fail("has no label");
  return row;
}

std::string number(double x) { return significant(x, 5); }

// What contradicts what, in sentences.
class Audit {
 public:
  Audit(std::vector<PrintedRow> labels, std::vector<PrintedRow> averages)
      : labels_(std::move(labels)), averages_(std::move(averages)) {
    for (const PrintedRow& row : labels_) total_ += row.support;
  }
  std::vector<std::string> faults() && {
    for (const PrintedRow& row : labels_) check_label(row);
    for (const PrintedRow& row : averages_) {
      if (row.support != total_)
        say("the supports of the labels sum to ", total_, ", ", row.name, " has ", row.support);
      if (row.name == kMacro) check_mean(row, false);
      if (row.name == kWeighted) check_mean(row, true);
      if (row.name == kMicro || row.name == kAccuracy) check_micro(row);
    }
    check_predicted();
    return std::move(faults_);
  }

 private:
  template <class... Parts>
  void say(const Parts&... parts) {
    faults_.push_back(text(parts...));
  }

  static double f1(double p, double r) { return p + r == 0 ? 0 : 2 * p * r / (p + r); }

  void check_label(const PrintedRow& row) {
    const Printed &p = row.scores[0], &r = row.scores[1], &f = row.scores[2];
    if (f1(p.most(), r.most()) < f.value - f.half || f1(p.least(), r.least()) > f.value + f.half)
      say("label ", row.name, ": precision ", number(p.value), " and recall ", number(r.value), " make F1 ",
          number(f1(p.value, r.value)), ", printed is ", number(f.value));
    const double hits = std::round(r.value * double(row.support));
    if (row.support > 0 && std::abs(hits / double(row.support) - r.value) > r.half)
      say("label ", row.name, ": recall ", number(r.value), " is no whole number of its ", row.support,
          " texts; the nearest, ", int64_t(hits), ", makes ", number(hits / double(row.support)));
  }

  void check_mean(const PrintedRow& row, bool weighted) {
    for (size_t s = 0; s < 3; ++s) {
      double mean = 0, half = 0, total = 0;
      for (const PrintedRow& label : labels_) {
        const double weight = weighted ? double(label.support) : 1;
        mean += weight * label.scores[s].value;
        half += weight * label.scores[s].half;
        total += weight;
      }
      if (total == 0) continue;
      if (std::abs(mean / total - row.scores[s].value) > half / total + row.scores[s].half)
        say(row.name, ": the ", kScores[s], " of the rows averages ", number(mean / total), ", printed is ",
            number(row.scores[s].value));
    }
  }

  // One label for each text: what is right is the same share of the truth and of the predictions.
  void check_micro(const PrintedRow& row) {
    for (size_t s = 1; s < std::min(row.scores.size(), std::size(kScores)); ++s)
      if (const Printed& a = row.scores[0], &b = row.scores[s]; std::abs(a.value - b.value) > kTiny) {
        say(row.name, ": ", kScores[s], " ", number(b.value), " is not the precision, ", number(a.value),
            "; with one label for each text both are the accuracy");
        break;
      }
    double right = 0, half = 0;
    for (const PrintedRow& label : labels_) {
      right += double(label.support) * label.scores[1].value;
      half += double(label.support) * label.scores[1].half;
    }
    const size_t recall = row.scores.size() == 1 ? 0 : 1;
    const double N = double(total_);
    if (total_ > 0 && std::abs(right / N - row.scores[recall].value) > half / N + row.scores[recall].half)
      say(row.name, ": the rows say that ", number(right / N), " of the texts are right, printed is ",
          number(row.scores[recall].value));
  }

  // Each text gets one label: the predictions of all labels, hits over precision, are as many as the texts.
  void check_predicted() {
    double least = 0, most = 0;
    for (const PrintedRow& row : labels_) {
      const Printed &p = row.scores[0], &r = row.scores[1];
      if (p.least() == 0) return;  // 0/0, or so few hits that nothing follows
      least += double(row.support) * r.least() / p.most();
      most += double(row.support) * r.most() / p.least();
    }
    if (double(total_) < std::floor(least) || double(total_) > std::ceil(most))
      say("the rows say that from ", number(std::floor(least)), " to ", number(std::ceil(most)),
          " labels were predicted, for ", total_, " texts with one label each");
  }

  std::vector<PrintedRow> labels_, averages_;
  std::vector<std::string> faults_;
  int64_t total_ = 0;
};

}  // namespace

std::vector<std::string> check_table(const std::string& content, const std::string& name) {
  std::vector<PrintedRow> labels, averages;
  bool begun = false;
  int64_t number_of_line = 0;
  for (std::string_view line : split_lines(content)) {
    const std::string where = text(name, ", line ", ++number_of_line);
    if (line.find_first_not_of(" \t") == line.npos) continue;
    if (!begun) {
      begun = line.find("precision") != line.npos && line.find("support") != line.npos;
      if (!begun)
        throw DataError(text(where, ": is not the head of a report, which names precision, recall, f1-score, support"));
      continue;
    }
    PrintedRow row = read_row(line, where);
    const bool average = row.name == kAccuracy || row.name.ends_with(" avg");
    (average ? averages : labels).push_back(std::move(row));
    if (std::ssize(labels) + std::ssize(averages) > kMostRows)
      throw DataError(text(where, ": has more than ", kMostRows, " rows"));
  }
  if (labels.empty()) throw DataError(text(name, ": has no row of a label"));
  return Audit(std::move(labels), std::move(averages)).faults();
}

}  // namespace gradus
