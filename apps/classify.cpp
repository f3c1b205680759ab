// gradus classify report and predict: what a classifier says of texts. gradus classify train is gradus train on lines
// with labels (apps/train.cpp).
#include <cmath>
#include <cstdio>

#include "apps/console.h"
#include "apps/format.h"
#include "apps/input_lines.h"
#include "apps/label_table.h"
#include "engine/io/json_number.h"
#include "engine/io/json_reader.h"
#include "models/memory.h"
#include "models/run/judge.h"
#include "models/text/labels.h"
#include "models/text/read_text.h"
#include "models/text/utf8.h"

namespace gradus {
namespace {

size_t label_id(const Checkpoint& run, const std::string& label, const std::string& where) {
  for (size_t k = 0; k < run.labels.size(); ++k)
    if (run.labels[k] == label) return k;
  throw DataError(text(where, "the label ", in_quotes(label), " is not one of ", run.path, ": ", joined(run.labels)));
}

// Labelled lines as the run reads them.
struct LabelledTexts {
  std::vector<Labelled> rows;
  std::vector<size_t> label;
  std::vector<std::vector<int32_t>> ids;
  int64_t cut = 0;  // that are longer than the context of the run
};
LabelledTexts read_labelled(const Checkpoint& run, const std::string& path) {
  const std::string content = read_text(path);
  require_newlines(content, path);
  LabelledTexts texts{.rows = labelled_of(content, path), .label = {}, .ids = {}, .cut = 0};
  for (const Labelled& row : texts.rows) {
    const std::string where = text(path, ", line ", row.line, ": ");
    texts.label.push_back(label_id(run, row.label, where));
    try {
      texts.ids.push_back(read_by(run, row.text, &texts.cut));
    } catch (const DataError& error) {
      throw DataError(where + error.what());
    }
  }
  return texts;
}

void announce_cut(Console& console, const Checkpoint& run, const std::string& where, int64_t cut, int64_t all) {
  if (cut > 0)
    console.announce(text(where, ": ", grouped(cut), " of ", grouped(all), all == 1 ? " text" : " texts",
                          cut == 1 ? " is" : " are", " longer than the context of ", run.path, ", ", run.config.context,
                          " tokens with the mark, and ", cut == 1 ? "was" : "were", " judged by the beginning"));
}

// A classifier, where there is memory to ask it.
Checkpoint open_classifier(const std::string& path) {
  Checkpoint run = load_classifier(path);
  require_memory(evaluation_bytes(*run.model, kSideBySide, run.config.context, 1), text("judging texts by ", run.path),
                 "the model and its context are too large for this machine");
  return run;
}

Json scores_json(const LabelScores& row) {
  return {{"precision", row.precision}, {"recall", row.recall}, {"f1", row.f1}, {"support", row.support}};
}

int check(const ClassifyCommand& command) {
  const std::vector<std::string> faults = check_table(read_text(command.check, kMostListed), command.check);
  if (command.common.json)
    std::printf("%s\n", Json{{"consistent", faults.empty()}, {"faults", faults}}.dump().c_str());
  else if (faults.empty())
    std::printf("%s: is consistent.\n", one_line(command.check, 80).c_str());
  else
    for (const std::string& fault : faults) std::printf("%s\n", harmless_line(fault).c_str());
  if (faults.empty()) return kDone;
  throw DataError(text(command.check, ": no texts with one label each have this report; ", faults.size(),
                       faults.size() == 1 ? " statement contradicts" : " statements contradict",
                       " the rest: ", faults[0], faults.size() > 1 ? "; ..." : ""));
}

}  // namespace

int classify_report(const ClassifyCommand& command) {
  if (!command.check.empty()) return check(command);
  Console console(command.common);
  const Checkpoint run = open_classifier(command.run);
  const LabelledTexts texts = read_labelled(run, command.file);
  announce_cut(console, run, command.file, texts.cut, std::ssize(texts.ids));
  const std::vector<Judgement> judged = judge(run, texts.ids);
  const size_t K = run.labels.size();
  std::vector<std::vector<int64_t>> confusion(K, std::vector<int64_t>(K));
  for (size_t i = 0; i < judged.size(); ++i) ++confusion[texts.label[i]][judged[i].likeliest()];
  const LabelReport report = label_report(run.labels, std::move(confusion));
  std::vector<std::optional<double>> areas;
  for (size_t k = 0; k < K; ++k) {
    std::vector<double> score;
    std::vector<bool> is;
    for (size_t i = 0; i < judged.size(); ++i) {
      score.push_back(judged[i].probability[k]);
      is.push_back(texts.label[i] == k);
    }
    areas.push_back(area_under_curve(score, is));
  }
  if (report.undefined > 0)
    console.announce(text(report.undefined, " of the scores ", report.undefined == 1 ? "is" : "are",
                          " 0/0, of labels that no text has or that were never predicted, and ",
                          report.undefined == 1 ? "counts" : "count", " as 0"));
  if (!command.common.json) {
    std::printf("%s\n", harmless(label_table(report)).c_str());
    std::printf("Area under the ROC curve:");
    for (size_t k = 0; k < K; ++k)
      std::printf("%s %s %s", k > 0 ? "," : "", one_line(run.labels[k], 40).c_str(),
                  areas[k] ? fixed(*areas[k], 3).c_str() : "undefined");
    std::printf("\n\nConfusion, a row for each true label, a column for each predicted one:\n");
    for (size_t t = 0; t < K; ++t) {
      for (const int64_t n : report.confusion[t]) std::printf("%s", right(std::to_string(n), 7).c_str());
      std::printf("  %s\n", one_line(run.labels[t], 40).c_str());
    }
    return kDone;
  }
  Json labels = Json::array();
  for (size_t k = 0; k < K; ++k) {
    Json row{{"label", report.labels[k]}};
    row.update(scores_json(report.rows[k]));
    row["auc"] = json_number(areas[k]);
    labels.push_back(row);
  }
  const Json result{{"texts", report.micro.support},
                    {"accuracy", report.accuracy},
                    {"labels", labels},
                    {"micro", scores_json(report.micro)},
                    {"macro", scores_json(report.macro)},
                    {"weighted", scores_json(report.weighted)},
                    {"undefined", report.undefined},
                    {"confusion", report.confusion},
                    {"cut", texts.cut}};
  std::printf("%s\n", result.dump().c_str());
  return kDone;
}

namespace {

double cosine(const std::vector<double>& a, const std::vector<double>& b) {
  double ab = 0, aa = 0, bb = 0;
  for (size_t i = 0; i < a.size(); ++i) ab += a[i] * b[i], aa += a[i] * a[i], bb += b[i] * b[i];
  return aa == 0 || bb == 0 ? 0 : ab / std::sqrt(aa * bb);
}

// The nearest text of a label: by the cosine of the features, of equal ones the first.
struct Templates {
  LabelledTexts texts;
  std::vector<Judgement> judged;

  struct Nearest {
    size_t place;
    double cosine;
  };
  std::optional<Nearest> nearest(size_t label, const std::vector<double>& features) const {
    std::optional<Nearest> best;
    for (size_t i = 0; i < judged.size(); ++i)
      if (texts.label[i] == label)
        if (const double c = cosine(features, judged[i].features); !best || c > best->cosine) best = Nearest{i, c};
    return best;
  }
};

}  // namespace

int classify_predict(const ClassifyCommand& command) {
  Console console(command.common);
  const Checkpoint run = open_classifier(command.run);
  const size_t of = command.of.empty() ? 0 : label_id(run, command.of, "--of: ");
  Templates templates;
  if (!command.templates.empty()) {
    templates.texts = read_labelled(run, command.templates);
    announce_cut(console, run, command.templates, templates.texts.cut, std::ssize(templates.texts.ids));
    templates.judged = judge(run, templates.texts.ids);
  }
  int64_t all = 0, cut = 0;
  InputLines input;
  for (std::string line; input.next(line);) {
    std::vector<int32_t> ids;
    try {
      ids = read_by(run, line, &cut);
      ++all;
    } catch (const DataError& error) {
      throw DataError(text(input.place(), ": ", error.what()));
    }
    const Judgement one = judge(run, {&ids, 1})[0];
    const size_t best = one.likeliest();
    const std::optional<Templates::Nearest> nearest = templates.nearest(best, one.features);
    if (command.common.json) {
      Json probabilities = Json::object();
      for (size_t k = 0; k < run.labels.size(); ++k) probabilities[run.labels[k]] = one.probability[k];
      Json record{{"text", valid_utf8(line)}, {"label", run.labels[best]}, {"probabilities", probabilities}};
      if (!command.templates.empty()) {
        record["nearest"] = nearest ? Json(templates.texts.rows[nearest->place].text) : Json(nullptr);
        record["cosine"] = nearest ? Json(nearest->cosine) : Json(nullptr);
      }
      std::printf("%s\n", record.dump().c_str());
    } else if (!command.of.empty()) {
      std::printf("%s\n", fixed(one.probability[of], 6).c_str());
    } else {
      std::printf("%s\t%s\t%s", harmless_line(run.labels[best]).c_str(), fixed(one.probability[best], 3).c_str(),
                  harmless_line(line).c_str());
      if (nearest) std::printf("\t%s", harmless_line(templates.texts.rows[nearest->place].text).c_str());
      std::printf("\n");
    }
    std::fflush(stdout);  // a program that sends lines one by one gets each answer at once
  }
  announce_cut(console, run, "standard input", cut, all);
  return kDone;
}

}  // namespace gradus
