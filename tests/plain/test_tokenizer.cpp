// models/text/tokenizer.h, cutters.h and utf8.h: round trips through every kind of character, and a readable sentence
// for every kind of bad input. Long for the tables of characters and of bad inputs.
#include "models/text/tokenizer.h"

#include <doctest/doctest.h>

#include <utf8.h>
#include <utf8proc.h>

#include <string>
#include <vector>

#include "engine/io/json.h"
#include "models/text/utf8.h"

namespace {

using namespace gradus;
using namespace std::string_literals;
using Ids = std::vector<int32_t>;

constexpr std::string_view kChar = "char";

Tokenizer chars(std::string_view words) { return Tokenizer::from_text(kChar, words); }

// What the DataError says that `f` throws; "" if it throws none.
template <class F>
std::string complaint(F f) {
  try {
    f();
  } catch (const DataError& error) {
    return error.what();
  }
  return "";
}
std::string utf8_complaint(std::string_view bytes, const std::string& file = "t.txt") {
  return complaint([&] { require_utf8(bytes, file); });
}
bool has(const std::string& sentence, std::string_view part) { return sentence.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("char: the vocabulary is the sorted set of code points") {
  const Tokenizer t = chars("banana\n");
  CHECK(t.vocab() == std::vector<std::string>{"\n", "a", "b", "n"});
  CHECK(t.size() == 4);
  CHECK(t.encode("nab\n") == Ids{3, 1, 2, 0});
  CHECK(t.decode(Ids{3, 1, 2, 0}) == "nab\n");
  CHECK(t.token(2) == "b");
  CHECK(t.encode("").empty());
  CHECK(t.decode({}).empty());
  CHECK(t.end_id() == -1);
  CHECK(t.cutter().name == kChar);
  CHECK(t.cutter().unit == "character"s);
  CHECK(complaint([] { Tokenizer::from_text("chars", "a"); }) ==
        "there is no tokenizer 'chars'; it must be one of char, byte, word");
  // One byte, two, three, four: bytes sort as code points do.
  CHECK(chars("\U0001F600\u4E2D\u00E9z\U00010000\uFFFD").vocab() ==
        std::vector<std::string>{"z", "\u00E9", "\u4E2D", "\uFFFD", "\U00010000", "\U0001F600"});
}

TEST_CASE("char: every text comes back as it was") {
  const std::string texts[] = {
      "床前明月光，疑是地上霜。\n舉頭望明月，低頭思故鄉。\n",
      "e\u0301 and \u00E9 are two texts; \u0928\u093F, \u1100\u1161\u11A8",
      "\U0001F469\u200D\U0001F680 \U0001F1EB\U0001F1F7 \U0010FFFF",
      "line\r\nline\r\n",
      "no final newline",
      "\n\n\n",
      "a",
      "\x01\x1F\x7F\t\u0080\uFEFF\u2028",
      std::string(1 << 20, 'x') + "y",
  };
  for (const std::string& words : texts) {
    const Tokenizer t = chars(words);
    const Ids ids = t.encode(words);
    CHECK(t.decode(ids) == words);
    const Tokenizer again = Tokenizer::from_vocab(kChar, t.vocab());
    CHECK(again.vocab() == t.vocab());
    CHECK(again.encode(words) == ids);
    for (int32_t id = 0; id < t.size(); ++id) CHECK(t.encode(t.token(id)) == Ids{id});
  }
  CHECK(chars("床前明月光").encode("光光").size() == 2);
  CHECK(chars("e\u0301").size() == 2);  // not composed
  CHECK(chars("\r\n").size() == 2);
}

TEST_CASE("char: a copy of a tokenizer works on its own") {
  Tokenizer copy = chars("x");
  {
    const Tokenizer first = chars("abc");
    copy = first;
  }
  CHECK(copy.encode("cab") == Ids{2, 0, 1});
}

TEST_CASE("a character outside the vocabulary is named, with its position") {
  const Tokenizer t = chars("Caf abcde");
  const auto say = [&](std::string_view words) { return complaint([&] { t.encode(words); }); };
  CHECK(say("Caf\u00E9 e") == "the character '\u00E9' (U+00E9) at position 4 is not in the vocabulary of 8 characters");
  CHECK(has(say("\u4E2D"), "the character '\u4E2D' (U+4E2D) at position 1 "));
  CHECK(has(say("a\U0001F600"), "'\U0001F600' (U+1F600) at position 2 "));
  CHECK(has(say("a\n"), "the character '\\n' (U+000A) at position 2 "));
  CHECK(has(say("a\r\n"), "'\\r' (U+000D)"));
  CHECK(has(say("\t"), "'\\t' (U+0009)"));
  CHECK(has(say("a\x1B[0m"), "the character U+001B at position 2 "));  // nothing that a terminal would obey
  CHECK(has(say("\u200B"), "the character U+200B at"));
  CHECK(has(say("e\u0301"), "'\u25CC\u0301' (U+0301) at position 2 "));
  CHECK(has(complaint([] { chars("a").encode("b"); }), "the vocabulary of 1 character"));
  CHECK_FALSE(has(complaint([] { chars("a").encode("b"); }), "characters"));
  CHECK(has(say("ab\xE9"), "the text is not text in UTF-8: line 1, column 3 (byte offset 2) is the byte 0xE9"));
  CHECK(has(say("a bad cab\xE9"), "column 10 (byte offset 9) is the byte 0xE9"));
  CHECK_FALSE(has(say("a bad cab\xE9"), "iconv"));  // a prompt is no file
}

TEST_CASE("the end mark is the last of a vocabulary, never encoded and never written") {
  const Tokenizer t = Tokenizer::from_vocab(kChar, {"<", "a", "b", Tokenizer::kEndMark});
  CHECK(t.end_id() == 3);
  CHECK(t.size() == 4);
  CHECK(t.token(3) == "<|endoftext|>");
  CHECK(t.decode(Ids{3, 1, 2, 3}) == "ab");
  CHECK(has(complaint([&] { t.encode("<|endoftext|>"); }), "'|' (U+007C) at position 2 is not in the vocabulary of 3"));
  CHECK(has(complaint([] { Tokenizer::from_vocab(kChar, {"<|endoftext|>", "a"}); }), "token 0"));
}

TEST_CASE("ids outside the vocabulary throw at the caller's line") {
  const Tokenizer t = chars("abc");
  for (int32_t id : {-1, 3, 1 << 30}) {
    CHECK_THROWS_AS(t.token(id), ShapeError);
    CHECK_THROWS_AS(t.decode(Ids{0, id}), ShapeError);
  }
  try {
    t.decode(Ids{7});
  } catch (const ShapeError& error) {
    CHECK(has(error.what(), "id 7 is outside the vocabulary of 3 tokens (tests/plain/test_tokenizer.cpp:"));
  }
}

TEST_CASE("from_vocab refuses what no checkpoint of ours holds") {
  const auto say = [](std::vector<std::string> vocab) {
    return complaint([&] { Tokenizer::from_vocab(kChar, std::move(vocab)); });
  };
  CHECK(say({}) == "the vocabulary is empty");
  CHECK(say({"a", "b", "a"}) == "tokens 0 and 2 of the vocabulary are the same: 'a' (U+0061)");
  CHECK(has(say({"a", ""}), "token 1 of the vocabulary is \"\""));
  CHECK(has(say({"a", "bc"}), "token 1 of the vocabulary is \"bc\""));
  CHECK(has(say({"a", "b", "\u4E2D\u4E2D"}), "token 2"));
  CHECK(say({"a", "\xE9"}) ==
        "token 1 of the vocabulary is not text in UTF-8: its byte 0 is 0xE9, which begins a "
        "character of 3 bytes, but there the text ends");
  CHECK(has(say({"a", "\0"s}), "0x00"));
  CHECK(has(say({"\xC0\xAF"}), "0xC0"));
  CHECK(say({"b", "a"}).empty());  // of another program: any order
  CHECK(complaint([] { chars(""); }) ==
        "the text is empty but for white space: there is nothing to make a vocabulary from");
  CHECK(has(complaint([] { chars("a\xFF"); }), "column 2 (byte offset 1) is the byte 0xFF"));
}

TEST_CASE("require_utf8 accepts all of Unicode but NUL") {
  for (uint32_t c = 1; c <= 0x10FFFF; ++c) {
    if (c >= 0xD800 && c <= 0xDFFF) continue;
    std::string s;  // encoded by hand, by the table of RFC 3629
    if (c < 0x80)
      s = {char(c)};
    else if (c < 0x800)
      s = {char(0xC0 | c >> 6), char(0x80 | (c & 63))};
    else if (c < 0x10000)
      s = {char(0xE0 | c >> 12), char(0x80 | (c >> 6 & 63)), char(0x80 | (c & 63))};
    else
      s = {char(0xF0 | c >> 18), char(0x80 | (c >> 12 & 63)), char(0x80 | (c >> 6 & 63)), char(0x80 | (c & 63))};
    if (!utf8_complaint(s).empty()) FAIL_CHECK("U+", c, " is refused: ", utf8_complaint(s));
  }
  CHECK(utf8_complaint("").empty());
  CHECK(utf8_complaint("\xEF\xBB\xBF").empty());
  CHECK(utf8_complaint("\xEF\xBB\xBFtext\r\n").empty());
}

TEST_CASE("require_utf8 says which byte, where, and what is wrong with it") {
  const struct {
    std::string bytes;
    const char* part;
  } rows[] = {
      {"\x80", "0x80, which continues a character that never began"},
      {"\xBF", "0xBF, which continues"},
      {"\xC0\xAF", "0xC0, which occurs nowhere in UTF-8"},
      {"\xC1\xBF", "0xC1, which occurs nowhere"},
      {"\xF5\x80\x80\x80", "0xF5, which occurs nowhere"},
      {"\xFF", "0xFF, which occurs nowhere"},
      {"\xE0\x80\xAF", "0xE0, which begins an overlong form"},
      {"\xE0\x9F\xBF", "0xE0, which begins an overlong form"},
      {"\xF0\x80\x80\xAF", "0xF0, which begins an overlong form"},
      {"\xF0\x8F\xBF\xBF", "0xF0, which begins an overlong form"},
      {"\xED\xA0\x80", "0xED, which begins a surrogate"},
      {"\xED\xBF\xBF", "0xED, which begins a surrogate"},
      {"\xF4\x90\x80\x80", "0xF4, which begins a number above U+10FFFF"},
      {"\xC3", "0xC3, which begins a character of 2 bytes, but there the text ends"},
      {"\xE4\xB8", "0xE4, which begins a character of 3 bytes, but there the text ends"},
      {"\xF0\x9F\x98", "0xF0, which begins a character of 4 bytes, but there the text ends"},
      {"\xE4\xB8x", "0xE4, which begins a character of 3 bytes, but another one begins before its end"},
      {"\0"s, "0x00, which no text contains"},
  };
  for (const auto& row : rows) {
    const std::string said = utf8_complaint("ab\nc\u4E2D\U0001F600" + row.bytes);
    INFO(said);
    CHECK(has(said, row.part));
    CHECK(has(said, "t.txt is not text in UTF-8: line 2, column 4 (byte offset 11) is the byte "));
    CHECK_FALSE(has(said, "iconv"));
  }
  CHECK(has(utf8_complaint("\xFF"), "line 1, column 1 (byte offset 0)"));
  CHECK(has(utf8_complaint("\xEF\xBB\xBF\xFF"), "line 1, column 1 (byte offset 3)"));
  CHECK(has(utf8_complaint("a\r\n\nb\xFF"), "line 3, column 2 (byte offset 5)"));
  CHECK(has(utf8_complaint("a\0\xFF"s), "byte offset 1"));  // whichever comes first
  CHECK(has(utf8_complaint("a\xFF\0"s), "byte offset 1"));

  std::string all;
  for (int b = 0; b < 256; ++b) all += char(b);
  CHECK(has(utf8_complaint(all), "byte offset 0) is the byte 0x00"));
  CHECK(has(utf8_complaint(all.substr(1)), "line 2, column 118 (byte offset 127) is the byte 0x80"));
  CHECK_FALSE(has(utf8_complaint(all.substr(1)), "iconv"));
}

TEST_CASE("require_utf8 names the iconv line where the bytes look like a known encoding") {
  const auto latin = utf8_complaint("le caf\xE9 est ferm\xE9.\n", "texte.txt");
  CHECK(has(latin, "; it looks like ISO-8859-1, so try: iconv -f ISO-8859-1 -t UTF-8 texte.txt > texte.txt.utf8"));
  CHECK(has(utf8_complaint("d\xE9j\xE0 vu, tr\xE8s bien"), "ISO-8859-1"));
  CHECK(has(utf8_complaint("it\x92s caf\xE9"), "iconv -f WINDOWS-1252 "));
  // "Before my bed, the bright moon light" in GB18030, then with a four-byte character in it.
  const std::string poem = "\xB4\xB2\xC7\xB0\xC3\xF7\xD4\xC2\xB9\xE2\xA3\xAC";
  CHECK(has(utf8_complaint(poem + "\n"), "iconv -f GB18030 -t UTF-8 t.txt > t.txt.utf8"));
  CHECK(has(utf8_complaint("ab " + poem + "\x81\x30\x81\x30" + poem), "iconv -f GB18030 "));
  // Its second half, with traditional characters, which lie outside GB2312.
  const std::string more =
      "\xC5\x65\xEE\x5E\xCD\xFB\xC3\xF7\xD4\xC2\xA3\xAC"
      "\xB5\xCD\xEE\x5E\xCB\xBC\xB9\xCA\xE0\x6C";
  CHECK(has(utf8_complaint(poem + more), "iconv -f GB18030 "));
  // Damaged UTF-8 is not another encoding, though the first of these is GB18030 to the letter.
  CHECK_FALSE(has(utf8_complaint("\u5E8A\u524D \xE5\xBA"), "iconv"));
  CHECK_FALSE(has(utf8_complaint("\u5E8A\u524D\u660E\u6708\u5149 \xE5\xBA"), "iconv"));
  CHECK_FALSE(has(utf8_complaint("much plain text, a caf\u00E9, and a caf\xC3"), "iconv"));
  CHECK_FALSE(has(utf8_complaint("\x7F"
                                 "ELF\x02\x01\x01\xFE\x90"),
                  "iconv"));
  CHECK(has(utf8_complaint("\xFF\xFEh\0i\0"s), "iconv -f UTF-16 "));
  CHECK(has(utf8_complaint("\xFE\xFF\0h\0i"s), "iconv -f UTF-16 "));
  CHECK(has(utf8_complaint("h\0i\0!\0"s), "iconv -f UTF-16LE "));
  CHECK(has(utf8_complaint("\0h\0i\0!"s), "iconv -f UTF-16BE "));
  CHECK_FALSE(has(utf8_complaint("hello\0world"s), "iconv"));
  // A name that a shell would take apart.
  CHECK(has(utf8_complaint("caf\xE9 noir", "my book's.txt"), "UTF-8 'my book'\\''s.txt' > 'my book'\\''s.txt.utf8'"));
  CHECK(has(utf8_complaint("caf\xE9 noir", "-x"), "UTF-8 ./-x > ./-x.utf8"));
}

TEST_CASE("byte: any bytes come back, and the vocabulary shows those beyond ASCII by number") {
  static constexpr std::string_view kByte = "byte";
  const Tokenizer t = Tokenizer::from_text(kByte, "b\u00E9a\n");
  CHECK(t.vocab() == std::vector<std::string>{"\n", "a", "b", "<0xA9>", "<0xC3>"});
  CHECK(t.encode("a\u00E9") == Ids{1, 4, 3});
  CHECK(t.decode(Ids{1, 4, 3}) == "a\u00E9");
  CHECK(t.decode(Ids{4}) == "\xC3");
  std::string all;
  for (int b = 0; b < 256; ++b) all += char(b);
  const Tokenizer every = Tokenizer::from_text(kByte, all);
  CHECK(every.size() == 256);
  const Tokenizer again = Tokenizer::from_vocab(kByte, every.vocab());
  CHECK(again.decode(again.encode(all)) == all);
  CHECK(again.encode(all) == every.encode(all));
  CHECK(complaint([&] { t.encode("ab\xFF"); }) == "the byte 0xFF at position 3 is not in the vocabulary of 5 bytes");
  for (const std::string& bad : {"ab"s, "<0x41>"s, "<0xe9>"s, "<0xE9"s, "\u00E9"s, ""s})
    CHECK(has(complaint([&] { Tokenizer::from_vocab(kByte, {bad}); }), "token 0 of the vocabulary"));
}

TEST_CASE("word: runs between white space, of every kind, joined by one space") {
  static constexpr std::string_view kWord = "word";
  const std::string_view lines[] = {"  the cat,\t the\u3000dog ", "", "\u5E8A\u524D a\u00A0cat"};
  const Tokenizer t = Tokenizer::from_lines(kWord, lines);
  CHECK(t.vocab() == std::vector<std::string>{"a", "cat", "cat,", "dog", "the", "\u5E8A\u524D", "<|endoftext|>"});
  CHECK(t.end_id() == 6);
  CHECK(t.encode("the \t\n cat ") == Ids{4, 1});
  CHECK(t.encode(" \u2003\u2028").empty());
  CHECK(t.decode(Ids{4, 1, 6}) == "the cat");
  CHECK(t.decode(Ids{6, 4}) == "the");
  CHECK(std::string(t.separator()) == " ");
  CHECK(Tokenizer::from_vocab(kWord, t.vocab()).encode("the dog") == Ids{4, 3});
  CHECK(complaint([&] { t.encode("the zebra"); }) ==
        "the word 'zebra' at position 2 is not in the vocabulary of 6 words");
  CHECK_FALSE(has(complaint([&] { t.encode("\x1B[0m"); }), "\x1B"));  // nothing that a terminal would obey
  const std::string_view marked[] = {"a <|endoftext|>"};
  CHECK(has(complaint([&] { Tokenizer::from_lines(kWord, marked); }), "holds the word <|endoftext|>"));
  CHECK(has(complaint([] { Tokenizer::from_vocab(kWord, {"a", "b c"}); }), "token 1"));
  CHECK(has(complaint([] { Tokenizer::from_vocab(kWord, {"a", "b "}); }), "token 1"));
  CHECK(has(complaint([] { Tokenizer::from_vocab(kWord, {"<|endoftext|>", "b"}); }), "token 0"));
  CHECK(has(complaint([] { Tokenizer::from_vocab(kWord, {"b", "b"}); }), "are the same: 'b'"));
  CHECK(has(complaint([] { Tokenizer::from_text(kWord, " \n "); }), "nothing to make a vocabulary from"));
}

TEST_CASE("from_lines: characters of lines that may spell the mark") {
  const std::string_view lines[] = {"<|endoftext|>", ""};
  const Tokenizer t = Tokenizer::from_lines(kChar, lines);
  CHECK(t.size() == 10 + 1);
  CHECK(t.decode(t.encode("<|endoftext|>")) == "<|endoftext|>");
  CHECK(t.encode("<|endoftext|>").size() == 13);
}

TEST_CASE("bytes that are no text become U+FFFD, and a character waits for its end") {
  CHECK(valid_utf8("a\u4E2D") == "a\u4E2D");
  CHECK(valid_utf8("a\xE4\xB8") == "a\uFFFD");
  CHECK(valid_utf8("\xFFz\x80") == "\uFFFDz\uFFFD");
  CHECK(count_characters("a\u00E9\u4E2D\U0001F600\n") == 5);
  CHECK(count_characters("") == 0);
  const std::string_view broken = "\xE4\xB8\xAD\xAD\xE4\xB8z\xFF\xC0\x80";  // the first three bytes are a character
  CHECK(count_characters(broken) == 8);
  for (size_t cut = 0; cut <= broken.size(); ++cut)
    CHECK(count_characters(broken, 0, cut) + count_characters(broken, cut) == 8);
  CHECK(count_characters(broken, 0, 1) == 1);  // it begins there
  CHECK(count_characters(broken, 1, 3) == 0);
  CHECK(count_characters("ab", 1, 100) == 1);

  const std::string_view chinese = "\u4E2D  a b ";
  const auto bytes_of = [&](std::string_view cutter, int64_t n) {
    return Tokenizer::from_text(cutter, chinese).bytes_of(chinese, n);
  };
  CHECK(bytes_of("char", 2) == 4);
  CHECK(bytes_of("byte", 2) == 2);
  CHECK(bytes_of("word", 2) == 6);
  CHECK(bytes_of("word", 0) == 0);
  const std::string whole = "a\u00E9\u4E2D\U0001F600";
  const size_t complete[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10};
  for (size_t n = 0; n <= whole.size(); ++n)
    CHECK(complete_length(std::string_view(whole).substr(0, n)) == complete[n]);
  CHECK(complete_length("a\xFF") == 2);  // will never be a character
  CHECK(complete_length("\x80\x80\x80\x80") == 4);
}

TEST_CASE("each cutter is found by its name, and says what it needs of a text") {
  CHECK(cutters().size() == 3);
  for (const Cutter* cutter : cutters()) CHECK(&find_cutter(cutter->name) == cutter);
  CHECK(find_cutter("byte").any_bytes);
  CHECK_FALSE(find_cutter("char").any_bytes);
  CHECK(find_cutter("char").keeps_white);
  CHECK_FALSE(find_cutter("word").keeps_white);
  CHECK(complaint([] { find_cutter("bpe"); }) == "there is no tokenizer 'bpe'; it must be one of char, byte, word");
  // Showing a token and reading what was shown are inverse, for every byte.
  for (int b = 0; b < 256; ++b) {
    const std::string byte(1, char(b));
    CHECK(find_cutter("byte").meant(find_cutter("byte").show(byte)) == byte);
  }
  CHECK(find_cutter("byte").meant("<0x41>").empty());  // ASCII is shown as it is
}

TEST_CASE("text for a terminal keeps its lines, and a message is one line of bounded length") {
  CHECK(harmless("a\tb\r\nc\rd\n") == "a\tb\nc\u240Dd\n");
  CHECK(harmless("\x1B[31m\x7F\u009B\u202E\u2066\u2029\xFF") == "\u241B[31m\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD");
  CHECK(harmless("\u05D0\u200F\u061C\u200E") == "\u05D0\uFFFD\uFFFD\uFFFD");
  CHECK(harmless("\u05D0 \u732B \U0001F469\u200D\U0001F52C") == "\u05D0 \u732B \U0001F469\u200D\U0001F52C");
  CHECK(harmless("").empty());
  CHECK(harmless_line("a\n\tb\x1B") == "a\u240A\u2409b\u241B");
  CHECK(harmless_line(std::string(kLongestMessage, 'x')) == std::string(kLongestMessage, 'x'));
  const std::string cut = harmless_line("begin " + std::string(5'000'000, 'x') + " end");
  CHECK(cut.size() < kLongestMessage + 10);
  CHECK(cut.starts_with("begin xxx"));
  CHECK(cut.find("x ... x") != cut.npos);
  CHECK(cut.ends_with("x end"));
}

TEST_CASE("what a terminal obeys is what Unicode says of every code point, in messages, in quotes and in JSON") {
  const auto obeyed = [](char32_t c) {
    const auto& property = *utf8proc_get_property(utf8proc_int32_t(c));
    const auto k = property.category;
    const auto turns = property.bidi_class;
    const bool mark = c == 0x061C || c == 0x200E || c == 0x200F;  // of the class of their letters, but not to be seen
    return k == UTF8PROC_CATEGORY_CC || k == UTF8PROC_CATEGORY_ZL || k == UTF8PROC_CATEGORY_ZP || mark ||
           turns == UTF8PROC_BIDI_CLASS_LRE || turns == UTF8PROC_BIDI_CLASS_LRO ||
           (turns >= UTF8PROC_BIDI_CLASS_RLE && turns <= UTF8PROC_BIDI_CLASS_PDF) ||
           (turns >= UTF8PROC_BIDI_CLASS_LRI && turns <= UTF8PROC_BIDI_CLASS_PDI);
  };
  int64_t orders = 0;
  for (char32_t c = 1; c < 0x110000; ++c) {
    if (c >= 0xD800 && c < 0xE000) continue;
    std::string s;
    utf8::append(c, std::back_inserter(s));
    const bool order = obeyed(c);
    orders += order;
    const std::string json = Json(s).dump();
    bool as_it_is = harmless_line(s) == s && in_quotes(s) == "\"" + s + "\"" && json == "\"" + s + "\"";
    if (c == '"' || c == '\\') as_it_is = !order;  // escaped in JSON for another reason
    if (as_it_is == order || Json::parse(json) != Json(s)) FAIL_CHECK("U+" << std::hex << uint32_t(c));
  }
  CHECK(orders == 32 + 33 + 3 + 7 + 4 - 1);  // C0 without NUL, DEL and C1, marks, U+2028 to U+202E, isolates
}

TEST_CASE("a line of a terminal is cut by columns, at the border of a character, and obeys nothing") {
  CHECK(one_line("abc", 3) == "abc");
  CHECK(one_line("abcd", 3) == "abc");
  CHECK(one_line("\u732B\u732B", 3) == "\u732B");  // wide: two columns each
  CHECK(one_line("\u732B\u732B", 4) == "\u732B\u732B");
  CHECK(one_line("\U0001F600b", 2) == "\U0001F600");
  CHECK(one_line("a\n\x1B[0m\u0085", 10) == "a  [0m ");
  CHECK(one_line("a\xFF", 2) == "a\uFFFD");
  std::string marks = "e";
  for (int i = 0; i < 1000; ++i) marks += "\u0301";
  CHECK(one_line(marks, 9).size() == 1 + 8 * 2);  // marks without end do not make a line without end
  CHECK(one_line("a\u202Eb\u2028c", 9) == "a\uFFFDb\uFFFDc");
  CHECK(first_columns("a\u732Bb", 2) == "a");
  CHECK(first_columns("", 2).empty());
}
