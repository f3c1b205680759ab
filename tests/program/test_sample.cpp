// gradus sample: seeds, temperature, counts and prompts.
#include "tests/program/program.h"

using namespace gradus;
using namespace gradus::testing;

TEST_SUITE_BEGIN("sample");

TEST_CASE("the same seed gives the same text of as many tokens as were asked for, another seed another text") {
  for (const auto& [model, real] : kinds()) {
    CAPTURE(model);
    CAPTURE(real);
    const Text dir;
    dir.must(real, "train text.txt --out r --steps 40 --lr 1e-2 --warmup 0 --quiet" + tiny(model));
    const Run once = dir.run(real, "sample r --tokens 60 --seed 5");
    CHECK(exits(once, 0));
    const Run again = dir.run(real, "sample r --tokens 60 --seed 5 --threads 1");
    CHECK(again.out == once.out);
    CHECK(characters(again.out) == 61);  // and the end of the line
    CHECK(dir.run(real, "sample r --tokens 60 --seed 6").out != once.out);
  }
}

TEST_CASE("--temperature 0 gives the most probable token with certainty, whatever the seed, as --top-k 1 does") {
  for (const auto& [model, real] : kinds()) {
    CAPTURE(model);
    CAPTURE(real);
    const Text dir;
    dir.must(real, "train text.txt --out r --steps 40 --lr 1e-2 --warmup 0 --quiet" + tiny(model));
    const Run greedy = dir.run(real, "sample r --tokens 20 --temperature 0 --seed 5 --json");
    const Run other = dir.run(real, "sample r --tokens 20 --temperature 0 --seed 99 --json");
    CHECK(other.out == greedy.out);
    const Json drawn = greedy.json()["samples"];
    CHECK(drawn[0]["log_probs"].get<std::vector<double>>() == std::vector<double>(20, 0.0));
    const Json top = dir.run(real, "sample r --tokens 20 --top-k 1 --seed 5 --json").json()["samples"];
    CHECK(top[0]["text"] == drawn[0]["text"]);
    CHECK(top[0]["tokens"] == drawn[0]["tokens"]);
  }
}

TEST_CASE("--count gives different texts, the first of which does not depend on it") {
  for (const auto& [model, real] : kinds()) {
    CAPTURE(model);
    CAPTURE(real);
    const Text dir;
    dir.must(real, "train text.txt --out r --steps 40 --lr 1e-2 --warmup 0 --quiet" + tiny(model));
    const Json three = dir.run(real, "sample r --tokens 12 --count 3 --json").json()["samples"];
    REQUIRE(three.size() == 3);
    CHECK((three[0]["text"] != three[1]["text"] && three[1]["text"] != three[2]["text"] &&
           three[2]["text"] != three[0]["text"]));
    const Json one = dir.run(real, "sample r --tokens 12 --count 1 --json").json()["samples"];
    CHECK(one[0]["text"] == three[0]["text"]);
  }
}

TEST_CASE("a text begins with its prompt, which may be longer than the context, and has no unknown characters") {
  for (const auto& [model, real] : kinds()) {
    CAPTURE(model);
    CAPTURE(real);
    const Text dir;
    dir.must(real, "train text.txt --out r --steps 40 --lr 1e-2 --warmup 0 --quiet" + tiny(model));
    CHECK(dir.run(real, "sample r --prompt 'The miller' --tokens 5").out.starts_with("The miller"));
    CHECK(exits(dir.run(real, "sample r --tokens 3", {.words = {"--prompt", fables().substr(0, 50)}}), 0));
    CHECK(refuses(dir.run(real, "sample r --prompt 'The é'"), 4, "'é' (U+00E9)"));
  }
}

TEST_CASE("a reader that goes away ends sample quietly") {
  for (const auto& [model, real] : kinds()) {
    CAPTURE(model);
    CAPTURE(real);
    const Text dir;
    dir.must(real, "train text.txt --out r --steps 1 --quiet" + tiny(model));
    const Run run = dir.run(real, "sample r --tokens 2000000", {.hang_up_after = 5, .seconds = 20});
    CHECK(run.err == "");
    CHECK(run.out.size() == 5);
    CHECK(exits(run, 128 + 13));  // SIGPIPE
  }
}

struct Poem : Scratch {
  Poem() {
    write("poem.txt", repeated("床前明月光，疑是地上霜。举头望明月，低头思故乡。\n", 6));
    must(f32, "train poem.txt --out poem --steps 150 --lr 1e-2 --warmup 10 --json --quiet" + tiny("transformer"));
  }
};

TEST_CASE("a Chinese poem is learnt by heart") {
  const Poem dir;
  const Run run = dir.run(f32, "sample poem --prompt 床前明月 --tokens 20 --temperature 0");
  CHECK(exits(run, 0));
  CHECK(run.out.starts_with("床前明月光，疑是地上霜"));
  CHECK(refuses(dir.run(f32, "sample poem --prompt 床李"), 4, "'李' (U+674E)"));
}

TEST_CASE("sample refuses an empty prompt, no run, and temperatures, counts and shares out of range") {
  const Poem dir;
  CHECK(refuses(dir.run(f32, "sample poem --prompt ''"), 2, "--prompt"));
  CHECK(refuses(dir.run(f32, "sample nothing-here"), 4, "nothing-here"));
  CHECK(refuses(dir.run(f32, "sample poem --temperature -1"), 2, "from 0"));
  CHECK(refuses(dir.run(f32, "sample poem --temperature nan"), 2, "from 0"));
  CHECK(refuses(dir.run(f32, "sample poem --top-p 0"), 2, "from 1e-09 to 1"));
  CHECK(refuses(dir.run(f32, "sample poem --count 0"), 2, "from 1"));
}

TEST_CASE("a tiny temperature gives the most probable text") {
  const Poem dir;
  const Run tiny = dir.run(f32, "sample poem --temperature 1e-310 --tokens 20");
  const Run zero = dir.run(f32, "sample poem --temperature 0 --tokens 20");
  CHECK(exits(tiny, 0));
  CHECK(exits(zero, 0));
  CHECK(tiny.out == zero.out);
}

TEST_SUITE_END();
