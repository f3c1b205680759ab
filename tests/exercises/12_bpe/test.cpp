// Exercise 12: a byte-level BPE trainer.
#include "tests/exercises/12_bpe/exercise.h"

#include <fstream>
#include <iterator>
#include <map>

#include "tests/exercises/lesson.h"

TEST_SUITE_BEGIN("exercise 12");

namespace gradus::lesson {

static Numbers flat(const std::vector<Merge>& merges) {
  Numbers list;
  for (const Merge& m : merges) list.insert(list.end(), {double(m.left), double(m.right)});
  return list;
}
static Numbers trained(std::string_view text, int most) { return flat(train_bpe(text, most)); }

TEST_CASE("aaabdaaabac") {
  expect("the first merge", trained("aaabdaaabac", 1), {'a', 'a'},
         "how often do the neighbours a a (97 97) occur, if \"aaa\" holds them twice?");
  expect("the first two", trained("aaabdaaabac", 2), {'a', 'a', 'a', 'b'},
         "which pairs occur twice after the first merge, and which of them does rule 2 take?");
  expect("all", trained("aaabdaaabac", 100), {'a', 'a', 'a', 'b', 256, 257},
         "when is there nothing left that is worth a token?");
}

TEST_CASE("of equals the smaller left token, then the smaller right one") {
  expect("the first merge of cdxabxcdyab", trained("cdxabxcdyab", 1), {'a', 'b'},
         "a b and c d occur twice each: what does rule 2 say?");
  expect("the first merge of abxacyabzac", trained("abxacyabzac", 1), {'a', 'b'},
         "a b and a c occur twice each: what does rule 2 say?");
}

TEST_CASE("replaced from left to right") {
  expect("merges of aaaaa", trained("aaaaa", 100), {'a', 'a'},
         "which tokens are left of aaaaa after one merge from left to right?");
}

TEST_CASE("nothing to merge") {
  expect("merges of the empty text", trained("", 10), {},
         "does your loop over pairs also work where there is no pair?");
  expect("merges of a", trained("a", 10), {}, "does your loop over pairs also work where there is no pair?");
  expect("merges of abcd", trained("abcd", 10), {}, "what does rule 3 say of a pair that occurs once?");
  expect("no merge wanted", trained("aaaa", 0), {}, "how many merges may there be at most?");
}

TEST_CASE("bytes above 127: é is 195 169") {
  expect("merges of ééé", trained("ééé", 1), {195, 169}, "is a char of 195 positive on this machine?");
}

// Each merge is checked against a count of its own, and the last tokens must spell the text.
TEST_CASE("the fables: 40 merges") {
  std::ifstream file("data/fables.txt", std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  REQUIRE_MESSAGE(text.size() > 1000, "data/fables.txt is read from the root of the repository");
  const std::vector<Merge> merges = train_bpe(text, 40);
  expect("number of merges", double(merges.size()), 40, "the text has plenty of pairs: why did it stop?");
  std::vector<std::string> spelling;
  std::vector<int> tokens;
  for (int b = 0; b < 256; ++b) spelling.push_back(std::string(1, char(b)));
  for (const char c : text) tokens.push_back(static_cast<unsigned char>(c));
  for (const Merge& m : merges) {
    std::map<std::pair<int, int>, int> count;
    for (size_t i = 1; i < tokens.size(); ++i) ++count[{tokens[i - 1], tokens[i]}];
    auto best = count.begin();
    for (auto i = count.begin(); i != count.end(); ++i)
      if (i->second > best->second) best = i;
    const std::string what = gradus::text("merge ", spelling.size() - 256);
    expect(what.c_str(), {double(m.left), double(m.right)}, {double(best->first.first), double(best->first.second)},
           "are the pairs counted again after each merge, on the tokens as they are then?");
    const int made = int(spelling.size());
    spelling.push_back(spelling[size_t(best->first.first)] + spelling[size_t(best->first.second)]);
    std::vector<int> shorter;
    for (const int t : tokens) {
      if (!shorter.empty() && shorter.back() == best->first.first && t == best->first.second)
        shorter.back() = made;
      else
        shorter.push_back(t);
    }
    tokens = shorter;
  }
  std::string spelt;
  for (const int t : tokens) spelt += spelling[size_t(t)];
  CHECK(spelt == text);
}

}  // namespace gradus::lesson
