// gradus exact: worlds small enough to list every sequence, where probability, posterior and gradient are known.
//   exact sequences   every string with its probability          exact compare    two runs, divergence by divergence
//   exact posterior   q e^(r/beta) / Z, the optimum of tuning    exact gdc        the nearest to q with given moments
//   exact values      V and Q of every prefix: apps/exact_values.cpp
//   exact gradient    of a method, exact or sampled: apps/exact_gradient.cpp
#include "apps/exact.h"
#include "apps/run.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numeric>
#include <stdexcept>

#include "apps/features.h"
#include "apps/format.h"
#include "engine/io/json_number.h"
#include "models/memory.h"
#include "models/text/utf8.h"
#include "rl/tables/posterior.h"

namespace gradus {
namespace {

constexpr size_t kShownRows = 40;  // of a table for people

// From the most to the least probable, equal ones in the order of their tokens.
std::vector<int64_t> by_probability(const Sequences& sequences, std::span<const double> log_prob) {
  std::vector<int64_t> order(size_t(sequences.size()));
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    if (log_prob[size_t(a)] != log_prob[size_t(b)]) return log_prob[size_t(a)] > log_prob[size_t(b)];
    const auto x = sequences.draws(a), y = sequences.draws(b);
    return std::lexicographical_compare(x.begin(), x.end(), y.begin(), y.end());
  });
  return order;
}

// One object with the fields of `head` and a list "sequences" of record(i), written piece by piece: a world of 10^6
// sequences as one JSON value would take a gigabyte.
template <class Record>
void print_sequences(const Json& head, const std::vector<int64_t>& order, Record record) {
  const std::string before = head.dump();
  std::fputs((before.substr(0, before.size() - 1) + (head.empty() ? "" : ",") + "\"sequences\":[").c_str(), stdout);
  const char* comma = "";
  for (const int64_t i : order) {
    std::fputs((comma + record(i).dump()).c_str(), stdout);
    comma = ",";
  }
  std::fputs("]}\n", stdout);
}

// The same for people: the first sequences of the list, each behind the numbers of row(i) and in quotes, and what tells
// one that was cut from one that ended.
template <class Row>
void show_sequences(const Checkpoint& run, const Sequences& sequences, const std::vector<int64_t>& order, Row row) {
  for (const int64_t i : std::span(order).first(std::min(order.size(), kShownRows))) {
    const bool cut = run.tokenizer.end_id() >= 0 && !sequences.ended(i);
    std::printf("%s  %s%s\n", row(size_t(i)).c_str(), Json(one_line(text_of(run, sequences, i), 80)).dump().c_str(),
                cut ? " (cut)" : "");
  }
  if (order.size() > kShownRows)
    std::printf("%34s %s more; --json lists all\n", "", grouped(int64_t(order.size() - kShownRows)).c_str());
}

// A list that claims to be all sequences must have probability 1 in all; else the fault is ours.
Enumeration checked(Enumeration all) {
  for (size_t m = 0; m < all.log_prob.size(); ++m)
    if (const double total = all.total_probability(m); !(std::fabs(total - 1) <= (kDouble ? 1e-9 : 1e-3)))
      throw std::logic_error(text("the enumerated sequences have probability ", total, " in all, not 1"));
  return all;
}

}  // namespace

std::string text_of(const Checkpoint& run, const Sequences& sequences, int64_t i) {
  return valid_utf8(run.tokenizer.decode(sequences.text(i)));
}

World world_of(const ExactCommand& command, const Checkpoint& run) {
  return {run.beginning(command.prompt), run.tokenizer.end_id(), command.max_tokens, command.temperature};
}

Enumeration enumerate_models(std::span<const LanguageModel* const> models, const World& world) {
  require_listable(models, world);
  require_memory(walk_bytes(models, world), text("listing sequences of ", world.max_tokens, " tokens"),
                 "use a smaller --max-tokens");
  return enumerate(models, world);
}
Enumeration enumerate_one(const Checkpoint& run, const World& world) {
  const LanguageModel* const models[] = {run.model.get()};
  return enumerate_models(models, world);
}
Enumeration enumerate_both(const Checkpoint& a, const Checkpoint& b, const World& world) {
  const LanguageModel* const models[] = {a.model.get(), b.model.get()};
  return enumerate_models(models, world);
}

int print_json(const Json& json) {
  std::printf("%s\n", json.dump().c_str());
  return kDone;
}
std::vector<double> rewards_of(const Sequences& sequences, const RewardFunction& reward) {
  return reward(sequences, std::vector<int32_t>(size_t(sequences.size()), 0));
}

int answer_sequences(const ExactCommand& command) {
  const Checkpoint run = load_checkpoint(command.run);
  note_burn_in(run, command.common);
  const Enumeration all = checked(enumerate_one(run, world_of(command, run)));
  const std::vector<int64_t> order = by_probability(all.sequences, all.log_prob[0]);
  if (command.common.json) {
    print_sequences({{"total_probability", json_number(all.total_probability())}}, order, [&](int64_t i) {
      const auto tokens = all.sequences.text(i);
      return Json{{"text", text_of(run, all.sequences, i)},
                  {"tokens", std::vector<int32_t>(tokens.begin(), tokens.end())},
                  {"log_prob", json_number(all.log_prob[0][size_t(i)])},
                  {"ended", all.sequences.ended(i)}};
    });
    return kDone;
  }
  std::printf("%16s %16s  %s\n", "probability", "log-probability", "text");
  show_sequences(run, all.sequences, order, [&](size_t i) {
    const double log_prob = all.log_prob[0][i];
    return right(fixed(std::exp(log_prob), 12), 16) + " " + right(fixed(log_prob, 10), 16);
  });
  std::printf("%16.12f in all, %s sequences\n", all.total_probability(), grouped(all.sequences.size()).c_str());
  return kDone;
}

int answer_compare(const ExactCommand& command) {
  const Checkpoint a = load_checkpoint(command.run), b = load_beside(command.other, a);
  for (const Checkpoint* run : {&a, &b}) note_burn_in(*run, command.common);
  const Enumeration all = enumerate_both(a, b, world_of(command, a));
  const Comparison c = compare(Table::of_logs(all.log_prob[0]), Table::of_logs(all.log_prob[1]));
  if (command.common.json) {
    Json json;
    c.for_each([&](const char* name, double x, bool) { json[name] = json_number(x); });
    json["sequences"] = all.sequences.size();
    return print_json(json);
  }
  std::printf("a = %s, b = %s: whole sequences, %s of them, in nats\n", one_line(command.run, 80).c_str(),
              one_line(command.other, 80).c_str(), grouped(all.sequences.size()).c_str());
  c.for_each([](const char* name, double x, bool information) {
    std::printf("%-18s %18s", name, fixed(x, 12).c_str());
    if (information) std::printf("   = %18s bits", fixed(x / kLog2, 12).c_str());
    std::printf("\n");
  });
  return kDone;
}

int answer_posterior(const ExactCommand& command) {
  const Checkpoint run = load_checkpoint(command.run);
  note_burn_in(run, command.common);
  const Reward reward(command.tuning.reward, run.tokenizer);
  const Enumeration all = enumerate_one(run, world_of(command, run));
  const std::vector<double> r =
      rewards_of(all.sequences, text_reward(reward, run.tokenizer, {run.prompt(command.prompt)}));
  const std::vector<double>& log_q = all.log_prob[0];
  const Posterior best = posterior(Table::of_logs(log_q), r, command.tuning.kl_coef);
  if (!std::isfinite(best.log_z))
    throw UsageError(text("the rewards, divided by --kl-coef ", command.tuning.kl_coef,
                          ", are beyond the range of numbers (J* is ", significant(best.j_star, 3),
                          "); use a larger --kl-coef, or give them a smaller weight"));
  const std::vector<double>& log_best = best.table.log_p;
  const Objective at_best = exact_objective(log_best, log_q, r, command.tuning.kl_coef);
  const Objective at_prior = exact_objective(log_q, log_q, r, command.tuning.kl_coef);
  const std::vector<int64_t> order = by_probability(all.sequences, log_best);
  if (command.common.json) {
    const Json head{{"log_z", json_number(best.log_z)},        {"j_star", json_number(best.j_star)},
                    {"reward", json_number(at_best.reward)},   {"kl", json_number(at_best.kl)},
                    {"entropy", json_number(at_best.entropy)}, {"reward_prior", json_number(at_prior.reward)}};
    print_sequences(head, order, [&](int64_t i) {
      return Json{{"text", text_of(run, all.sequences, i)},
                  {"log_prior", json_number(log_q[size_t(i)])},
                  {"reward", json_number(r[size_t(i)])},
                  {"log_posterior", json_number(log_best[size_t(i)])}};
    });
    return kDone;
  }
  std::printf("%16s %16s %12s  %s\n", "posterior", "prior", "reward", "text");
  show_sequences(run, all.sequences, order, [&](size_t i) {
    return right(fixed(best.table.p[i], 12), 16) + " " + right(fixed(std::exp(log_q[i]), 12), 16) + " " +
           right(significant(r[i], 6), 12);
  });
  std::printf("\nposterior = prior exp(reward / %g) / Z over %s sequences\n", command.tuning.kl_coef,
              grouped(all.sequences.size()).c_str());
  const auto digits = [](double x) { return significant(x, 12); };
  std::printf("  log Z %s   J* = %g log Z = %s, the most that E[r] − %g KL(policy, prior) can be\n",
              digits(best.log_z).c_str(), command.tuning.kl_coef, digits(best.j_star).c_str(), command.tuning.kl_coef);
  std::printf("  E[r] %s (prior: %s)   KL(posterior, prior) %s nats   entropy %s\n", digits(at_best.reward).c_str(),
              digits(at_prior.reward).c_str(), digits(at_best.kl).c_str(), digits(at_best.entropy).c_str());
  return kDone;
}

int answer_gdc(const ExactCommand& command) {
  TuneConfig options = command.tuning;
  if (options.feature.empty() && options.pointwise.empty())
    throw UsageError("exact gdc needs a --feature NAME[:ARGUMENT]=MOMENT or a --pointwise NAME[:ARGUMENT]");
  const Checkpoint run = load_checkpoint(command.run);
  note_burn_in(run, command.common);
  NamedFeatures named(options.feature, options.pointwise, run.tokenizer, {run.prompt(command.prompt)});
  Features& features = named.features;
  const Enumeration all = enumerate_one(run, world_of(command, run));
  const MomentFit fit = fit_listed(features, {&all, 1});
  const std::vector<double>& log_q = all.log_prob[0];
  const Table q = Table::of_logs(log_q);
  const std::vector<double> values = features.values(all.sequences, std::vector<int32_t>(q.size(), 0)),
                            r = features.rewards(values);
  const Table p = posterior(q, r, 1).table;
  std::vector<double> moments;
  for (size_t f = 0; f < features.count(); ++f) {
    std::vector<double> phi;
    for (size_t i = 0; i < q.size(); ++i) phi.push_back(values[i * features.of.size() + f]);
    moments.push_back(p.mean(phi));
  }
  const std::vector<int64_t> order = by_probability(all.sequences, p.log_p);
  if (command.common.json) {
    const Json head{{"lambda", features.lambda},
                    {"moments", moments},
                    {"kl", json_number(kl(p, q))},
                    {"z", json_number(std::exp(fit.log_z))},
                    {"log_z", json_number(fit.log_z)}};
    print_sequences(head, order, [&](int64_t i) {
      return Json{{"text", text_of(run, all.sequences, i)},
                  {"log_prior", json_number(log_q[size_t(i)])},
                  {"log_target", json_number(p.log_p[size_t(i)])}};
    });
    return kDone;
  }
  std::printf("%16s %16s  %s\n", "target", "prior", "text");
  show_sequences(run, all.sequences, order, [&](size_t i) {
    return right(fixed(p.p[i], 12), 16) + " " + right(fixed(std::exp(log_q[i]), 12), 16);
  });
  std::printf("\ntarget = prior%s%s / Z over %s sequences\n", options.pointwise.empty() ? "" : " · constraints",
              options.feature.empty() ? "" : " · exp(Λ · features)", grouped(all.sequences.size()).c_str());
  for (size_t f = 0; f < features.count(); ++f)
    std::printf("  %s: mean %s, Λ %s\n", features.names[f].c_str(), significant(moments[f], 12).c_str(),
                significant(features.lambda[f], 12).c_str());
  std::printf("  Z %s   KL(target, prior) %s nats\n", significant(std::exp(fit.log_z), 12).c_str(),
              significant(kl(p, q), 12).c_str());
  return kDone;
}

}  // namespace gradus
