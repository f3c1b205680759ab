// One function for each section of apps/kl/numbers.txt. Longer than 350 lines because it is a list: nothing here is
// more than a call of divergence.h, estimators.h or posterior.h with the tables of the example.
#include "apps/kl/worked_example.h"

#include <array>
#include <cmath>

#include "rl/controller.h"
#include "rl/tables/estimators.h"
#include "rl/tables/moments.h"
#include "rl/tables/posterior.h"

namespace gradus {

namespace {

using List = std::vector<double>;

struct Named {
  const char* name;
  const Table& table;
};

List plus(List f, double c) {
  for (double& x : f) x += c;
  return f;
}
List minus(List a, const List& b) {
  for (size_t i = 0; i < a.size(); ++i) a[i] -= b[i];
  return a;
}
List times(List a, const List& b) {
  for (size_t i = 0; i < a.size(); ++i) a[i] *= b[i];
  return a;
}
double dot(const List& a, const List& b) {
  Sum sum;
  for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}
double norm(const List& a) { return std::sqrt(dot(a, a)); }

// A table over two words as a tree: the first word, and the second after each first.
struct TwoWords {
  Table first;
  std::array<Table, 2> second;  // after the, after a
  explicit TwoWords(const Table& t)
      : first(Table::of({t.p[0] + t.p[1], t.p[2] + t.p[3]})),
        second{Table::of({t.p[0] / first.p[0], t.p[1] / first.p[0]}),
               Table::of({t.p[2] / first.p[1], t.p[3] / first.p[1]})} {}
};

void world(WorkedNumbers& out, const FourSentences& w) {
  out.add("world.q", w.q.p);
  out.add("world.pi", w.pi.p);
  out.add("world.p", w.p.p);
  out.add("world.r", w.r);
}

void divergences(WorkedNumbers& out, const FourSentences& w) {
  const Named pi{"pi", w.pi}, q{"q", w.q}, p{"p", w.p};
  for (const Named& a : {pi, q, p}) {
    const double h = entropy(a.table);
    out.add(text("entropy.", a.name), h);
    out.add(text("entropy_bits.", a.name), h / kLog2);
    out.add(text("perplexity.", a.name), std::exp(h));
  }
  for (const auto& [a, b] : {std::pair{pi, q}, {q, pi}, {pi, p}, {p, pi}, {q, p}, {p, q}}) {
    const std::string pair = text(a.name, ".", b.name);
    const double d = kl(a.table, b.table);
    out.add("kl." + pair, d);
    out.add("kl_bits." + pair, d / kLog2);
    out.add("kl_base10." + pair, d / std::log(10.0));
    out.add("cross_entropy." + pair, cross_entropy(a.table, b.table));
    out.add("chi2." + pair, chi2(a.table, b.table));
  }
  for (const auto& [a, b] : {std::pair{pi, q}, {pi, p}, {q, p}}) {
    const std::string pair = text(a.name, ".", b.name);
    const double js = jensen_shannon(a.table, b.table);
    out.add("tv." + pair, total_variation(a.table, b.table));
    out.add("js." + pair, js);
    out.add("js_bits." + pair, js / kLog2);
    out.add("js_unhalved." + pair, 2 * js);
    out.add("hellinger2." + pair, hellinger2(a.table, b.table));
  }
  out.add("jeffreys.pi.q", kl(w.pi, w.q) + kl(w.q, w.pi));
  const List u = log_ratios(w.pi, w.q);
  out.add("log_ratios.pi.q", u);
  out.add("terms.pi.q", times(u, w.pi.p));
}

void chain_rule(WorkedNumbers& out, const FourSentences& w) {
  const TwoWords pi(w.pi), q(w.q);
  for (const Named& a : {Named{"pi", w.pi}, Named{"q", w.q}, Named{"p", w.p}}) {
    const TwoWords t(a.table);
    out.add(text("words.", a.name), {t.first.p[0], a.table.p[0] + a.table.p[2], t.second[0].p[0], t.second[1].p[0]});
  }
  const double first = kl(pi.first, q.first), the = kl(pi.second[0], q.second[0]), a = kl(pi.second[1], q.second[1]);
  out.add("chain.word1", first);
  out.add("chain.word2_after_the", the);
  out.add("chain.word2_after_a", a);
  out.add("chain.sum", first + pi.first.p[0] * the + pi.first.p[1] * a);
  const double cat = w.q.p[0] + w.q.p[2], t = q.first.p[0];
  const Table product = Table::of({t * cat, t * (1 - cat), (1 - t) * cat, (1 - t) * (1 - cat)});
  out.add("words.product", product.p);
  out.add("mutual_information.q", kl(w.q, product));
  out.add("mutual_information.pi", kl(w.pi, product));
}

void gradients(WorkedNumbers& out, const FourSentences& w) {
  const List lq = log_ratios(w.pi, w.q), lp = log_ratios(w.pi, w.p);
  const List gq = score_gradient(w.pi, lq), gp = score_gradient(w.pi, lp), bias = minus(gp, gq);
  out.add("gradient.kl.pi.q", gq);
  out.add("gradient.kl.pi.p", gp);
  out.add("gradient.bias", bias);
  out.add("gradient.norms", {norm(gq), norm(gp), norm(bias)});
  out.add("gradient.cosine", dot(gq, gp) / (norm(gq) * norm(gp)));
  out.add("gradient.kl.q.pi", f_gradient(divergence_named("forward-kl"), w.pi, w.q));
  out.add("gradient.reward", score_gradient(w.pi, w.r));
  out.add("gradient.entropy", entropy_gradient(w.pi));
  for (double beta : kCoefs) out.add(text("gradient.objective.", beta), objective_gradient(w.pi, w.q, w.r, beta));
  out.add("log_ratios.pi.p", lp);
  out.add("terms.pi.p", times(lp, w.pi.p));
}

void constant(WorkedNumbers& out, const FourSentences& w) {
  out.add("score_norms", squared_score_norms(w.pi));
  out.add("score_norm_mean", w.pi.mean(squared_score_norms(w.pi)));
  for (const Named& b : {Named{"p", w.p}, Named{"q", w.q}}) {
    const std::string name = b.name;
    const List l = log_ratios(w.pi, b.table), cs = best_constants(w.pi, l);
    const auto variance = [&](double c) { return score_moments(w.pi, w.pi, plus(l, c)).total_variance(); };
    out.add("constant.best." + name, best_constant(w.pi, l));
    out.add("constant.each." + name, cs);
    out.add("constant.variance_0." + name, variance(0));
    out.add("constant.variance_1." + name, variance(1));
    out.add("constant.variance_minus_kl." + name, variance(-kl(w.pi, b.table)));
    out.add("constant.variance_best." + name, variance(best_constant(w.pi, l)));
    Sum each;
    for (size_t j = 0; j < cs.size(); ++j) each += score_moments(w.pi, w.pi, plus(l, cs[j])).variance[j];
    out.add("constant.variance_each." + name, each);
  }
  const double best = -best_constant(w.pi, w.r), mean = w.pi.mean(w.r);
  out.add("baseline.best", best);
  const auto variance = [&](double b) { return score_moments(w.pi, w.pi, plus(w.r, -b)).total_variance(); };
  out.add("baseline.variance_0", variance(0));
  out.add("baseline.variance_mean", variance(mean));
  out.add("baseline.variance_best", variance(best));
}

// E[Σ w f / Σ w] over all multisets of n draws from `sampler`.
double mean_self_normalised(const Table& sampler, const List& w, const List& f, int n) {
  Sum mean;
  List weights, values;
  const auto draw = [&](auto&& self, size_t outcome, int left, double log_probability) -> void {
    if (outcome + 1 == sampler.size() || left == 0) {
      for (int k = 0; k < left; ++k) weights.push_back(w[outcome]), values.push_back(f[outcome]);
      log_probability += left * sampler.log_p[outcome] - std::lgamma(left + 1.0);
      mean += std::exp(log_probability) * self_normalised_mean(weights, values);
      weights.resize(weights.size() - size_t(left)), values.resize(weights.size());
      return;
    }
    for (int k = 0; k <= left; ++k) {
      self(self, outcome + 1, left - k, log_probability + k * sampler.log_p[outcome] - std::lgamma(k + 1.0));
      weights.push_back(w[outcome]), values.push_back(f[outcome]);
    }
    weights.resize(weights.size() - size_t(left) - 1), values.resize(weights.size());
  };
  draw(draw, 0, n, std::lgamma(n + 1.0));
  return mean;
}

void importance(WorkedNumbers& out, const FourSentences& w) {
  List weights = log_ratios(w.pi, w.p);
  for (double& x : weights) x = std::exp(x);
  const double mean_square = w.p.mean(times(weights, weights));
  out.add("importance.weights", weights);
  out.add("importance.mean_weight", w.p.mean(weights));
  out.add("importance.mean_square", mean_square);
  out.add("importance.ess_fraction", 1 / mean_square);
  const auto moments = [&](double c) {  // x ~ p, g = (π/p) s (log(π/q) + c)
    return score_moments(w.pi, w.p, times(plus(log_ratios(w.pi, w.q), c), weights));
  };
  const Moments plain = moments(0), shifted = moments(-kl(w.pi, w.q));
  out.add("importance.gradient_0", plain.mean);
  out.add("importance.variance_0", plain.total_variance());
  out.add("importance.gradient_minus_kl", shifted.mean);
  out.add("importance.variance_minus_kl", shifted.total_variance());
  for (int n : {1, 2, 4, 8, 16, 32})
    out.add(text("importance.self_normalised.", n), mean_self_normalised(w.p, weights, w.r, n));
}

void posteriors(WorkedNumbers& out, const FourSentences& w) {
  for (double beta : kCoefs) {
    const Posterior best = posterior(w.q, w.r, beta);
    const auto add = [&](const char* name, const List& values) {
      out.add(text("posterior.", name, ".", beta), values);
    };
    add("z", {std::exp(best.log_z)});
    add("log_z", {best.log_z});
    add("j_star", {best.j_star});
    add("j_of_posterior", {objective(best.table, w.q, w.r, beta)});
    add("table", best.table.p);
    add("reward", {best.table.mean(w.r)});
    add("kl_to_prior", {kl(best.table, w.q)});
    add("entropy", {entropy(best.table)});
    add("j_of_pi", {objective(w.pi, w.q, w.r, beta)});
    add("kl_of_pi", {kl(w.pi, best.table)});
    add("gap_of_pi", {best.j_star - objective(w.pi, w.q, w.r, beta)});
    add("j_of_prior", {objective(w.q, w.q, w.r, beta)});
    add("kl_to_pi", {kl(best.table, w.pi)});
    add("kl_of_prior", {kl(w.q, best.table)});
  }
  // β → 0. At β = 1e-3 the sentences without a cat have e^-1000 of their probability left.
  const Table limit = posterior(w.q, w.r, 1e-3).table;
  out.add("posterior.limit", limit.p);
  out.add("posterior.limit_kl", kl(limit, w.q));
  for (double target : {0.02, 0.05, 0.1, 0.2}) {
    const double beta = kl_coef_for(w.q, w.r, target);
    out.add(text("kl_target.", target), {beta, posterior(w.q, w.r, beta).table.mean(w.r)});
  }
  const Table uniform = Table::of({0.25, 0.25, 0.25, 0.25});  // E[r] + αH(π) = E[r] − α KL(π‖uniform) + α log 4
  out.add("entropy_bonus.table", posterior(uniform, w.r, 0.5).table.p);
  out.add("entropy_bonus.j_star", posterior(uniform, w.r, 0.5).j_star + 0.5 * std::log(4.0));
}

void moments(WorkedNumbers& out, const FourSentences& w) {
  for (double mu : {0.5, 0.7, 0.9}) {
    const MomentFit fit = fit_moments(w.q, {w.r}, List{mu});
    const auto add = [&](const char* name, const List& values) { out.add(text("moments.", name, ".", mu), values); };
    add("lambda", fit.lambda);
    add("z", {std::exp(fit.log_z)});
    add("log_z", {fit.log_z});
    add("table", fit.table.p);
    add("mean", {fit.table.mean(w.r)});
    add("kl", {kl(fit.table, w.q)});
    add("dual", {fit.lambda[0] * mu - fit.log_z});
    add("beta", {1 / fit.lambda[0]});
  }
  const List the{1, 1, 0, 0};
  const MomentFit half = fit_moments(w.q, {w.r, the}, List{0.5, 0.5}),
                  far = fit_moments(w.q, {w.r, the}, List{0.9, 0.3});
  out.add("moments.two.lambda", half.lambda);
  out.add("moments.two.z", std::exp(half.log_z));
  out.add("moments.two.table", half.table.p);
  out.add("moments.two.kl", kl(half.table, w.q));
  out.add("moments.two.odds", half.table.p[0] * half.table.p[3] / (half.table.p[1] * half.table.p[2]));
  out.add("moments.far.lambda", far.lambda);
  out.add("moments.far.table", far.table.p);
  out.add("moments.far.kl", kl(far.table, w.q));
  // A pointwise constraint first: only sentences with "the".
  const Table only_the = Table::of({w.q.p[0] / 0.7, w.q.p[1] / 0.7, 0, 0});
  const MomentFit hybrid = fit_moments(only_the, {w.r}, List{0.5});
  out.add("moments.hybrid.lambda", hybrid.lambda);
  out.add("moments.hybrid.table", hybrid.table.p);
  out.add("moments.hybrid.kl", kl(hybrid.table, w.q));
  out.add("moments.pointwise.table", only_the.p);
  out.add("moments.pointwise.kl", kl(only_the, w.q));
  // DPG towards the target of mean 0.9: one sample x ~ q, g = −(P/q − B) s with P = Z p*.
  const MomentFit fit = fit_moments(w.q, {w.r}, List{0.9});
  List plain = log_ratios(fit.table, w.q), with, on_policy = log_ratios(fit.table, w.pi);
  const double z = std::exp(fit.log_z);
  for (size_t i = 0; i < plain.size(); ++i) {
    plain[i] = -z * std::exp(plain[i]);
    with.push_back(plain[i] + z * w.pi.p[i] / w.q.p[i]);
    on_policy[i] = -z * std::exp(on_policy[i]);
  }
  const Moments without_baseline = score_moments(w.pi, w.q, plain), with_baseline = score_moments(w.pi, w.q, with);
  out.add("dpg.mean", without_baseline.mean);
  out.add("dpg.mean_baseline", with_baseline.mean);
  out.add("dpg.variance", without_baseline.total_variance());
  out.add("dpg.variance_baseline", with_baseline.total_variance());
  out.add("dpg.on_policy_variance", score_moments(w.pi, w.pi, on_policy).total_variance());
  out.add("dpg.on_policy_variance_baseline", score_moments(w.pi, w.pi, plus(on_policy, z)).total_variance());
}

void f_divergences(WorkedNumbers& out, const FourSentences& w) {
  const struct {
    const char* key;
    const char* name;
    double scale;
  } rows[] = {{"forward_kl", "forward-kl", 1}, {"reverse_kl", "reverse-kl", 1}, {"tv", "tv", 1},
              {"js_unhalved", "js", 2},        {"forward_chi2", "chi2", 1},     {"reverse_chi2", "chi2-reverse", 1},
              {"hellinger2", "hellinger", 1}};
  const auto scaled = [](List x, double by) {
    for (double& value : x) value *= by;
    return x;
  };
  const Table best = posterior(w.q, w.r, 1).table;
  for (const Named& target : {Named{"q", w.q}, Named{"posterior", best}})
    for (const auto& [key, name, scale] : rows) {
      const Divergence& f = divergence_named(name);
      List slopes = log_ratios(w.pi, target.table);
      for (double& u : slopes) u = f.slope(u);
      const std::string of = text(key, ".", target.name);
      out.add("f.value." + of, scale * f_divergence(f, w.pi, target.table));
      out.add("f.reward." + of, scaled(slopes, -scale));
      out.add("f.gradient." + of, scaled(f_gradient(f, w.pi, target.table), scale));
    }
}

void kl_estimates(WorkedNumbers& out, const FourSentences& w) {
  const List u = log_ratios(w.pi, w.q);
  const double truth = kl(w.pi, w.q);
  for (KlEstimate k : {KlEstimate::k1, KlEstimate::k2, KlEstimate::k3}) {
    const std::string name = text("k", int(k) + 1, ".");
    List value, slope;
    for (double x : u) value.push_back(kl_estimate(k, x)), slope.push_back(kl_estimate_slope(k, x));
    const double mean = w.pi.mean(value);
    const List deviation = plus(value, -mean);
    const double variance = w.pi.mean(times(deviation, deviation));
    out.add(name + "values", value);
    out.add(name + "mean", mean);
    out.add(name + "bias", mean - truth);
    out.add(name + "variance", variance);
    out.add(name + "relative", std::sqrt(variance) / truth);
    out.add(name + "loss_gradient", score_gradient(w.pi, slope));
    out.add(name + "reward_gradient", score_gradient(w.pi, value));
  }
  // N(0,1) against N(μ,1), where u = μ²/2 − μ x is normal with mean μ²/2 and variance μ².
  for (double mu : {0.1, 1.0}) {
    const double m2 = mu * mu, d = m2 / 2;
    out.add(text("gaussian.", mu), {d, mu / d, m2 * m2 / 8 / d, std::sqrt(m2 * m2 / 2 + m2 * m2 * m2 / 4) / d,
                                    std::sqrt(std::expm1(m2) - m2) / d});
  }
}

void groups(WorkedNumbers& out, const FourSentences& w) {
  // The mean of ½ Σ A_i s(x_i) over the 16 ordered pairs of samples.
  const auto pairs = [&](auto&& advantages) {
    List g(4);
    for (size_t a = 0; a < 4; ++a)
      for (size_t b = 0; b < 4; ++b) {
        const List A = advantages(List{w.r[a], w.r[b]});
        for (size_t j = 0; j < 4; ++j)
          g[j] += w.pi.p[a] * w.pi.p[b] / 2 * (A[0] * ((j == a) - w.pi.p[j]) + A[1] * ((j == b) - w.pi.p[j]));
      }
    return g;
  };
  out.add("group.leave_one_out", pairs([](const List& r) { return leave_one_out_advantages(r); }));
  out.add("group.mean_with_itself", pairs([](const List& r) { return plus(r, -(r[0] + r[1]) / 2); }));
  out.add("group.normalised", pairs([](const List& r) { return normalised_advantages(r); }));
  const List three_of_eight{1, 1, 1, 0, 0, 0, 0, 0};
  const List n = normalised_advantages(three_of_eight), l = leave_one_out_advantages(three_of_eight);
  out.add("group.three_of_eight.normalised", {n[0], n[7]});
  out.add("group.three_of_eight.leave_one_out", {l[0], l[7]});
}

// The population loss of DPO: pairs from q × q, labelled by σ(r_i − r_j), −log σ(β [u_i − u_j]) with u = log(w/q).
double dpo_loss(const FourSentences& w, const Table& policy, double beta) {
  const List u = log_ratios(policy, w.q);
  Sum loss;
  for (size_t i = 0; i < 4; ++i)
    for (size_t j = 0; j < 4; ++j)
      loss += 2 * w.q.p[i] * w.q.p[j] / (1 + std::exp(w.r[j] - w.r[i])) * std::log1p(std::exp(-beta * (u[i] - u[j])));
  return loss;
}

void closed_forms(WorkedNumbers& out, const FourSentences& w) {
  for (const auto& [name, measured] : {std::pair{"12", 12.0}, {"6.3", 6.3}, {"0", 0.0}})
    out.add(text("controller.", name), next_kl_coef(0.2, measured, 6, 256, 10000));
  const List values{0.5, 0.6, 0.7};
  List advantages = generalised_advantages(List{0, 0, 1}, values, 0.99, 0.95);
  out.add("advantages.generalised", advantages);
  for (size_t t = 0; t < 3; ++t) advantages[t] += values[t];
  out.add("advantages.returns", advantages);
  for (double beta : {0.5, 1.0}) {
    out.add(text("dpo.q.", beta), dpo_loss(w, w.q, beta));
    out.add(text("dpo.posterior.", beta), dpo_loss(w, posterior(w.q, w.r, beta).table, beta));
    out.add(text("dpo.pi.", beta), dpo_loss(w, w.pi, beta));
  }
}

void maximum_likelihood(WorkedNumbers& out, const FourSentences& w) {
  const double h = entropy(w.q);
  out.add("mle.sentence", h);
  out.add("mle.word", h / 2);
  out.add("mle.token", h / 3);
  out.add("mle.word_perplexity", std::exp(h / 2));
  out.add("mle.under_pi", cross_entropy(w.q, w.pi));
  out.add("mle.auxiliary", entropy(w.p));
  out.add("mle.log_likelihood", -10 * h);
  // The posterior of a Dirichlet(1) prior after ten sentences with the counts 4, 3, 2, 1.
  List mean, variance;
  double log_evidence = std::lgamma(4.0) - std::lgamma(14.0);
  for (double count : {4, 3, 2, 1}) {
    const double m = (count + 1) / 14;
    mean.push_back(m);
    variance.push_back(m * (1 - m) / 15);
    log_evidence += std::lgamma(count + 1);
  }
  out.add("dirichlet.mean", mean);
  out.add("dirichlet.variance", variance);
  out.add("dirichlet.log_evidence", log_evidence);
}

void tokens(WorkedNumbers& out, const FourSentences& w) {
  const TwoWords pi(w.pi), q(w.q);
  // One logit for each word: P(prefix) times the first entry of E_π(·|prefix)[s f], f what follows each word.
  const auto gradient = [&](const List& first, const List& the, const List& a) {
    return List{score_gradient(pi.first, first)[0], pi.first.p[0] * score_gradient(pi.second[0], the)[0],
                pi.first.p[1] * score_gradient(pi.second[1], a)[0]};
  };
  const List cat{1, 0}, after{pi.second[0].mean(cat), pi.second[1].mean(cat)};
  out.add("tokens.gradient.reward", gradient(after, cat, cat));
  const List u = log_ratios(pi.first, q.first), the = log_ratios(pi.second[0], q.second[0]),
             a = log_ratios(pi.second[1], q.second[1]);
  out.add("tokens.gradient.kl",
          gradient({u[0] + kl(pi.second[0], q.second[0]), u[1] + kl(pi.second[1], q.second[1])}, the, a));
  out.add("tokens.gradient.kl_without_future", gradient(u, the, a));
  out.add("tokens.values", {pi.first.mean(after), after[0], after[1]});
  for (double beta : kCoefs) {  // soft Bellman: from the last word to the first
    const Posterior d = posterior(q.second[0], cat, beta), e = posterior(q.second[1], cat, beta);
    const Posterior root = posterior(q.first, List{d.j_star, e.j_star}, beta);
    out.add(text("tokens.soft_values.", beta), {d.j_star, e.j_star, root.j_star});
    out.add(text("tokens.soft_policy.", beta), {root.table.p[0], d.table.p[0], e.table.p[0]});
  }
}

void ascents(WorkedNumbers& out, const FourSentences& w) {
  for (double beta : {0.0, 0.1, 0.5, 1.0, 2.0}) {
    const std::vector<Table> path = ascend(w.q, w.r, beta, 1, kAscentSteps);
    for (size_t k = 0; k < path.size(); ++k) {
      const Table& pi = path[k];
      const double rest = beta == 0 ? -std::log(pi.mean(w.r)) : kl(pi, posterior(w.q, w.r, beta).table);
      out.add(text("ascent.", beta, ".", kAscentSteps[k]), {pi.mean(w.r), entropy(pi), kl(pi, w.q), rest});
    }
  }
  const List unequal{1, 0.5, 0.2, 0};
  const int steps[] = {0, 10, 100, 1000, 2000};
  const std::vector<Table> path = ascend(w.q, unequal, 0, 1, steps);
  for (size_t k = 0; k < path.size(); ++k)
    out.add(text("collapse.", steps[k]), {path[k].mean(unequal), entropy(path[k]), kl(path[k], w.q), path[k].p[0]});
}

void listings(WorkedNumbers& out, const FourSentences& w) {
  out.add("softmax_twice.pi", Table::of_logits(w.pi.p).p);
  for (int n : {4, 100}) {  // the most that a softmax of probabilities can give: one of them is 1
    List certain(static_cast<size_t>(n), 0.0);
    certain[0] = 1;
    out.add(text("softmax_twice.most.", n), Table::of_logits(certain).p[0]);
  }
  // Hits on a target of three tokens; the listing pays the share so far at every step.
  for (const List& hits : {List{1, 0, 0}, {0, 0, 1}, {1, 0, 1}, {1, 1, 1}}) {
    double so_far = 0, listing = 0;
    for (double hit : hits) so_far += hit / 3, listing += so_far;
    out.add(text("similarity.", hits[0], hits[1], hits[2]), {listing, so_far});
  }
}

}  // namespace

const std::vector<double>& WorkedNumbers::operator[](const std::string& name) const {
  for (const Entry& entry : entries_)
    if (entry.name == name) return entry.values;
  throw ShapeError("no worked number is called " + name);
}

WorkedNumbers worked_numbers() {
  const FourSentences w;
  WorkedNumbers out;
  for (auto* section :
       {world, divergences, chain_rule, gradients, constant, importance, posteriors, moments, f_divergences,
        kl_estimates, groups, closed_forms, maximum_likelihood, tokens, ascents, listings})
    section(out, w);
  return out;
}

}  // namespace gradus
