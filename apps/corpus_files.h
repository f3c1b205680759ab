// The text that train and eval read: files joined to one text, in the form that the tokenizer of the run needs.
#pragma once

#include <string>
#include <vector>

#include "models/run/config.h"

namespace gradus {

struct CorpusFiles {
  std::vector<std::string> paths;  // absolute
  std::string content, hash;       // of all of them, one after the other
  const std::string& name() const { return paths[0]; }
};

// UTF-8, or where the tokenizer takes any bytes whatever the files hold. With config.lines no line runs from one file
// into the next. DataError as read_text, and for a path that is not UTF-8 itself.
CorpusFiles read_corpus_files(const std::vector<std::string>& paths, const Config& config);

}  // namespace gradus
