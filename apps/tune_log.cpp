#include "apps/tune_log.h"

#include <algorithm>
#include <cmath>

#include "apps/format.h"
#include "engine/gemm.h"
#include "engine/io/json_number.h"
#include "models/text/utf8.h"
#include "rl/rollout.h"

namespace gradus {
namespace {

constexpr int64_t kSamples = 4;
constexpr size_t kBars = 12;  // sequences whose probabilities the log keeps

std::vector<std::string> draw_samples(const TunedRun& run, const LanguageModel& acting) {
  std::vector<std::string> texts;
  for (int64_t k = 0; k < kSamples; ++k) {
    World world = run.world;
    world.prompt = run.prompt_tokens[size_t(k) % run.prompts.size()];
    const Rng rng(uint64_t(run.config.seed), Stream::kSample, 0);
    const Rollouts one = roll_out(acting, world, rng, k, 1);
    texts.push_back(valid_utf8(run.policy.tokenizer.decode(one.sequences.text(0))));
  }
  return texts;
}

// A sample behind its prompt.
std::string continued(const TunedRun& run, size_t sample, const std::string& words) {
  const std::string& prompt = run.prompts[sample % run.prompts.size()].text;
  return prompt.empty() ? words : prompt + run.policy.joint() + words;
}

}  // namespace

void introduce(Console& console, const TunedRun& run, const std::string& workers, const KnownWorlds* known) {
  const bool other = !run.prior_path.empty() && run.tuning.contains("policy");
  console.note(text("Fine-tuning ", other ? run.policy.path + " with the prior " + run.prior_path : run.prior_path,
                    " on ", aim_of(run.config), ": ", run.config.batch, " sequences of at most ", run.config.max_tokens,
                    " tokens a step, ", run.prompts.size(), run.prompts.size() == 1 ? " prompt, " : " prompts, ",
                    workers, "."));
  if (known)
    console.note(text("Only ", grouped(known->sequences()),
                      " sequences are possible: exact values are computed at every step."));
  if (run.saved) console.note(text("Resuming after step ", run.policy.step, " of ", run.config.steps, "."));
}

Json run_record(const TunedRun& run) {
  Json record{{"type", "run"}};
  record.update(run.tuning);
  record["model"] = Json::parse(to_json(run.policy.config));
  record["vocabulary"] = run.policy.model->vocabulary();
  record["parameters"] = run.policy.model->params().size();
  record["memory_bytes"] = run.bytes_of_step;
  record["real"] = kRealName;
  record["blas_core"] = blas_core();
  return record;
}

Json record_of(int64_t step, const TuneMetrics& m) {
  const auto of_policy = [&](double x) { return std::isnan(m.kl) ? Json() : json_number(x); };  // none of action values
  Json record{{"type", "step"},
              {"step", step},
              {"reward", json_number(m.reward)},
              {"kl", of_policy(m.kl)},
              {"kl_stderr", of_policy(m.kl_stderr)},
              {"entropy", of_policy(m.entropy)},
              {"objective", json_number(m.objective)},
              {"kl_coef", m.kl_coef},
              {"baseline", json_number(m.baseline)},
              {"advantage_spread", json_number(m.advantage_spread)},
              {"distinct_1", m.distinct_1},
              {"distinct_2", m.distinct_2},
              {"cut", m.cut},
              {"length", m.length}};
  if (m.ess) record["ess"] = json_number(*m.ess);
  if (m.value_loss) record["value_loss"] = json_number(*m.value_loss);
  if (m.explained_variance) record["explained_variance"] = json_number(*m.explained_variance);
  for (const Figure& f : m.of_method) record[f.name] = json_number(f.value);
  if (m.clip_share) record["clip_share"] = json_number(*m.clip_share);
  if (m.updates) record["updates"] = *m.updates;
  return record;
}

void add_truth(Json& record, const Truth& t, bool rewarded) {
  record["kl_exact"] = json_number(t.at.kl);
  record["objective_exact"] = rewarded ? json_number(t.at.objective) : Json();
  record["reward_exact"] = rewarded ? json_number(t.at.reward) : Json();
  record["entropy_exact"] = json_number(t.at.entropy);
  record["j_star"] = rewarded ? json_number(t.j_star) : Json();
  record["kl_to_posterior"] = json_number(t.kl_to_posterior);
  record["kl_to_target"] = json_number(t.kl_to_posterior);
  record["kl_from_target"] = json_number(t.kl_from_posterior);
}

void add_target(Json& record, const TuneMetrics& m, const Method& method, const Features* target) {
  if (const std::optional<Estimate> z = method.z()) {
    record["z"] = json_number(z->value);
    record["z_stderr"] = json_number(z->error);
  }
  if (!target) return;
  record["reward"] = record["objective"] = nullptr;
  const auto end = m.moments.begin() + int64_t(std::min(target->count(), m.moments.size()));
  record["moments"] = std::vector<double>(m.moments.begin(), end);
  record["lambda"] = target->lambda;
  if (end != m.moments.end()) record["pointwise"] = std::vector<double>(end, m.moments.end());
}

void show_step(Console& console, const TuneMetrics& m, int64_t step, const std::optional<Truth>& truth,
               const TuneConfig& config) {
  const bool has_moments = config.is_gdc();
  const int64_t steps = config.steps;
  std::string line = text("step ", step, "/", steps);
  for (const Figure& f : m.of_method) {
    std::string name = f.name;
    std::ranges::replace(name, '_', ' ');
    line += text("  ", name, " ", fixed(f.value, 3));
  }
  if (!has_moments && m.of_method.empty()) line += text("  reward ", fixed(m.reward, 3));
  for (size_t f = 0; f < m.moments.size() && has_moments; ++f)
    line += text(f == 0 ? "  moments " : " ", fixed(m.moments[f], 3));
  if (!std::isnan(m.kl))
    line += text("  KL ", fixed(m.kl, 3), std::isfinite(m.kl_stderr) ? text(" (± ", fixed(m.kl_stderr, 3), ")") : "",
                 "  entropy ", fixed(m.entropy, 2));
  if (!has_moments && !std::isnan(m.kl)) line += text("  J ", fixed(m.objective, 3));
  if (m.clip_share) line += text("  clipped ", fixed(100 * *m.clip_share, 0), "%");
  if (m.explained_variance) line += text("  explained ", fixed(*m.explained_variance, 2));
  line += text("  distinct-2 ", fixed(m.distinct_2, 2));
  if (m.updates) line += text("  updates ", *m.updates);
  if (truth && truth->kl_to_posterior)
    line += text("  KL to ", optimum_of(config), " ", fixed(*truth->kl_to_posterior, 5));
  // A policy that can still say what the target excludes is infinitely far from it, but may be near from the other
  // side.
  if (truth && truth->kl_to_posterior && std::isinf(*truth->kl_to_posterior))
    line += text(", from it ", fixed(*truth->kl_from_posterior, 5));
  if (step % std::max<int64_t>(1, steps / 10) == 0 || step == 1)
    console.note(line);
  else
    console.live(line);
}

// "text" is all of them with their prompts, one a line, as a person reads them.
void log_samples(RunFolder& folder, const TunedRun& run, const LanguageModel& acting) {
  const std::vector<std::string> texts = draw_samples(run, acting);
  std::string lines;
  Json list = Json::array();
  for (size_t k = 0; k < texts.size(); ++k) {
    const std::string& prompt = run.prompts[k % run.prompts.size()].text;
    list.push_back({{"prompt", prompt}, {"text", texts[k]}});
    lines += (k ? "\n" : "") + one_line(continued(run, k, texts[k]), 400);
  }
  folder.log({{"type", "sample"}, {"step", run.policy.step}, {"text", lines}, {"samples", list}});
}

void show_samples(Console& console, const TunedRun& run, const LanguageModel& acting) {
  const std::vector<std::string> texts = draw_samples(run, acting);
  for (size_t k = 0; k < texts.size(); ++k) console.note("  " + one_line(continued(run, k, texts[k]), 76));
}

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
  const bool targeted = !w.log_posterior.empty() && (!learns_from_pairs(run.config) || !run.config.watch.empty());
  Json list = Json::array();
  for (size_t k = 0; k < n; ++k) {
    const size_t i = size_t(order[k]);
    Json bar{{"text", valid_utf8(run.policy.tokenizer.decode(w.sequences.text(order[k])))},
             {"policy", std::exp(w.log_pi[i])},
             {"prior", std::exp(w.log_q[i])}};
    if (targeted) bar["posterior"] = std::exp(w.log_posterior[i]);
    list.push_back(std::move(bar));
  }
  folder.log({{"type", "posterior"}, {"step", run.policy.step}, {"sequences", w.sequences.size()}, {"bars", list}});
}

}  // namespace gradus
