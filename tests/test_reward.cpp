// rl/rewards/reward.h: what each reward gives on texts worked out by hand, in English and Chinese; what is refused and
// how. Long, because every reward has its texts.
#include "rl/rewards/reward.h"

#include <doctest/doctest.h>

#include <cmath>
#include <ctime>

#include "engine/rng.h"
#include "models/text/utf8.h"
#include "models/text/word_list.h"
#include "tests/scratch.h"

namespace {

using namespace gradus;
using Strings = std::vector<std::string>;

const Tokenizer& tokenizer() {
  static const Tokenizer t =
      Tokenizer::from_text("char",
                           "abcdefghijklmnopqrstuvwxyzCG .,'!-*:\n1234567890\xC3\xA9\xE7\x8C\xAB\xE7\x8B\x97\xE5\x9C"
                           "\xA8\xE8\xB7\x91\xE3\x80\x82\xEF\xBC\x8C");
  return t;
}

// The score of one text under the sum of `terms`.
double score(const Strings& terms, const std::string& text, bool ended = true, const std::string& prompt = "") {
  const std::vector<int32_t> tokens = tokenizer().encode(text);
  return Reward(terms, tokenizer())({text, tokens, ended, prompt});
}
std::string usage(const std::string& term) {
  return complaint<UsageError>([&] { Reward({term}, tokenizer()); });
}
std::string data(const std::string& term) {
  return complaint<DataError>([&] { Reward({term}, tokenizer()); });
}

}  // namespace

TEST_SUITE_BEGIN("reward");

TEST_CASE("words: runs of letters, or what stands between white space") {
  const std::string text = " don't, na\xC3\xAFve-Cat\t\xE7\x8C\xAB\xE5\x9C\xA8\xE3\x80\x82\xE8\xB7\x91  x2y\n";
  CHECK(words(text, WordRule::kLetters) == std::vector<std::string_view>{"don", "t", "na\xC3\xAFve", "Cat",
                                                                         "\xE7\x8C\xAB\xE5\x9C\xA8", "\xE8\xB7\x91",
                                                                         "x", "y"});
  CHECK(words(text, WordRule::kBetweenSpaces) ==
        std::vector<std::string_view>{"don't,", "na\xC3\xAFve-Cat", "\xE7\x8C\xAB\xE5\x9C\xA8\xE3\x80\x82\xE8\xB7\x91",
                                      "x2y"});
  for (WordRule rule : {WordRule::kLetters, WordRule::kBetweenSpaces}) {
    CHECK(words("", rule).empty());
    CHECK(words(" \n\t", rule).empty());
    CHECK(words("a", rule) == std::vector<std::string_view>{"a"});
  }
  // Bytes that are not UTF-8 part words, and the text goes on behind them.
  CHECK(words("ab\xFF\xE7\x8C"
              "cd",
              WordRule::kLetters) == std::vector<std::string_view>{"ab", "cd"});
  CHECK(words("ab\xFF cd", WordRule::kBetweenSpaces) == std::vector<std::string_view>{"ab\xFF", "cd"});
  CHECK(words("\xE7\x8C\xAB\xE3\x80\x80x\xC2\xA0y", WordRule::kBetweenSpaces) ==
        std::vector<std::string_view>{"\xE7\x8C\xAB", "x", "y"});
  CHECK(word_rule(tokenizer()) == WordRule::kLetters);
}

TEST_CASE("letters: of many scripts, with their marks; no digit, punctuation, symbol or emoji") {
  for (char32_t c :
       U"azAZ\u00AA\u00B5\u00C0\u00DF\u00E9\u0301\u03B1\u0416\u05D0\u0627\u0939\u093F\u0E01\u3042\u30AB\u4E00\u732B"
       U"\uAC00\uFF21\U00020000")
    if (c) CHECK_MESSAGE(is_letter(c), uint32_t(c));
  for (char32_t c :
       U"@[`{09 "
       U"_-."
       U"\n\u0080\u00A0\u00AB\u00B2\u00D7\u00F7\u02C6\u0660\u0966\u0964\u2014\u2019\u201C\u20AC\u2192\u3000\u3001\u3002"
       U"\uFF0C\uFF11\U0001F600")
    if (c && c != U'\u02C6') CHECK_MESSAGE(!is_letter(c), uint32_t(c));
  CHECK(is_letter(U'\u02C6'));  // a modifier letter, Lm
}

TEST_CASE("shown: quoted, escaped, cut between characters") {
  CHECK(shown("a\n\"b\"") == R"("a\n\"b\"")");
  CHECK(shown(std::string(60, 'x')) == '"' + std::string(60, 'x') + '"');
  CHECK(shown(std::string(61, 'x')) == '"' + std::string(60, 'x') + "...\"");
  CHECK(shown(std::string(59, 'x') + "\xE7\x8C\xAB") == '"' + std::string(59, 'x') + "...\"");
  CHECK(shown("\xFF") == "\"\xEF\xBF\xBD\"");
}

TEST_CASE("contains and count look for a substring; occurrences do not overlap") {
  CHECK(score({"contains:cat"}, "the cat") == 1);
  CHECK(score({"contains:cat"}, "concatenate") == 1);
  CHECK(score({"contains:cat"}, "the Cat") == 0);
  CHECK(score({"contains:cat"}, "") == 0);
  CHECK(score({"contains:a*b:c"}, "xa*b:cx") == 1);  // what stands behind the first colon is the argument, whole
  CHECK(score({"contains: "}, "ab") == 0);
  CHECK(score({"contains: "}, "a b") == 1);
  CHECK(score({"count:aa"}, "aaaa") == 2);
  CHECK(score({"count:aa"}, "aaaaa") == 2);
  CHECK(score({"count:aba"}, "ababa") == 1);
  CHECK(score({"count:aba"}, "abaaba") == 2);
  CHECK(score({"count:x"}, "abaaba") == 0);
  CHECK(score({"contains:\xE7\x8C\xAB"}, "\xE7\x8B\x97\xE7\x8C\xAB\xE3\x80\x82") == 1);
  CHECK(score({"count:\xE7\x8C\xAB"}, "\xE7\x8C\xAB\xE7\x8B\x97\xE7\x8C\xAB\xE7\x8C\xAB") == 3);
}

TEST_CASE("length is -|T - N| in tokens, end is 1 if ended") {
  CHECK(score({"length:3"}, "abc") == 0);
  CHECK_FALSE(std::signbit(score({"length:3"}, "abc")));
  CHECK(score({"length:3"}, "abcde") == -2);
  CHECK(score({"length:3"}, "") == -3);
  CHECK(score({"length:0"}, "ab") == -2);
  CHECK(score({"length:2"}, "\xE7\x8C\xAB\xE7\x8B\x97") == 0);  // tokens, not bytes
  CHECK(score({"end"}, "a", true) == 1);
  CHECK(score({"end"}, "a", false) == 0);
}

TEST_CASE("similarity is the share of the target's positions that agree") {
  CHECK(score({"similarity:abcd"}, "abcd") == 1);
  CHECK(score({"similarity:abcd"}, "abcdxyz") == 1);  // the sequence may go on
  CHECK(score({"similarity:abcd"}, "abxd") == 0.75);
  CHECK(score({"similarity:abcd"}, "bcd") == 0);  // position by position
  CHECK(score({"similarity:abcd"}, "a") == 0.25);
  CHECK(score({"similarity:abcd"}, "") == 0);
  CHECK(score({"similarity:\xE7\x8C\xAB\xE5\x9C\xA8"}, "\xE7\x8C\xAB\xE8\xB7\x91") == 0.5);
  CHECK(has(data("similarity:aQ"), "similarity:aQ"));
  CHECK(has(data("similarity:aQ"), "'Q'"));
  const int32_t some[] = {1, 2};
  CHECK(has(complaint<ShapeError>([&] { similarity(some, {}); }), "the target is empty"));
}

TEST_CASE("relevance is the share of the words that occur in the prompt") {
  CHECK(score({"relevance"}, "the cat, the dog", true, "see the cat") == 0.75);
  CHECK(score({"relevance"}, "the cat, the dog", true, "cats theme") == 0);
  CHECK(score({"relevance"}, "the cat, the dog", true, "") == 0);
  CHECK(score({"relevance"}, "...", true, "see the cat") == 0);
  CHECK(score({"relevance"}, "\xE7\x8C\xAB\xEF\xBC\x8C\xE7\x8B\x97", true, "\xE7\x8C\xAB\xE3\x80\x82") == 0.5);
  // It depends on the prompt: each answer fits its own question best.
  const Strings prompts{"a cat", "a dog", "a hen"}, answers{"the cat ran", "the dog ran", "the hen ran"};
  for (size_t i = 0; i < 3; ++i)
    for (size_t j = 0; j < 3; ++j)
      CHECK(score({"relevance"}, answers[i], true, prompts[j]) == doctest::Approx(i == j ? 1.0 / 3 : 0));
}

TEST_CASE("distinct is the share of different n-grams of tokens") {
  CHECK(score({"distinct:1"}, "abab") == 0.5);
  CHECK(score({"distinct:2"}, "abab") == doctest::Approx(2.0 / 3));  // ab ba ab
  CHECK(score({"distinct:2"}, "aaaa") == doctest::Approx(1.0 / 3));
  CHECK(score({"distinct:4"}, "abab") == 1);
  CHECK(score({"distinct:5"}, "abab") == 0);
  CHECK(score({"distinct:1"}, "") == 0);
}

TEST_CASE("grammar: 1 if the whole text is one of the grammar's") {
  const std::string g = "grammar:data/two_words.grammar";
  for (const char* sentence : {"the cat", "the dog", "a cat", "a dog"}) CHECK(score({g}, sentence) == 1);
  for (const char* other : {"", "the", "the cat ", "the cat the dog", "cat the", "the cow", "\xE7\x8C\xAB"})
    CHECK_MESSAGE(score({g}, other) == 0, other);
  const Folder folder;
  CHECK(has(data("grammar:" + folder.file("bad.grammar", "the cat\n")), "bad.grammar"));
  CHECK(has(data("grammar:/nowhere/g"), "/nowhere/g"));
}

TEST_CASE("blocklist: -1 if a word or a phrase of the file occurs") {
  const Folder folder;
  const std::string list = "blocklist:" + folder.file("list.txt", "cat\r\n\n  \nbad dog\nHEN\ndon't\n\xE7\x8C\xAB\n");
  CHECK(score({list}, "the cat!") == -1);
  CHECK(score({list}, "concatenate") == 0);
  CHECK(score({list}, "a bad dog") == -1);
  CHECK(score({list}, "a bad, dog") == -1);  // words, whatever stands between them
  CHECK(score({list}, "a dog bad") == 0);
  CHECK(score({list}, "a bad") == 0);
  CHECK(score({list}, "a bad hen") == 0);  // upper and lower case differ
  CHECK(score({list}, "i don't") == -1);
  CHECK(score({list}, "") == 0);
  CHECK(score({list}, "\xE7\x8C\xAB\xE3\x80\x82") == -1);
  std::string alike, long_text;  // every second word may begin 100,000 phrases
  for (int i = 0; i < 100'000; ++i) {
    alike += "a bad ";
    for (int n = i; n > 0; n /= 26) alike += char('a' + n % 26);
    alike += "x\n";
  }
  for (int i = 0; i < 10'000; ++i) long_text += "a bad ";
  const std::clock_t begun = std::clock();
  CHECK(score({"blocklist:" + folder.file("alike.txt", alike)}, long_text) == 0);
  CHECK(double(std::clock() - begun) / CLOCKS_PER_SEC < 2);
  CHECK(has(data("blocklist:" + folder.file("odd.txt", "cat\n\n...\n")), "odd.txt: line 3 "));
  CHECK(has(data("blocklist:" + folder.file("blank.txt", "\n \n")), "lists no word"));
  CHECK(has(data("blocklist:" + folder.file("empty.txt", "")), "empty.txt"));
  CHECK(has(data("blocklist:/nowhere/list.txt"), "/nowhere/list.txt"));
}

TEST_CASE("blocklist: a Chinese word is found inside a line, where no space parts words") {
  const Folder folder;
  const std::string file = folder.file("list.txt", "猫\n狐狸\n熊 在\n白a\n");
  const auto blocks = [&](const std::string& text) { return WordList(file, WordRule::kLetters).occurs_in(text); };
  CHECK(blocks("猫跑。"));
  CHECK(blocks("今天一只猫在跑。"));
  CHECK(blocks("一只狐狸"));
  CHECK(blocks("狐狐狸"));
  CHECK(blocks("a狐狸b"));
  CHECK(!blocks("狐，狸"));
  CHECK(!blocks("狸狐"));
  CHECK(!blocks("狐"));
  CHECK(blocks("熊，在"));  // two words in a row, each whole
  CHECK(!blocks("一熊，在"));
  CHECK(!blocks("熊在"));
  CHECK(blocks("白a"));  // not of Han letters alone: a whole word
  CHECK(!blocks("白ab"));
  CHECK(!WordList(file, WordRule::kBetweenSpaces).occurs_in("一只 狐狸狸"));
  CHECK(WordList(file, WordRule::kBetweenSpaces).occurs_in("一只 狐狸"));
}

TEST_CASE("lexicon: sum of the scores of the words over their number") {
  const Folder folder;
  const std::string list = "lexicon:" + folder.file("list.tsv", "good\t2\nbad\t-1.5\r\n\nfine\t+1e-1\n\xE7\x8C\xAB\t3");
  CHECK(score({list}, "good bad thing, Good") == 0.125);
  CHECK(score({list}, "good good") == 2);
  CHECK(score({list}, "fine") == 0.1);
  CHECK(score({list}, "") == 0);
  CHECK(score({list}, "1234") == 0);
  CHECK(score({list}, "\xE7\x8C\xAB\xE3\x80\x82\xE7\x8B\x97") == 1.5);
  const auto bad = [&](const std::string& line) {
    return data("lexicon:" + folder.file("bad.tsv", "good\t1\n\n" + line));
  };
  for (const char* line : {"bad 1", "bad\t", "bad\tx", "bad\t1 ", "bad\tnan", "bad\t-inf", "bad\t1e999", "bad\t1\t2",
                           "bad dog\t1", "\t1", "don't\t1", "good\t1"}) {
    CAPTURE(line);
    CHECK(has(bad(line), "bad.tsv: line 3: "));
  }
  CHECK(has(bad("good\t1"), "listed twice"));
  CHECK(has(data("lexicon:/nowhere/list.tsv"), "/nowhere/list.tsv"));
}

TEST_CASE("rewards that compare take the best reference of the prompt, and need one") {
  const std::vector<std::vector<int32_t>> references{tokenizer().encode("abcd"), tokenizer().encode("xyz"), {}};
  const auto compared = [&](const std::string& term, const std::string& text, size_t n) {
    const std::vector<int32_t> tokens = tokenizer().encode(text);
    return Reward({term}, tokenizer())(
        {.text = text, .tokens = tokens, .ended = true, .references = std::span(references).first(n)});
  };
  CHECK(compared("exact-match", "abcd", 1) == 1);
  CHECK(compared("exact-match", "xyz", 1) == 0);
  CHECK(compared("exact-match", "xyz", 2) == 1);
  CHECK(compared("exact-match", "", 2) == 0);
  CHECK(compared("-2*exact-match", "", 3) == -2);
  CHECK(compared("similarity", "abxy", 1) == 0.5);
  CHECK(compared("similarity", "xbz", 2) == 2.0 / 3);  // of abcd only a quarter agrees
  CHECK(compared("similarity", "", 3) == 1);
  CHECK(compared("rouge-l", "acd", 1) == 6.0 / 7);
  CHECK(compared("bleu", "abcd", 1) == 1);
  for (const char* term : {"exact-match", "bleu", "rouge-l", "similarity"}) {
    CAPTURE(term);
    CHECK(Reward::needs_reference(term));
    CHECK(has(complaint<UsageError>([&] { compared(term, "abcd", 0); }), "there is none"));
  }
  CHECK(!Reward::needs_reference("similarity:ab"));
  CHECK(compared("similarity:abcd", "ab", 0) == 0.5);
  CHECK(Reward::largest("bleu") == 1);
}

TEST_CASE("table: the numbers of a prompt come before those of all texts") {
  const Folder folder;
  const std::string t =
      "table:" + folder.file("t.json", R"({"prompts":{"ab":{"cat":2,"":3},"cd":{}},"rewards":{"cat":1},
                                                            "default":-1})");
  CHECK(score({t}, "cat", true, "ab") == 2);
  CHECK(score({t}, "", true, "ab") == 3);
  CHECK(score({t}, "cat", true, "cd") == 1);
  CHECK(score({t}, "cat", true, "") == 1);
  CHECK(score({t}, "dog", true, "ab") == -1);
  CHECK(score({"table:" + folder.file("p.json", R"({"prompts":{"ab":{"cat":2}}})")}, "cat", true, "ab") == 2);
  CHECK(has(data("table:" + folder.file("n.json", R"({"prompts":{"ab":1}})")), "is not an object of texts"));
  CHECK(has(data("table:" + folder.file("m.json", R"({"prompts":[]})")), "has no \"rewards\""));
  CHECK(has(data("table:" + folder.file("o.json", R"({"prompts":{"ab":{"c":"1"}}})")), "\"c\" is not a number"));
}

TEST_CASE("table: the number of the whole text, else the default") {
  const Folder folder;
  const std::string t =
      "table:" + folder.file("t.json", R"({"rewards":{"the cat":1.5,"":-2,"\u732b":7},"default":0.25})");
  CHECK(score({t}, "the cat") == 1.5);
  CHECK(score({t}, "the cat ") == 0.25);
  CHECK(score({t}, "") == -2);
  CHECK(score({t}, "\xE7\x8C\xAB") == 7);
  CHECK(score({"table:" + folder.file("d.json", R"({"rewards":{}})")}, "x") == 0);
  const auto bad = [&](const std::string& json) { return data("table:" + folder.file("bad.json", json)); };
  CHECK(has(bad("{\"rewards\":{\n\"a\":1,\n\"b\":}}"), "bad.json: line 3 is not JSON"));
  CHECK(has(bad("{\"rewards\":{\n\"a\":1"), "line 2 is not JSON"));
  CHECK(has(bad("[1]"), "has no \"rewards\""));
  CHECK(has(bad(R"({"default":1})"), "has no \"rewards\""));
  CHECK(has(bad(R"({"rewards":[]})"), "has no \"rewards\""));
  CHECK(has(bad(R"({"rewards":{"a":"1"}})"), "\"a\" is not a number"));
  CHECK(has(bad(R"({"rewards":{"a":null}})"), "\"a\" is not a number"));
  CHECK(has(bad(R"({"rewards":{"a":1},"default":true})"), "\"default\" is not a number"));
  CHECK(has(bad(R"({"rewards":{"a":1},"defualt":1})"), "unknown field \"defualt\""));
  CHECK(has(bad(R"({"rewards":{"a":1,"b":1,"a":2}})"), "\"a\" occurs twice"));
  CHECK(has(bad(R"({"rewards":{"a":1e999}})"), "out of range"));
  CHECK(has(bad(R"({"rewards":{"a":NaN}})"), "is not JSON"));
  for (const char* level : {"[", "{\"a\":"}) {
    std::string deep = "{\"rewards\":{\"a\":";
    for (int i = 0; i < 20'000; ++i) deep += level;
    CHECK(has(bad(deep), "bad.json: is nested more than 64 levels deep (line 1, column "));
  }
  CHECK(has(data("table:/nowhere/t.json"), "/nowhere/t.json"));
}

TEST_CASE("rewards add up with their weights") {
  CHECK(score({"2*contains:cat", "-0.5*length:3", "end"}, "cat!!") == 2 + 1 + 1);
  CHECK(score({"1e-1*end"}, "") == 0.1);
  CHECK(score({"0*end"}, "") == 0);
  CHECK(score({"-1*contains:2*3"}, "2*3") == -1);
  CHECK(score({"end", "end"}, "") == 2);
  CHECK(score({}, "anything") == 0);
}

TEST_CASE("a batch is scored as its sequences one by one, whatever their order") {
  const Rng rng(7, Stream::kTest);
  const Folder folder;
  const Reward reward(
      {"0.3*contains:ab", "count:a", "-0.25*length:6", "end", "similarity:abcab", "relevance", "distinct:2",
       "2*blocklist:" + folder.file("b.txt", "a b\nca\n"), "lexicon:" + folder.file("l.tsv", "a\t1\nb\t-2\n")},
      tokenizer());
  Strings texts(200);
  std::vector<std::vector<int32_t>> tokens;
  std::vector<Generated> batch;
  for (size_t i = 0; i < texts.size(); ++i) {
    const Rng draws = rng.at(int64_t(i));
    for (int64_t n = draws.below(0, 12), t = 0; t < n; ++t) texts[i] += "abc "[draws.below(t + 1, 4)];
    tokens.push_back(tokenizer().encode(texts[i]));
  }
  for (size_t i = 0; i < texts.size(); ++i) batch.push_back({texts[i], tokens[i], i % 2 == 0, texts[(i + 1) % 200]});
  const std::vector<double> scores = reward.score(batch);
  REQUIRE(scores.size() == batch.size());
  for (size_t i = 0; i < batch.size(); ++i) {
    CHECK(scores[i] == reward(batch[i]));
    CHECK(std::isfinite(scores[i]));
    const double blocked = score({"blocklist:" + (folder.path / "b.txt").string()}, texts[i]);
    CHECK((blocked == 0 || blocked == -1));
  }
  CHECK(reward.score({}).empty());
}

TEST_CASE("what means nothing is refused with what would be right") {
  CHECK(has(usage("containz:cat"), "reward 'containz:cat': there is no 'containz'"));
  for (const char* name : {"contains:S", "count:S", "length:N", "end", "grammar:FILE", "blocklist:FILE", "lexicon:FILE",
                           "similarity[:S]", "exact-match", "bleu", "rouge-l", "relevance", "distinct:N", "fluency:RUN",
                           "table:FILE.json", "command:PROGRAM"}) {
    CAPTURE(name);
    CHECK(has(usage("containz:cat"), name));
    CHECK(has(Reward::names(), name));
  }
  for (const char* term : {"", "*", "2*", ":x", "Contains:x", "2*3*end", " end"}) {
    CAPTURE(term);
    CHECK(has(usage(term), text("reward '", term, "': ")));
  }
  for (const char* weight : {"x", "", "nan", "inf", "-inf", "1e999", "2 ", " 2", "0x2", "+-2", "1,5"}) {
    CAPTURE(weight);
    CHECK(has(usage(text(weight, "*end")), text("the weight '", weight, "' is not a finite number")));
  }
  for (const char* term : {"contains", "contains:", "count", "length", "length:", "blocklist:", "lexicon",
                           "similarity:", "distinct", "table"}) {
    CAPTURE(term);
    CHECK(has(usage(term), "needs an argument"));
  }
  for (const char* term : {"end:", "end:x", "relevance:x"}) CHECK(has(usage(term), "takes no argument"));
  for (const char* n : {"-1", "1.5", "x", "3 ", " 3", "99999999999999999999", "1000000001"}) {
    CAPTURE(n);
    CHECK(has(usage(text("length:", n)), "must be a whole number from 0 to 1000000000"));
    CHECK(has(usage(text("distinct:", n)), "must be a whole number from 1 to 1000000000"));
  }
  CHECK(has(usage("distinct:0"), "from 1"));
}

TEST_CASE("a number that is too small for a double is 0, as strtod reads it, and one that is too large is none") {
  double value = 1;
  for (const char* small : {"1e-400", "-1e-400", "+0.1e-5000"}) {
    CAPTURE(small);
    CHECK(parse_number(small, value));
    CHECK(value == 0);
  }
  for (const char* large : {"1e400", "-1e400", "1e-400x", "-+1e-400"}) CHECK(!parse_number(large, value));
}

TEST_CASE("a sum beyond the range of double names the term and the text") {
  const std::string said = complaint<DataError>([] { score({"1e308*end", "1e308*end"}, "the cat"); });
  CHECK(has(said, "1e308*end"));
  CHECK(has(said, "\"the cat\""));
  CHECK(complaint<DataError>([] { score({"1e308*end", "-1e308*end"}, "the cat"); }).empty());
}

TEST_SUITE_END();
