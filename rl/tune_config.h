// TuneConfig: every option that changes a fine-tuning run, and the one table of their names, ranges, meanings and
// owners (models/run/options.h), as models/run/config.h has it for training.
#pragma once

#include "models/run/options.h"
#include "models/table.h"

namespace gradus {

struct TuneOptions;  // rl/tuner.h

// When the world is enumerated: where it is small enough, whatever it costs, or not at all.
enum class Exact { kAuto, kAlways, kNever };
inline constexpr Named<Exact> kExactWords[] = {
    {"auto", Exact::kAuto}, {"always", Exact::kAlways}, {"never", Exact::kNever}};

struct TuneConfig : RunOptions {
  std::vector<std::string> reward;
  std::string algorithm = "reinforce";
  std::string baseline = "leave-one-out";
  bool reward_to_go = false;
  double kl_coef = 0.1;
  double kl_target = 0;  // 0: none, the coefficient stays
  double kl_horizon = 1000;
  double entropy_coef = 0;
  int64_t replay = 0;
  int64_t batch = 64;
  int64_t max_tokens = 32;
  double value_lr = 1e-2;
  double temperature = 1;
  std::string exact = "auto";  // a row of kExactWords
  int64_t seed = 1;

  TuneConfig() : RunOptions{.steps = 200, .min_lr = 0, .warmup = 0, .save_every = 50} {}
  // Replaces zeros by what they stand for. Throws DataError where two options do not fit together.
  void resolve(int cores);
  TuneOptions options() const;  // in rl/tuner.cpp
};

// The table, in the order of --help and of files. The rows point into `config`.
std::vector<Option> options(TuneConfig& config);

std::string to_json(const TuneConfig& config);
// Throws DataError as config_from_json.
TuneConfig tune_config_from_json(const std::string& json, const std::string& source);

}  // namespace gradus
