// What clang's fuzzer calls: the target that the environment names, FUZZ=json. With FUZZ_SECTIONS=FOLDER the program
// only writes inputs for the target metadata there.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "tests/fuzz/targets.h"

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  if (const char* folder = std::getenv("FUZZ_SECTIONS")) {
    gradus::fuzz::write_sections(folder);
    std::exit(0);
  }
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const gradus::fuzz::Target& target = [] -> const gradus::fuzz::Target& {
    const char* const name = std::getenv("FUZZ");
    for (const auto& each : gradus::fuzz::targets())
      if (name != nullptr && std::string_view(name) == each.name) return each;
    std::fputs("FUZZ names no target; tests/fuzz/targets.cpp lists them\n", stderr);
    std::exit(2);
  }();
  target.try_bytes(std::as_bytes(std::span(data, size)));
  return 0;
}
