// Texts with labels: lines LABEL, a tab, TEXT (models/text/tsv.h). What a classifier learns from and is measured on.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace gradus {

struct Labelled {
  std::string label, text;  // the text may be empty
  int64_t line = 0;         // in its file, from 1
};

// DataError, with the line, as tsv_rows(), for an empty label and for one with white space at an end.
std::vector<Labelled> labelled_of(std::string_view content, const std::string& name);
std::vector<std::string_view> texts_of(const std::vector<Labelled>& rows);  // which must outlive them
// The labels that occur, each once, in the order of their code points. DataError for one alone: there is nothing to
// tell apart.
std::vector<std::string> labels_in(const std::vector<Labelled>& texts, const std::string& name);

}  // namespace gradus
