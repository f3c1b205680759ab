// Divergences between tables of probabilities, in double and in nats: values, and gradients with respect to logits.
//
// Conventions for zeros, in values and in gradients: 0·log 0 = 0; P > 0 where Q = 0 makes KL(P‖Q) and χ²(P‖Q)
// infinite; nothing here is ever NaN.
#pragma once

#include <cmath>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/error.h"

namespace gradus {

constexpr double kLog2 = 0.693147180559945309417;  // nats in a bit

// A sum with Neumaier's compensation: as good as one in twice the digits, rounded once. Infinities pass through.
class Sum {
 public:
  Sum& operator+=(double x);
  operator double() const { return std::isfinite(sum_) ? sum_ + lost_ : sum_; }

 private:
  double sum_ = 0, lost_ = 0;
};

// Probabilities of N outcomes, with their logarithms: log_p keeps what p loses below 1e-308. The numbers are taken as
// they are, never rescaled; two tables are compared outcome by outcome.
struct Table {
  std::vector<double> p, log_p;

  // A probability that is negative, infinite or NaN throws ShapeError.
  static Table of(std::vector<double> probabilities, Loc where = Loc::here());
  // log(probability), -inf for 0.
  static Table of_logs(std::vector<double> log_probabilities, Loc where = Loc::here());
  // softmax(z).
  static Table of_logits(std::span<const double> z);

  size_t size() const { return p.size(); }
  // Σ p f.
  double mean(std::span<const double> f) const;
};

// log Σ exp x; -inf for no terms.
double log_sum_exp(std::span<const double> x);

// p log(p/q) − p + q: what one outcome adds to KL(p‖q) of tables that sum to 1. Unlike p log(p/q) alone it is never
// negative, and tiny where p and q are nearly equal, so that no sum of them falls below 0. Infinite for p > 0 = q.
double kl_term(double p, double log_p, double q, double log_q);

// No divergence is negative. The tables must sum to 1: KL adds what they lack of it, Σ q − Σ p.
double entropy(const Table& p);                          // −Σ p log p
double cross_entropy(const Table& p, const Table& q);    // −Σ p log q = H(p) + KL(p‖q)
double kl(const Table& p, const Table& q);               // Σ p log(p/q), as Σ kl_term
double chi2(const Table& p, const Table& q);             // Σ (p−q)²/q
double total_variation(const Table& p, const Table& q);  // ½ Σ |p−q|
double hellinger2(const Table& p, const Table& q);       // ½ Σ (√p−√q)², the squared Hellinger distance
// ½ KL(p‖m) + ½ KL(q‖m) with m = (p+q)/2: the halved form, at most log 2.
double jensen_shannon(const Table& p, const Table& q);

// log(p/q) for each outcome; 0 where both are 0.
std::vector<double> log_ratios(const Table& p, const Table& q);

// E_π[f s] with the score s_j(x) = [x = j] − π_j: the gradient, with respect to the logits of π = softmax(z), of
// Σ π f for a constant f (and of Σ F(π), where f = F'). What f is where π = 0 does not matter.
std::vector<double> score_gradient(const Table& pi, std::span<const double> f);
// ∇H(π) = −E_π[s log π].
std::vector<double> entropy_gradient(const Table& pi);

// One outcome in two tables.
struct Outcome {
  double p, log_p, t, log_t;
};

// An f-divergence D_f(π‖t) = Σ t f(π/t) of Go et al. 2023 (arXiv 2302.08215, table 1), f convex, f(1) = 0; a row of the
// table in divergence.cpp, or alpha:A.
struct Divergence {
  std::string name;
  const char* help;
  // t f(π/t) of one outcome, with its limits for zeros; never negative. For both KLs f has τ − 1 subtracted or added,
  // which is 0 in the sum.
  std::function<double(const Outcome&)> term;
  // f'(τ) from log τ: −f'(π/t) is the reward that f-DPG gives a sample. At log τ = +inf it is f'(∞), what an outcome
  // with t = 0 costs for each unit of π.
  std::function<double(double)> slope;
  // π f'(π/t) of one outcome, log τ given; null where it is π · slope, and 0 for π = 0.
  std::function<double(const Outcome&, double)> flow = nullptr;
};
std::span<const Divergence> divergences();    // those that take no argument
std::vector<std::string> divergence_names();  // of all, alpha:A the last
// The one of a name such as js or alpha:0.5. DataError, which lists the known names, for an unknown one.
Divergence divergence_named(std::string_view name);
bool is_divergence(const std::string& name);

double f_divergence(const Divergence& f, const Table& pi, const Table& t);
// ∇D_f(π‖t) = E_π[f'(π/t) s] with respect to the logits of π. Where D_f is infinite, entries may be infinite.
std::vector<double> f_gradient(const Divergence& f, const Table& pi, const Table& t);

// What `gradus kl` and `gradus exact compare` print.
struct Comparison {
  double kl_ab, kl_ba, js, tv, chi2_ab, chi2_ba, hellinger2, entropy_a, entropy_b, cross_entropy_ab;

  // f(name, value, is an amount of information) for each, in this order. Only amounts of information have a unit: in
  // bits they are value / kLog2.
  template <class F>
  void for_each(F&& f) const {
    f("kl_ab", kl_ab, true), f("kl_ba", kl_ba, true), f("js", js, true), f("tv", tv, false);
    f("chi2_ab", chi2_ab, false), f("chi2_ba", chi2_ba, false), f("hellinger2", hellinger2, false);
    f("entropy_a", entropy_a, true), f("entropy_b", entropy_b, true), f("cross_entropy_ab", cross_entropy_ab, true);
  }
};
Comparison compare(const Table& a, const Table& b);

}  // namespace gradus
