// gradus exact gradient: the mean of the first gradient of a method, for every parameter. It is that of E[r] − β
// KL(π‖q), or with f-DPG of −D_f(π‖p) to a target p; where a method makes another one of it, such as GRPO, the answer
// says how far they are apart; of action values it is that of their error. A critic is the exact one, the values of the
// policy, or 0 in a world too large. Exact over all sequences of the world, or groups of them, or from samples; then,
// where the world can be listed, with its bias, variance and cosine to the exact one. With --z estimated Z comes from
// the batch, as in the first step of tune, and the bias shows what that costs. Over 350 lines: the exact and the
// sampled answer share what they measure.
#include <cmath>
#include <cstdio>
#include <numeric>

#include "apps/exact.h"
#include "apps/features.h"
#include "apps/format.h"
#include "apps/run.h"
#include "engine/io/json_number.h"
#include "engine/io/safetensors.h"
#include "models/memory.h"
#include "models/text/utf8.h"
#include "rl/exact_gradient.h"
#include "rl/methods/proposal.h"
#include "rl/pay.h"
#include "rl/tables/posterior.h"
#include "rl/worlds/values.h"

namespace gradus {
namespace {

constexpr int kShards = 4;  // of an exact gradient, whatever the threads
constexpr int kMostThreads = 64;

// Policy and prior in their world, and what they are measured by.
struct Question {
  const ExactCommand& command;
  TuneConfig options;
  Checkpoint run, prior;
  World world;
  Reward terms;
  NamedFeatures named;
  RewardFunction reward, paid;  // of a text, and as the method is paid it

  bool has_target, acts, has_critic;  // of the method
  // Whether Z is known where the world can be listed, or what the others of a batch say of it.
  bool knows_z() const { return row_named(kZs, command.z, "choice of Z").value == ZFrom::kWorld; }
  bool is_discounted() const { return options.gamma < 1; }

  explicit Question(const ExactCommand& c);
  std::unique_ptr<Method> method(const TuneConfig& o) const {
    return make_method(o, {.policy = run.model.get(), .prior = prior.model.get()});
  }
};

TuneConfig resolved(const ExactCommand& command) {
  TuneConfig options = command.tuning;
  options.seed = command.common.seed;
  options.temperature = command.temperature;
  if (row_named(kEstimators, command.estimator, "estimator").value == Estimator::kExact) {
    options.baseline = "moving";  // any constant may be the baseline of the mean; with J no large terms cancel
    options.batch = TuneConfig().batch - (options.group > 1 ? TuneConfig().batch % options.group : 0);
  }
  resolve_options(options, cores());
  return options;
}

Question::Question(const ExactCommand& c)
    : command(c),
      options(resolved(c)),
      run(load_checkpoint(c.run)),
      prior(load_beside(c.other, run)),
      world(world_of(c, run)),
      terms(options.reward, run.tokenizer),
      named(options.feature, options.pointwise, run.tokenizer, {run.prompt(c.prompt)}) {
  run.require_one_model("exact gradient");
  const std::unique_ptr<Method> m = method(options);
  has_target = m->has_target();
  acts = m->acting();
  has_critic = m->needs().value;
  if (run.model->params().size() == 0)
    throw DataError(text(run.path, ": a model of the family ", run.config.model, " has no parameters, so no gradient"));
  for (const Checkpoint* model : {&run, &prior})
    model->require_one_window(int64_t(world.prompt.size()), world.max_tokens);
  reward = options.is_gdc() ? named.features.reward() : text_reward(terms, run.tokenizer, {run.prompt(c.prompt)});
  paid = row_named(kPays, options.pay, "way of paying").value == Pay::kStep ? paid_by_step(reward) : reward;
}

// All that follows from listing the world.
struct Listed {
  Enumeration all;
  std::vector<double> rewards = {};
  Objective objective = {};
  double log_z = 0;
  std::optional<PrefixTree> tree = {};           // where the method has a critic, and
  std::vector<double> values = {};               // what that says of each prefix
  std::vector<double> gradient = {}, of_j = {};  // of the method, and of J where that may be another
};

// What makes an exact mean sharp, and a sampled one unbiased: the method is told J, as its baseline, and Z.
void tell(Method& method, const Listed& listed, bool z = true) {
  std::vector<NamedNumbers> state{{"moving", {listed.objective.objective, 1}}};
  if (z) state.push_back({"normalisers", {listed.log_z, 1, 0}});
  method.restore(state);
}

// The values of the policy: of a method that takes the KL of whole rows without that of the row itself.
void evaluate(const Question& q, Listed& l, std::span<const double> paid) {
  l.tree.emplace(l.all.sequences);
  const PrefixTree& tree = *l.tree;
  const std::vector<double> log_pi = tree.log_conditionals(l.all.log_prob[0]);
  Values v = policy_values(tree, tree.of_edges(l.all.sequences, paid), log_pi, tree.log_conditionals(l.all.log_prob[1]),
                           q.options.beta(), q.options.gamma);
  l.values = std::move(v.value);
  if (q.options.full_kl()) l.values = mean_of_edges(tree, log_pi, v.q);
}

// WorldTooLarge where there are more than kMostGroups ordered groups of the sequences.
void require_groups(int64_t sequences, int64_t group) {
  constexpr double kMostGroups = 1e6;
  if (group > 1 && std::pow(double(sequences), double(group)) > kMostGroups)
    throw WorldTooLarge(text("groups of ", group, " of ", grouped(sequences), " sequences are more than ",
                             grouped(int64_t(kMostGroups)),
                             ", too many to list; use --group 2 or a smaller --max-tokens"));
}

Listed list_world(Question& q) {
  TuneConfig options = q.options;
  options.baseline = "moving";
  const std::unique_ptr<Method> method = q.method(options);
  std::vector<const LanguageModel*> models{q.run.model.get(), q.prior.model.get()};
  if (q.acts) models.push_back(method->behaviour());
  Listed l{.all = enumerate_models(models, q.world)};
  const std::vector<double>&log_pi = l.all.log_prob[0], &log_q = l.all.log_prob[1];
  require_groups(l.all.sequences.size(), options.group);
  if (options.is_gdc()) fit_listed(q.named.features, std::vector<Enumeration>{{l.all.sequences, {log_q}}});
  l.rewards = rewards_of(l.all.sequences, q.reward);
  // What another proposal draws from begins as the policy.
  const std::vector<double>& log_mu = q.acts                                       ? l.all.log_prob[2]
                                      : method->behaviour() == q.prior.model.get() ? log_q
                                                                                   : log_pi;
  if (!q.acts && method->behaviour() == q.prior.model.get())
    for (size_t i = 0; i < log_q.size(); ++i)
      if (log_q[i] == -INFINITY && log_pi[i] > -INFINITY) throw DataError(kBeyondPrior);
  l.objective = exact_objective(q.acts ? log_mu : log_pi, log_q, l.rewards, options.beta());
  const std::vector<double> paid = rewards_of(l.all.sequences, q.paid);
  if (q.is_discounted()) {
    const PrefixTree tree(l.all.sequences);
    l.objective.objective =
        policy_values(tree, tree.of_edges(l.all.sequences, paid), tree.log_conditionals(q.acts ? log_mu : log_pi),
                      tree.log_conditionals(log_q), options.beta(), options.gamma)
            .value[0];
  }
  if (options.beta() > 0) {
    const Posterior target = posterior(Table::of_logs(log_q), l.rewards, options.beta());
    l.log_z = target.log_z;
    if (q.has_target)
      l.objective.objective = -f_divergence(divergence_named(options.divergence), Table::of_logs(log_pi), target.table);
  }
  if (!std::isfinite(l.objective.objective))
    throw DataError(
        q.has_target ? text("the divergence ", options.divergence, " from the target is infinite and has no gradient")
                     : "KL(policy, prior) is infinite: the policy can draw a sequence that the prior excludes, so J "
                       "has no gradient");
  tell(*method, l);
  Shards shards(kShards, threads_for(q.command.common, kMostThreads));
  require_memory(exact_gradient_bytes(*method, *q.run.model, *q.prior.model, q.world, shards),
                 "the gradient of these sequences", "use a smaller --max-tokens");
  std::vector<double> of_draws;
  if (q.has_critic) {
    evaluate(q, l, paid);
    of_draws = l.tree->before_draws(l.all.sequences, l.values);
  }
  l.gradient = exact_gradient(*method, *q.run.model, *q.prior.model, q.world, l.all.sequences, log_mu, paid,
                              options.beta(), shards, std::max<int64_t>(1, options.group), of_draws);
  TuneConfig j = options;
  j.algorithm = TuneConfig().algorithm;
  j.gamma = 1;
  if (q.has_target || q.acts || (options.algorithm == j.algorithm && options.gamma == 1)) return l;  // it is that of J
  const std::unique_ptr<Method> plain = q.method(j);
  tell(*plain, l);
  l.of_j = exact_gradient(*plain, *q.run.model, *q.prior.model, q.world, l.all.sequences, log_pi, l.rewards,
                          options.beta(), shards);
  return l;
}

// Null where the world is too large.
std::unique_ptr<Listed> try_list(Question& q) {
  const bool may_exclude = !q.run.model->counts().empty();
  if (full_size(q.world, q.run.model->vocabulary()) > kMaxSequences && !may_exclude) return nullptr;
  try {
    return std::make_unique<Listed>(list_world(q));
  } catch (const WorldTooLarge&) {
    return nullptr;
  }
}

double dot(std::span<const double> a, std::span<const double> b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}
double norm(std::span<const double> x) { return std::sqrt(dot(x, x)); }
// None where one of them is 0, but for rounding.
std::optional<double> cosine(std::span<const double> a, std::span<const double> b) {
  constexpr double kRounding = kDouble ? 1e-14 : 1e-6;
  const double sizes = norm(a) * norm(b);
  return norm(a) > kRounding && norm(b) > kRounding ? std::optional(dot(a, b) / sizes) : std::nullopt;
}

// Of a sampled gradient beside the exact one.
struct Agreement {
  double bias = 0;        // the norm of mean − exact
  double bias_noise = 0;  // what it would be without a bias, as a root mean square: the standard error of the mean
  double bias_z = 0;      // the largest |mean − exact| over its standard error
  double variance = 0;
  double exact = 0;  // the norm of the exact one
  std::optional<double> cosine = {};
};
Agreement compare(const EstimatedGradient& g, std::span<const double> exact) {
  Agreement a{.exact = norm(exact), .cosine = cosine(g.mean, exact)};
  const double rounding = (kDouble ? 1e-12 : 1e-5) * (1 + a.exact);
  std::vector<double> off_by(g.mean);
  for (size_t k = 0; k < exact.size(); ++k) off_by[k] -= exact[k];
  a.bias = norm(off_by);
  for (size_t k = 0; k < exact.size(); ++k) {
    a.variance += g.variance[k];
    if (const double off = std::fabs(g.mean[k] - exact[k]); off > rounding)
      a.bias_z = std::max(a.bias_z, off / std::sqrt(g.variance[k] / double(g.samples)));
  }
  a.bias_noise = std::sqrt(a.variance / double(g.samples));
  return a;
}

void write(const Question& q, const EstimatedGradient& g) {
  ArchiveWriter out;
  const Params& params = q.run.model->params();
  save_parts(out, params, std::span<const double>(g.mean), "mean/");
  if (!g.variance.empty()) save_parts(out, params, std::span<const double>(g.variance), "variance/");
  std::move(out).write(q.command.out);
}

// Of the gradient of a method beside that of J: their cosine, and the ratio of their norms.
struct BesideJ {
  std::optional<double> cosine, ratio;  // none where that of J is 0
};

// What the gradient is that of, for people.
std::string name_of_objective(const Question& q) {
  if (q.has_target) return "-" + q.options.divergence + "(policy, target)";
  return text("J = E[r] - ", q.options.beta(), " KL",
              q.is_discounted() ? text(", discounted by ", q.options.gamma) : "");
}
std::string name_of_gradient(const Question& q) {
  if (q.has_target) return "that objective";
  std::string name = q.options.algorithm == TuneConfig().algorithm ? "J" : q.options.algorithm;
  if (!q.is_discounted()) return name;
  // Only returns of whole texts climb the discounted J (rl/methods/returns.h).
  const bool climbs = name == "J" && !q.options.reward_to_go;
  return climbs ? "the discounted J" : text(q.options.algorithm, " with --gamma ", q.options.gamma);
}

int print(const Question& q, const EstimatedGradient& g, int64_t listed, const std::optional<Agreement>& agreement,
          const std::optional<BesideJ>& beside_j) {
  const Objective& j = g.objective;
  const bool sampled = g.samples > 0;
  if (q.command.common.json) {
    Json json{{"objective", json_number(j.objective)},
              {"reward", q.options.is_gdc() ? Json() : json_number(j.reward)},
              {"kl", q.acts ? Json() : json_number(j.kl)},
              {"entropy", q.acts ? Json() : json_number(j.entropy)},
              {"samples", g.samples}};
    if (listed > 0 && !sampled) json["sequences"] = listed;
    if (sampled) json["kl_stderr"] = q.acts ? Json() : json_number(g.kl_stderr);
    if (beside_j) {
      json["cosine_to_j"] = json_number(beside_j->cosine);
      json["norm_to_j"] = json_number(beside_j->ratio);
    }
    if (agreement) {
      json["objective_stderr"] = json_number(g.objective_stderr);
      json["bias"] = json_number(agreement->bias);
      json["bias_noise"] = json_number(agreement->bias_noise);
      json["norm"] = json_number(agreement->exact);
      json["bias_z"] = json_number(agreement->bias_z);
      json["variance"] = json_number(agreement->variance);
      json["cosine"] = json_number(agreement->cosine);
    }
    return print_json(json);
  }
  const auto error = [&](double x) { return sampled ? text(" (standard error ", fixed(x, 6), ")") : std::string(); };
  const auto line = [](const std::string& name, double x, const std::string& after) {
    std::printf("  %s %s%s\n", left(name, 32).c_str(), right(fixed(x, 12), 18).c_str(), after.c_str());
  };
  std::printf("over %s\n",
              sampled ? (grouped(g.samples) + " samples").c_str() : ("all " + grouped(listed) + " sequences").c_str());
  line(name_of_objective(q), j.objective, error(g.objective_stderr));
  if (!q.options.is_gdc()) line("E[r]", j.reward, "");
  if (!q.acts) line("KL(policy, prior)", j.kl, " nats" + error(g.kl_stderr));
  if (!q.acts) line("entropy", j.entropy, " nats");
  const auto shown = [](const std::optional<double>& x, int digits) {
    return x ? fixed(*x, digits) : "none (one is 0)";
  };
  if (beside_j)
    std::printf("  beside the gradient of J%s: cosine %s, norm %s times\n",
                q.is_discounted() ? " without discount" : "", shown(beside_j->cosine, 9).c_str(),
                shown(beside_j->ratio, 9).c_str());
  if (agreement) {
    const auto digits = [](double x) { return significant(x, 6); };
    std::printf("  beside the exact gradient, whose norm is %s: |bias| %s, largest |z| of the mean %s\n",
                digits(agreement->exact).c_str(), digits(agreement->bias).c_str(), fixed(agreement->bias_z, 3).c_str());
    std::printf("  (without a bias about %s of |bias| would be left to chance); cosine %s; variance of a sample %s\n",
                digits(agreement->bias_noise).c_str(), shown(agreement->cosine, 6).c_str(),
                digits(agreement->variance).c_str());
  }
  std::printf("the gradient of %s, mean/NAME%s, is in %s\n", name_of_gradient(q).c_str(),
              g.variance.empty() ? "" : " and variance/NAME", one_line(q.command.out, 80).c_str());
  return kDone;
}

}  // namespace

int answer_gradient(const ExactCommand& command) {
  Question q(command);
  EstimatedGradient g;
  if (row_named(kEstimators, command.estimator, "estimator").value == Estimator::kExact) {
    Listed listed = list_world(q);
    g.mean = std::move(listed.gradient);
    g.objective = listed.objective;
    write(q, g);
    std::optional<BesideJ> beside_j;
    if (!listed.of_j.empty()) {
      const double of_j = norm(listed.of_j);
      beside_j = {.cosine = cosine(g.mean, listed.of_j),
                  .ratio = of_j > 0 ? std::optional(norm(g.mean) / of_j) : std::nullopt};
    }
    return print(q, g, listed.all.sequences.size(), {}, beside_j);
  }
  const std::unique_ptr<Listed> listed = try_list(q);
  if (!listed && q.options.is_gdc())
    fit_sampled(q.named.features, *q.prior.model, q.world, {&q.world.prompt, 1}, q.options.seed);
  const std::unique_ptr<Method> method = q.method(q.options);
  if (listed) tell(*method, *listed, q.knows_z());
  require_memory(estimate_gradient_bytes(*method, *q.run.model, *q.prior.model, q.world, q.options),
                 text("a batch of ", q.options.batch, " sequences of ", q.world.max_tokens, " tokens"),
                 "use a smaller --batch or --max-tokens");
  RewardFunction value;
  if (listed && q.has_critic)
    value = [&](const Sequences& s, std::span<const int32_t>) { return listed->tree->before_draws(s, listed->values); };
  g = estimate_gradient(*method, *q.run.model, *q.prior.model, q.world, q.paid, q.options, command.samples,
                        threads_for(command.common, kMostThreads), value);
  std::optional<Agreement> agreement;
  if (listed) agreement = compare(g, listed->gradient);
  write(q, g);
  return print(q, g, 0, agreement, {});
}

}  // namespace gradus
