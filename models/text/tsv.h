// Tables as text: one row a line, its fields with one tab between them (TSV). Nothing is quoted, so a field holds
// neither tab nor newline. Pairs (models/text/pairs.h) are such tables, and so are labels and preferences.
//
//   for (const TsvRow& row : read_tsv("faq.tsv", {"prompt", "reply"})) learn(row.fields[0], row.fields[1]);
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace gradus {

struct TsvRow {
  int64_t line;                     // its number in the file, from 1
  std::vector<std::string> fields;  // as many as were asked for; one may be empty
};

// The fields of one line. `columns` names them, for messages. DataError for more or fewer, for an empty line too.
std::vector<std::string> tsv_fields(std::string_view line, std::span<const char* const> columns);
// The rows of a text. DataError as above, with `name` and the line.
std::vector<TsvRow> tsv_rows(std::string_view content, std::span<const char* const> columns, const std::string& name);
// Those of a file. DataError also as read_text and require_newlines (models/text/read_text.h).
std::vector<TsvRow> read_tsv(const std::string& path, std::initializer_list<const char*> columns);

}  // namespace gradus
