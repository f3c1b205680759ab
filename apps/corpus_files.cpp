#include "apps/corpus_files.h"

#include <filesystem>
#include <optional>

#include "apps/format.h"
#include "engine/error.h"
#include "engine/io/hash.h"
#include "models/text/cutters.h"
#include "models/text/pairs.h"
#include "models/text/read_text.h"
#include "models/text/utf8.h"
#include "models/text/word_list.h"

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

std::string absolute(const std::string& path) { return std::filesystem::absolute(path).lexically_normal().string(); }

// The content of a file without the lines in which a word of the list occurs; of the others `files` gets the numbers.
std::string without(const WordList& list, std::string_view content, CorpusFiles& files) {
  std::string kept;
  for (int64_t number = 1; !content.empty(); ++number) {
    const std::string_view line = content.substr(0, std::min(content.find('\n'), content.size() - 1) + 1);
    content.remove_prefix(line.size());
    if (list.occurs_in(line)) {
      ++files.dropped;
      continue;
    }
    kept += line;
    files.lines.push_back(number);
  }
  return kept;
}

}  // namespace

CorpusFiles read_corpus_files(const std::vector<std::string>& paths, const Config& config, const std::string& drop) {
  CorpusFiles files;
  files.pairs = config.pairs;
  std::optional<WordList> list;
  if (!drop.empty()) list.emplace(files.drop = absolute(drop), word_rule(find_cutter(config.tokenizer)));
  const bool any_bytes = find_cutter(config.tokenizer).any_bytes;
  for (const std::string& path : paths) {
    files.paths.push_back(absolute(path));
    if (find_bad_byte(files.paths.back()))
      throw DataError(text(path, ": the name of a text and its folders must be UTF-8 itself; rename it"));
    if (config.lines && !files.content.empty() && files.content.back() != '\n') files.content += '\n';
    files.begin.push_back(files.content.size());
    const std::string content = any_bytes ? read_bytes(path) : read_text(path);
    if (config.lines) require_newlines(content, path);
    if (config.lines && !find_cutter(config.tokenizer).keeps_white) refuse_end_mark(content, path);
    if (config.pairs) pairs_of(content, path);  // or it throws, with the line of this file
    files.content += list ? without(*list, content, files) : content;
  }
  if (files.content.empty()) throw DataError(text(drop, ": a word of this list occurs in every line of the text"));
  Hash64 hash;
  hash.add(files.content);
  files.hash = hash.hex();
  return files;
}

std::string dropped_lines(const CorpusFiles& files) {
  const int64_t all = files.dropped + std::ssize(files.lines);
  return text("Dropped ", grouped(files.dropped), " of ", grouped(all), all == 1 ? " line" : " lines", ": a word of ",
              files.drop, " occurs in them.");
}

void throw_placed(const CorpusFiles& files, const Tokenizer& tokenizer) {
  const bool has_lines = tokenizer.end_id() >= 0;
  size_t in_all = 0;
  for (size_t f = 0; f < files.paths.size(); ++f) {
    const size_t end = f + 1 < files.paths.size() ? files.begin[f + 1] : files.content.size();
    std::string_view rest = std::string_view(files.content).substr(files.begin[f], end - files.begin[f]);
    for (int64_t in_file = 1; !rest.empty(); ++in_file, ++in_all) {
      const int64_t line = files.lines.empty() ? in_file : files.lines[in_all];
      const std::string_view whole = rest.substr(0, std::min(rest.find('\n'), rest.size() - 1) + 1);
      rest.remove_prefix(whole.size());
      try {
        if (files.pairs)
          example_of(tokenizer, pairs_of(whole, files.paths[f])[0]);
        else
          tokenizer.encode(has_lines ? split_lines(whole)[0] : whole);
      } catch (const DataError& here) {
        throw DataError(text(files.paths[f], ", line ", line, ": ", here.what()));
      }
    }
  }
  throw;
}

}  // namespace gradus
