// gradus reward-model: a reward learnt from choices between texts, to be raised by tune --reward model:RUN. The loop is
// at the end of the file.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numeric>

#include "apps/format.h"
#include "apps/next_command.h"
#include "apps/run.h"
#include "engine/io/json_number.h"
#include "engine/long_loop.h"
#include "models/memory.h"
#include "models/text/shell_word.h"
#include "rl/preferences.h"
#include "rl/reward_model.h"

namespace gradus {
namespace {

// Texts as tokens, and the choices between them: of choice i the chosen one, 2i, and the rejected one, 2i + 1.
struct Choices {
  std::vector<std::vector<int32_t>> texts = {};
  std::vector<Choice> choices = {};

  int64_t size() const { return std::ssize(choices); }
  void add(const std::vector<int32_t>& chosen, const std::vector<int32_t>& rejected) {
    choices.push_back({std::ssize(texts), std::ssize(texts) + 1});
    texts.push_back(chosen);
    texts.push_back(rejected);
  }
  ChoiceLoss loss(const RewardModel& model) const { return choice_loss(model.score(texts), choices); }
};

struct Split {
  Choices train, validation;
};
Split read(const RewardModelCommand& command, const RewardModel& model) {
  const Rng rng(uint64_t(command.config.seed), Stream::kEvaluate);
  Split split;
  int64_t i = 0;
  for (const Preference& p : read_preferences(command.preferences)) try {
      Choices& part = rng.uniform(i++) < command.config.val_fraction ? split.validation : split.train;
      part.add(model.tokens(p.prompt, p.chosen), model.tokens(p.prompt, p.rejected));
    } catch (const DataError& error) {
      throw DataError(text(p.place, ": ", error.what()));
    }
  if (split.train.size() == 0)
    throw DataError(text(joined(command.preferences, ", "), ": leaves no choice to learn from; use more, or a smaller ",
                         "--val-fraction"));
  return split;
}

// The choices of a step.
Choices batch_of(const Choices& all, Rounds& rounds, int64_t size, int64_t step) {
  Choices batch;
  for (int64_t i = (step - 1) * size; i < step * size; ++i) {
    const Choice& c = all.choices[size_t(rounds.at(i))];
    batch.add(all.texts[size_t(c.chosen)], all.texts[size_t(c.rejected)]);
  }
  return batch;
}

int64_t longest(const Choices& all) {
  size_t T = 0;
  for (const std::vector<int32_t>& ids : all.texts) T = std::max(T, ids.size());
  return int64_t(T);
}

void refuse_beyond_memory(const RewardModelConfig& config, const RewardModel& model, const Split& split) {
  require_memory(training_bytes(*model.run().model, 2 * config.batch, longest(split.train), config.shards),
                 text("a step with --batch ", config.batch), "use a smaller --batch");
  require_memory(model.scoring_bytes(std::max(longest(split.train), longest(split.validation))),
                 "scoring the texts of the choices", "leave out the longest ones");
}

}  // namespace

int reward_model(const RewardModelCommand& command) {
  Console console(command.common);
  refuse_existing(command.out);
  RewardModelConfig config = command.config, usual;
  try {
    config.resolve(cores(), config.batch);
  } catch (const DataError& error) {
    throw UsageError(error.what());
  }
  Checkpoint run = load_checkpoint(command.run);
  run.require_one_model("reward-model");
  RewardModel model(std::move(run));
  const auto split = read(command, model);
  const auto& [train, validation] = split;
  refuse_beyond_memory(config, model, split);
  const int threads = threads_for(command.common, config.shards);
  Shards shards(int(config.shards), threads);
  console.note(text("Learning a reward from ", grouped(train.size()), " choices, and measuring it on ",
                    grouped(validation.size()), " others, ", threads, threads == 1 ? " thread." : " threads."));
  AdamW optimizer(model.params(), {.beta1 = 0.9, .beta2 = 0.99, .weight_decay = config.weight_decay});
  const Schedule schedule{config.lr, config.min_lr, config.warmup, config.steps};
  const Stopwatch all;
  std::vector<Json> log;  // a run that is cut short leaves nothing behind
  Rounds rounds(train.size(), uint64_t(config.seed));
  const LongLoop loop("learning a reward", config.steps);
  for (int64_t step = 1; step <= config.steps; ++step) {
    loop.at(step - 1);
    const Choices batch = batch_of(train, rounds, config.batch, step);
    const RewardModel::Step now = model.gradient(batch.texts, batch.choices, shards,
                                                 {.seed = uint64_t(config.seed), .step = step, .training = true});
    const double norm = gradient_norm(now.gradient), lr = schedule.at(step);
    if (!std::isfinite(now.of.loss) || !std::isfinite(norm))
      throw DivergedError(text("step ", step, ": the loss or the gradient is not finite; try a smaller --lr"));
    optimizer.step(model.params(), now.gradient, lr, clip_factor(norm, config.clip));
    log.push_back({{"type", "step"},
                   {"step", step},
                   {"loss", now.of.loss},
                   {"accuracy", now.of.accuracy},
                   {"lr", lr},
                   {"grad_norm", norm}});
    const std::string line = text("step ", step, "/", config.steps, "  loss ", fixed(now.of.loss, 4), "  accuracy ",
                                  fixed(now.of.accuracy, 3));
    if (step % std::max<int64_t>(1, config.steps / 10) == 0 || step == 1)
      console.note(line);
    else
      console.live(line);
  }
  console.end_live();
  model.centre(train.texts);
  const ChoiceLoss learnt = train.loss(model);
  const std::optional<ChoiceLoss> held = validation.size() > 0 ? std::optional(validation.loss(model)) : std::nullopt;

  RunFolder folder = make_folder(command.out);
  folder.truncate_log(0);
  folder.begin_log({{"type", "run"},
                    {"kind", "reward model"},
                    {"config", Json::parse(options_to_json(options(config), options(usual)))},
                    {"preferences", command.preferences},
                    {"pairs", train.size() + validation.size()},
                    {"parameters", model.params().size()}});
  for (const Json& record : log) folder.log(record);
  console.warn(folder.log_error());
  model.save(folder.checkpoint());
  const Json of_held_loss = held ? Json(held->loss) : Json(), of_held_accuracy = held ? Json(held->accuracy) : Json();
  if (command.common.json)
    std::printf("%s\n", Json{{"pairs", train.size() + validation.size()},
                             {"loss", learnt.loss},
                             {"accuracy", learnt.accuracy},
                             {"val_loss", of_held_loss},
                             {"val_accuracy", of_held_accuracy},
                             {"steps", config.steps},
                             {"seconds", all.seconds()}}
                            .dump()
                            .c_str());
  const auto told = [](const ChoiceLoss& of) {
    return text("loss ", fixed(of.loss, 4), ", accuracy ", fixed(of.accuracy, 3));
  };
  console.note(text("Of the choices learnt from: ", told(learnt), held ? "; of the others: " + told(*held) : "",
                    ". A coin has ", fixed(std::log(2), 4), " and 0.5."));
  console.note(
      text("Saved ", folder.checkpoint(), ". Try: ",
           proposed({"tune", as_argument(command.run), "--out", "runs/tuned", "--reward", "model:" + command.out})));
  return kDone;
}

}  // namespace gradus
