// A reward model: what a text is worth, learnt from choices between texts. It is the encoder of a language model with a
// head of one number, r(x) = w · f(x) + c, f the features of the last token of the text behind its prompt (the end mark
// is not read). The loss is that of Bradley and Terry (rl/tables/bradley_terry.h; Ziegler et al. 2019, arXiv
// 1909.08593), which leaves a constant open: c makes the mean over the texts of the choices 0.
//
// Its checkpoint is that of a language model with the arrays reward.weight [1,C] and reward.bias [1]. The head of the
// language model is still there, but its encoder has moved on, so the section `kind` forbids to take it for one.
#pragma once

#include <memory>

#include "engine/parallel.h"
#include "models/run/checkpoint.h"
#include "rl/tables/bradley_terry.h"
#include "rl/value.h"

namespace gradus {

class RewardModel {
 public:
  // Of a run, with a head of zeros; an adapter of the run is merged with its base. DataError for a family whose encoder
  // has no parameters.
  explicit RewardModel(Checkpoint run);
  // From the folder of a file that save() wrote, or the file. DataError for anything else; UsageError where there is no
  // memory to score texts of the context of its run.
  static std::unique_ptr<RewardModel> load(const std::string& run_or_file);
  void save(const std::string& path);  // as ArchiveWriter::write

  // What the encoder reads of a text. DataError where the run has no such token, or does not see so many at once.
  std::vector<int32_t> tokens(std::string_view prompt, std::string_view words) const;
  // r of each of these, [N], kSideBySide at once. May be called from several threads at once.
  std::vector<double> score(std::span<const std::vector<int32_t>> texts) const;
  static constexpr size_t kSideBySide = 32;
  double scoring_bytes(int64_t longest) const;  // what score() takes, of texts of at most so many tokens

  // The loss of the choices between these texts, and its gradient by params(), which is valid until the next step of
  // the shards.
  struct Step {
    ChoiceLoss of;
    std::span<const real> gradient;
  };
  Step gradient(std::span<const std::vector<int32_t>> texts, std::span<const Choice> choices, Shards& shards,
                const StepInfo& info) const;
  // Sets c. REQUIRES: there are texts.
  void centre(std::span<const std::vector<int32_t>> texts);

  const Checkpoint& run() const { return run_; }
  Params& params() { return network_.params(); }
  const Params& params() const { return network_.params(); }

 private:
  Tensor rewards(std::span<const std::vector<int32_t>> texts) const;  // [N,1], on the current tape

  Checkpoint run_;        // what it was made from; its model is the encoder as it began
  ValueNetwork network_;  // with an encoder of its own
};

}  // namespace gradus
