// gradus tune: fine-tuning by one of the methods of rl/methods, with a KL penalty to the prior. The loop is at the end
// of the file; rl/learner.h is the step, apps/tuned_run.h the run on disk, apps/tune_log.h its log and messages.
// Over 350 lines: what a run may be refused for stands before the loop that relies on it.
#include <algorithm>
#include <cmath>

#include "apps/features.h"
#include "apps/format.h"
#include "apps/held_out.h"
#include "apps/live_report.h"
#include "apps/next_command.h"
#include "apps/ranks.h"
#include "apps/signals.h"
#include "apps/step/trace_page.h"
#include "apps/step/tune_trace.h"
#include "apps/tune_log.h"
#include "apps/tune_notes.h"
#include "engine/io/json_number.h"
#include "engine/io/mpi.h"
#include "engine/long_loop.h"
#include "models/memory.h"
#include "models/text/shell_word.h"
#include "rl/methods/proposal.h"
#include "rl/pay.h"
#include "rl/rewards/reward.h"

namespace gradus {
namespace {

constexpr int64_t kEveryStep = 10'000;  // sequences that --exact auto enumerates at every step
constexpr int64_t kMeasures = 50;       // in a run that what no step draws is measured

// What `list(most)` makes of the world where it may be enumerated and has at most `most` sequences, else null.
template <class List>
auto listed(const TunedRun& run, int64_t most, const List& list) -> decltype(list(most)) {
  const Exact exact = row_named(kExactWords, run.config.exact, "choice of --exact").value;
  if (exact == Exact::kNever) return nullptr;
  int64_t size = 0;  // where no token is impossible
  for (size_t p = 0; p < run.prompts.size(); ++p) size += full_size(run.world, run.prior->vocabulary(), most);
  const bool may_exclude = !run.prior->counts().empty();
  if (exact == Exact::kAuto && size > most && !may_exclude) return nullptr;
  try {
    return list(exact == Exact::kAlways ? kMaxSequences : most);
  } catch (const WorldTooLarge&) {
    if (exact == Exact::kAlways) throw;
    return nullptr;
  }
}
std::unique_ptr<KnownWorlds> enumerate_world(const TunedRun& run, const RewardFunction& reward,
                                             const RewardFunction& paid, int64_t most) {
  return listed(run, most, [&](int64_t limit) {
    return std::make_unique<KnownWorlds>(*run.prior, run.prompt_tokens, run.world, reward, limit,
                                         Discount{.gamma = run.config.gamma, .paid = paid});
  });
}

// Λ of a resumed run is the one it began with; of a new one it is found, exactly where the world can be listed.
void find_lambda(TunedRun& run, Features& features, Console& console) {
  if (!run.config.is_gdc()) return;
  if (run.tuning.contains("lambda")) {
    try {
      features.lambda = run.tuning.at("lambda").get<std::vector<double>>();
    } catch (const JsonError& error) {
      throw DataError(text(run.policy.path, ": the metadata's '", kTuning, "': \"lambda\" ", error.what()));
    }
    if (features.lambda.size() != features.count())
      throw DataError(
          text(run.policy.path, ": has ", features.lambda.size(), " Λ for ", features.count(), " features"));
    return;
  }
  const auto all = listed(run, kMaxSequences, [&](int64_t limit) {
    auto worlds = std::make_unique<std::vector<Enumeration>>();
    World world = run.world;
    for (const std::vector<int32_t>& prompt : run.prompt_tokens) {
      world.prompt = prompt;
      worlds->push_back(enumerate(*run.prior, world, limit));
      limit -= worlds->back().sequences.size();
    }
    return worlds;
  });
  if (all)
    fit_listed(features, *all);
  else
    fit_sampled(features, *run.prior, run.world, run.prompt_tokens, run.config.seed);
  run.tuning["lambda"] = features.lambda;
  if (!all) run.tuning["lambda_stderr"] = features.lambda_error;
  for (size_t f = 0; f < features.count(); ++f)
    console.note(text("Λ of ", features.names[f], " = ", features.moments[f], ": ", fixed(features.lambda[f], 6),
                      all ? ""
                          : text(" ± ", fixed(features.lambda_error[f], 6), ", from ",
                                 grouped(lambda_samples(run.prompts.size())), " samples of the prior")));
}

void save(TunedRun& run, const Tuner& tuner) {
  require_finite(run.policy.model->params(), run.policy.step, *run.folder);
  if (run.folder->is_written()) run.save(tuner, run.folder->checkpoint());
}

// A gradient grows with its rewards, so they may be to blame.
std::string remedy(const Tuner& tuner, const TuneConfig& config, int64_t step) {
  constexpr double kLarge = 1e6;
  double most = 0;
  for (const double r : tuner.fresh().reward)
    if (std::isfinite(r)) most = std::max(most, std::fabs(r));  // log b of a hard constraint is not
  if (most < kLarge) return remedy_of_step(config, step);
  return text("rewards of the batch reach ", most, "; give them a smaller weight");
}

// What stdout gets at the end of all steps, but for the truth.
Json result_of(const TunedRun& run, const Json& last, double seconds) {
  Json result{{"steps", run.policy.step}};
  for (const char* field : {"reward", "kl", "kl_stderr", "entropy", "objective", "distinct_2", "kl_coef"})
    result[field] = last.is_object() ? last[field] : Json(nullptr);
  for (const char* field : {"preference_loss", "preference_accuracy", "watch", "held_out_reward", "held_out_kl",
                            "held_out_moments", "held_out_pointwise", "held_out_watch", "updates"})
    if (last.is_object() && last.contains(field)) result[field] = last[field];
  result["seconds"] = seconds;
  return result;
}

// The run names programs, which are started only where the person names them too.
Next next_of(const TuneCommand& command, const TunedRun& run, const Tuner& tuner) {
  std::vector<std::string> again{"tune"},
      sample{"sample", as_argument(command.out), "--tokens", std::to_string(run.config.max_tokens)};
  if (command.resume && !command.run.empty()) again.push_back(command.run);
  again.insert(again.end(), {"--out", command.out, "--resume"});
  const auto name_programs = [&](const char* option, const std::vector<std::string>& given) {
    for (const std::string& one : given) {
      const std::string term = option == std::string("--feature") ? split_feature(one).first : one;
      if (Reward::source_of(term).opens == Reward::Opens::kProgram) again.insert(again.end(), {option, one});
    }
  };
  name_programs("--reward", run.config.reward);
  name_programs("--feature", run.config.feature);
  name_programs("--pointwise", run.config.pointwise);
  name_programs("--watch", run.config.watch);
  if (command.trace_step > run.policy.step)
    again.insert(again.end(), {"--trace", std::to_string(command.trace_step), command.trace_file});
  if (tuner.method->acting()) sample.insert(sample.end(), {"--temperature", "0"});
  if (!run.prompts.empty() && !run.prompts[0].text.empty())
    sample.insert(sample.end(), {"--prompt", run.prompts[0].text});
  return {proposed(again), proposed(sample)};
}

// A reward that cannot be computed ends the run; the finished steps are saved. A run without any was a mistake, and the
// folder is free again.
[[noreturn]] void stop_at_reward(const TuneCommand& command, TunedRun& run, const Tuner& tuner,
                                 const DataError& error) {
  if (run.policy.step == 0 && !RunFolder::has_checkpoint(command.out)) {
    run.folder->discard();
    throw DataError(error.what());
  }
  save(run, tuner);
  throw DataError(text(error.what(), "; saved after step ", run.policy.step,
                       ", continue with: ", next_of(command, run, tuner).resume));
}

// The model that acts as the run has learnt, and the truth of it, if its world is known.
const LanguageModel& acting(const TunedRun& run, const Tuner& tuner) {
  return tuner.method->acting() ? *tuner.method->acting() : *run.policy.model;
}
// Whether the exact values are those of a reward. In a run that learns from preferences they are those of what is
// watched: it may be what the preferences were made by.
bool has_truth_of_reward(const TuneConfig& config) {
  return learns_from_pairs(config) ? !config.watch.empty() : !config.is_gdc();
}
Truth truth_of(KnownWorlds& known, const TunedRun& run, const Tuner& tuner) {
  Truth truth = known.of(acting(run, tuner), tuner.kl_coef(), run.config.entropy_coef);
  if (!has_truth_of_reward(run.config) && !run.config.is_gdc())  // there is no posterior
    truth.kl_to_posterior = truth.kl_from_posterior = std::nullopt;
  return truth;
}

std::vector<std::string> texts_of(const std::vector<Prompt>& prompts) {
  std::vector<std::string> texts;
  texts.reserve(prompts.size());
  for (const Prompt& prompt : prompts) texts.push_back(prompt.text);
  return texts;
}

// What is known of the policy at the β of a step; nothing where its world is not known, or there is no time for it.
std::optional<KnownPolicy> known_policy(KnownWorlds* known, const TunedRun& run, const Tuner& tuner,
                                        double kl_coef) try {
  if (!known) return {};
  const Truth truth = known->of(acting(run, tuner), kl_coef, run.config.entropy_coef);
  return KnownPolicy{truth, known->worlds()[0]};
} catch (const Interrupted&) {
  return {};
}

// Whether the run is to end early, by its last batch.
bool reached(const TuneConfig& config, const TuneMetrics& m, Console& console) {
  const bool by_reward = !config.is_gdc() && !learns_from_pairs(config) && m.reward >= config.until_reward,
             by_kl = config.until_kl > 0 && m.kl >= config.until_kl;
  if (by_reward) console.note(text("The reward has reached --until-reward ", config.until_reward, "."));
  if (by_kl) console.note(text("The KL has reached --until-kl ", config.until_kl, "."));
  return by_reward || by_kl;
}

// The truth of the policy that is saved, if its world can be enumerated: into the result, and with `log` into the log.
void tell_truth(const TuneCommand& command, TunedRun& run, const Tuner& tuner, const RewardFunction& reward,
                const RewardFunction& paid, KnownWorlds* known, bool log, Json& result) try {
  std::unique_ptr<KnownWorlds> at_end;
  if (!known) known = (at_end = enumerate_world(run, reward, paid, kMaxSequences)).get();
  if (!known) return;
  const Truth truth = truth_of(*known, run, tuner);
  const bool rewarded = has_truth_of_reward(run.config);
  add_truth(result, truth, rewarded);
  if (!log) return;
  Json record{{"type", "truth"}, {"step", run.policy.step}};
  add_truth(record, truth, rewarded);
  run.folder->log(record);
  log_bars(*run.folder, run, *known);
} catch (const DataError& error) {
  stop_at_reward(command, run, tuner, error);
}

}  // namespace

int tune(const TuneCommand& command) {
  Console console(command.common);
  if (!command.resume) note_action_values({command.run, command.prior}, command.common);
  Comm& ranks = ranks_for(command.trace_step > 0 ? "the page of a step, --trace," : "");
  TunedRun run = open_tuned_run(command, console, ranks);
  const TuneConfig& config = run.config;
  require_agreement(ranks, "tune",
                    {{"other options", text(to_json(config), command.stop_after, command.resume, command.out)},
                     {"another run", run.policy.hash},
                     {"another prior or other prompts", run.tuning.dump()},
                     {"other weights or another state of the run", state_hash(run.policy)}});
  LanguageModel& policy = *run.policy.model;
  const Tokenizer& tokenizer = run.policy.tokenizer;
  std::vector<Prompt> prompts = run.prompts;  // of the steps, and behind them those that are held out
  prompts.insert(prompts.end(), run.held_out.begin(), run.held_out.end());
  NamedFeatures named = config.is_gdc() ? NamedFeatures(config.feature, config.pointwise, tokenizer, prompts, ranks)
                                        : NamedFeatures(config.reward, tokenizer, prompts, ranks);
  Features& features = named.features;
  find_lambda(run, features, console);
  const NamedFeatures watched(config.watch, tokenizer, prompts, ranks);
  const RewardFunction watch = config.watch.empty() ? RewardFunction() : watched.features.reward();
  const bool from_pairs = learns_from_pairs(config);
  const RewardFunction nothing = [](const Sequences& s, std::span<const int32_t>) {
    return std::vector<double>(size_t(s.size()), 0.0);
  };
  const RewardFunction reward = !from_pairs ? features.reward() : watch ? watch : nothing;
  const bool by_step = row_named(kPays, config.pay, "way of paying").value == Pay::kStep;
  const RewardFunction paid = by_step ? paid_by_step(reward) : RewardFunction();  // where it is not all at the end
  Shards shards(ranks, int(config.shards), threads_for(command.common, config.shards));
  Tuner tuner(policy, *run.prior, run.prompt_tokens, run.world, paid, config, shards, features, std::move(run.pairs));
  size_t longest = 0;
  for (const std::vector<int32_t>& prompt : run.prompt_tokens) longest = std::max(longest, prompt.size());
  run.bytes_of_step = tuner.step_bytes(int64_t(longest));
  require_memory(tuner.step_bytes(int64_t(longest), ranks),
                 text("a step with --batch ", config.batch, " and --max-tokens ", config.max_tokens),
                 int64_t(longest) > config.max_tokens ? "use a smaller --batch or shorter prompts"
                                                      : "use a smaller --batch or --max-tokens",
                 ranks_on_machine());
  run.restore(tuner);
  if (command.trace_step > 0)
    refuse_long_trace(command, config, run.policy.step, policy, *run.prior, tuner, int64_t(longest));
  const Schedule schedule{config.lr, config.min_lr, config.warmup, config.decay_steps};
  if (command.trace_step > 0 && command.trace_step <= config.steps && schedule.at(command.trace_step) == 0)
    console.note(text("The learning rate of step ", command.trace_step,
                      " is 0, so nothing changes in it; trace an earlier step, or use --min-lr."));
  const std::unique_ptr<KnownWorlds> known = enumerate_world(run, reward, paid, kEveryStep);
  if (!run.folder) run.folder.emplace(make_folder(command.out, ranks));
  RunFolder& folder = *run.folder;
  const std::string last_record = folder.truncate_log(run.policy.step);
  const bool finished = run.policy.step == config.steps && last_record != "" && last_record != "step";  // and resumed
  introduce(console, run, workers(ranks, shards.threads()), known.get());
  note_idle(console, ranks, config.shards);
  note_rewards(console, run);
  if (folder.lacks_beginning()) folder.begin_log(run_record(run));
  if (run.policy.step == 0) log_samples(folder, run, acting(run, tuner));

  const Stopwatch all;
  LiveReport live_report(folder);
  std::optional<TuneMetrics> last;
  Json record;  // of the last step
  StepNotes notes(config);
  catch_interrupts(!command.common.quiet && ranks.ranks() == 1);
  bool stop = false;
  std::string no_trace;  // why
  while (run.policy.step < config.steps && !stop && !interrupted()) {
    const int64_t step = run.policy.step + 1;
    const bool is_traced = step == command.trace_step;
    StepRecord traced;
    std::optional<KnownPolicy> before;  // the traced step
    tuner.record(is_traced ? &traced : nullptr);
    const Stopwatch of_step;
    std::optional<Truth> truth;    // of the policy that draws the batch, like the metrics
    Json beside = Json::object();  // what is measured beside the step
    double norm = 0;
    const double lr = schedule.at(step);
    try {
      if (known) truth = truth_of(*known, run, tuner);
      if (truth && std::isinf(truth->at.kl) && !from_pairs && tuner.method->behaviour() == run.prior.get())
        throw DataError(kBeyondPrior);
      const bool measures =
          step % std::max<int64_t>(1, config.steps / kMeasures) == 0 || step == 1 || step == config.steps;
      if (measures && from_pairs) beside = measure_policy(run, watch, shards, step);
      if (measures && !run.held_out.empty())
        beside.update(measure_held_out(run, acting(run, tuner), features, watch, shards, step));
      if (is_traced) before = known_policy(known.get(), run, tuner, tuner.kl_coef());
      norm = tuner.step(step, *run.policy.optimizer, lr, config.clip);  // draw, prepare, weigh, backward, learn
    } catch (const DataError& error) {                                  // nothing of this step has happened
      stop_at_reward(command, run, tuner, error);
    } catch (const Interrupted&) {  // nor here
      break;
    }
    if (!std::isfinite(norm)) stop_diverged(step, "the gradient is not finite", folder, remedy(tuner, config, step));
    run.policy.step = step;
    if (is_traced)
      no_trace = write_trace(trace_of(traced, policy, *run.prior,
                                      {.options = config,
                                       .method = *tuner.method,
                                       .tokenizer = tokenizer,
                                       .prompts = texts_of(run.prompts),
                                       .aim = aim_of(config),
                                       .before = std::move(before),
                                       .after = known_policy(known.get(), run, tuner, traced.kl_coef)}),
                             text("step ", step, " token by token"), command.trace_file, console);

    last = tuner.metrics();
    record = record_of(step, *last);
    record["grad_norm"] = norm;
    record["lr"] = lr;
    if (truth) add_truth(record, *truth, has_truth_of_reward(config));
    if (from_pairs) record["reward"] = record["objective"] = nullptr;
    add_target(record, *last, *tuner.method, config.is_gdc() ? &features : nullptr);
    if (config.reward.size() > 1) record["terms"] = json_numbers(last->moments);
    std::optional<DataError> not_watched;  // after the update: the step is done and has its record
    if (watch && !from_pairs) try {
        record["watch"] = json_number(tuner.mean_of_policy(watch(tuner.fresh().sequences, tuner.fresh().group)));
      } catch (const DataError& error) {
        not_watched = error;
      } catch (const Interrupted&) {
        stop = true;
      }
    record.update(beside);
    record["seconds"] = of_step.seconds();
    folder.log(record);
    if (not_watched) stop_at_reward(command, run, tuner, *not_watched);
    show_step(console, *last, step, truth, config);
    notes.look(console, *last, tuner.fresh());
    live_report.renew();
    stop |= step == command.stop_after;
    if (reached(config, *last, console)) run.config.steps = step;
    if (config.save_every > 0 && step % config.save_every == 0 && step < config.steps && !stop && !interrupted())
      folder.save_on_the_way(console, [&] { save(run, tuner); });
  }
  save(run, tuner);

  Json result = result_of(run, record, all.seconds());
  add_target(result, last.value_or(TuneMetrics{}), *tuner.method, config.is_gdc() ? &features : nullptr);
  stop |= interrupted();
  if (!stop) try {
      if (!finished) log_samples(folder, run, acting(run, tuner));
      tell_truth(command, run, tuner, reward, paid, known.get(), !finished, result);
      console.end_live();
      show_samples(console, run, acting(run, tuner));
    } catch (const Interrupted&) {
      stop = true;
    }
  if (command.common.json) std::printf("%s\n", result.dump().c_str());
  const int code = end_run(folder, console, next_of(command, run, tuner), run.policy.step, stop);
  if (!no_trace.empty()) throw WriteError(no_trace);
  return code;
}

}  // namespace gradus
