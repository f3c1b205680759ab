#include "apps/text.h"

#include <filesystem>

#include "engine/safetensors.h"
#include "models/corpus.h"

namespace gradus {

Text read_texts(const std::vector<std::string>& files, const Config& config) {
  Text t;
  for (const std::string& file : files) {
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
