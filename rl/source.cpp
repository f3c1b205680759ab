#include "rl/source.h"

#include <algorithm>

#include "rl/rollout.h"

namespace gradus {

RolloutSource::RolloutSource(std::vector<std::vector<int32_t>> prompts, World world, RewardFunction reward,
                             const TuneConfig& options, Shards& shards, Features features)
    : prompts_(std::move(prompts)),
      world_(std::move(world)),
      reward_(std::move(reward)),
      features_(std::move(features)),
      batch_(options.batch),
      group_(options.group),
      replay_(options.replay),
      seed_(uint64_t(options.seed)),
      shards_(shards) {
  require(!prompts_.empty(), "RolloutSource", Loc::here(), "there is no prompt");
}

// Units of a batch, each of one prompt. In groups they are the groups. Else they are the sequences where the batch has
// room for all prompts, each continued at least twice, so that leave-one-out compares like with like; or there are as
// many as it has room for.
int64_t RolloutSource::units_of_prompts() const {
  if (group_ > 1) return batch_ / group_;
  const int64_t room = std::max<int64_t>(1, batch_ / 2);
  return int64_t(prompts_.size()) <= room ? batch_ : room;
}

// All prompts in turn where the batch has room for them, so that over the steps none is continued more often than
// another; else each step draws its own.
std::vector<int32_t> RolloutSource::choose_prompts(int64_t step) const {
  const int64_t P = int64_t(prompts_.size()), units = units_of_prompts();
  const Rng rng(seed_, Stream::kPrompt, step);
  std::vector<int32_t> of;
  for (int64_t b = 0; b < batch_; ++b) {
    const int64_t unit = b % units;
    of.push_back(int32_t(P <= units ? ((step - 1) * units + unit) % P : rng.below(unit, P)));
  }
  return of;
}

std::span<Experience* const> RolloutSource::draw(int64_t step, const LanguageModel& behaviour) {
  if (is_open_) memory_.pop_back();
  is_open_ = false;
  const int64_t units = units_of_prompts();
  Experience fresh{.group = choose_prompts(step), .independent = int64_t(prompts_.size()) <= units ? batch_ : units};
  shards_.begin({.seed = seed_, .step = step}, batch_);
  const Rng rng(seed_, Stream::kSample, step);
  fresh.sequences = roll_out(behaviour, world_, prompts_, fresh.group, rng, shards_).sequences;
  fresh.batch.fill(prompts_, fresh.group, fresh.sequences);
  if (!features_.empty()) fresh.features = features_.values(fresh.sequences, fresh.group);
  fresh.reward =
      paid_on_draws(fresh.batch, reward_ ? reward_(fresh.sequences, fresh.group) : features_.rewards(fresh.features));
  drawn_.clear();
  for (size_t i = memory_.size() - std::min(memory_.size(), size_t(replay_)); i < memory_.size(); ++i)
    drawn_.push_back(&memory_[i]);
  memory_.push_back(std::move(fresh));
  drawn_.push_back(&memory_.back());
  is_open_ = true;
  return drawn_;
}

void RolloutSource::remember() {
  is_open_ = false;
  while (int64_t(memory_.size()) > replay_ + 1) memory_.pop_front();
}

std::vector<const Experience*> RolloutSource::remembered() const {
  std::vector<const Experience*> list;
  const size_t n = memory_.size() - is_open_;
  for (size_t i = n - std::min(n, size_t(replay_)); i < n; ++i) list.push_back(&memory_[i]);
  return list;
}

void RolloutSource::restore(std::vector<Experience> memory) {
  memory_.clear();
  is_open_ = false;
  for (Experience& e : memory) {
    e.batch.fill(prompts_, e.group, e.sequences);
    // A checkpoint of an earlier version knows rewards and log μ of whole sequences only.
    if (int64_t(e.reward.size()) == e.size()) e.reward = on_last_draw(e.batch, e.reward);
    if (int64_t(e.log_mu.size()) == e.size()) e.log_mu = on_last_draw(e.batch, e.log_mu);
    memory_.push_back(std::move(e));
  }
}

PairSource::PairSource(TokenPairs pairs, World world, const TuneConfig& options)
    : pairs_(std::move(pairs)),
      world_(std::move(world)),
      count_(options.batch / 2),
      rounds_(pairs_.size(), uint64_t(options.seed)) {
  require(pairs_.size() > 0 && count_ > 0, "PairSource", Loc::here(), pairs_.size(), " pairs, and ", count_,
          " of them a step; there must be one");
}

std::span<Experience* const> PairSource::draw(int64_t step, const LanguageModel&) {
  drawn_ = Experience{.sequences = Sequences(pairs_.sequences.end_id()), .independent = 2 * count_};
  std::vector<int32_t> prompt;
  for (int64_t i = 0; i < count_; ++i) {
    const int64_t pair = rounds_.at((step - 1) * count_ + i);
    for (const Role role : {kChosen, kRejected}) {
      drawn_.sequences.add(pairs_.sequences.draws(2 * pair + role));
      drawn_.group.push_back(int32_t(i));
      drawn_.role.push_back(role);
      prompt.push_back(pairs_.of[size_t(pair)]);
    }
  }
  drawn_.batch.fill(pairs_.prompts, prompt, drawn_.sequences);
  drawn_.reward.assign(size_t(drawn_.batch.B * drawn_.batch.T), 0);
  return {&only_, 1};
}

}  // namespace gradus
