#include "apps/tuned_run.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "engine/blas.h"
#include "models/text/corpus.h"

namespace gradus {
namespace {

const std::string kMean = "adam.m.", kSquare = "adam.v.", kReplay = "replay.";

const Checkpoint::Array& array_of(const Checkpoint& run, const std::string& name, size_t size) {
  for (const Checkpoint::Array& a : run.beside)
    if (a.name == name && (size == 0 || a.values.size() == size)) return a;
  throw DataError(text(run.path, ": the array ", name, " of this fine-tuning is missing or of another size"));
}

// Each line that is not empty.
std::vector<std::string> read_prompts(const std::string& file) {
  std::istringstream lines(read_text(file));
  std::vector<std::string> prompts;
  for (std::string line; std::getline(lines, line);)
    if (!line.empty()) prompts.push_back(line);
  if (prompts.empty()) throw DataError(file + ": holds no prompts; one a line is wanted");
  return prompts;
}

void lay_out_prompts(TunedRun& run) {
  const Checkpoint& p = run.prior;
  run.world = {{}, p.tokenizer.end_id(), run.config.max_tokens, run.config.temperature};
  for (const std::string& prompt : run.prompts) {
    run.prompt_tokens.push_back(p.beginning(prompt));
    p.require_one_window(int64_t(run.prompt_tokens.back().size()), run.config.max_tokens);
  }
}

TunedRun resume(TuneCommand& command, std::optional<RunFolder>& folder, Console& console) {
  if (!RunFolder::has_checkpoint(command.out))
    throw DataError(text(command.out, ": there is no checkpoint.safetensors to resume from"));
  folder.emplace(command.out);
  Checkpoint policy = load_checkpoint(command.out);
  if (policy.tuning.empty())
    throw DataError(text(policy.path, ": is no fine-tuned run; gradus train --out ", command.out, " --resume goes on"));
  const Json tuning = Json::parse_or_null(policy.tuning);
  const std::string path = policy.path;
  try {
    TuneConfig config = tune_config_from_json(tuning.at("config").dump(), policy.path);
    Checkpoint prior = load_checkpoint(command.run.empty() ? tuning.at("prior").get<std::string>() : command.run);
    if (prior.hash != tuning.at("prior_hash").get<std::string>())
      throw DataError(text(prior.path, ": is not the prior that the run in ", command.out,
                           " began from, or has been trained on since; name the prior as gradus tune PRIOR --out ",
                           command.out, " --resume"));
    TunedRun run{
        std::move(policy), std::move(prior), config, tuning.at("prompts").get<std::vector<std::string>>(), {}, {}};
    if (!run.policy.optimizer) throw DataError(run.policy.path + ": holds no optimiser state");
    if (command.steps_given && command.config.steps < run.policy.step)
      throw UsageError(
          text("--steps ", command.config.steps, ": the run in ", command.out, " has already done ", run.policy.step));
    if (command.steps_given) run.config.steps = command.config.steps;
    if (run.policy.blas_core != blas_core())
      console.note(text("note: the run began on OpenBLAS ", run.policy.blas_core, " kernels, this machine uses ",
                        blas_core(), "; results will differ in the last bits"));
    return run;
  } catch (const JsonError&) {
    throw DataError(path + ": the metadata's 'tuning' cannot be read");
  }
}

TunedRun begin(TuneCommand& command) {
  refuse_existing(command.out);
  try {
    resolve(command.config, cores());
  } catch (const DataError& error) {
    throw UsageError(error.what());  // two options that do not fit together
  }
  TunedRun run{load_checkpoint(command.run), load_checkpoint(command.run), command.config, {command.prompt}, {}, {}};
  if (!command.prompts.empty()) run.prompts = read_prompts(command.prompts);
  run.policy.step = 0;
  run.policy.best_val_loss.reset();
  run.policy.beside.clear();
  run.policy.tuning = Json{
      {"config", Json::parse(to_json(run.config))},
      {"prior", std::filesystem::absolute(run.prior.path).lexically_normal().string()},
      {"prior_hash", run.prior.hash},
      {"prompts",
       run.prompts}}.dump();
  return run;
}

}  // namespace

TunedRun open_tuned_run(TuneCommand& command, std::optional<RunFolder>& folder, Console& console) {
  TunedRun run = command.resume ? resume(command, folder, console) : begin(command);
  if (run.policy.model->params().size() == 0)
    throw DataError(text(run.prior.path, ": a model of the family ", run.prior.config.model,
                         " has no parameters to tune; it can be a prior of others, but not a policy"));
  lay_out_prompts(run);
  // Fine-tuning has its own optimiser, without weight decay, whatever the prior was trained with.
  AdamW optimizer(run.policy.model->params(), {.beta1 = 0.9, .beta2 = 0.99, .weight_decay = 0});
  if (command.resume) {
    optimizer.m = std::move(run.policy.optimizer->m);
    optimizer.v = std::move(run.policy.optimizer->v);
    optimizer.steps = run.policy.step * run.config.epochs * run.config.minibatches;
  }
  run.policy.optimizer = std::move(optimizer);
  return run;
}

void TunedRun::restore(RolloutSource& source, Method& method, Learner& learner) const {
  if (policy.step == 0) return;
  const Json tuning = Json::parse(policy.tuning);
  learner.set_kl_coef(tuning.at("kl_coef").get<double>());
  std::vector<NamedNumbers> of_method = method.state();
  for (NamedNumbers& part : of_method) part.values = tuning.at(part.name).get<std::vector<double>>();
  method.restore(of_method);
  std::vector<Experience> memory;
  for (int64_t i = 0; i < tuning.at("replayed").get<int64_t>(); ++i) {
    const auto numbers = [&](const char* what) { return array_of(policy, text(kReplay, i, ".", what), 0).values; };
    Experience e{.sequences = Sequences(world.end_id),
                 .reward = numbers("reward"),
                 .log_mu = numbers("log_mu"),
                 .log_q = numbers("log_q")};
    const std::vector<double> tokens = numbers("tokens"), lengths = numbers("lengths"), of = numbers("prompts");
    std::vector<int32_t> draws;
    size_t at = 0;
    for (const double length : lengths) {
      draws.clear();
      for (size_t end = at + size_t(length); at < end; ++at) draws.push_back(int32_t(tokens.at(at)));
      e.sequences.add(draws);
    }
    e.group.assign(of.begin(), of.end());
    memory.push_back(std::move(e));
  }
  source.restore(std::move(memory));
  if (!learner.value()) return;
  Params& params = learner.value()->params();
  AdamW& optimizer = *learner.value_optimizer();
  optimizer.steps = policy.step * config.epochs * config.minibatches;
  for (int64_t i = 0; i < params.count(); ++i) {
    const size_t first = size_t(params.offset(i)), n = size_t(params.shape(i).numel());
    const auto put = [&](const std::string& prefix, std::span<real> to) {
      std::ranges::transform(array_of(policy, prefix + params.name(i), n).values, to.subspan(first, n).begin(),
                             [](double x) { return real(x); });
    };
    put("", params.edit());
    put(kMean, optimizer.m);
    put(kSquare, optimizer.v);
  }
}

void TunedRun::save(const RolloutSource& source, const Method& method, const Learner& learner,
                    const std::string& path) {
  const std::vector<const Experience*> memory = source.remembered();
  Json tuning = Json::parse(policy.tuning);
  tuning["config"] = Json::parse(to_json(config));
  tuning["kl_coef"] = learner.kl_coef();
  for (const NamedNumbers& part : method.state()) tuning[part.name] = part.values;
  tuning["replayed"] = memory.size();
  policy.tuning = tuning.dump();
  policy.beside.clear();
  if (learner.value()) {
    const Params& params = learner.value()->params();
    for (int64_t i = 0; i < params.count(); ++i) {
      const size_t first = size_t(params.offset(i)), n = size_t(params.shape(i).numel());
      std::vector<int64_t> shape(size_t(params.shape(i).rank()));
      for (size_t k = 0; k < shape.size(); ++k) shape[k] = params.shape(i)[int(k)];
      const auto take = [&](const std::string& prefix, std::span<const real> from) {
        const auto part = from.subspan(first, n);
        policy.beside.push_back({prefix + params.name(i), shape, {part.begin(), part.end()}});
      };
      take("", params.data());
      take(kMean, learner.value_optimizer()->m);
      take(kSquare, learner.value_optimizer()->v);
    }
  }
  for (size_t i = 0; i < memory.size(); ++i) {
    const Experience& e = *memory[i];
    const auto take = [&](const char* what, std::vector<double> values) {
      policy.beside.push_back({text(kReplay, i, ".", what), {int64_t(values.size())}, std::move(values), true});
    };
    std::vector<double> tokens, lengths;
    for (int64_t b = 0; b < e.sequences.size(); ++b) {
      const auto draws = e.sequences.draws(b);
      tokens.insert(tokens.end(), draws.begin(), draws.end());
      lengths.push_back(double(draws.size()));
    }
    take("tokens", std::move(tokens));
    take("lengths", std::move(lengths));
    take("prompts", {e.group.begin(), e.group.end()});
    take("reward", sum_over_draws(e.batch, e.reward));
    take("log_mu", e.log_mu);
    take("log_q", e.log_q);
  }
  policy.save(path);
}

}  // namespace gradus
