// gradus train --resume: a run that was stopped ends with the bytes of one that was not, and what it refuses.
#include "tests/program/program.h"

using namespace gradus;
using namespace gradus::testing;

TEST_SUITE_BEGIN("resume");

TEST_CASE("a run that was stopped twice and resumed on other threads is the whole run, byte for byte") {
  for (const auto& [model, real] : kinds()) {
    CAPTURE(model);
    CAPTURE(real);
    const Text dir;
    const std::string train =
        "train text.txt --dropout 0.2 --warmup 4 --eval-every 4 --eval-batches 2 --save-every 6 --steps 20" +
        tiny(model);
    const Json whole = dir.must(real, train + "--out whole --json").json();
    const Run first = dir.run(real, train + "--out part --stop-after 9 --threads 1");
    CHECK(exits(first, 130));
    CHECK(first.out.ends_with(program(real) + " train --out part --resume\n"));
    CHECK(exits(dir.run(real, "train --out part --resume --stop-after 13 --quiet --threads 2"), 130));
    const Run last = dir.run(real, "train --out part --resume --json text.txt");
    CHECK(exits(last, 0));
    CHECK(dir.same_weights("whole", "part"));
    CHECK(dir.same_logs("whole", "part"));
    for (const std::string field : {"steps", "train_loss", "val_loss", "best_val_loss", "parameters"}) {
      CAPTURE(field);
      CHECK(last.json()[field].dump() == whole[field].dump());
    }
  }
}

TEST_CASE("a run with --optimizer muon goes on with it, byte for byte, on other threads") {
  for (const std::string model : {"transformer", "lstm"}) {
    CAPTURE(model);
    const Text dir;
    const std::string train = "train text.txt --warmup 4 --eval-every 0 --steps 12 --lr 0.01 --quiet" + tiny(model);
    dir.must(f32, train + "--optimizer muon --out whole --threads 1");
    CHECK(exits(dir.run(f32, train + "--optimizer muon --out part --stop-after 5 --threads 2"), 130));
    CHECK(exits(dir.run(f32, "train --out part --resume --quiet"), 0));
    CHECK(dir.same_weights("whole", "part"));
    CHECK(dir.same_logs("whole", "part"));
    dir.must(f32, train + "--out adamw");
    CHECK(!dir.same_weights("whole", "adamw"));
  }
}

TEST_CASE("a run that goes on with other kernels of OpenBLAS says that its last bits will differ") {
  const Text dir;
  const Setting old{.env = {{"OPENBLAS_CORETYPE", "Nehalem"}}};
  CHECK(exits(dir.run(f32, "train text.txt --out moved --steps 4 --stop-after 2 --quiet" + tiny("lstm"), old), 130));
  const std::string on = "train --out moved --resume --stop-after 3";
  CHECK(!contains(dir.run(f32, on, old).err, "kernels"));
  CHECK(contains(dir.run(f32, "train --out moved --resume").err,
                 "note: the run began on OpenBLAS Nehalem kernels, this machine uses "));
}

TEST_CASE("a run whose --steps are raised is the run that had them from the beginning") {
  for (const auto& [model, real] : kinds()) {
    CAPTURE(model);
    CAPTURE(real);
    const Text dir;
    const std::string train =
        "train text.txt --warmup 4 --decay-steps 20 --eval-every 4 --eval-batches 2 --quiet" + tiny(model);
    dir.must(real, train + "--out long --steps 20");
    dir.must(real, train + "--out raised --steps 10");
    CHECK(exits(dir.run(real, "train --out raised --resume --steps 20 --quiet"), 0));
    CHECK(dir.same_weights("long", "raised"));
    CHECK(dir.same_steps("long", "raised"));
    CHECK(exits(dir.run(real, "train text.txt --out zero --warmup 4 --eval-every 4 --eval-batches 2 --quiet --steps 0" +
                                  tiny(model)),
                0));
    CHECK(exits(dir.run(real, "train --out zero --resume --steps 20 --quiet"), 0));
    CHECK(dir.same_steps("long", "zero"));
    CHECK(refuses(dir.run(real, "train --out zero --resume --stop-after 20"), 2, "has already done 20"));
  }
}

TEST_CASE("resuming a finished run changes none of its files and says its best loss again") {
  for (const auto& [model, real] : kinds()) {
    CAPTURE(model);
    CAPTURE(real);
    const Text dir;
    const Json first =
        dir.must(real, "train text.txt --out done --warmup 4 --decay-steps 20 --eval-every 4 --eval-batches 2" +
                           (" --quiet --steps 5 --json" + tiny(model)))
            .json();
    const auto before = dir.contents("done");
    const Run run = dir.run(real, "train --out done --resume --json --quiet");
    CHECK(exits(run, 0));
    CHECK((dir.contents("done") == before));
    CHECK(run.json()["best_val_loss"].dump() == first["best_val_loss"].dump());
  }
}

TEST_CASE(
    "a folder that holds a run is refused with both ways on, and --resume refuses what would make it another run") {
  const Text dir;
  dir.must(f32, "train text.txt --out run --steps 5 --quiet" + tiny("lstm"));
  const auto before = dir.contents("run");
  const Run again = dir.run(f32, "train text.txt --out run --quiet");
  CHECK(refuses(again, 2, "--resume"));
  CHECK(contains(again.err, "another --out"));
  CHECK(refuses(dir.run(f32, "train text.txt --out new --resume --quiet"), 4, "no checkpoint"));
  dir.write("other.txt", "something else altogether, and long enough");
  CHECK(refuses(dir.run(f32, "train other.txt --out run --resume --quiet"), 4, "other.txt"));
  CHECK(refuses(dir.run(f32, "train --out run --resume --steps 4 --quiet"), 2, "already done 5"));
  CHECK(refuses(dir.run(f32, "train --out run --resume --lr 1 --quiet"), 2, "--lr cannot be given"));
  dir.remove("text.txt");
  CHECK(refuses(dir.run(f32, "train --out run --resume --quiet --steps 9"), 4, "text.txt"));
  dir.write("text.txt", "changed since then, and long enough to be read");
  CHECK(refuses(dir.run(f32, "train --out run --resume --quiet --steps 9"), 4, "is not the text"));
  dir.write("text.txt", fables());
  CHECK((dir.contents("run") == before));
  const std::string weights = dir.read("run/checkpoint.safetensors");
  CHECK(exits(dir.run(f32, "train --out run --resume --quiet"), 0));
  CHECK(dir.read("run/checkpoint.safetensors") == weights);
}

TEST_SUITE_END();
