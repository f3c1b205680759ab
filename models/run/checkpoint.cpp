#include "models/run/checkpoint.h"

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "engine/gemm.h"
#include "engine/io/json.h"
#include "engine/kernels.h"
#include "models/adapter.h"
#include "models/families.h"
#include "models/memory.h"
#include "models/posterior/posterior_model.h"
#include "models/posterior/posteriors.h"
#include "models/run/adapter_base.h"
#include "models/text/utf8.h"

namespace gradus {

static constexpr int kVersion = 1;
static constexpr const char *kCounts = "counts", *kBestLoss = "best_val_loss", *kDrop = "drop", *kLabels = "labels";

AdamWOptions adamw_options(const Config& config) {
  const double decay = posterior_of(config) ? 0 : config.weight_decay;  // a prior takes its place
  return {.beta1 = config.beta1,
          .beta2 = config.beta2,
          .weight_decay = decay,
          .muon = row_named(kOptimizers, config.optimizer, "optimizer").value};
}

std::string checkpoint_path(const std::string& run_or_file) {
  std::error_code unknown;  // opening the file will say it better
  return std::filesystem::is_directory(run_or_file, unknown) ? run_or_file + "/checkpoint.safetensors" : run_or_file;
}

std::vector<int32_t> Checkpoint::beginning(const std::string& prompt) const {
  if (config.pairs && prompt.empty())
    throw UsageError(text(path, ": is a run of --pairs, which replies to a prompt; give it one with --prompt"));
  if (config.pairs) return answer_to(tokenizer, prompt);
  std::vector<int32_t> tokens;
  if (prompt.empty() || tokenizer.end_id() >= 0) tokens.push_back(start_id);
  const std::vector<int32_t> given = prompt.empty() ? std::vector<int32_t>() : tokenizer.encode(prompt);
  tokens.insert(tokens.end(), given.begin(), given.end());
  return tokens;
}

Prompt Checkpoint::prompt(const std::string& text) const {
  Prompt prompt(text);
  prompt.is_replied_to = config.pairs;
  return prompt;
}

void Checkpoint::require_one_window(int64_t tokens, int64_t max_tokens) const {
  const int64_t inputs = tokens + max_tokens - 1, room = config.context + 1 - tokens;  // the last draw is no input
  if (!config.family().windowed || room >= max_tokens) return;
  throw UsageError(text("a prompt of ", tokens, " tokens and ", max_tokens, " drawn ones make ", inputs,
                        " inputs, more than the context of ", config.context, " of ", path, ": ",
                        room > 0 ? text("draw at most ", room) : "use a shorter prompt"));
}

void Checkpoint::require_one_model(const char* who) const {
  if (posterior_in(*model))
    throw UsageError(text(path, ": has a posterior over its parameters, and ", who,
                          " wants one set of them; gradus merge "
                          "makes a run of its mean"));
}

void Checkpoint::write(ArchiveWriter& out, bool with_optimizer) const {
  save_params(out, model->params());
  if (optimizer && with_optimizer) save_moments(out, model->params(), *optimizer);
  if (!base.empty()) out.section(kBase, Json{{"path", base}, {"hash", base_hash}, {"from_run", base_from_run}}.dump());
  if (const std::span<const double> counts = model->counts(); !counts.empty() && base.empty())
    out.array(kCounts, {int64_t(counts.size()) / 3, 3}, counts);
  out.section("version", std::to_string(kVersion));
  out.section("config", to_json(config));
  out.section("vocab", Json(tokenizer.vocab()).dump());
  out.section("step", std::to_string(step));
  out.section("start_id", std::to_string(start_id));
  out.section("corpus", Json(corpus).dump());
  out.section("corpus_hash", corpus_hash);
  if (!labels.empty()) out.section(kLabels, Json(labels).dump());
  if (!drop.empty()) out.section(kDrop, Json(std::vector<std::string>{drop}).dump());
  out.section("blas_core", gradus::blas_core());
  if (best_val_loss && std::isfinite(*best_val_loss)) out.section(kBestLoss, Json(*best_val_loss).dump());
}

void Checkpoint::adapt(const std::string& adapter, uint64_t seed, const std::string& folder) {
  if (!base.empty())
    throw DataError(text(path, ": has an adapter already; merge it first: gradus merge RUN --out RUN2"));
  const std::string name = whole_path(path);
  if (path.empty() || find_bad_byte(name))
    throw DataError(text(path, ": the name of a base must be UTF-8, so that the run can name it; rename it"));
  model = std::make_unique<AdaptedModel>(std::move(model), Adapter::parse(adapter), seed);
  config.adapter = adapter;
  base = name;
  base_hash = hash;
  if (!folder.empty()) base_from_run = seen_from(folder, name);
}

Checkpoint Checkpoint::merged() && {
  if (base.empty() && !posterior_in(*model)) throw DataError(text(path, ": has no adapter; it is one model already"));
  Checkpoint c = std::move(*this);
  c.model = clone(c.model->plain());
  c.config.adapter = kNoAdapter;
  c.config.posterior = kNoPosterior;
  c.base = c.base_hash = c.base_from_run = "";
  c.optimizer.reset();
  return c;
}

void Checkpoint::save(const std::string& to) const {
  ArchiveWriter out;
  write(out);
  std::move(out).write(to);
}

void Checkpoint::save_weights(const std::string& to) const {
  ArchiveWriter out;
  write(out, false);
  std::move(out).write(to);
}

namespace {

constexpr size_t kFewValues = 100;  // of JSON, where one is wanted: more than it may be deep

// Each section has a range, which is checked where it is read.
int64_t whole(ArchiveReader& in, const std::string& key, int64_t least, int64_t most) {
  return in.section(key, [&](const std::string& content) {
    const Json n = Json::parse(content, kFewValues);
    if (!n.is_number_integer() || n.get<int64_t>() < least || n.get<int64_t>() > most)
      throw DataError(text(one_line(content, 40), " is not a whole number from ", least, " to ", most));
    return n.get<int64_t>();
  });
}

std::optional<double> read_best_loss(ArchiveReader& in) {
  if (!in.find_section(kBestLoss)) return {};
  return in.section(kBestLoss, [](const std::string& content) {
    const double loss = Json::parse(content, kFewValues).get<double>();
    if (!(loss >= 0)) throw DataError(text(one_line(content, 40), " is not a number from 0 up"));
    return loss;
  });
}

// Paths on the machine of the run. There are none where a program made the model from no file.
std::vector<std::string> read_paths(ArchiveReader& in, const char* section, size_t most) {
  return in.section(section, [most](const std::string& content) {
    std::vector<std::string> files = Json::parse_texts(content, most);
    for (const std::string& file : files)
      if (file.empty() || file.find('\0') != file.npos)
        throw DataError(text(in_quotes(file), " is not the name of a file"));
    return files;
  });
}

// A word that is shown and compared, never more.
std::string read_word(ArchiveReader& in, const std::string& key) {
  return in.section(key, [](const std::string& content) {
    constexpr size_t kLongest = 64;
    if (content.size() > kLongest || std::ranges::any_of(content, [](char c) { return c < 0x20 || c > 0x7E; }))
      throw DataError(text(in_quotes(one_line(content, 40)), " is not of at most ", kLongest, " letters and digits"));
    return content;
  });
}

Tokenizer read_tokenizer(ArchiveReader& in, const Config& config) {
  // A token takes four bytes of the section at least, and the model has more numbers than tokens: a longer list is a
  // lie, and is refused before it takes memory.
  const size_t most = in.file().size() / 8;
  return in.section("vocab", [&](const std::string& content) {
    return Tokenizer::from_vocab(config.tokenizer, Json::parse_texts(content, most));
  });
}

std::vector<std::string> read_labels(ArchiveReader& in, const Config& config) {
  if (config.labels == 0) return {};
  return in.section(kLabels, [&](const std::string& content) {
    std::vector<std::string> labels = Json::parse_texts(content, kMostLabels);
    if (std::ssize(labels) != config.labels)
      throw DataError(text("has ", labels.size(), " labels, its configuration says ", config.labels));
    if (labels[0].empty() || std::adjacent_find(labels.begin(), labels.end(), std::greater_equal()) != labels.end())
      throw DataError("the labels are not in order, each once");
    return labels;
  });
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

Checkpoint read_base(ArchiveReader& in, const Config& config, const Tokenizer& tokenizer) {
  const std::string& path = in.file().path();
  ArchiveReader of_base = open_base(in);
  Checkpoint c = read_checkpoint(of_base);
  if (c.tokenizer.vocab() != tokenizer.vocab() || c.config.tokenizer != config.tokenizer)
    throw DataError(text(path, ": has another vocabulary than its base, ", c.path));
  return c;
}

// The model of the configuration, its numbers from the file. Before they take memory, the file must have them all.
std::unique_ptr<LanguageModel> read_model(ArchiveReader& in, const Config& config, int64_t V) {
  const std::string& path = in.file().path();
  if (const size_t n = in.file().tensors().size(); config.family().has("layers") && size_t(config.layers) > n)
    throw DataError(text(path, ": its configuration has ", config.layers, " layers, but it holds ", n, " tensors"));
  std::unique_ptr<LanguageModel> model;
  try {
    model = with_posterior(declare_model(config, V, read_counts(in, config)), config);
  } catch (const DataError& error) {
    throw DataError(text(path, ": ", error.what()));
  }
  require_params(in, model->params());
  double numbers = double(model->params().declared_size()) * (has_moments(in, model->params()) ? 3 : 1);
  if (const PosteriorModel* posterior = posterior_in(*model)) numbers += posterior->numbers_of_draws();
  require_memory(numbers * sizeof(real), "loading " + path, "the model is too large for that");
  model->params().allocate();
  load_params(in, model->params());
  return model;
}

void require_format(ArchiveReader& in) {
  const std::string& path = in.file().path();
  in.section("version");  // or it is nothing like a checkpoint
  if (!in.file().is_ours())
    throw DataError(text(path,
                         ": has the metadata of a gradus checkpoint without its format and hash, so damage could ",
                         "not be seen"));
  if (const int64_t version = whole(in, "version", 1, INT32_MAX); version != kVersion)
    throw DataError(text(path, ": written by version ", version, " of the format, this program reads ", kVersion));
}

}  // namespace

Checkpoint read_checkpoint(ArchiveReader& in) {
  const std::string& path = in.file().path();
  require_format(in);
  Config config = read_config(in);
  Tokenizer tokenizer = read_tokenizer(in, config);
  if ((config.lines ? config.end_id : -1) != tokenizer.end_id())
    throw DataError(text(path, ": the end mark of the configuration, ", config.end_id, ", and of the vocabulary, ",
                         tokenizer.end_id(), ", differ"));
  const int64_t last = tokenizer.size() - 1;
  Checkpoint c{
      .config = config,
      .tokenizer = std::move(tokenizer),
      .model = nullptr,
      .optimizer = {},
      .step = whole(in, "step", 0, kMany),
      .best_val_loss = read_best_loss(in),
      .start_id = int32_t(whole(in, "start_id", config.lines ? last : 0, last)),  // a line begins with its mark
      .corpus = read_paths(in, "corpus", 65536),
      .corpus_hash = read_word(in, "corpus_hash"),
      .blas_core = read_word(in, "blas_core"),
      .path = path,
      .labels = read_labels(in, config)};
  if (in.find_section(kDrop))
    for (const std::string& file : read_paths(in, kDrop, 1)) c.drop = file;
  if (config.adapter == kNoAdapter) {
    c.model = read_model(in, config, c.tokenizer.size());
  } else {
    Checkpoint base = read_base(in, config, c.tokenizer);
    static_cast<ModelOptions&>(c.config) = base.config;  // what the model is
    c.config.pairs = config.pairs;                       // what its texts are
    c.config.dropout = config.dropout;                   // and how it is trained
    c.config.ops = config.ops;
    c.config.seed = config.seed;
    c.base = whole_path(base.path);
    c.base_hash = base.hash;
    c.base_from_run = seen_from(std::filesystem::path(path).parent_path().string(), c.base);
    c.model = std::make_unique<AdaptedModel>(clone_with(*base.model, c.config), Adapter::parse(config.adapter),
                                             uint64_t(config.seed));
    load_params(in, c.model->params());
  }
  if (has_moments(in, c.model->params())) {
    c.optimizer.emplace(c.model->params(), adamw_options(config));
    c.optimizer->steps = c.step;
    load_moments(in, c.model->params(), *c.optimizer);
  }
  if (const std::string* hash = in.find_section("hash")) c.hash = *hash;
  if (in.find_section(kKindSection)) c.kind = read_word(in, kKindSection);
  in.find_section("format");
  c.other_sections = in.other_sections();
  return c;
}

int64_t first_not_finite(const Params& params) {
  for (int64_t i = 0; i < params.count(); ++i)
    if (!kernel::all_finite(params.shape(i).numel(), params.values(i).data())) return i;
  return -1;
}

Checkpoint load_any_checkpoint(const std::string& run_or_file) {
  ArchiveReader in(checkpoint_path(run_or_file));
  Checkpoint c = read_checkpoint(in);
  if (!c.kind.empty()) throw DataError(text(c.path, ": is a ", c.kind, ", not a language model"));
  if (c.other_sections.empty()) in.refuse_rest();  // else their owner knows more arrays
  if (const int64_t i = first_not_finite(c.model->params()); i >= 0)
    throw DataError(text(c.path, ": ", c.model->params().name(i),
                         " holds a number that is not finite; its training diverged, so it is of no use"));
  return c;
}

Checkpoint load_writer(const std::string& run_or_file) {
  Checkpoint c = load_any_checkpoint(run_or_file);
  if (!c.labels.empty())
    throw DataError(text(c.path, ": is a classifier, which says what label a text has and nothing of what follows; ",
                         "gradus classify asks it"));
  if (!c.model->draws_texts()) throw DataError(text(c.path, ": is ", c.config.family().apart));
  return c;
}

Checkpoint load_checkpoint(const std::string& run_or_file) {
  Checkpoint c = load_writer(run_or_file);
  if (!c.model->predicts_next()) throw UsageError(text(c.path, ": is ", c.config.family().apart));
  return c;
}

Checkpoint load_classifier(const std::string& run_or_file) {
  Checkpoint c = load_any_checkpoint(run_or_file);
  if (c.labels.empty()) throw DataError(text(c.path, ": is no classifier; gradus classify train makes one"));
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
