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

std::vector<TsvRow> tsv_rows(std::string_view content, std::span<const char* const> columns, const std::string& name) {
  std::vector<TsvRow> rows;
  const std::vector<std::string_view> lines = split_lines(content);
  const LongLoop loop("reading lines", std::ssize(lines));
  for (std::string_view line : lines) {
    loop.at(std::ssize(rows));
    TsvRow row{.line = std::ssize(rows) + 1, .fields = {}};
    const auto tabs = size_t(std::ranges::count(line, '\t'));
    if (tabs + 1 != columns.size())
      throw DataError(text(name, ", line ", row.line, ": ", line.empty() ? "is empty" : "has ",
                           line.empty()  ? std::string()
                           : tabs == 0   ? std::string("no tab")
                                         : text(tabs, tabs == 1 ? " tab" : " tabs"),
                           "; a line is ", form(columns)));
    for (size_t end; (end = line.find('\t')) != line.npos; line.remove_prefix(end + 1))
      row.fields.emplace_back(line.substr(0, end));
    row.fields.emplace_back(line);
    rows.push_back(std::move(row));
  }
  return rows;
}

std::vector<TsvRow> read_tsv(const std::string& path, std::initializer_list<const char*> columns) {
  const std::string content = read_text(path);
  require_newlines(content, path);
  return tsv_rows(content, {columns.begin(), columns.size()}, path);
}

}  // namespace gradus
