// Quotes a text as one word of a shell command.
#pragma once

#include <string>

namespace gradus {

// `s` as one word of a command line, in quotes where it needs them.
std::string shell_word(const std::string& s);

}  // namespace gradus
