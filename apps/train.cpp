// gradus train: maximum likelihood on a text. The loop is at the end of the file; apps/train_run.h opens a run.
#include <algorithm>
#include <cmath>
#include <filesystem>

#include "apps/format.h"
#include "apps/layer_sizes.h"
#include "apps/live_report.h"
#include "apps/next_command.h"
#include "apps/posterior_summary.h"
#include "apps/ranks.h"
#include "apps/signals.h"
#include "apps/step/trace_page.h"
#include "apps/step/train_trace.h"
#include "apps/train_progress.h"
#include "apps/train_run.h"
#include "engine/inspect.h"
#include "engine/io/json_number.h"
#include "engine/long_loop.h"
#include "models/loss.h"
#include "models/posterior/chains.h"
#include "models/posterior/variational.h"
#include "models/text/shell_word.h"
#include "models/vae_texts.h"
#include "models/yardsticks.h"

namespace gradus {
namespace {

// The KL of a VAE, over the texts of the loss that stands beside it.
double kl_of(const Vae& vae, const Checkpoint& run, const Corpus& corpus, int threads, bool at_end) {
  Pool pool(threads);
  if (corpus.has_validation() && at_end)
    return mean_kl(
        vae, corpus.windows(Split::kValidation),
        [&](int64_t i) { return corpus.window(Split::kValidation, i).targets; }, pool);
  const Split split = corpus.has_validation() ? Split::kValidation : Split::kTrain;
  const Rng rng(uint64_t(vae.options().seed), Stream::kEvaluate, run.step);  // of loss_of_batches
  return mean_kl(
      vae, run.config.eval_batches * run.config.batch, [&](int64_t i) { return corpus.draw(split, rng, i).targets; },
      pool);
}

// Over a few random batches on the way, over the whole validation split at the end. What is counted has no way, and the
// loss that was minimised is that of the whole training split.
Losses evaluate(const Checkpoint& run, const Corpus& corpus, Shards& shards, bool at_end) {
  const auto loss = [&](Split split, bool whole) {
    return (whole ? loss_of_split(*run.model, corpus, split, shards, run.config.batch)
                  : loss_of_batches(*run.model, corpus, split, shards, run.config.batch, run.step,
                                    run.config.eval_batches))
        .mean();
  };
  Losses losses{.train = loss(Split::kTrain, run.config.counts())};
  if (corpus.has_validation()) losses.validation = loss(Split::kValidation, at_end);
  if (run.config.family().has("latent")) losses.kl = kl_of(*vae_in(*run.model), run, corpus, shards.threads(), at_end);
  return losses;
}

// The first op of the step that made a number that is not finite, in a sentence.
std::string bad_op(Shards& shards) {
  for (int s = shards.own_first(); s < shards.own_last(); ++s)
    if (shards.count(s) > 0)
      if (const auto bad = why_nan(shards.tape(s))) return bad->sentence;
  return "the loss or the gradient is not finite";
}

void save(const Checkpoint& run, const RunFolder& folder) {
  require_finite(run.model->params(), run.step, folder);
  if (folder.is_written()) run.save(folder.checkpoint());
}

// Whether the name means this text to this process only, as that of <(...) does.
bool is_of_process(const std::string& path) {
  const std::string whole = std::filesystem::absolute(path).lexically_normal().string();
  return whole.starts_with("/dev/fd/") || (whole.starts_with("/proc/") && whole.find("/fd/") != whole.npos);
}

// A text that cannot be read again without the person, such as a pipe, must be named again, and so must one that was
// named for this process.
Next next_of(const TrainCommand& command, const Checkpoint& run, const TrainProgress& progress) {
  const bool labelled = !run.labels.empty();
  std::vector<std::string> words{"train"};
  if (labelled) words.insert(words.begin(), "classify");
  if (command.resume || std::ranges::any_of(run.corpus, [](const std::string& path) {
        std::error_code error;
        return is_of_process(path) || !std::filesystem::is_regular_file(path, error);
      }))
    for (const std::string& path : command.corpus) words.push_back(is_of_process(path) ? "TEXT" : path);
  words.insert(words.end(), {"--out", command.out, "--resume"});
  if (command.trace_step > run.step)
    words.insert(words.end(), {"--trace", std::to_string(command.trace_step), command.trace_file});
  const std::string best = as_argument(progress.to_sample());
  if (labelled) return {proposed(words), proposed({"classify", "report", best, as_argument(run.corpus[0])})};
  if (!run.model->draws_texts()) return {proposed(words), proposed({"fill", best, "[MASK]"})};
  std::vector<std::string> sample{"sample", best, "--tokens", "400"};
  if (run.config.pairs) sample.insert(sample.end(), {"--prompt", progress.prompt()});
  return {proposed(words), proposed(sample)};
}

Json result_of(const Checkpoint& run, const std::optional<Losses>& losses, const TrainProgress& progress) {
  Json result{{"steps", run.step},
              {"train_loss", losses ? Json(losses->train) : Json(nullptr)},
              {"val_loss", losses ? json_number(losses->validation) : Json(nullptr)},
              {"best_val_loss", json_number(run.best_val_loss)},
              {"parameters", parameters_of(*run.model)},
              {"tokens_per_second", progress.tokens_per_second()},
              {"seconds", progress.seconds()}};
  if (run.config.family().has("latent")) result["kl"] = losses ? json_number(losses->kl) : Json(nullptr);
  return result;
}

// Where z says nothing of its text, which the loss alone does not show.
void note_collapse(Console& console, int64_t step, const std::optional<Losses>& losses) {
  constexpr double kLittle = 0.1;  // nats a text
  if (step > 0 && losses && losses->kl && *losses->kl < kLittle)
    console.note(text("note: the KL is ", fixed(*losses->kl, 4),
                      " nats a text, so a latent vector says next to nothing of its text; a longer --kl-anneal, a "
                      "smaller --hidden or --word-dropout lets it say more"));
}

}  // namespace

int train(const TrainCommand& command) {
  Console console(command.common);
  Comm& ranks = ranks_for(command.trace_step > 0 ? "the page of a step, --trace," : "");
  TrainRun opened = open_train_run(command, console, ranks);
  Checkpoint& run = opened.checkpoint;
  const Config& config = run.config;
  const Corpus& corpus = opened.corpus;
  if (config.counts()) ranks_for(text("a model of the family ", config.model, ", which is counted at once,"));
  if (posterior_in(*run.model)) ranks_for("a posterior over the parameters, --posterior,");
  require_agreement(ranks, "train",
                    {{"other options", text(to_json(config), command.stop_after, command.resume, command.out)},
                     {"another text", opened.files.hash},
                     {"other weights or another state of the run", state_hash(run)}});
  if (command.trace_step > 0 && posterior_in(*run.model))
    throw UsageError(text("--trace shows a step of one set of parameters, and --posterior ", config.posterior,
                          " has many; gradus step elbo shows one of a guide"));
  if (command.trace_step > 0) refuse_long_trace(command, run, corpus);
  auto* const guide = dynamic_cast<VariationalModel*>(run.model.get());
  if (guide) guide->learn_from(targets_in(corpus, Split::kTrain), sequences_in(corpus, Split::kTrain));
  if (!opened.folder) opened.folder.emplace(make_folder(command.out, ranks));
  RunFolder& folder = *opened.folder;
  const std::string last = folder.truncate_log(run.step);  // what the process before this one did last
  const bool told = last == kParametersRecord, evaluated = last == "eval" || told;
  const bool finished = evaluated && run.step == config.steps;

  Shards shards(ranks, int(config.shards), threads_for(command.common, config.shards));
  const Yardsticks known = yardsticks(corpus, config, run.tokenizer.size(), shards, config.batch);
  introduce(console, opened, known, workers(ranks, shards.threads()));
  note_idle(console, ranks, config.shards);
  if (command.resume) console.note(text("Resuming after step ", run.step, " of ", config.steps, "."));
  if (folder.lacks_beginning()) folder.begin_log(run_record(opened, known, command.entropy_rate));

  const int64_t warmup = config.samples() ? 0 : config.warmup;  // for an optimiser, whose moments begin as zeros
  const Schedule schedule{config.lr, config.min_lr, warmup, config.decay_steps};
  const uint64_t seed = uint64_t(config.seed);
  BatchLoss batch_loss(shards);
  Batch batch;
  std::optional<ChainSampler> chains;
  if (auto* model = dynamic_cast<ChainsModel*>(run.model.get()))
    chains.emplace(*model, config, corpus, shards, config.batch, seed);
  TrainProgress progress(console, folder, run, corpus);
  LiveReport live_report(folder);
  // Evaluates, unless it is interrupted: then nothing of it is told, and it is done again when the run goes on.
  const auto evaluate_now = [&](bool at_end, bool log) -> std::optional<Losses> {
    try {
      const Losses losses = evaluate(run, corpus, shards, at_end);
      progress.evaluated(losses, log);
      return losses;
    } catch (const Interrupted&) {
      return {};
    }
  };
  const auto due = [&](int64_t every) { return every > 0 && run.step % every == 0 && run.step < config.steps; };
  catch_interrupts(!command.common.quiet && ranks.ranks() == 1);
  bool stop = false;
  std::string no_trace;                                                                 // why
  if (run.step > 0 && due(config.eval_every) && !evaluated) evaluate_now(false, true);  // it was interrupted
  // False where another rank has no answer: then the step has changed nothing.
  const auto gradient_step = [&](int64_t step) {
    const Rng rng(seed, Stream::kBatch, step);
    if (guide)
      draw_sequences(batch, corpus, Split::kTrain, rng, 0, config.batch);
    else
      batch.draw(corpus, Split::kTrain, rng, 0, config.batch);
    // The loss is the mean over the tokens of the batch, unless it stands for the whole text.
    const double weight = guide ? guide->weight_of(batch) : 1 / double(batch.scored);
    double loss;
    std::span<const real> gradient;
    try {
      loss = weight * batch_loss.forward(*run.model, batch, {.seed = seed, .step = step, .training = true});
      batch_loss.backward(weight);
      gradient = shards.gradient(run.model->params());
    } catch (const Interrupted&) {
      return false;
    }
    const double norm = gradient_norm(gradient), lr = schedule.at(step);
    if (!std::isfinite(loss) || !std::isfinite(norm)) stop_diverged(step, bad_op(shards), folder);
    const double factor = clip_factor(norm, config.clip);
    if (step == command.trace_step)
      no_trace = write_trace(trace_of({step, batch, loss, gradient, lr, factor}, run),
                             text("step ", step, " number by number"), command.trace_file, console);
    std::optional<LayerSizes> sizes;  // at each evaluation
    if (step == config.steps || (config.eval_every > 0 && step % config.eval_every == 0))
      sizes.emplace(run.model->params(), gradient);
    run.optimizer->step(run.model->params(), gradient, lr, factor);
    run.step = step;
    progress.end_step(loss, lr, norm, batch.scored);
    if (sizes) folder.log(sizes->record(step, run.model->params()));
    live_report.renew();
    return true;
  };
  // False where it was interrupted: then no chain has moved.
  const auto chain_step = [&](int64_t step) {
    ChainSampler::Step done;
    try {
      done = chains->step(step, config.steps, config.burn_in, schedule.at(step));
    } catch (const Interrupted&) {
      return false;
    }
    if (!std::isfinite(done.loss)) stop_diverged(step, "the loss of a chain is not finite", folder);
    run.step = step;
    progress.end_step(done.loss, schedule.at(step), done.gradient_norm, chains->tokens(), record_of(done));
    live_report.renew();
    return true;
  };
  while (run.step < config.steps && !stop && !interrupted()) {
    const int64_t step = run.step + 1;
    progress.begin_step();
    if (!(chains ? chain_step(step) : gradient_step(step))) break;
    if (due(config.eval_every)) evaluate_now(false, true);
    stop = step == command.stop_after;
    if (due(config.save_every) && !stop && !interrupted()) folder.save_on_the_way(console, [&] { save(run, folder); });
  }
  save(run, folder);

  std::optional<Losses> losses;
  if (!stop && !interrupted()) losses = evaluate_now(true, !finished);
  Json result = result_of(run, losses, progress);
  if (losses && posterior_in(*run.model)) {
    try {
      result["posterior"] = tell_posterior(run, corpus, shards, folder, console, !told || !finished);
    } catch (const Interrupted&) {
      losses.reset();  // it is told when the run goes on
    }
  }
  if (command.common.json) std::printf("%s\n", result.dump().c_str());
  progress.tell_best();
  note_collapse(console, run.step, losses);
  const int code = end_run(folder, console, next_of(command, run, progress), run.step, !losses);
  if (!no_trace.empty()) throw WriteError(no_trace);
  return code;
}

}  // namespace gradus
