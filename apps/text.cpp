#include "apps/text.h"

#include <utf8.h>

#include <filesystem>

#include "apps/console.h"
#include "engine/io/hash.h"
#include "models/text/corpus.h"

namespace gradus {

Text read_texts(const std::vector<std::string>& files, const Config& config) {
  Text t;
  for (const std::string& file : files) {
    if (!utf8::is_valid(file))
      throw DataError(text(one_line(file, 200), ": the name of a text must be UTF-8 itself; rename it"));
    t.files.push_back(std::filesystem::absolute(file).lexically_normal().string());
    if (config.lines && !t.content.empty() && t.content.back() != '\n') t.content += '\n';
    t.content += config.tokenizer == "byte" ? read_bytes(file) : read_text(file);
  }
  Hash64 hash;
  hash.add(t.content);
  t.hash = hash.hex();
  return t;
}

}  // namespace gradus
