// What `gradus train` tells while it runs and keeps of its evaluations.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "apps/console.h"
#include "apps/run.h"
#include "models/run/checkpoint.h"

namespace gradus {

// The losses of a moment, in nats a token. Without a validation split there is no second one. Those of a VAE are −ELBO;
// `kl` is the KL in it, in nats a text, of the texts that validate or else of those that train.
struct Losses {
  double train;
  std::optional<double> validation = {}, kl = {};
};

// The log gets every step. A person sees on a terminal one live line with the time left and what the model writes by
// now, and everywhere a line for each evaluation. REQUIRES: the log is truncated and has its beginning.
class TrainProgress {
 public:
  TrainProgress(Console& console, RunFolder& folder, Checkpoint& run, const Corpus& corpus);
  void begin_step() { step_.restart(); }
  // `more`: further fields of the step's record.
  void end_step(double loss, double lr, double norm, int64_t tokens, const Json& more = Json::object());
  // DivergedError where a loss is not finite. `log` false: it is in the log already. If the validation loss is the
  // lowest so far, the weights are saved as best.safetensors.
  void evaluated(const Losses& losses, bool log = true);
  // At the end: where the best weights are, if they are not the last ones.
  void tell_best();
  // What to sample from: the best weights where the run has begun to learn its text by heart, else the last ones.
  std::string to_sample() const;
  std::string prompt() const { return run_.tokenizer.decode(beginning()); }  // of a sample; of pairs alone
  double seconds() const { return all_.seconds(); }
  double tokens_per_second() const;  // evaluation and saving left out

 private:
  std::vector<int32_t> beginning() const;
  void read_evaluations();
  void renew_sample();
  void renew_live_sample();
  void log_sample();
  void keep_best(double validation);
  void note_overfitting();

  Console& console_;
  RunFolder& folder_;
  Checkpoint& run_;
  const Corpus& corpus_;
  const int64_t first_;
  Stopwatch all_, step_, sampled_ago_;
  std::optional<Stopwatch> shown_;  // since the live line was
  double training_ = 0, sampling_ = 0;
  std::string text_, sample_;  // and its first line
  int64_t sampled_ = 0, tokens_ = 0;
  std::vector<double> steps_, train_, validation_;  // of all evaluations of the run; NaN: none
  bool noted_ = false;
};

}  // namespace gradus
