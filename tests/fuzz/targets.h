// Every way in which a file from somebody else reaches the program, as a function of that file's bytes. clang's fuzzer
// calls them (`make fuzz`), and test_fuzz.cpp calls them again with the inputs of regressions/, one folder a target.
#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace gradus::fuzz {

struct Target {
  const char* name;
  // Returns where the program would end with an exit code of its contract: done, or bad input with a sentence.
  // Anything else that is thrown, a signal, a hang or a sanitizer's report is a fault of ours.
  void (*try_bytes)(std::span<const std::byte> bytes);
};
std::span<const Target> targets();

// Inputs of the target metadata, one for each section of the checkpoints that it changes.
void write_sections(const std::string& folder);

}  // namespace gradus::fuzz
