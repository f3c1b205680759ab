#include "apps/posterior_summary.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "apps/format.h"
#include "apps/report/log.h"
#include "engine/io/json_number.h"
#include "models/posterior/diagnostics.h"
#include "models/posterior/variational.h"

namespace gradus {
namespace {

double mean_of(const std::vector<double>& x) { return std::accumulate(x.begin(), x.end(), 0.0) / double(x.size()); }

// The columns NAME_1, NAME_2, ... of the log as traces of C chains, behind the burn-in.
std::vector<Trace> traces(const Records& steps, const std::string& name, const std::vector<int64_t>& columns,
                          int64_t burn_in) {
  std::vector<Trace> out;
  for (const int64_t column : columns) {
    const std::vector<double> all = steps[text(name, "_", column)];
    Trace& trace = out.emplace_back();
    for (size_t i = 0; i < all.size(); ++i)
      if (steps.step[i] > double(burn_in)) trace.push_back(all[i]);
  }
  return out;
}

// What the log says of chains: over log_joint and the traced parameters, the worst of each.
struct Diagnosis {
  double ess = INFINITY, r_hat = 0;
  int64_t unmoved = -1;     // a chain that is where it was after the burn-in
  double acceptance = NAN;  // of those that reject

  void look_at(const std::vector<Trace>& of) {
    if (of[0].size() < 4 || std::ranges::any_of(of[0], [](double x) { return std::isnan(x); })) return;
    if (unmoved < 0) unmoved = first_unmoved(of);
    if (const double r = gradus::r_hat(of); r > r_hat) r_hat = r;
    if (const double n = effective_sample_size(of); n < ess) ess = n;
  }
  bool has_r_hat() const { return unmoved < 0 && r_hat > 0; }
};

Diagnosis diagnose(const Records& steps, int64_t chains, int64_t burn_in) {
  Diagnosis d;
  std::vector<int64_t> columns(static_cast<size_t>(chains));
  std::iota(columns.begin(), columns.end(), 1);
  d.look_at(traces(steps, "log_joint", columns, burn_in));
  std::vector<double> acceptance;
  for (const Trace& trace : traces(steps, "acceptance", columns, burn_in))
    if (!trace.empty()) acceptance.push_back(mean_of(trace));
  if (!acceptance.empty()) d.acceptance = mean_of(acceptance);
  int64_t Q = 0;
  while (steps.columns.contains(text("traced_", (Q + 1) * chains))) ++Q;
  for (int64_t q = 0; q < Q; ++q) {
    for (int64_t c = 0; c < chains; ++c) columns[size_t(c)] = c * Q + q + 1;
    d.look_at(traces(steps, "traced", columns, burn_in));
  }
  return d;
}

Json of_chains(const ChainsModel& model, const Config& config, const std::string& log_file, Console& console) {
  Diagnosis d;
  try {
    d = diagnose(read_run_log(log_file, true).steps, model.chains(), config.burn_in);
  } catch (const DataError&) {  // the samples are there, and what they are worth is not known
    return {{"acceptance", nullptr}, {"ess", nullptr}, {"r_hat", nullptr}};
  }
  const bool rejects = std::isfinite(d.acceptance);
  std::string said = text("Posterior: ", model.chains(), model.chains() == 1 ? " chain" : " chains",
                          rejects ? ", acceptance " + fixed(d.acceptance, 3) : "");
  if (d.has_r_hat())
    said += text(", effective sample size ", fixed(d.ess, 0), ", R̂ ", fixed(d.r_hat, 3),
                 d.r_hat > 1.05 ? ": the chains do not agree yet; take more --steps" : "");
  if (d.unmoved >= 0)
    said += text(": chain ", d.unmoved + 1, " has not moved; use a ",
                 rejects ? "smaller --lr or a longer --burn-in" : "larger --lr");
  console.note(said + ".");
  return {{"acceptance", rejects ? Json(d.acceptance) : Json()},
          {"ess", std::isfinite(d.ess) ? Json(d.ess) : Json()},
          {"r_hat", d.has_r_hat() ? Json(d.r_hat) : Json()}};
}

Json of_guide(const VariationalModel& model, const Corpus& corpus, Shards& shards, int64_t batch, Console& console) {
  constexpr int64_t kTokens = 2'000'000;  // that are read for it
  const int64_t tokens = targets_in(corpus, Split::kTrain);
  const int64_t K = std::clamp<int64_t>(kTokens / tokens, 2, std::max<int64_t>(2, model.draws()));
  std::vector<double> log_p;
  for (int64_t k = 0; k < std::min(K, model.draws()); ++k)
    log_p.push_back(-loss_of_split(model.draw(k), corpus, Split::kTrain, shards, batch).nats);
  const double kl = model.kl(), mean = mean_of(log_p), n = double(log_p.size());
  double squares = 0;
  for (const double x : log_p) squares += (x - mean) * (x - mean);
  const double error = n > 1 ? std::sqrt(squares / (n - 1) / n) : NAN;
  console.note(text("Posterior: ELBO ", fixed(mean - kl, 2), n > 1 ? " ± " + fixed(error, 2) : "",
                    " nats, with a KL of ", fixed(kl, 2), " from the prior. The log evidence is at least as high."));
  return {{"elbo", json_number(mean - kl)}, {"elbo_stderr", json_number(error)}, {"kl", json_number(kl)}};
}

}  // namespace

Json record_of(const ChainSampler::Step& step) {
  Json record{{"log_joint", json_numbers(step.log_joint)}, {"traced", json_numbers(step.traced)}};
  if (!step.acceptance.empty()) record["acceptance"] = json_numbers(step.acceptance);
  return record;
}

Json tell_posterior(const Checkpoint& run, const Corpus& corpus, Shards& shards, RunFolder& folder, Console& console,
                    bool log) {
  Json said{{"draws", posterior_in(*run.model)->draws()}};
  if (const auto* chains = dynamic_cast<const ChainsModel*>(run.model.get()))
    said.update(of_chains(*chains, run.config, folder.path() + "/log.jsonl", console));
  if (const auto* guide = dynamic_cast<const VariationalModel*>(run.model.get()))
    said.update(of_guide(*guide, corpus, shards, run.config.batch, console));
  if (log)
    folder.log({{"type", kParametersRecord},
                {"step", run.step},
                {"posterior", said},
                {"parameters", posterior_parameters(run)}});
  return said;
}

Json posterior_parameters(const Checkpoint& run) {
  const PosteriorModel& model = *posterior_in(*run.model);
  const Params& params = model.net_params();
  std::vector<double> mean(static_cast<size_t>(params.declared_size())), deviation(mean.size());
  model.moments(mean, deviation);
  Json out = Json::array();
  constexpr size_t kMostListed = 16;  // numbers of a parameter
  const auto rms = [](std::span<const double> x) {
    return std::sqrt(std::inner_product(x.begin(), x.end(), x.begin(), 0.0) / double(x.size()));
  };
  for (int64_t i = 0; i < params.count(); ++i) {
    const auto at = size_t(params.offset(i)), n = size_t(params.shape(i).numel());
    const auto means = std::span(mean).subspan(at, n), deviations = std::span(deviation).subspan(at, n);
    Json p{{"name", params.name(i)},
           {"shape", params.shape(i).sizes()},
           {"mean", json_number(rms(means))},
           {"spread", json_number(rms(deviations))}};
    if (n <= kMostListed) p.update({{"means", json_numbers(means)}, {"deviations", json_numbers(deviations)}});
    out.push_back(std::move(p));
  }
  return out;
}

}  // namespace gradus
