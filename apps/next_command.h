// Commands that the program proposes: complete, under the name that it was started by, and quoted, so that they can be
// pasted into a shell.
#pragma once

#include <string>
#include <vector>

namespace gradus {

// Called once, before all below.
void set_command_line(int argc, char** argv);

const std::string& program_name();  // as it was typed
const std::vector<std::string>& command_line_words();
// build/gradus sample 'my run' --tokens 400
std::string proposed(const std::vector<std::string>& words);
// The command line as it was typed, but for `without` (options with one value), and `more` behind it.
std::string typed_again(const std::vector<std::string>& more, const std::vector<std::string>& without = {});

}  // namespace gradus
