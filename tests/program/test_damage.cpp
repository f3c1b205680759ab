// Checkpoints that are cut, changed by a bit, too long or of another program: refused by name, and left alone.
#include <filesystem>

#include "tests/program/program.h"

using namespace gradus;
using namespace gradus::testing;

TEST_SUITE_BEGIN("damage");

static const std::string kFile = "/checkpoint.safetensors";

TEST_CASE("a checkpoint that is cut at any length is refused by sample and by --resume, which leave the folder alone") {
  for (const std::string model : {"transformer", "lstm"}) {
    CAPTURE(model);
    const Text dir;
    dir.must(f32, "train text.txt --out good --steps 3 --quiet" + tiny(model));
    const std::string bytes = dir.read("good" + kFile);
    const size_t header = uint8_t(bytes[0]) + 256 * size_t(uint8_t(bytes[1]));
    dir.make_folder("cut");
    dir.write("cut/log.jsonl", dir.read("good/log.jsonl"));
    for (const size_t length :
         {size_t(0), size_t(7), size_t(8), size_t(100), header + 8, bytes.size() / 2, bytes.size() - 1}) {
      CAPTURE(length);
      dir.write("cut" + kFile, bytes.substr(0, length));
      const auto before = dir.contents("cut");
      CHECK(refuses(dir.run(f32, "sample cut"), 4, "cut/checkpoint"));
      CHECK(refuses(dir.run(f32, "train --out cut --resume --quiet"), 4, "cut/checkpoint"));
      CHECK((dir.contents("cut") == before));
    }
  }
}

TEST_CASE("a checkpoint with one flipped bit, in its length, header or numbers, or with a byte too many is refused") {
  for (const std::string model : {"transformer", "lstm"}) {
    CAPTURE(model);
    const Text dir;
    dir.must(f32, "train text.txt --out good --steps 3 --quiet" + tiny(model));
    const std::string bytes = dir.read("good" + kFile);
    const size_t header = uint8_t(bytes[0]) + 256 * size_t(uint8_t(bytes[1]));
    for (const size_t offset : {size_t(3), size_t(20), header / 2, header + 20, bytes.size() / 2, bytes.size() - 2}) {
      CAPTURE(offset);
      std::string flipped = bytes;
      flipped[offset] = char(flipped[offset] ^ 4);
      dir.write("flipped", flipped);
      CHECK(refuses(dir.run(f32, "sample flipped"), 4, "flipped"));
    }
    dir.write("longer", bytes + "x");
    CHECK(refuses(dir.run(f32, "inspect longer"), 4, "longer"));
  }
}

TEST_CASE("a safetensors file of another program can be inspected, and is no checkpoint to sample from") {
  const std::string header = R"({"wte.weight":{"dtype":"F32","shape":[4,2],"data_offsets":[0,32]},)"
                             R"("h.0.attn.c_attn.bias":{"dtype":"F32","shape":[6],"data_offsets":[32,56]}})";
  const Scratch dir;
  const std::string length = {char(header.size() % 256), char(header.size() / 256)};  // little-endian, 8 bytes
  dir.write("gpt2.safetensors", length + std::string(6, '\0') + header + std::string(56, '\0'));
  const Run run = dir.run(f32, "inspect gpt2.safetensors --json");
  CHECK(exits(run, 0));
  const Json tensors = run.json()["tensors"];
  CHECK(tensors[0].dump() == R"({"name":"wte.weight","dtype":"F32","shape":[4,2],"norm":0.0})");
  CHECK(refuses(dir.run(f32, "sample gpt2.safetensors"), 4, "not a gradus checkpoint"));
}

TEST_CASE("inspect takes no more memory for a large array than for a small one") {
  const Scratch dir;
  constexpr size_t kNumbers = size_t(100) << 20;  // 200 MB of F16; as double they would take 800
  const std::string header = R"({"w":{"dtype":"F16","shape":[104857600],"data_offsets":[0,209715200]}})";
  dir.write("half", std::string{char(header.size()), 0, 0, 0, 0, 0, 0, 0} + header);
  std::filesystem::resize_file(dir / "half", 8 + header.size() + 2 * kNumbers);  // zeros that take no disk
  const Run run = dir.run(f32, "inspect half --json --threads 1",
                          {.env = {{"OPENBLAS_NUM_THREADS", "1"}}, .memory = size_t(200) << 20});
  CHECK(exits(run, 0));
  CHECK(run.json()["tensors"].at(size_t(0))["norm"] == Json(0.0));
}

TEST_CASE("a text, a program, noise and an empty folder are no checkpoints") {
  const Text dir;
  const std::string bytes = bytes_of(program(f32));
  CHECK(refuses(dir.run(f32, "inspect text.txt"), 4, "text.txt: is a text, not a safetensors file"));
  dir.make_folder("pointer");
  dir.write("pointer" + kFile, "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 12345\n");
  CHECK(refuses(dir.run(f32, "sample pointer"), 4, "fetch the file itself with git lfs pull"));
  CHECK(refuses(dir.run(f32, "inspect " + program(f32)), 4, "gradus"));
  dir.write("noise", bytes.substr(5000, 5000));
  CHECK(refuses(dir.run(f32, "sample noise"), 4, "noise"));
  dir.make_folder("empty-folder");
  CHECK(refuses(dir.run(f32, "sample empty-folder"), 4, "empty-folder"));
}

TEST_SUITE_END();
