#include "apps/next_command.h"

#include <algorithm>

#include "models/text/shell_word.h"

namespace gradus {

static std::vector<std::string> typed{"gradus"};

void set_command_line(int argc, char** argv) {
  if (argc > 0) typed.assign(argv, argv + argc);
}

const std::string& program_name() { return typed[0]; }
const std::vector<std::string>& command_line_words() { return typed; }

std::string proposed(const std::vector<std::string>& words) {
  std::string line = shell_path(typed[0]);
  for (const std::string& word : words) line += " " + shell_word(word);
  return line;
}

std::string typed_again(const std::vector<std::string>& more, const std::vector<std::string>& without) {
  std::vector<std::string> words;
  for (size_t i = 1; i < typed.size(); ++i) {
    const std::string name = typed[i].substr(0, typed[i].find('='));
    if (std::find(without.begin(), without.end(), name) == without.end())
      words.push_back(typed[i]);
    else if (name.size() == typed[i].size())
      ++i;  // its value
  }
  words.insert(words.end(), more.begin(), more.end());
  return proposed(words);
}

}  // namespace gradus
