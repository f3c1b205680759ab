// models/text/shell_word.h: what a real shell makes of a word is the word.
#include "models/text/shell_word.h"

#include <doctest/doctest.h>

#include <cstdio>
#include <string>
#include <vector>

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

TEST_CASE("a word that a terminal would obey is shown without it, and read back all the same") {
  for (const std::string& s : std::vector<std::string>{"\033[31m", "%d\a%%", "-\001x", "a\\\tb'c\"", "\u202Eab",
                                                       "a\u200Fb", "\xE9\x1Fz", "two\nlines", "end\r", "\x7F"}) {
    INFO(s);
    const std::string word = shell_word(s);
    for (const char c : word) CHECK((c >= ' ' && c < 0x7F));
    for (const std::string shell : {"sh", "bash"}) {
      std::FILE* const pipe = popen((shell + " -c \"$(cat <<'END'\nprintf %s " + word + "\nEND\n)\"").c_str(), "r");
      REQUIRE(pipe != nullptr);
      std::string back;
      for (int x; (x = std::fgetc(pipe)) != EOF;) back += char(x);
      CHECK(pclose(pipe) == 0);
      CHECK(back == s);
    }
  }
  CHECK(shell_word("ends\n") == "$'ends\\012'");
  CHECK(shell_path("-x") == "./-x");
  CHECK(shell_path("a b") == "'a b'");
}
