#include "rl/reward_model.h"

#include <algorithm>
#include <numeric>

#include "engine/long_loop.h"
#include "models/memory.h"

namespace gradus {

static constexpr const char *kKind = "reward model", *kHead = "reward.";
static constexpr const char* kOfHead[] = {"weight", "bias"};  // of ValueNetwork

RewardModel::RewardModel(Checkpoint run)
    : run_(run.base.empty() ? std::move(run) : std::move(run).merged()), network_(*run_.model, true) {
  if (run_.model->params().size() == 0)
    throw DataError(text(run_.path, ": a model of the family ", run_.config.model,
                         " has no parameters, so a reward model cannot learn with it"));
}

std::vector<int32_t> RewardModel::tokens(std::string_view prompt, std::string_view words) const {
  std::vector<int32_t> ids = run_.beginning(std::string(prompt));
  const std::vector<int32_t> of_text = run_.tokenizer.encode(words);
  ids.insert(ids.end(), of_text.begin(), of_text.end());
  if (run_.config.family().windowed && std::ssize(ids) > run_.config.context)
    throw DataError(text("a text of ", of_text.size(), " tokens behind a beginning of ", ids.size() - of_text.size(),
                         " is longer than the context of ", run_.config.context, " of ", run_.path));
  return ids;
}

// Shorter texts are padded at the end with their own last token: what stands behind a token changes none of its
// features.
Tensor RewardModel::rewards(std::span<const std::vector<int32_t>> texts) const {
  size_t T = 0;
  for (const std::vector<int32_t>& ids : texts) T = std::max(T, ids.size());
  std::vector<int32_t> inputs, last;
  for (size_t b = 0; b < texts.size(); ++b) {
    inputs.insert(inputs.end(), texts[b].begin(), texts[b].end());
    inputs.resize((b + 1) * T, texts[b].back());
    last.push_back(int32_t(b * T + texts[b].size() - 1));
  }
  const int64_t B = std::ssize(texts);
  return network_(embedding(network_.encoder()->features(inputs, B, int64_t(T)), last));
}

std::vector<double> RewardModel::score(std::span<const std::vector<int32_t>> texts) const {
  std::vector<double> r;
  Tape tape;
  const Tape::Use use(tape);
  const NoGrad no_grad;
  const LongLoop loop("scoring texts", std::ssize(texts));
  for (size_t first = 0; first < texts.size(); first += kSideBySide) {
    loop.at(int64_t(first));
    const Tape::Mark mark(tape);
    const Tensor part = rewards(texts.subspan(first, std::min(kSideBySide, texts.size() - first)));
    r.insert(r.end(), part.span().begin(), part.span().end());
  }
  return r;
}

double RewardModel::scoring_bytes(int64_t longest) const {
  return bytes_of_shards(int64_t(kSideBySide), longest, 1, [&](int64_t rows) {
    const NoGrad no_grad;
    rewards(std::vector<std::vector<int32_t>>(size_t(rows), std::vector<int32_t>(size_t(longest), 0)));
  });
}

RewardModel::Step RewardModel::gradient(std::span<const std::vector<int32_t>> texts, std::span<const Choice> choices,
                                        Shards& shards, const StepInfo& info) const {
  std::vector<Tensor> of_shard(size_t(shards.size()));
  std::vector<double> r(texts.size(), 0.0);
  const auto texts_of = [&](int s) { return texts.subspan(size_t(shards.first(s)), size_t(shards.count(s))); };
  shards.begin(info, std::ssize(texts));
  shards.each([&](int s) {
    of_shard[size_t(s)] = rewards(texts_of(s));
    std::ranges::copy(of_shard[size_t(s)].span(), r.begin() + shards.first(s));
  });
  shards.gather_by_sequence(r);
  ChoiceLoss of = choice_loss(r, choices);
  const std::vector<real> slope(of.slope.begin(), of.slope.end());
  shards.each([&](int s) {
    shards.tape(s).seed(of_shard[size_t(s)],
                        std::span(slope).subspan(size_t(shards.first(s)), size_t(shards.count(s))));
    shards.tape(s).backward(Keep::kParameters);
  });
  return {std::move(of), shards.gradient(params())};
}

void RewardModel::centre(std::span<const std::vector<int32_t>> texts) {
  const std::vector<double> r = score(texts);
  const double mean = std::accumulate(r.begin(), r.end(), 0.0) / double(r.size());
  params().edit(params().find(kOfHead[1]))[0] -= real(mean);
}

void RewardModel::save(const std::string& path) {
  Params& encoder = run_.model->params();
  std::ranges::copy(params().data().first(size_t(encoder.size())), encoder.edit().begin());
  ArchiveWriter out;
  run_.write(out, false);
  out.section(kKindSection, kKind);
  for (const char* name : kOfHead) {
    const int64_t i = params().find(name);
    out.array<real>(kHead + std::string(name), {params().shape(i).numel()}, params().values(i));
  }
  std::move(out).write(path);
}

std::unique_ptr<RewardModel> RewardModel::load(const std::string& run_or_file) {
  ArchiveReader in(checkpoint_path(run_or_file));
  Checkpoint run = read_checkpoint(in);
  if (run.kind != kKind)
    throw DataError(text(run.path, ": is ", run.kind.empty() ? "a language model" : "a " + run.kind,
                         ", not a reward model; gradus reward-model makes one of it"));
  auto model = std::make_unique<RewardModel>(std::move(run));
  for (const char* name : kOfHead) {
    const int64_t i = model->params().find(name), n = model->params().shape(i).numel();
    in.read(kHead + std::string(name), {n}, model->params().edit(i));
  }
  in.refuse_rest();
  if (const int64_t i = first_not_finite(model->params()); i >= 0)
    throw DataError(text(model->run().path, ": ", model->params().name(i), " holds a number that is not finite"));
  require_memory(model->scoring_bytes(model->run().config.context), text("scoring texts by ", model->run().path),
                 "the model and its context are too large for this machine");
  return model;
}

}  // namespace gradus
