// Texts and options that cannot be used: each is refused in one sentence that says where the mistake is.
#include "tests/program/program.h"

using namespace gradus;
using namespace gradus::testing;

TEST_SUITE_BEGIN("input");

static const std::string kNew = " --out new --steps 2 --quiet" + tiny("transformer");

TEST_CASE("a text that is too short or not UTF-8 is refused with the place of the mistake and the remedy") {
  struct Row {
    std::string name, bytes, message;
  };
  const std::string rest = "abcdefghijklmnopqrstuvwxyz";
  const std::string latin = "ab\ncd\351fghijklmnopqrstuvwxyz";
  const Scratch dir;
  for (const Row& row :
       {Row{"empty", "", "empty"},
        {"one", "a", "at least 2"},
        {"shorter than the context", rest.substr(0, 16), "a context of 15"},
        {"Latin-1", latin, "line 2, column 3 (byte offset 5) is the byte 0xE9"},
        {"Latin-1 and its remedy", latin, "iconv -f ISO-8859-1"},
        {"NUL", std::string("abc\0defghijklmnopqrstuvwxyz", 27), "line 1, column 4 (byte offset 3) is the byte 0x00"},
        {"cut in a character", rest + "\n\342\202", "line 2, column 1"},
        {"continuation missing", "\303\050" + rest, "byte 0xC3"},
        {"surrogate", "\355\240\200" + rest, "surrogate"},
        {"overlong form", "\300\257" + rest, "byte 0xC0"}}) {
    CAPTURE(row.name);
    dir.write("text", row.bytes);
    CHECK(refuses(dir.run(f32, "train text" + kNew), 4, row.message));
  }
}

TEST_CASE("a text that is missing, a folder, of a name that is not UTF-8, or the bad one of two, is refused") {
  const Text dir;
  dir.make_folder("folder");
  dir.write("latin", "ab\ncd\351fghijklmnopqrstuvwxyz");
  dir.write("b\351.txt", fables());
  CHECK(refuses(dir.run(f32, "train nothing-here" + kNew), 4, "No such file"));
  CHECK(refuses(dir.run(f32, "train folder" + kNew), 4, "folder"));
  CHECK(refuses(dir.run(f32, "train b\351.txt" + kNew), 4, "must be UTF-8 itself"));
  CHECK(refuses(dir.run(f32, "train text.txt latin" + kNew), 4, "latin"));
}

TEST_CASE("the smallest and oddest texts train") {
  const Scratch dir;
  dir.write("exact", "abcdefghijklmnopq");  // one character more than the context
  dir.write("ones", std::string(40, 'a'));
  dir.write("newlines", std::string(20, '\n'));
  dir.write("crlf", repeated("ab\r\ncd\r\n", 3));
  for (const std::string model : {"transformer", "lstm"}) {
    CAPTURE(model);
    for (const std::string text : {"exact", "ones", "newlines", "crlf"}) {
      CAPTURE(text);
      const Run run = dir.run(f32, "train " + text + " --steps 3 --json --quiet --out " + text + model + tiny(model));
      CHECK(exits(run, 0));
      if (text == "exact") CHECK(run.json()["val_loss"].is_null());
    }
    const Json one =
        dir.run(f32, "train ones --steps 3 --json --quiet --val-fraction 0 --out one" + model + tiny(model)).json();
    CHECK(one["train_loss"].get<double>() == 0);  // a single character is certain
  }
  CHECK(exits(dir.run(f32, "train exact ones --out two --steps 2 --json --quiet" + tiny("lstm")), 0));
}

TEST_CASE("an option value that means nothing is refused with what would be right") {
  struct Row {
    std::string options, message;
  };
  const std::string number = "must be a number from ", whole = "must be a whole number from ";
  const Text dir;
  for (const Row& row : {Row{"--lr nan", "--lr nan: must be a number from 0 to 1000"},
                         {"--lr -nan", "from 0 to 1000"},
                         {"--lr inf", "from 0 to 1000"},
                         {"--lr -1", "from 0 to 1000"},
                         {"--lr 1e999", "from 0 to 1000"},
                         {"--lr abc", "from 0 to 1000"},
                         {"--lr 1,5", "from 0 to 1000"},
                         {"--steps 1e18", whole + "0"},
                         {"--steps 10x", whole + "0"},
                         {"--steps 2.5", whole + "0"},
                         {"--steps -1", whole + "0"},
                         {"--steps 99999999999999999999", whole + "0"},
                         {"--hidden 100000000 --model lstm", whole + "1 to 1048576"},
                         {"--embd 1000000 --layers 1000", "parameters"},
                         {"--hidden 1000000 --model lstm", "parameters"},
                         {"--context 2147483647", whole + "1 to 1048576"},
                         {"--batch 1048576 --context 1024", "GB of memory, "},
                         {"--batch 0", whole + "1"},
                         {"--threads -1", whole + "0 to 1024"},
                         {"--threads 100000", whole + "0 to 1024"},
                         {"--seed -1", whole + "0"},
                         {"--shards 1000", whole + "0 to 256"},
                         {"--dropout 1", number + "0 to 0.99"},
                         {"--dropout nan", number + "0 to 0.99"},
                         {"--beta1 1", number + "0"},
                         {"--val-fraction 1", number + "0"},
                         {"--clip inf", number + "0"},
                         {"--stop-after 0", whole + "1"},
                         {"--heads 3 --embd 16", "heads 3"},
                         {"--min-lr 1", "--min-lr 1 is above --lr"},
                         {"--model foo", "must be one of transformer"},
                         {"--tokenizer foo", "must be one of char"},
                         {"--ops foo", "must be one of fused | composed"},
                         {"--stpes 5", "train does not take --stpes (did you mean --steps?); "},
                         {"--temprature 0.3", "train does not take --temprature; "},
                         {"--steps 3 --steps 4", "--steps is given more than once"},
                         {"--layers", "--layers needs a value"}}) {
    CAPTURE(row.options);
    CHECK(refuses(dir.run(f32, "train text.txt --out new --quiet " + row.options), 2, row.message));
  }
}

TEST_CASE("a command that is unknown or incomplete is refused with what is missing") {
  const Text dir;
  CHECK(refuses(dir.run(f32, ""), 2, "no command given; see " + program(f32) + " --help"));
  CHECK(refuses(dir.run(f32, "trian text.txt --out new"), 2, "trian is not a command (did you mean train?); "));
  CHECK(refuses(dir.run(f32, "train text.txt"), 2, "--out"));
  CHECK(refuses(dir.run(f32, "train text.txt --out ''"), 2, "--out"));
  CHECK(refuses(dir.run(f32, "train --out new"), 2, "FILE"));
  CHECK(refuses(dir.run(f32, "sample"), 2, "RUN"));
  CHECK(refuses(dir.run(f32, "inspect run other"), 2, "other"));
}

TEST_CASE("an option of the other family is accepted and named in one note") {
  const Text dir;
  const std::string train = "train text.txt --steps 1 --json --embd 16 --layers 1 --context 16 --batch 4 --shards 2 ";
  const Run transformer = dir.run(f32, train + "--out a --model transformer --hidden 5");
  CHECK(exits(transformer, 0));
  CHECK(count(transformer.err, "note: --hidden has no meaning for --model transformer") == 1);
  const Run lstm = dir.run(f32, train + "--out b --model lstm --hidden 16 --heads 2");
  CHECK(exits(lstm, 0));
  CHECK(count(lstm.err, "note: --heads has no meaning for --model lstm") == 1);
}

TEST_SUITE_END();
