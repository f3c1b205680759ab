// Beginning, resuming, restoring and saving are here together, though that makes the file long: they write and read
// the same section.
#include "apps/tuned_run.h"

#include <algorithm>
#include <filesystem>
#include <limits>
#include <sstream>

#include "apps/next_command.h"
#include "apps/replay.h"
#include "engine/io/hash.h"
#include "models/text/read_text.h"
#include "models/text/utf8.h"
#include "rl/preferences.h"
#include "rl/rewards/reward.h"

namespace gradus {

std::vector<Prompt> read_prompts(const std::string& file, bool pairs, const Checkpoint& model, int64_t max_tokens) {
  const std::string content = read_text(file, kMostListed);
  require_newlines(content, file);
  std::vector<Pair> lines = pairs ? pairs_of(content, file) : std::vector<Pair>();
  if (!pairs)
    for (int64_t number = 0; const std::string_view line : split_lines(content))
      if (++number; !line.empty()) lines.push_back({.prompt = std::string(line), .reply = {}, .line = number});
  for (const Pair& line : lines) try {
      model.require_one_window(int64_t(model.beginning(line.prompt).size()), max_tokens);
      model.tokenizer.encode(line.reply);
    } catch (const std::exception& error) {
      throw DataError(text(file, ", line ", line.line, ": ", error.what()));
    }
  if (lines.empty()) throw DataError(file + ": holds no prompts; write one on each line");
  std::vector<Prompt> prompts;
  if (pairs) prompts = prompts_of(lines);
  for (size_t i = 0; i < lines.size() && !pairs; ++i) prompts.emplace_back(lines[i].prompt);
  for (Prompt& prompt : prompts) prompt.is_replied_to = model.config.pairs;
  return prompts;
}

namespace {

constexpr const char* kPrompts = "prompts";   // the member that holds the prompts, as texts
constexpr const char* kHeldOut = "held_out";  // the member that holds the prompts that no step is made of
constexpr const char* kPreferencesHash = "preferences_hash";
constexpr const char* kUpdates = "updates";     // the member that counts those of the policy, where a KL may end a step
constexpr const char* kMethodState = "method";  // the member of the section that holds the method's state by name
constexpr const char *kCoefficient = "kl_coef", *kReplayed = "replayed";

// The section without the state of the run: what a new run has, so that one that resumes from step 0 begins its log as
// a new one does.
Json inputs_of(const Json& section) {
  Json inputs = Json::object();
  for (const auto& [name, value] : section.items())
    if (name != kCoefficient && name != kMethodState && name != kReplayed && name != kUpdates) inputs[name] = value;
  return inputs;
}

// All but the prompt.
World world_of(const Checkpoint& policy, const TuneConfig& config) {
  return {{}, policy.tokenizer.end_id(), config.max_tokens, config.temperature};
}

// As a list of texts in the section `name` of the tuning, and their references, where they have some, in another list.
std::string references_name(std::string_view name) { return text(name, "_references"); }
void write_prompts(Json& tuning, const char* name, const std::vector<Prompt>& prompts) {
  std::vector<std::string> texts;
  std::vector<std::vector<std::string>> references;
  for (const Prompt& prompt : prompts) {
    texts.push_back(prompt.text);
    references.push_back(prompt.references);
  }
  tuning[name] = texts;
  if (!references.empty() && !references[0].empty()) tuning[references_name(name)] = references;
}

void lay_out_prompts(TunedRun& run) {
  const Checkpoint& p = run.policy;  // the prior has the same vocabulary
  for (const Prompt& prompt : run.prompts) {
    run.prompt_tokens.push_back(p.beginning(prompt.text));
    p.require_one_window(int64_t(run.prompt_tokens.back().size()), run.config.max_tokens);
  }
  for (const Prompt& prompt : run.held_out) run.held_out_tokens.push_back(p.beginning(prompt.text));
}

// A member of the section of the tuning; what is wrong with it is told with its name.
template <class T>
T member(const Json& tuning, std::string_view name) {
  const Json& value = tuning.at(name);
  try {
    return value.get<T>();
  } catch (const JsonError& error) {
    throw JsonError(text("\"", name, "\" ", error.what()));
  }
}

// Reads them back. JsonError where there are none, or one cannot be continued.
std::vector<Prompt> stored_prompts(const Json& tuning, const char* name, const Checkpoint& policy, int64_t max_tokens) {
  std::vector<Prompt> prompts;
  for (const std::string& prompt : member<std::vector<std::string>>(tuning, name))
    prompts.push_back(policy.prompt(prompt));
  if (prompts.empty()) throw JsonError("has no prompts");
  std::vector<std::vector<std::string>> references(prompts.size());
  if (const std::string of = references_name(name); tuning.contains(of))
    references = member<std::vector<std::vector<std::string>>>(tuning, of);
  if (references.size() != prompts.size())
    throw JsonError(text("has ", references.size(), " lists of references for ", prompts.size(), " prompts"));
  for (size_t p = 0; p < prompts.size(); ++p) try {
      policy.require_one_window(int64_t(policy.beginning(prompts[p].text).size()), max_tokens);
      for (const std::string& reference : references[p]) policy.tokenizer.encode(reference);
      prompts[p].references = std::move(references[p]);
    } catch (const std::exception& error) {
      throw JsonError(text("of its prompts, ", in_quotes(prompts[p].text), ": ", error.what()));
    }
  return prompts;
}

// The options of the run. The command line has seen to it that there is a reward where one is wanted.
TuneConfig stored_config(const Json& tuning, const std::string& path) {
  TuneConfig config = tune_config_from_json(tuning.at("config").dump(), path);
  if (config.reward.empty() && config.preferences.empty() && !config.is_gdc())
    throw JsonError("\"config\" has no reward");
  return config;
}

// Updates of the policy, at most as many as the steps may make; a step that --stop-kl ends makes fewer. Runs of before
// there was that option do not say.
int64_t stored_updates(const Json& tuning, int64_t most) {
  if (!tuning.contains(kUpdates)) return most;
  const int64_t updates = member<int64_t>(tuning, kUpdates);
  if (updates < 0 || updates > most)
    throw JsonError(text("\"", kUpdates, "\" is ", updates, ", must be from 0 to ", most));
  return updates;
}

// The path of the prior.
std::string stored_prior(const Json& tuning) {
  std::string path = member<std::string>(tuning, "prior");
  if (path.empty() || path.find('\0') != path.npos)
    throw JsonError(text("\"prior\" is ", in_quotes(path), ", which is not the name of a file"));
  return path;
}

DataError unreadable(const std::string& path, const DataError& error) {
  return DataError(text(path, ": the metadata's '", kTuning, "': ", error.what()));
}

Reward::Source stored_source(const std::string& term, const std::string& run) {
  try {
    return Reward::source_of(term);
  } catch (const UsageError& error) {
    throw DataError(text("the run in ", run, " has a reward that means nothing: ", error.what()));
  }
}

// The rewards of a resumed run, its features and constraints, and those that it watches. A program is started only
// where the person names it, and what else is opened is shown before. One that is given must be one of the run.
void approve_rewards(const TuneCommand& command, const TuneConfig& config, Console& console) {
  struct Terms {
    std::string option;
    std::vector<std::string> given;
    const std::vector<std::string>& stored;
  };
  Terms all[] = {{"--reward", command.config.reward, config.reward},
                 {"--feature", command.config.feature, config.feature},
                 {"--pointwise", command.config.pointwise, config.pointwise},
                 {"--watch", command.config.watch, config.watch}};
  const auto source_of = [&](const std::string& option, const std::string& term) {
    return stored_source(option == "--feature" ? split_feature(term).first : term, command.out);
  };
  std::vector<std::string> options, programs;  // as they must be given
  for (const auto& [option, given, stored] : all) {
    options.push_back(option);
    for (const std::string& term : stored)
      if (source_of(option, term).opens == Reward::Opens::kProgram) programs.insert(programs.end(), {option, term});
  }
  bool all_named = true;
  for (auto& [option, given, stored] : all) {
    for (const std::string& term : stored) {
      const Reward::Source source = source_of(option, term);
      const auto found = std::find(given.begin(), given.end(), term);
      const bool named = found != given.end();
      if (named) given.erase(found);
      if (source.opens == Reward::Opens::kProgram)
        all_named = all_named && named;
      else if (source.opens != Reward::Opens::kNothing && !named)
        announce_stored(console, "a file of its rewards",
                        source.opens == Reward::Opens::kRun ? checkpoint_path(source.name) : source.name,
                        "name the reward: " + typed_again({option, term}));
    }
    if (!given.empty())
      throw UsageError(text(option, " '", given[0], "': the run in ", command.out, " has another one, ",
                            joined(stored, " + "),
                            ", and keeps it; continue it with: ", typed_again(programs, options)));
  }
  if (!all_named)
    throw UsageError(
        text("the run in ", command.out,
             " starts a program for its reward; if you trust it, name it again: ", typed_again(programs, options)));
}

std::string hash_of(const std::vector<Preference>& preferences) {
  Hash64 hash;
  for (const Preference& p : preferences) hash.add(preference_line(p));
  return hash.hex();
}

// The preferences of a resumed run: from the files that are named, or from its own, which the person has not named.
std::vector<Preference> preferences_again(const TuneCommand& command, const TuneConfig& config, const Json& tuning,
                                          Console& console) {
  if (config.preferences.empty()) return {};
  const bool named = !command.config.preferences.empty();
  for (const std::string& file : config.preferences)
    if (!named)
      announce_stored(console, "the preferences", file, "name them: " + typed_again({"--preferences", "FILE.tsv"}));
  std::vector<Preference> all = read_preferences(named ? command.config.preferences : config.preferences);
  if (hash_of(all) != member<std::string>(tuning, kPreferencesHash))
    throw DataError(text(joined(named ? command.config.preferences : config.preferences, ", "),
                         ": these are not the preferences that the run in ", command.out, " began with"));
  return all;
}

Checkpoint load_prior(const TuneCommand& command, const Json& tuning, Console& console) {
  if (!command.run.empty()) return load_checkpoint(command.run);
  const std::string path = stored_prior(tuning);
  announce_stored(console, "the prior", path, "name it: " + typed_again({"PRIOR"}));
  return load_checkpoint(path);
}

// The first reward of the run that compares a text with references; empty if there is none.
std::string reward_with_references(const TuneConfig& c) {
  std::vector<std::string> terms;
  for (const std::vector<std::string>* list : {&c.reward, &c.watch, &c.pointwise})
    terms.insert(terms.end(), list->begin(), list->end());
  for (const std::string& feature : c.feature) terms.push_back(split_feature(feature).first);
  const auto found = std::ranges::find_if(terms, Reward::needs_reference);
  return found == terms.end() ? "" : *found;
}

TunedRun resume(const TuneCommand& command, Console& console, Comm& ranks) {
  RunFolder folder = reopen_folder(command.out, ranks);
  ArchiveReader in(folder.checkpoint());
  const std::string path = in.file().path();
  Checkpoint policy = read_checkpoint(in);
  const std::string* const section = in.find_section(kTuning);
  if (!section)
    throw DataError(text(
        path, ": is not a fine-tuned run; continue it with: ", proposed({"train", "--out", command.out, "--resume"})));
  Json tuning = in.section(kTuning, [](const std::string& content) { return Json::parse(content); });
  try {
    TuneConfig config = stored_config(tuning, path);
    require_resumable(command, command.config.steps, policy, console);
    approve_rewards(command, config, console);
    Checkpoint prior = load_prior(command, tuning, console);
    if (prior.hash != member<std::string>(tuning, "prior_hash"))
      throw DataError(text(prior.path, ": is not the prior that the run in ", command.out,
                           " began from, or has been trained on since; name the prior: ",
                           proposed({"tune", "PRIOR", "--out", command.out, "--resume"})));
    if (command.steps_given) config.steps = command.config.steps;
    Json inputs = inputs_of(tuning);
    inputs["config"] = Json::parse(to_json(config));
    std::vector<Prompt> prompts = stored_prompts(tuning, kPrompts, policy, config.max_tokens), held_out;
    if (tuning.contains(kHeldOut)) held_out = stored_prompts(tuning, kHeldOut, policy, config.max_tokens);
    if (const std::string reward = reward_with_references(config); !reward.empty() && prompts[0].references.empty())
      throw JsonError(text("has no references, with which its reward ", reward, " compares"));
    const std::vector<Preference> preferences = preferences_again(command, config, tuning, console);
    const World world = world_of(policy, config);
    TokenPairs pairs = tokens_of(preferences, policy, world);
    policy.optimizer = tuning_optimizer(*policy.model);
    load_moments(in, policy.model->params(), *policy.optimizer);
    policy.optimizer->steps = stored_updates(tuning, policy.step * config.epochs * config.minibatches);
    return {.policy = std::move(policy),
            .prior = std::move(prior.model),
            .prior_path = prior.path,
            .config = std::move(config),
            .prompts = std::move(prompts),
            .held_out = std::move(held_out),
            .tuning = std::move(inputs),
            .folder = std::move(folder),
            .saved = std::move(in),
            .state = std::move(tuning),
            .world = world,
            .pairs = std::move(pairs)};
  } catch (const JsonError& error) {
    throw unreadable(path, error);
  }
}

TunedRun begin(const TuneCommand& command, int64_t cores) {
  refuse_existing(command.out);
  TuneConfig config = command.config;
  resolve_options(config, cores);
  if (const std::string reward = reward_with_references(config); !reward.empty() && command.pairs.empty())
    throw UsageError(text("the reward ", reward, " compares a text with the reference of its prompt",
                          learns_from_pairs(config)
                              ? ", and the prompts of --preferences have none; leave it out"
                              : "; give prompts and references: " + typed_again({"--pairs", "FILE.tsv"})));
  const auto named = [](const std::string& path) {
    std::string name = std::filesystem::absolute(checkpoint_path(path)).lexically_normal().string();
    if (find_bad_byte(name))
      throw DataError(text(name, ": the name of a prior must be UTF-8 itself, so that the run can name it; rename it"));
    return name;
  };
  for (const std::string& path : {command.run, command.prior})
    if (!path.empty()) named(path);
  if (const auto bad = find_bad_byte(command.prompt))
    throw DataError(text("--prompt is not text in UTF-8: its byte ", bad->at, " is ", bad->what));
  Checkpoint policy = load_checkpoint(command.run);
  policy.require_one_model("tune");
  const bool pairs = !command.pairs.empty();
  const std::string file = pairs ? command.pairs : command.prompts;
  std::vector<Prompt> prompts{policy.prompt(command.prompt)}, held_out;
  if (!file.empty()) prompts = read_prompts(file, pairs, policy, config.max_tokens);
  if (!command.held_out.empty()) held_out = read_prompts(command.held_out, pairs, policy, config.max_tokens);
  const std::vector<Preference> preferences = read_preferences(config.preferences);
  const World world = world_of(policy, config);
  TokenPairs chosen = tokens_of(preferences, policy, world);
  if (!preferences.empty()) {
    prompts.clear();
    for (const std::string& prompt : prompts_of(preferences)) prompts.push_back(policy.prompt(prompt));
  }
  std::unique_ptr<LanguageModel> prior;
  std::string prior_path = policy.path, prior_hash = policy.hash;
  if (command.prior.empty()) {
    prior = clone(*policy.model);
  } else {
    Checkpoint other = load_beside(command.prior, policy);
    for (const auto* texts : {&prompts, &held_out})
      for (const Prompt& prompt : *texts)
        other.require_one_window(int64_t(policy.beginning(prompt.text).size()), config.max_tokens);
    prior = std::move(other.model);
    prior_path = other.path;
    prior_hash = other.hash;
  }
  if (config.adapter != kNoAdapter) policy.adapt(config.adapter, uint64_t(config.seed), command.out);
  policy.step = 0;
  policy.best_val_loss.reset();
  policy.optimizer = tuning_optimizer(*policy.model);
  Json tuning{{"config", Json::parse(to_json(config))}, {"prior", named(prior_path)}, {"prior_hash", prior_hash}};
  write_prompts(tuning, kPrompts, prompts);
  if (!command.prior.empty()) tuning["policy"] = named(policy.path);
  if (!held_out.empty()) write_prompts(tuning, kHeldOut, held_out);
  if (!preferences.empty()) tuning[kPreferencesHash] = hash_of(preferences);
  require_room_in_header(policy, Json(policy.tokenizer.vocab()).dump() + Json(policy.corpus).dump() + tuning.dump(),
                         text(file.empty() ? "--prompt" : file + ": its prompts", ", with the vocabulary,"),
                         "use fewer or shorter prompts");
  return {.policy = std::move(policy),
          .prior = std::move(prior),
          .prior_path = prior_path,
          .config = std::move(config),
          .prompts = std::move(prompts),
          .held_out = std::move(held_out),
          .tuning = std::move(tuning),
          .folder = {},
          .world = world,
          .pairs = std::move(chosen)};
}

// Before the names of parameters that the method keeps, and of those of the value network.
constexpr const char *kOwn = "method.", *kValue = "value.";

}  // namespace

TunedRun open_tuned_run(const TuneCommand& command, Console& console, Comm& ranks) {
  const int64_t cores = cores_of_job(ranks);
  TunedRun run = command.resume ? resume(command, console, ranks) : begin(command, cores);
  if (run.policy.model->params().size() == 0)
    throw DataError(text(run.prior_path, ": a model of the family ", run.policy.config.model,
                         " has no parameters to tune; it can be a prior of others, but not a policy"));
  lay_out_prompts(run);
  return run;
}

void TunedRun::restore(Tuner& tuner) {
  if (!saved) return;
  try {
    const double kl_coef = member<double>(state, kCoefficient);
    if (!(kl_coef >= 0)) throw JsonError(text("\"kl_coef\" is ", kl_coef, ", must be from 0 up"));
    tuner.set_kl_coef(kl_coef);
    std::vector<NamedNumbers> of_method = tuner.method->state();
    // Version 0.1 kept the parts of the method's state beside everything else.
    const Json& parts = state.contains(kMethodState) ? state.at(kMethodState) : state;
    for (NamedNumbers& part : of_method) {
      const size_t n = std::exchange(part.values, member<std::vector<double>>(parts, part.name)).size();
      if (n > 0 && part.values.size() != n)
        throw JsonError(text("\"", part.name, "\" is not a list of ", n, " numbers"));
    }
    tuner.method->restore(of_method);
    const int64_t batches = member<int64_t>(state, kReplayed);
    if (batches < 0 || batches > config.replay)
      throw JsonError(text("\"replayed\" is ", batches, ", must be from 0 to ", config.replay));
    std::vector<Experience> memory;
    for (int64_t i = 0; i < batches; ++i) memory.push_back(read_replayed(*saved, *this, size_t(i)));
    tuner.source.restore(std::move(memory));
    if (Params* own = tuner.method->own_params()) load_params(*saved, *own, kOwn);
  } catch (const JsonError& error) {
    throw unreadable(policy.path, error);
  }
  if (tuner.value()) {
    load_params(*saved, tuner.value()->params(), kValue);
    load_moments(*saved, tuner.value()->params(), *tuner.value_optimizer(), kValue);
    tuner.value_optimizer()->steps = policy.optimizer->steps;
  }
  saved->refuse_rest();
}

void TunedRun::save(const Tuner& tuner, const std::string& path) {
  const std::vector<const Experience*> memory = tuner.source.remembered();
  tuning["config"] = Json::parse(to_json(config));  // a run that ends by --until-kl has fewer steps than it was given
  Json section = tuning, of_method = Json::object();
  for (const NamedNumbers& part : tuner.method->state()) of_method[part.name] = part.values;
  section[kCoefficient] = tuner.kl_coef();
  section[kMethodState] = of_method;
  section[kReplayed] = memory.size();
  if (config.stop_kl > 0) section[kUpdates] = policy.optimizer->steps;
  ArchiveWriter out;
  policy.write(out);
  out.section(kTuning, section.dump());
  if (tuner.value()) {
    save_params(out, tuner.value()->params(), kValue);
    save_moments(out, tuner.value()->params(), *tuner.value_optimizer(), kValue);
  }
  if (const Params* own = tuner.method->own_params()) save_params(out, *own, kOwn);
  for (size_t i = 0; i < memory.size(); ++i) write_replayed(out, i, *memory[i]);
  std::move(out).write(path);
}

}  // namespace gradus
