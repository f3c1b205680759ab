// Sources of experience. RolloutSource draws sequences from a model and may replay earlier batches; PairSource has
// pairs of sequences, of which somebody has chosen one.
#pragma once

#include <deque>

#include "engine/parallel.h"
#include "models/language_model.h"
#include "rl/experience.h"
#include "rl/gdc.h"
#include "rl/preferences.h"
#include "rl/tune_values.h"

namespace gradus {

class Source {
 public:
  virtual ~Source() = default;
  // All but the prompt: what ends a sequence, and the temperature of every model.
  virtual const World& world() const = 0;
  // The batches of a step, the fresh one last: sequences, batch, group, role and reward are set, and log μ and log q of
  // a batch that was shown before. They are valid, and may be written to, until the next call. If it throws nothing has
  // changed.
  virtual std::span<Experience* const> draw(int64_t step, const LanguageModel& behaviour) = 0;
  // The step of the last draw() is done, and its fresh batch may be shown again.
  virtual void remember() {}
  // Whether the sequences were there before the run: then they say nothing of what the policy would draw.
  virtual bool is_given() const { return false; }
};

class RolloutSource : public Source {
 public:
  // options.batch sequences a step, each the continuation of one of the prompts; `world` says all but the prompt. The
  // last options.replay batches are shown again. Without a `reward` it is made of the features, which are kept in any
  // case. ShapeError without a prompt.
  RolloutSource(std::vector<std::vector<int32_t>> prompts, World world, RewardFunction reward,
                const TuneConfig& options, Shards& shards, Features features = {});

  const World& world() const override { return world_; }
  int64_t prompts() const { return int64_t(prompts_.size()); }
  // A function of (seed, step) and the model.
  std::span<Experience* const> draw(int64_t step, const LanguageModel& behaviour) override;
  void remember() override;

  // For a checkpoint: the batches that the next step will show again, the oldest first, and back. Of each restored
  // batch, sequences, group, reward [B,T] (or [B], paid at the end), log_mu and log_q are needed.
  std::vector<const Experience*> remembered() const;
  void restore(std::vector<Experience> memory);

 private:
  int64_t units_of_prompts() const;
  std::vector<int32_t> choose_prompts(int64_t step) const;

  const std::vector<std::vector<int32_t>> prompts_;
  const World world_;
  const RewardFunction reward_;
  const Features features_;
  const int64_t batch_, group_, replay_;
  const uint64_t seed_;
  Shards& shards_;
  std::deque<Experience> memory_;  // the last is the fresh one
  std::vector<Experience*> drawn_;
  bool is_open_ = false;  // the fresh batch is that of a step that is not done
};

class PairSource : public Source {
 public:
  // options.batch / 2 pairs a step, in the order of permutations that follow each other, so that none is seen more
  // often than another. ShapeError without a pair.
  PairSource(TokenPairs pairs, World world, const TuneConfig& options);

  const World& world() const override { return world_; }
  // A function of (seed, step).
  std::span<Experience* const> draw(int64_t step, const LanguageModel& behaviour) override;
  bool is_given() const override { return true; }

 private:
  const TokenPairs pairs_;
  const World world_;
  const int64_t count_;  // pairs in a step
  Rounds rounds_;
  Experience drawn_;
  Experience* only_ = &drawn_;
};

}  // namespace gradus
