// What train and eval read: one text made of files, as the tokenizer of a run wants it.
#pragma once

#include <string>
#include <vector>

#include "models/run/config.h"

namespace gradus {

struct Text {
  std::vector<std::string> files;  // absolute
  std::string content, hash;
  const std::string& name() const { return files[0]; }
};

// The files one after the other: UTF-8, or with --tokenizer byte whatever they hold. With --lines no line runs from one
// file into the next.
Text read_texts(const std::vector<std::string>& files, const Config& config);

}  // namespace gradus
