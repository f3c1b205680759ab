#include "apps/corpus_files.h"

#include <filesystem>

#include "engine/error.h"
#include "engine/io/hash.h"
#include "models/text/cutters.h"
#include "models/text/read_text.h"
#include "models/text/utf8.h"
#include "models/text/words.h"

namespace gradus {
namespace {

// The mark would end the line in the middle.
void refuse_end_mark(std::string_view content, const std::string& path) {
  if (content.find(Tokenizer::kEndMark) == content.npos) return;
  const std::vector<std::string_view> lines = split_lines(content);
  for (size_t i = 0; i < lines.size(); ++i)
    for (const std::string_view word : words(lines[i], WordRule::kBetweenSpaces))
      if (word == Tokenizer::kEndMark)
        throw DataError(text(path, ", line ", i + 1, ": holds the word ", Tokenizer::kEndMark,
                             ", which is the mark that ends each line; remove it, or begin a new line there"));
}

}  // namespace

CorpusFiles read_corpus_files(const std::vector<std::string>& paths, const Config& config) {
  CorpusFiles files;
  const bool any_bytes = find_cutter(config.tokenizer).any_bytes;
  for (const std::string& path : paths) {
    files.paths.push_back(std::filesystem::absolute(path).lexically_normal().string());
    if (find_bad_byte(files.paths.back()))
      throw DataError(text(path, ": the name of a text and its folders must be UTF-8 itself; rename it"));
    if (config.lines && !files.content.empty() && files.content.back() != '\n') files.content += '\n';
    files.begin.push_back(files.content.size());
    const std::string content = any_bytes ? read_bytes(path) : read_text(path);
    if (config.lines) require_newlines(content, path);
    if (config.lines && !find_cutter(config.tokenizer).keeps_white) refuse_end_mark(content, path);
    files.content += content;
  }
  Hash64 hash;
  hash.add(files.content);
  files.hash = hash.hex();
  return files;
}

void throw_placed(const CorpusFiles& files, const Tokenizer& tokenizer) {
  const bool has_lines = tokenizer.end_id() >= 0;
  for (size_t f = 0; f < files.paths.size(); ++f) {
    const size_t end = f + 1 < files.paths.size() ? files.begin[f + 1] : files.content.size();
    std::string_view rest = std::string_view(files.content).substr(files.begin[f], end - files.begin[f]);
    for (size_t line = 1; !rest.empty(); ++line) {
      const std::string_view whole = rest.substr(0, std::min(rest.find('\n'), rest.size() - 1) + 1);
      rest.remove_prefix(whole.size());
      try {
        tokenizer.encode(has_lines ? split_lines(whole)[0] : whole);
      } catch (const DataError& here) {
        throw DataError(text(files.paths[f], ", line ", line, ": ", here.what()));
      }
    }
  }
  throw;
}

}  // namespace gradus
