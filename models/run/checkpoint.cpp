#include "models/run/checkpoint.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <filesystem>
#include <utility>

#include "engine/blas.h"
#include "engine/io/json.h"
#include "engine/io/safetensors.h"
#include "models/families.h"

namespace gradus {

static constexpr int kVersion = 1;
static constexpr const char *kMean = "adam.m.", *kSquare = "adam.v.", *kCounts = "counts";

AdamWOptions adamw_options(const Config& config) {
  return {.beta1 = config.beta1, .beta2 = config.beta2, .weight_decay = config.weight_decay};
}

std::string checkpoint_path(const std::string& run_or_file) {
  return std::filesystem::is_directory(run_or_file) ? run_or_file + "/checkpoint.safetensors" : run_or_file;
}

static std::vector<int64_t> sizes(const Shape& shape) {
  std::vector<int64_t> list(size_t(shape.rank()));
  for (int i = 0; i < shape.rank(); ++i) list[size_t(i)] = shape[i];
  return list;
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
  throw UsageError(text("a prompt of ", tokens, " tokens and --max-tokens ", max_tokens, " make ", inputs,
                        " inputs, more than the context of ", config.context, " of ", path, ": ",
                        room > 0 ? text("--max-tokens ", room, " fits") : "a shorter prompt is wanted"));
}

void Checkpoint::save(const std::string& to) const {
  const Params& params = model->params();
  std::vector<TensorSource> tensors;
  for (int64_t i = 0; i < params.count(); ++i) {
    tensors.emplace_back(params.name(i), sizes(params.shape(i)), params.values(i));
    if (!optimizer) continue;
    const size_t first = size_t(params.offset(i)), n = size_t(params.shape(i).numel());
    tensors.emplace_back(kMean + params.name(i), sizes(params.shape(i)), std::span(optimizer->m).subspan(first, n));
    tensors.emplace_back(kSquare + params.name(i), sizes(params.shape(i)), std::span(optimizer->v).subspan(first, n));
  }
  if (const std::span<const double> counts = model->counts(); !counts.empty())
    tensors.emplace_back(kCounts, std::vector<int64_t>{int64_t(counts.size()) / 3, 3}, counts);
  std::deque<std::vector<real>> narrow;  // keeps still while it grows
  for (const Array& array : beside) {
    if (array.wide)
      tensors.emplace_back(array.name, array.shape, std::span(array.values));
    else
      tensors.emplace_back(array.name, array.shape,
                           std::span(std::as_const(narrow.emplace_back(array.values.begin(), array.values.end()))));
  }
  std::map<std::string, std::string> metadata{{"version", std::to_string(kVersion)},
                                              {"config", to_json(config)},
                                              {"vocab", Json(tokenizer.vocab()).dump()},
                                              {"step", std::to_string(step)},
                                              {"start_id", std::to_string(start_id)},
                                              {"corpus", Json(corpus).dump()},
                                              {"corpus_hash", corpus_hash},
                                              {"blas_core", gradus::blas_core()}};
  if (best_val_loss && std::isfinite(*best_val_loss)) metadata["best_val_loss"] = Json(*best_val_loss).dump();
  if (!tuning.empty()) metadata["tuning"] = tuning;
  write_safetensors(to, std::move(tensors), std::move(metadata));
}

namespace {

// One array of the file into place, or a sentence on what does not fit.
void read_into(const SafetensorsFile& file, const std::string& name, const Shape& shape, std::span<real> out) {
  const TensorInfo* info = file.find(name);
  if (!info) throw DataError(text(file.path(), ": the tensor ", name, " ", shape, " of this model is missing"));
  if (info->shape != sizes(shape)) {
    std::string found;
    for (int64_t n : info->shape) found += (found.empty() ? "" : ",") + std::to_string(n);
    throw DataError(text(file.path(), ": ", name, " is [", found, "], this model wants ", shape));
  }
  file.read(*info, out);
}

const std::string& metadata(const SafetensorsFile& file, const std::string& key) {
  const auto i = file.metadata().find(key);
  if (i == file.metadata().end())
    throw DataError(text(file.path(), ": not a gradus checkpoint, its metadata lack '", key, "'"));
  return i->second;
}

template <class T>
T parsed(const SafetensorsFile& file, const std::string& key) {
  const Json json = Json::parse_or_null(metadata(file, key));
  try {
    if (json.is_null() || json.is_boolean()) throw DataError("");
    return json.get<T>();
  } catch (const std::exception&) {
    throw DataError(text(file.path(), ": the metadata's '", key, "' cannot be read"));
  }
}

std::vector<double> read_counts(const SafetensorsFile& file, const Config& config) {
  if (!config.counts()) return {};
  const TensorInfo* info = file.find(kCounts);
  if (!info || info->shape.size() != 2 || info->shape[1] != 3)
    throw DataError(text(file.path(), ": the tensor ", kCounts, " [nodes,3] of this model is missing"));
  std::vector<double> counts(size_t(info->numel()));
  file.read(*info, std::span<double>(counts));
  return counts;
}

// The arrays that are not the model's.
std::vector<Checkpoint::Array> read_beside(const SafetensorsFile& file) {
  std::vector<Checkpoint::Array> arrays;
  for (const TensorInfo& info : file.tensors()) {
    std::string_view name = info.name;
    if (name.starts_with(kMean) || name.starts_with(kSquare)) name.remove_prefix(std::string_view(kMean).size());
    if (std::ranges::none_of(Checkpoint::kBeside, [&](const char* begin) { return name.starts_with(begin); })) continue;
    arrays.push_back({info.name, info.shape, std::vector<double>(size_t(info.numel())), info.dtype == "F64"});
    file.read(info, std::span(arrays.back().values));
  }
  return arrays;
}

}  // namespace

Checkpoint load_checkpoint(const std::string& run_or_file) {
  const std::string path = checkpoint_path(run_or_file);
  const SafetensorsFile file = SafetensorsFile::open(path);
  const int64_t version = parsed<int64_t>(file, "version");
  if (version != kVersion)
    throw DataError(text(path, ": written by version ", version, " of the format, this program reads ", kVersion));
  const Config config = config_from_json(metadata(file, "config"), path);
  try {
    config.check();
  } catch (const DataError& error) {
    throw DataError(text(path, ": its configuration cannot be: ", error.what()));
  }
  Checkpoint c{.config = config,
               .tokenizer = Tokenizer::from_vocab(Tokenizer::parse_kind(config.tokenizer),
                                                  parsed<std::vector<std::string>>(file, "vocab")),
               .model = nullptr,
               .optimizer = {},
               .step = parsed<int64_t>(file, "step"),
               .best_val_loss = {},
               .start_id = parsed<int32_t>(file, "start_id"),
               .corpus = parsed<std::vector<std::string>>(file, "corpus"),
               .corpus_hash = metadata(file, "corpus_hash"),
               .blas_core = metadata(file, "blas_core"),
               .path = path};
  if (file.metadata().contains("best_val_loss")) c.best_val_loss = parsed<double>(file, "best_val_loss");
  if (c.step < 0 || c.start_id < 0 || c.start_id >= c.tokenizer.size())
    throw DataError(text(path, ": the metadata's step or start_id is out of range"));
  if ((config.lines ? config.end_id : -1) != c.tokenizer.end_id())
    throw DataError(text(path, ": the end mark of the configuration, ", config.end_id, ", and of the vocabulary, ",
                         c.tokenizer.end_id(), ", differ"));
  int64_t numbers = 0;  // a model larger than its own file is a lie of the configuration
  for (const TensorInfo& info : file.tensors()) numbers += info.numel();
  c.model = make_model(config, c.tokenizer.size(), numbers, read_counts(file, config));
  Params& params = c.model->params();
  size_t expected = size_t(params.count()) + !c.model->counts().empty();
  for (int64_t i = 0; i < params.count(); ++i) read_into(file, params.name(i), params.shape(i), params.edit(i));
  if (params.count() > 0 && file.find(kMean + params.name(0))) {
    c.optimizer.emplace(params, adamw_options(config));
    c.optimizer->steps = c.step;
    for (int64_t i = 0; i < params.count(); ++i) {
      const size_t first = size_t(params.offset(i)), n = size_t(params.shape(i).numel());
      read_into(file, kMean + params.name(i), params.shape(i), std::span(c.optimizer->m).subspan(first, n));
      read_into(file, kSquare + params.name(i), params.shape(i), std::span(c.optimizer->v).subspan(first, n));
    }
    expected += 2 * size_t(params.count());
  }
  if (const auto tuning = file.metadata().find("tuning"); tuning != file.metadata().end()) c.tuning = tuning->second;
  if (const auto hash = file.metadata().find("hash"); hash != file.metadata().end()) c.hash = hash->second;
  c.beside = read_beside(file);
  expected += c.beside.size();
  if (file.tensors().size() != expected)
    throw DataError(text(path, ": holds ", file.tensors().size(), " tensors, this model has ", expected));
  return c;
}

}  // namespace gradus
