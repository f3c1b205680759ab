#include "models/text/labels.h"

#include <algorithm>
#include <set>

#include "engine/error.h"
#include "engine/io/json_reader.h"
#include "models/text/tsv.h"

namespace gradus {

std::vector<Labelled> labelled_of(std::string_view content, const std::string& name) {
  static constexpr const char* kColumns[] = {"label", "text"};
  std::vector<Labelled> texts;
  for (TsvRow& row : tsv_rows(content, kColumns, name)) {
    const std::string& label = row.fields[0];
    if (label.empty() || label.front() == ' ' || label.back() == ' ')
      throw DataError(text(name, ", line ", row.line, ": the label ", in_quotes(label),
                           label.empty() ? " is empty" : " begins or ends with a space",
                           "; a line is label, a tab, text"));
    texts.push_back({std::move(row.fields[0]), std::move(row.fields[1]), row.line});
  }
  return texts;
}

std::vector<std::string_view> texts_of(const std::vector<Labelled>& rows) {
  std::vector<std::string_view> texts;
  texts.reserve(rows.size());
  for (const Labelled& row : rows) texts.push_back(row.text);
  return texts;
}

std::vector<std::string> labels_in(const std::vector<Labelled>& texts, const std::string& name) {
  std::set<std::string> labels;
  for (const Labelled& one : texts) labels.insert(one.label);
  if (labels.size() < 2)
    throw DataError(text(name, ": every line has the label ", in_quotes(texts.empty() ? "" : *labels.begin()),
                         "; a classifier needs two labels or more to tell apart"));
  return {labels.begin(), labels.end()};
}

}  // namespace gradus
