#include "models/text/tsv.h"

#include <algorithm>

#include "engine/error.h"
#include "engine/long_loop.h"
#include "models/text/read_text.h"

namespace gradus {

// "prompt, a tab, reply"
static std::string form(std::span<const char* const> columns) {
  std::string names;
  for (const char* const column : columns) names += (names.empty() ? "" : ", a tab, ") + std::string(column);
  return names;
}

std::vector<std::string> tsv_fields(std::string_view line, std::span<const char* const> columns) {
  const auto tabs = size_t(std::ranges::count(line, '\t'));
  if (line.empty()) throw DataError("is empty; a line is " + form(columns));
  if (tabs + 1 != columns.size())
    throw DataError(text("has ", tabs == 0 ? "no" : std::to_string(tabs), tabs > 1 ? " tabs" : " tab", "; a line is ",
                         form(columns)));
  std::vector<std::string> fields;
  for (size_t end; (end = line.find('\t')) != line.npos; line.remove_prefix(end + 1))
    fields.emplace_back(line.substr(0, end));
  fields.emplace_back(line);
  return fields;
}

std::vector<TsvRow> tsv_rows(std::string_view content, std::span<const char* const> columns, const std::string& name) {
  std::vector<TsvRow> rows;
  const std::vector<std::string_view> lines = split_lines(content);
  const LongLoop loop("reading lines", std::ssize(lines));
  for (const std::string_view line : lines) try {
      loop.at(std::ssize(rows));
      rows.push_back({.line = std::ssize(rows) + 1, .fields = tsv_fields(line, columns)});
    } catch (const DataError& error) {
      throw DataError(text(name, ", line ", rows.size() + 1, ": ", error.what()));
    }
  return rows;
}

std::vector<TsvRow> read_tsv(const std::string& path, std::initializer_list<const char*> columns) {
  const std::string content = read_text(path);
  require_newlines(content, path);
  return tsv_rows(content, {columns.begin(), columns.size()}, path);
}

}  // namespace gradus
