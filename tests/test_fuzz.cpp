// Inputs that once crashed, hung or took too much memory, and hand-made ones of the same kinds, through the functions
// that the fuzzer calls: tests/fuzz/regressions/TARGET/NAME. A name says what is wrong with the input.
#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "tests/fuzz/targets.h"

namespace gradus {

TEST_CASE("inputs that once broke the program end with a sentence, or are used") {
  std::set<std::string> known;
  for (const fuzz::Target& target : fuzz::targets()) {
    known.insert(target.name);
    const std::filesystem::path folder = std::filesystem::path("tests/fuzz/regressions") / target.name;
    INFO(folder.string());
    REQUIRE(std::filesystem::is_directory(folder));
    CHECK_FALSE(std::filesystem::is_empty(folder));
    for (const auto& input : std::filesystem::directory_iterator(folder)) {
      INFO(input.path().string());
      std::ostringstream content;  // as it is: the program itself refuses some kinds of file at once
      content << std::ifstream(input.path(), std::ios::binary).rdbuf();
      const std::string bytes = content.str();
      CHECK_NOTHROW(target.try_bytes(std::as_bytes(std::span(bytes))));
    }
  }
  for (const auto& folder : std::filesystem::directory_iterator("tests/fuzz/regressions"))
    CHECK_MESSAGE(known.contains(folder.path().filename()), folder.path().string(), " belongs to no target");
}

}  // namespace gradus
