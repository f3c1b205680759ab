#include "apps/tuned_run.h"

#include <filesystem>
#include <sstream>

#include "models/text/read_text.h"

namespace gradus {
namespace {

constexpr const char* kMethodState = "method";  // the member of the section that holds the method's state by name

// Each line that is not empty.
std::vector<std::string> read_prompts(const std::string& file) {
  std::istringstream lines(read_text(file));
  std::vector<std::string> prompts;
  for (std::string line; std::getline(lines, line);)
    if (!line.empty()) prompts.push_back(line);
  if (prompts.empty()) throw DataError(file + ": holds no prompts; write one on each line");
  return prompts;
}

void lay_out_prompts(TunedRun& run) {
  const Checkpoint& p = run.policy;  // the prior has the same vocabulary
  run.world = {{}, p.tokenizer.end_id(), run.config.max_tokens, run.config.temperature};
  for (const std::string& prompt : run.prompts) {
    run.prompt_tokens.push_back(p.beginning(prompt));
    p.require_one_window(int64_t(run.prompt_tokens.back().size()), run.config.max_tokens);
  }
}

// Fine-tuning has its own optimiser, without weight decay, whatever the prior was trained with.
AdamW new_optimizer(const LanguageModel& policy) {
  return AdamW(policy.params(), {.beta1 = 0.9, .beta2 = 0.99, .weight_decay = 0});
}

DataError unreadable(const std::string& path) {
  return DataError(text(path, ": the metadata's '", kTuning, "' cannot be read"));
}

TunedRun resume(const TuneCommand& command, Console& console) {
  RunFolder folder = reopen_folder(command.out);
  ArchiveReader in(folder.checkpoint());
  const std::string path = in.file().path();
  Checkpoint policy = read_checkpoint(in);
  const std::string* const section = in.find_section(kTuning);
  if (!section)
    throw DataError(
        text(path, ": is not a fine-tuned run; continue it with gradus train --out ", command.out, " --resume"));
  Json tuning = Json::parse_or_null(*section);
  try {
    TuneConfig config = tune_config_from_json(tuning.at("config").dump(), path);
    Checkpoint prior = load_checkpoint(command.run.empty() ? tuning.at("prior").get<std::string>() : command.run);
    if (prior.hash != tuning.at("prior_hash").get<std::string>())
      throw DataError(text(prior.path, ": is not the prior that the run in ", command.out,
                           " began from, or has been trained on since; name the prior as gradus tune PRIOR --out ",
                           command.out, " --resume"));
    require_resumable(command, command.config.steps, policy, console);
    if (command.steps_given) config.steps = command.config.steps;
    std::vector<std::string> prompts = tuning.at("prompts").get<std::vector<std::string>>();
    policy.optimizer = new_optimizer(*policy.model);
    load_moments(in, policy.model->params(), *policy.optimizer);
    policy.optimizer->steps = policy.step * config.epochs * config.minibatches;
    return {.policy = std::move(policy),
            .prior = std::move(prior.model),
            .prior_path = prior.path,
            .config = std::move(config),
            .prompts = std::move(prompts),
            .tuning = std::move(tuning),
            .folder = std::move(folder),
            .saved = std::move(in)};
  } catch (const JsonError&) {
    throw unreadable(path);
  }
}

TunedRun begin(const TuneCommand& command) {
  refuse_existing(command.out);
  TuneConfig config = command.config;
  resolve_options(config);
  Checkpoint policy = load_checkpoint(command.run);
  const auto absolute = [](const std::string& path) {
    return std::filesystem::absolute(path).lexically_normal().string();
  };
  std::vector<std::string> prompts{command.prompt};
  if (!command.prompts.empty()) prompts = read_prompts(command.prompts);
  std::unique_ptr<LanguageModel> prior;
  std::string prior_path = policy.path, prior_hash = policy.hash;
  if (command.prior.empty()) {
    prior = clone(*policy.model);
  } else {
    Checkpoint other = load_beside(command.prior, policy);
    for (const std::string& prompt : prompts)
      other.require_one_window(int64_t(policy.beginning(prompt).size()), config.max_tokens);
    prior = std::move(other.model);
    prior_path = other.path;
    prior_hash = other.hash;
  }
  policy.step = 0;
  policy.best_val_loss.reset();
  policy.optimizer = new_optimizer(*policy.model);
  Json tuning{{"config", Json::parse(to_json(config))},
              {"prior", absolute(prior_path)},
              {"prior_hash", prior_hash},
              {"prompts", prompts}};
  if (!command.prior.empty()) tuning["policy"] = absolute(policy.path);
  return {.policy = std::move(policy),
          .prior = std::move(prior),
          .prior_path = prior_path,
          .config = std::move(config),
          .prompts = std::move(prompts),
          .tuning = std::move(tuning),
          .folder = {}};
}

constexpr const char* kOwn = "method.";  // before the names of parameters that the method keeps

std::string replay_name(size_t batch, const char* what) { return text("replay.", batch, ".", what); }

Experience read_experience(ArchiveReader& in, size_t batch, int32_t end_id) {
  const auto numbers = [&](const char* what) { return in.list(replay_name(batch, what)); };
  Experience e{.sequences = Sequences(end_id),
               .reward = numbers("reward"),
               .log_mu = numbers("log_mu"),
               .log_q = numbers("log_q")};
  const std::vector<double> tokens = numbers("tokens"), lengths = numbers("lengths"), prompts = numbers("prompts");
  std::vector<int32_t> draws;
  size_t at = 0;
  for (const double length : lengths) {
    draws.clear();
    for (size_t end = at + size_t(length); at < end; ++at) draws.push_back(int32_t(tokens.at(at)));
    e.sequences.add(draws);
  }
  e.group.assign(prompts.begin(), prompts.end());
  return e;
}

void write_experience(ArchiveWriter& out, size_t batch, const Experience& e) {
  std::vector<double> tokens, lengths;
  for (int64_t b = 0; b < e.sequences.size(); ++b) {
    const auto draws = e.sequences.draws(b);
    tokens.insert(tokens.end(), draws.begin(), draws.end());
    lengths.push_back(double(draws.size()));
  }
  out.list(replay_name(batch, "tokens"), std::move(tokens));
  out.list(replay_name(batch, "lengths"), std::move(lengths));
  out.list(replay_name(batch, "prompts"), {e.group.begin(), e.group.end()});
  out.list(replay_name(batch, "reward"), sum_over_draws(e.batch, e.reward));
  out.list(replay_name(batch, "log_mu"), e.log_mu);
  out.list(replay_name(batch, "log_q"), e.log_q);
}

}  // namespace

TunedRun open_tuned_run(const TuneCommand& command, Console& console) {
  TunedRun run = command.resume ? resume(command, console) : begin(command);
  if (run.policy.model->params().size() == 0)
    throw DataError(text(run.prior_path, ": a model of the family ", run.policy.config.model,
                         " has no parameters to tune; it can be a prior of others, but not a policy"));
  lay_out_prompts(run);
  return run;
}

void TunedRun::restore(Tuner& tuner) {
  if (!saved) return;
  try {
    tuner.set_kl_coef(tuning.at("kl_coef").get<double>());
    std::vector<NamedNumbers> of_method = tuner.method->state();
    // Version 0.1 kept the parts of the method's state beside everything else.
    const Json& saved_state = tuning.contains(kMethodState) ? tuning.at(kMethodState) : tuning;
    for (NamedNumbers& part : of_method) part.values = saved_state.at(part.name).get<std::vector<double>>();
    tuner.method->restore(of_method);
    std::vector<Experience> memory;
    for (int64_t i = 0; i < tuning.at("replayed").get<int64_t>(); ++i)
      memory.push_back(read_experience(*saved, size_t(i), world.end_id));
    tuner.source.restore(std::move(memory));
    if (Params* own = tuner.method->own_params()) load_params(*saved, *own, kOwn);
  } catch (const JsonError&) {
    throw unreadable(policy.path);
  }
  if (tuner.value()) {
    load_params(*saved, tuner.value()->params());
    load_moments(*saved, tuner.value()->params(), *tuner.value_optimizer());
    tuner.value_optimizer()->steps = policy.step * config.epochs * config.minibatches;
  }
  saved->refuse_rest();
}

void TunedRun::save(const Tuner& tuner, const std::string& path) {
  const std::vector<const Experience*> memory = tuner.source.remembered();
  tuning["config"] = Json::parse(to_json(config));
  tuning["kl_coef"] = tuner.kl_coef();
  Json state = Json::object();
  for (const NamedNumbers& part : tuner.method->state()) state[part.name] = part.values;
  tuning[kMethodState] = state;
  tuning["replayed"] = memory.size();
  ArchiveWriter out;
  policy.write(out);
  out.section(kTuning, tuning.dump());
  if (tuner.value()) {
    save_params(out, tuner.value()->params());
    save_moments(out, tuner.value()->params(), *tuner.value_optimizer());
  }
  if (const Params* own = tuner.method->own_params()) save_params(out, *own, kOwn);
  for (size_t i = 0; i < memory.size(); ++i) write_experience(out, i, *memory[i]);
  std::move(out).write(path);
}

}  // namespace gradus
