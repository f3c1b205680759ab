// Quotes a text as one word of a shell command.
#pragma once

#include <string>

namespace gradus {

// `s` as one word of a command line, in quotes where it needs them. It holds nothing that a terminal would obey, so it
// can be shown and pasted: bytes beyond that are written as what printf makes of their numbers, or where the last is a
// newline as $'...', which not every sh knows.
std::string shell_word(const std::string& s);
// A path where a command might take it for an option: ./-x for -x. And the same as a word.
std::string as_argument(const std::string& path);
std::string shell_path(const std::string& path);

}  // namespace gradus
