// What cannot be written, and losses that are no longer finite.
#include <sys/stat.h>
#include <unistd.h>

#include "tests/program/program.h"

using namespace gradus;
using namespace gradus::testing;

TEST_SUITE_BEGIN("write");

TEST_CASE("a run goes into a folder that is made with its parents, and not below a file or onto a full device") {
  const Text dir;
  const std::string options = " --steps 2 --quiet" + tiny("lstm");
  CHECK(refuses(dir.run(f32, "train text.txt --out text.txt/run" + options), 3, "text.txt/run"));
  CHECK(refuses(dir.run(f32, "train text.txt --out /dev/full" + options), 3, "/dev/full"));
  CHECK(exits(dir.run(f32, "train text.txt --out deep/er/run" + options), 0));
  const Run full = dir.run(f32, "sample deep/er/run --json", {.out = "/dev/full", .seconds = 20});
  CHECK(exits(full, 3));
  CHECK(full.err.starts_with("gradus: standard output"));
  CHECK(count(full.err, "\n") == 1);
}

TEST_CASE("a folder that may not be written is refused") {
  if (::geteuid() == 0) return left_out("a folder without permission", "root writes everywhere");
  const Text dir;
  dir.make_folder("locked");
  REQUIRE(::chmod((dir / "locked").c_str(), 0555) == 0);
  CHECK(refuses(dir.run(f32, "train text.txt --out locked/run --steps 2 --quiet" + tiny("lstm")), 3, "locked"));
  ::chmod((dir / "locked").c_str(), 0755);
}

static const std::string kHot = " --steps 5000 --lr 1000 --min-lr 1000 --warmup 0 --weight-decay 1000 --quiet";

TEST_CASE("a run that diverges exits with 5, names the step and the remedy, and keeps its last good state") {
  for (const auto& [model, real] : kinds()) {
    CAPTURE(model);
    CAPTURE(real);
    const Text dir;
    const Run run = dir.run(real, "train text.txt --out hot --save-every 1 --eval-every 0" + kHot + tiny(model));
    CHECK(refuses(run, 5, "keeps the last good state"));
    const std::string step = between(run.err, "gradus: step ", ": ");
    CHECK((!step.empty() && step.find_first_not_of("0123456789") == step.npos));
    CHECK(contains(run.err, "try a smaller --lr"));
    const Run inspect = dir.run(real, "inspect hot --json");
    CHECK(exits(inspect, 0));
    if (real == f32) CHECK(!contains(inspect.out, "\"norm\":null"));
    CHECK(exits(dir.run(real, "train --out hot --resume --quiet"), 5));  // into the same wall
  }
}

TEST_CASE("a run that diverges before its first save says that nothing was written") {
  for (const auto& [model, real] : kinds()) {
    CAPTURE(model);
    CAPTURE(real);
    const Text dir;
    const Run run = dir.run(real, "train text.txt --out hot2 --save-every 0 --eval-every 0" + kHot + tiny(model));
    CHECK(contains(run.err, "hot2/checkpoint.safetensors was not written"));
  }
}

TEST_CASE("an evaluation that is not finite ends the run with 5, and what it keeps can be read") {
  for (const auto& [model, real] : kinds()) {
    CAPTURE(model);
    CAPTURE(real);
    const Text dir;
    CHECK(refuses(dir.run(real, "train text.txt --out hot3 --save-every 1 --eval-every 1" + kHot + tiny(model)), 5,
                  "evaluation is not finite"));
    CHECK(exits(dir.run(real, "sample hot3 --tokens 1"), 0));
  }
}

TEST_SUITE_END();
