// A checkpoint: what is saved comes back, and a file whose configuration cannot be is refused by a sentence.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <limits>
#include <string>

#include "engine/io/json.h"
#include "models/run/checkpoint.h"
#include "models/run/config.h"
#include "models/text/read_text.h"
#include "tests/scratch.h"
#include "tests/sealed.h"

namespace {

using namespace gradus;

Checkpoint small(const std::string& family) {
  Config config;
  config.model = family;
  config.embd = 8;
  config.heads = 2;
  config.hidden = 6;
  config.context = 5;
  config.layers = 2;
  config.resolve(2);
  Tokenizer tokenizer = Tokenizer::from_text("char", "abc\n");
  auto model = make_model(config, tokenizer.size());
  AdamW optimizer(model->params(), adamw_options(config));
  for (size_t i = 0; i < optimizer.m.size(); ++i) optimizer.m[i] = real(i), optimizer.v[i] = real(2 * i);
  optimizer.steps = 7;
  return {config, std::move(tokenizer), std::move(model), std::move(optimizer), 7, 1.25, 0, {"a.txt"}, "12", "core",
          ""};
}

// What load_checkpoint says of the file of `run` with `from` replaced by `to`, of the same length, and with its hash.
std::string complaint(const Checkpoint& run, const std::string& from, const std::string& to) {
  const Folder folder;
  const std::string path = folder / "x.safetensors";
  run.save(path);
  std::string bytes = read_bytes(path);
  const size_t at = bytes.find(from);
  REQUIRE(at != std::string::npos);
  REQUIRE(from.size() == to.size());
  bytes.replace(at, from.size(), to);
  std::ofstream(path, std::ios::binary) << sealed(bytes);
  try {
    load_checkpoint(path);
  } catch (const DataError& error) {
    return error.what();
  }
  return "";
}

// A file as another program writes it: GPT-2's names behind "transformer.", a buffer that is no parameter, and no
// metadata of ours. Parameters before `first` are left out.
std::string foreign_file(const Params& params, int64_t first) {
  std::string header, values;
  const auto add = [&](const std::string& name, const std::vector<int64_t>& shape, std::span<const real> numbers) {
    const size_t begin = values.size();
    for (const real x : numbers) {
      const float narrow = float(x);
      values.append(reinterpret_cast<const char*>(&narrow), sizeof narrow);
    }
    const Json entry{
        {"dtype", "F32"}, {"shape", shape}, {"data_offsets", Json(std::vector<size_t>{begin, values.size()})}};
    header += text(header.empty() ? "{" : ",", Json(name).dump(), ":", entry.dump());
  };
  add("transformer.h.0.attn.bias", {1, 1, 2, 2}, std::vector<real>(4, real(1)));
  for (int64_t i = first; i < params.count(); ++i) {
    std::vector<int64_t> shape;
    for (int d = 0; d < params.shape(i).rank(); ++d) shape.push_back(params.shape(i)[d]);
    add("transformer." + params.name(i), shape, params.values(i));
  }
  header += "}";
  header.resize((header.size() + 7) / 8 * 8, ' ');
  std::string length(8, '\0');
  for (size_t i = 0; i < 8; ++i) length[i] = char(header.size() >> (8 * i));
  return length + header + values;
}

}  // namespace

TEST_SUITE_BEGIN("checkpoint");

TEST_CASE("checkpoint: everything comes back") {
  for (const std::string family : {"transformer", "lstm", "nnlm"}) {
    const Folder folder;
    const Checkpoint run = small(family);
    run.save(folder / "checkpoint.safetensors");
    const Checkpoint back = load_checkpoint(folder.path);
    CHECK(to_json(back.config) == to_json(run.config));
    CHECK(back.tokenizer.vocab() == run.tokenizer.vocab());
    CHECK(std::equal(back.model->params().data().begin(), back.model->params().data().end(),
                     run.model->params().data().begin(), run.model->params().data().end()));
    CHECK(back.optimizer->m == run.optimizer->m);
    CHECK(back.optimizer->v == run.optimizer->v);
    CHECK(back.optimizer->steps == 7);
    CHECK(back.step == 7);
    CHECK(back.best_val_loss == 1.25);
    CHECK(back.corpus == run.corpus);
    CHECK(back.corpus_hash == "12");
  }
}

TEST_CASE("checkpoint: a best loss that is not finite is left out") {
  const Folder folder;
  Checkpoint run = small("lstm");
  run.best_val_loss = std::numeric_limits<double>::infinity();
  run.save(folder / "checkpoint.safetensors");
  CHECK_FALSE(load_checkpoint(folder.path).best_val_loss.has_value());
}

TEST_CASE("checkpoint: a configuration that cannot be is refused") {
  const Checkpoint run = small("transformer");
  CHECK(complaint(run, "\\\"step", "\\\"step") == "");  // the control: nothing changed
  CHECK(complaint(run, "shards\\\":2", "shards\\\":0").find("--shards 0") != std::string::npos);
  CHECK(complaint(run, "heads\\\":2", "heads\\\":3").find("not a multiple of heads 3") != std::string::npos);
  CHECK(complaint(run, "layers\\\":2", "layers\\\":0").find("at least one layer") != std::string::npos);
  CHECK(complaint(run, "layers\\\":2", "layers\\\":9") != "");
  CHECK(complaint(run, "context\\\":5", "context\\\":6") != "");
  CHECK(complaint(run, "min_lr\\\":0.0001", "min_lr\\\":9.0001").find("--min-lr") != std::string::npos);
}

TEST_CASE("checkpoint: an array that nobody owns is refused, and so is a missing one") {
  const Folder folder;
  Checkpoint run = small("lstm");
  const std::string path = folder / "x.safetensors";
  const auto said = [&] { return gradus::complaint<DataError>([&] { load_checkpoint(path); }); };
  const auto write = [&](bool with_section) {
    ArchiveWriter out;
    run.write(out);
    out.list("strange", {1, 2});
    if (with_section) out.section("stranger", "{}");  // whoever wrote it owns the array
    std::move(out).write(path);
  };
  const auto n = size_t(3 * run.model->params().count());
  write(false);
  CHECK(said() == text(path, ": holds ", n + 1, " tensors, this model has ", n));
  write(true);
  CHECK(said() == "");
  CHECK(load_checkpoint(path).other_sections == std::vector<std::string>{"stranger"});

  ArchiveReader in(path);
  read_checkpoint(in);
  const auto rest = [&] { return gradus::complaint<DataError>([&] { in.refuse_rest(); }); };
  CHECK(rest() != "");
  CHECK(in.list("strange") == std::vector<double>{1, 2});
  CHECK(rest() == "");
  CHECK(has(gradus::complaint<DataError>([&] { in.list("stranger"); }), "the tensor stranger is missing"));

  run.model = small("transformer").model;  // other arrays under the same configuration
  run.optimizer.reset();
  run.save(path);
  CHECK(has(said(), "of this model is missing"));
}

TEST_CASE("archive: weights are read from another program's file, by GPT-2's names behind a prefix") {
  const Folder folder;
  Checkpoint run = small("transformer");
  Params& params = run.model->params();
  for (const char* name : {"wte.weight", "wpe.weight", "h.0.attn.c_attn.weight", "h.1.mlp.c_proj.bias", "ln_f.weight"})
    CHECK_MESSAGE(params.find(name) >= 0, name);
  const std::vector<real> before(params.data().begin(), params.data().end());
  ArchiveReader whole(folder.file("whole.safetensors", foreign_file(params, 0)));
  ArchiveReader part(folder.file("part.safetensors", foreign_file(params, 1)));
  for (real& x : params.edit()) x = -1;
  load_params(whole, params, "transformer.");
  CHECK(std::ranges::equal(
      params.data(), before, {}, [](real x) { return float(x); }, [](real x) { return float(x); }));
  const auto said = [&](ArchiveReader& in, const std::string& prefix) {
    return gradus::complaint<DataError>([&] { load_params(in, params, prefix); });
  };
  CHECK(has(said(whole, ""), "the tensor wte.weight [4,8] of this model is missing"));
  CHECK(has(said(part, "transformer."), "the tensor transformer.wte.weight [4,8] of this model is missing"));
  CHECK(has(gradus::complaint<DataError>([&] { load_checkpoint(whole.file().path()); }), "not a gradus checkpoint"));
}

TEST_CASE("a stream begins with its prompt, a line with the mark before it; both must leave room in the window") {
  Checkpoint stream = small("transformer");
  stream.start_id = stream.tokenizer.encode("\n")[0];
  const std::vector<int32_t> abc = stream.tokenizer.encode("abc");
  CHECK(stream.beginning("abc") == abc);
  CHECK(stream.beginning("") == std::vector<int32_t>{stream.start_id});
  const std::string_view lines[] = {"abc"};
  Checkpoint line = small("lstm");
  line.tokenizer = Tokenizer::from_lines("char", lines);
  line.start_id = line.tokenizer.end_id();
  CHECK(line.beginning("ab").size() == 3);
  CHECK(line.beginning("ab")[0] == line.tokenizer.end_id());
  CHECK(line.beginning("") == std::vector<int32_t>{line.tokenizer.end_id()});

  stream.require_one_window(3, 3);  // a context of 5: the last draw is no input
  CHECK_THROWS_AS(stream.require_one_window(3, 4), UsageError);
  CHECK_THROWS_AS(stream.require_one_window(6, 1), UsageError);
  line.require_one_window(100, 100);
}

TEST_SUITE_END();
