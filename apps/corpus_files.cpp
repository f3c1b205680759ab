#include "apps/corpus_files.h"

#include <filesystem>

#include "engine/error.h"
#include "engine/io/hash.h"
#include "models/text/cutters.h"
#include "models/text/read_text.h"
#include "models/text/utf8.h"

namespace gradus {

CorpusFiles read_corpus_files(const std::vector<std::string>& paths, const Config& config) {
  CorpusFiles files;
  const bool any_bytes = find_cutter(config.tokenizer).any_bytes;
  for (const std::string& path : paths) {
    if (find_bad_byte(path))
      throw DataError(text(one_line(path, 200), ": the name of a text must be UTF-8 itself; rename it"));
    files.paths.push_back(std::filesystem::absolute(path).lexically_normal().string());
    if (config.lines && !files.content.empty() && files.content.back() != '\n') files.content += '\n';
    files.content += any_bytes ? read_bytes(path) : read_text(path);
  }
  Hash64 hash;
  hash.add(files.content);
  files.hash = hash.hex();
  return files;
}

}  // namespace gradus
