#include "models/run/checkpoint.h"

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "engine/gemm.h"
#include "engine/io/json.h"
#include "models/families.h"

namespace gradus {

static constexpr int kVersion = 1;
static constexpr const char* kCounts = "counts";

AdamWOptions adamw_options(const Config& config) {
  return {.beta1 = config.beta1, .beta2 = config.beta2, .weight_decay = config.weight_decay};
}

std::string checkpoint_path(const std::string& run_or_file) {
  return std::filesystem::is_directory(run_or_file) ? run_or_file + "/checkpoint.safetensors" : run_or_file;
}

std::vector<int32_t> Checkpoint::beginning(const std::string& prompt) const {
  std::vector<int32_t> tokens;
  if (prompt.empty() || tokenizer.end_id() >= 0) tokens.push_back(start_id);
  const std::vector<int32_t> given = prompt.empty() ? std::vector<int32_t>() : tokenizer.encode(prompt);
  tokens.insert(tokens.end(), given.begin(), given.end());
  return tokens;
}

void Checkpoint::require_one_window(int64_t tokens, int64_t max_tokens) const {
  const int64_t inputs = tokens + max_tokens - 1, room = config.context + 1 - tokens;  // the last draw is no input
  if (!config.family().windowed || room >= max_tokens) return;
  throw UsageError(text("a prompt of ", tokens, " tokens and ", max_tokens, " drawn ones make ", inputs,
                        " inputs, more than the context of ", config.context, " of ", path, ": ",
                        room > 0 ? text("draw at most ", room) : "use a shorter prompt"));
}

void Checkpoint::write(ArchiveWriter& out) const {
  save_params(out, model->params());
  if (optimizer) save_moments(out, model->params(), *optimizer);
  if (const std::span<const double> counts = model->counts(); !counts.empty())
    out.array(kCounts, {int64_t(counts.size()) / 3, 3}, counts);
  out.section("version", std::to_string(kVersion));
  out.section("config", to_json(config));
  out.section("vocab", Json(tokenizer.vocab()).dump());
  out.section("step", std::to_string(step));
  out.section("start_id", std::to_string(start_id));
  out.section("corpus", Json(corpus).dump());
  out.section("corpus_hash", corpus_hash);
  out.section("blas_core", gradus::blas_core());
  if (best_val_loss && std::isfinite(*best_val_loss)) out.section("best_val_loss", Json(*best_val_loss).dump());
}

void Checkpoint::save(const std::string& to) const {
  ArchiveWriter out;
  write(out);
  std::move(out).write(to);
}

namespace {

template <class T>
T parsed(ArchiveReader& in, const std::string& key) {
  const Json json = Json::parse_or_null(in.section(key));
  try {
    if (json.is_null() || json.is_boolean()) throw DataError("");
    return json.get<T>();
  } catch (const std::exception&) {
    throw DataError(text(in.file().path(), ": the metadata's '", key, "' cannot be read"));
  }
}

std::vector<double> read_counts(ArchiveReader& in, const Config& config) {
  if (!config.counts()) return {};
  const TensorInfo* info = in.find(kCounts);
  if (!info || info->shape.size() != 2 || info->shape[1] != 3)
    throw DataError(text(in.file().path(), ": the tensor ", kCounts, " [nodes,3] of this model is missing"));
  return in.list(kCounts);
}

Config read_config(ArchiveReader& in) {
  const std::string& path = in.file().path();
  Config config = config_from_json(in.section("config"), path);
  try {
    config.check();
  } catch (const DataError& error) {
    throw DataError(text(path, ": its configuration is not valid: ", error.what()));
  }
  return config;
}

}  // namespace

Checkpoint read_checkpoint(ArchiveReader& in) {
  const std::string& path = in.file().path();
  const int64_t version = parsed<int64_t>(in, "version");
  if (version != kVersion)
    throw DataError(text(path, ": written by version ", version, " of the format, this program reads ", kVersion));
  const Config config = read_config(in);
  Checkpoint c{.config = config,
               .tokenizer = Tokenizer::from_vocab(config.tokenizer, parsed<std::vector<std::string>>(in, "vocab")),
               .model = nullptr,
               .optimizer = {},
               .step = parsed<int64_t>(in, "step"),
               .best_val_loss = {},
               .start_id = parsed<int32_t>(in, "start_id"),
               .corpus = parsed<std::vector<std::string>>(in, "corpus"),
               .corpus_hash = in.section("corpus_hash"),
               .blas_core = in.section("blas_core"),
               .path = path};
  if (in.find_section("best_val_loss")) c.best_val_loss = parsed<double>(in, "best_val_loss");
  if (c.step < 0 || c.start_id < 0 || c.start_id >= c.tokenizer.size())
    throw DataError(text(path, ": the metadata's step or start_id is out of range"));
  if ((config.lines ? config.end_id : -1) != c.tokenizer.end_id())
    throw DataError(text(path, ": the end mark of the configuration, ", config.end_id, ", and of the vocabulary, ",
                         c.tokenizer.end_id(), ", differ"));
  int64_t numbers = 0;  // a model larger than its own file is a lie of the configuration
  for (const TensorInfo& info : in.file().tensors()) numbers += info.numel();
  c.model = make_model(config, c.tokenizer.size(), numbers, read_counts(in, config));
  load_params(in, c.model->params());
  if (has_moments(in, c.model->params())) {
    c.optimizer.emplace(c.model->params(), adamw_options(config));
    c.optimizer->steps = c.step;
    load_moments(in, c.model->params(), *c.optimizer);
  }
  if (const std::string* hash = in.find_section("hash")) c.hash = *hash;
  in.find_section("format");
  c.other_sections = in.other_sections();
  return c;
}

Checkpoint load_checkpoint(const std::string& run_or_file) {
  ArchiveReader in(checkpoint_path(run_or_file));
  Checkpoint c = read_checkpoint(in);
  if (c.other_sections.empty()) in.refuse_rest();  // else their owner knows more arrays
  return c;
}

Checkpoint load_beside(const std::string& other, const Checkpoint& run) {
  Checkpoint loaded = load_checkpoint(other);
  const auto &a = run.tokenizer.vocab(), &b = loaded.tokenizer.vocab();
  if (a == b && &run.tokenizer.cutter() == &loaded.tokenizer.cutter()) return loaded;
  const auto [i, j] = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
  const auto name = [](auto at, auto end) { return at == end ? "nothing" : Json(*at).dump(); };
  throw DataError(text(run.path, " and ", loaded.path, " have different vocabularies (", a.size(), " and ", b.size(),
                       " tokens; token ", i - a.begin(), " is ", name(i, a.end()), " and ", name(j, b.end()),
                       "): train both on texts with the same tokens and one --tokenizer"));
}

}  // namespace gradus
