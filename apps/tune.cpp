// gradus tune: fine-tuning by REINFORCE with a baseline and a KL penalty to the prior. The loop is at the end of the
// file; rl/learner.h is the step, apps/tuned_run.h the run on disk.
#include <chrono>
#include <cmath>

#include "apps/run_folder.h"
#include "apps/tuned_run.h"
#include "engine/blas.h"
#include "rl/rollout.h"
#include "rl/worlds/known_worlds.h"

namespace gradus {
namespace {

using Clock = std::chrono::steady_clock;
double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

constexpr int64_t kEveryStep = 10'000;  // sequences that --exact auto enumerates at every step
constexpr int64_t kSamples = 4;         // shown before and after
constexpr size_t kBars = 12;            // sequences whose probabilities the log keeps

// The world by enumeration, if it has at most `most` sequences.
std::unique_ptr<KnownWorlds> enumerate_world(const TunedRun& run, const RewardFunction& reward, int64_t most) {
  const Exact exact = row_named(kExactWords, run.config.exact, "choice of --exact").value;
  if (exact == Exact::kNever) return nullptr;
  int64_t size = 0;  // where no token is impossible
  for (size_t p = 0; p < run.prompts.size(); ++p) size += full_size(run.world, run.prior.model->vocabulary(), most);
  const bool may_exclude = run.prior.config.counts();
  if (exact == Exact::kAuto && size > most && !may_exclude) return nullptr;
  try {
    return std::make_unique<KnownWorlds>(*run.prior.model, run.prompt_tokens, run.world, reward,
                                         exact == Exact::kAlways ? kMaxSequences : most);
  } catch (const WorldTooLarge&) {
    if (exact == Exact::kAlways) throw;
    return nullptr;
  }
}

Json or_null(const std::optional<double>& x) { return x ? number(*x) : Json(nullptr); }

void add_truth(Json& record, const Truth& t) {
  record["kl_exact"] = number(t.at.kl);
  record["objective_exact"] = number(t.at.objective);
  record["reward_exact"] = number(t.at.reward);
  record["entropy_exact"] = number(t.at.entropy);
  record["j_star"] = number(t.j_star);
  record["kl_to_posterior"] = or_null(t.kl_to_posterior);
}

Json record_of(int64_t step, const TuneMetrics& m) {
  Json record{{"type", "step"},
              {"step", step},
              {"reward", m.reward},
              {"kl", number(m.kl)},
              {"kl_stderr", number(m.kl_stderr)},
              {"entropy", m.entropy},
              {"objective", number(m.objective)},
              {"kl_coef", m.kl_coef},
              {"baseline", number(m.baseline)},
              {"advantage_spread", number(m.advantage_spread)},
              {"distinct_1", m.distinct_1},
              {"distinct_2", m.distinct_2},
              {"cut", m.cut},
              {"length", m.length}};
  if (m.ess) record["ess"] = *m.ess;
  if (m.value_loss) record["value_loss"] = *m.value_loss;
  return record;
}

// The same random numbers whenever it is called, so that what changed between two calls is the policy.
std::vector<std::string> draw_samples(const TunedRun& run) {
  std::vector<std::string> texts;
  for (int64_t k = 0; k < kSamples; ++k) {
    World world = run.world;
    world.prompt = run.prompt_tokens[size_t(k) % run.prompts.size()];
    const Rng rng(uint64_t(run.config.seed), Stream::kSample, 0);
    const Rollouts one = roll_out(*run.policy.model, world, rng, k, 1);
    texts.push_back(valid_utf8(run.prior.tokenizer.decode(one.sequences.text(0))));
  }
  return texts;
}

std::string continued(const TunedRun& run, size_t sample, const std::string& words) {
  const std::string& prompt = run.prompts[sample % run.prompts.size()];
  return prompt.empty() ? words : prompt + run.prior.tokenizer.separator() + words;
}

// "text" is all of them with their prompts, one a line, as a person reads them.
void log_samples(RunFolder& folder, const TunedRun& run) {
  const std::vector<std::string> texts = draw_samples(run);
  std::string lines;
  Json list = Json::array();
  for (size_t k = 0; k < texts.size(); ++k) {
    const std::string& prompt = run.prompts[k % run.prompts.size()];
    list.push_back({{"prompt", prompt}, {"text", texts[k]}});
    lines += (k ? "\n" : "") + one_line(continued(run, k, texts[k]), 400);
  }
  folder.log({{"type", "sample"}, {"step", run.policy.step}, {"text", lines}, {"samples", list}});
}

// Policy, prior and posterior of the most probable sequences of the first prompt.
void log_bars(RunFolder& folder, const TunedRun& run, const KnownWorlds& known) {
  const KnownWorlds::Known& w = known.worlds()[0];
  std::vector<int64_t> order;
  for (int64_t i = 0; i < w.sequences.size(); ++i) order.push_back(i);
  const auto most = [&](int64_t i) {
    double p = std::max(w.log_pi[size_t(i)], w.log_q[size_t(i)]);
    return w.log_posterior.empty() ? p : std::max(p, w.log_posterior[size_t(i)]);
  };
  const size_t n = std::min(kBars, order.size());
  std::partial_sort(order.begin(), order.begin() + int64_t(n), order.end(),
                    [&](int64_t a, int64_t b) { return most(a) != most(b) ? most(a) > most(b) : a < b; });
  Json list = Json::array();
  for (size_t k = 0; k < n; ++k) {
    const size_t i = size_t(order[k]);
    Json bar{{"text", valid_utf8(run.prior.tokenizer.decode(w.sequences.text(order[k])))},
             {"policy", std::exp(w.log_pi[i])},
             {"prior", std::exp(w.log_q[i])}};
    if (!w.log_posterior.empty()) bar["posterior"] = std::exp(w.log_posterior[i]);
    list.push_back(std::move(bar));
  }
  folder.log({{"type", "posterior"}, {"step", run.policy.step}, {"sequences", w.sequences.size()}, {"bars", list}});
}

// A finite gradient says nothing of the weights after their update: they must not replace a good checkpoint unseen.
void save(TunedRun& run, const RolloutSource& source, const Method& method, const Learner& learner,
          const RunFolder& folder) {
  const Params& params = run.policy.model->params();
  if (const int64_t i = first_not_finite(params); i >= 0)
    stop_diverged(run.policy.step, params.name(i) + " is not finite after its update", folder);
  run.save(source, method, learner, folder.checkpoint());
}

void introduce(Console& console, const TunedRun& run, int threads, const KnownWorlds* known) {
  std::string rewards;
  for (const std::string& r : run.config.reward) rewards += (rewards.empty() ? "" : " + ") + r;
  console.note(text("Fine-tuning ", run.prior.path, " on the reward ", rewards, ": ", run.config.batch,
                    " sequences of at most ", run.config.max_tokens, " tokens a step, ", run.prompts.size(),
                    run.prompts.size() == 1 ? " prompt, " : " prompts, ", threads,
                    threads == 1 ? " thread." : " threads."));
  if (known)
    console.note(text("A world of ", grouped(known->sequences()), " sequences: the truth is computed at every step."));
}

// One line for a person.
std::string line_of(int64_t step, int64_t steps, const TuneMetrics& m, const std::optional<Truth>& truth) {
  std::string line = text("step ", step, "/", steps, "  reward ", fixed(m.reward, 3), "  KL ", fixed(m.kl, 3), " (± ",
                          fixed(m.kl_stderr, 3), ")  entropy ", fixed(m.entropy, 2), "  J ", fixed(m.objective, 3),
                          "  distinct-2 ", fixed(m.distinct_2, 2));
  if (truth && truth->kl_to_posterior) line += text("  KL to posterior ", fixed(*truth->kl_to_posterior, 5));
  return line;
}

}  // namespace

int tune(TuneCommand command) {
  Console console(command.common);
  std::optional<RunFolder> locked;
  TunedRun run = open_tuned_run(command, locked, console);
  const TuneConfig& config = run.config;
  LanguageModel& policy = *run.policy.model;
  const Reward terms(config.reward, run.prior.tokenizer);
  const RewardFunction reward = text_reward(terms, run.prior.tokenizer, run.prompts);
  const int threads = threads_for(command.common, config.shards);
  Shards shards(int(config.shards), threads);
  RolloutSource source(run.prompt_tokens, run.world, reward, config, shards);
  const std::unique_ptr<Method> method = make_method(config);
  Learner learner(policy, *run.prior.model, source, *method, config, shards);
  run.restore(source, *method, learner);
  const std::unique_ptr<KnownWorlds> known = enumerate_world(run, reward, kEveryStep);
  if (!locked) {  // a new run makes its folder only now, so that a mistake leaves none behind
    locked.emplace(command.out);
    refuse_existing(command.out);  // another process may have tuned here meanwhile
  }
  RunFolder& folder = *locked;
  const std::string last_record = folder.truncate_log(run.policy.step);
  const bool finished = run.policy.step == config.steps && last_record != "" && last_record != "step";  // and resumed
  introduce(console, run, threads, known.get());
  if (command.resume) console.note(text("Resuming after step ", run.policy.step, " of ", config.steps, "."));
  if (run.policy.step == 0) {
    Json record{{"type", "run"}};
    record.update(Json::parse(run.policy.tuning));
    record["model"] = Json::parse(to_json(run.policy.config));
    record["vocabulary"] = policy.vocabulary();
    record["parameters"] = policy.params().size();
    record["real"] = kRealName;
    record["blas_core"] = blas_core();
    folder.log(record);
    log_samples(folder, run);
  }

  const Schedule schedule{config.lr, config.min_lr, config.warmup, config.decay_steps};
  const Clock::time_point begin = Clock::now();
  std::optional<TuneMetrics> last;
  const auto saved_after = [&](const DataError& error) {  // of a reward
    save(run, source, *method, learner, folder);
    return DataError(text(error.what(), "; saved after step ", run.policy.step, ", go on with: gradus tune --out ",
                          command.out, " --resume"));
  };
  catch_interrupts();
  bool stop = false;
  while (run.policy.step < config.steps && !stop) {
    const int64_t step = run.policy.step + 1;
    const Clock::time_point step_begin = Clock::now();
    std::optional<Truth> truth;  // of the policy that draws the batch, like the metrics
    double norm = 0;
    const double lr = schedule.at(step);
    try {
      if (known) truth = known->of(policy, learner.kl_coef(), config.entropy_coef);
      norm = learner.step(step, *run.policy.optimizer, lr, config.clip);  // draw, prepare, weigh, backward, learn
    } catch (const DataError& error) {                                    // nothing of this step has happened yet
      throw saved_after(error);
    }
    if (!std::isfinite(norm)) stop_diverged(step, "the gradient is not finite", folder);
    run.policy.step = step;

    last = learner.metrics();
    Json record = record_of(step, *last);
    record["grad_norm"] = norm;
    record["lr"] = lr;
    if (truth) add_truth(record, *truth);
    record["seconds"] = seconds_since(step_begin);
    folder.log(record);
    if (step % std::max<int64_t>(1, config.steps / 10) == 0 || step == 1)
      console.note(line_of(step, config.steps, *last, truth));
    else
      console.live(line_of(step, config.steps, *last, truth));
    stop = interrupted() || step == command.stop_after;
    if (config.save_every > 0 && step % config.save_every == 0 && step < config.steps && !stop)
      save(run, source, *method, learner, folder);
  }
  save(run, source, *method, learner, folder);

  Json result{{"steps", run.policy.step}};
  const Json all = last ? record_of(run.policy.step, *last) : Json();
  for (const char* field : {"reward", "kl", "kl_stderr", "entropy", "objective", "distinct_2", "kl_coef"})
    result[field] = last ? all[field] : Json(nullptr);
  result["seconds"] = seconds_since(begin);
  if (!stop) {
    if (!finished) log_samples(folder, run);
    std::unique_ptr<KnownWorlds> at_end;
    std::optional<Truth> truth_at_end;
    KnownWorlds* world = known.get();
    try {
      if (!world) world = (at_end = enumerate_world(run, reward, kMaxSequences)).get();
      if (world) truth_at_end = world->of(policy, learner.kl_coef(), config.entropy_coef);
    } catch (const DataError& error) {
      throw saved_after(error);
    }
    if (truth_at_end) {
      const Truth& truth = *truth_at_end;
      add_truth(result, truth);
      Json record{{"type", "truth"}, {"step", run.policy.step}};
      add_truth(record, truth);
      if (!finished) folder.log(record);
      if (!finished) log_bars(folder, run, *world);
    }
    console.end_live();
    const std::vector<std::string> after = draw_samples(run);
    for (size_t k = 0; k < after.size(); ++k) console.note("  " + one_line(continued(run, k, after[k]), 76));
  }
  if (command.common.json) std::printf("%s\n", result.dump().c_str());
  return end_run(folder, console, "tune", run.policy.step, stop, config.max_tokens);
}

}  // namespace gradus
