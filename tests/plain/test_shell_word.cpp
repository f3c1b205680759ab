// models/text/shell_word.h: what a real shell makes of a word is the word.
#include "models/text/shell_word.h"

#include <doctest/doctest.h>

#include <cstdio>

#include "tests/scratch.h"

using namespace gradus;

TEST_CASE("a word of a command line is read back by the shell as it was") {
  CHECK(shell_word("a/b-c_1.txt") == "a/b-c_1.txt");
  CHECK(shell_word("name=1e-3,+x:y@z") == "name=1e-3,+x:y@z");
  CHECK(shell_word("") == "''");
  for (int c = 1; c < 256; ++c) {
    const std::string s = std::string("a") + char(c) + "b";
    INFO(c);
    std::FILE* const shell = popen(("printf %s " + shell_word(s)).c_str(), "r");
    REQUIRE(shell != nullptr);
    std::string back;
    for (int x; (x = std::fgetc(shell)) != EOF;) back += char(x);
    CHECK(pclose(shell) == 0);
    CHECK(back == s);
  }
}
