// J* and π* without enumeration, for worlds of any size whose prior is a bigram model and whose reward adds up over the
// tokens. The soft Bellman recursion over (draws so far, last token):
//   V_T(a) = 0,   V_t(a) = β log Σ_b q(b|a) e^{(r(b) + V_{t+1}(b)) / β},   V_{t+1}(end) = 0,   J* = V_0(start)
//   π*(b | t, a) = q(b|a) e^{(r(b) + V_{t+1}(b) − V_t(a)) / β}
// The work is max_tokens · V².
#pragma once

#include "models/language_model.h"
#include "rl/sequences.h"

namespace gradus {

// log q(b|a), [V,V], row a, of a model whose next token depends on the last one alone. DataError if it does not: every
// pair of tokens is tried, and a difference of more than 1e-6 in a probability is one.
std::vector<double> bigram_table(const LanguageModel& model, double temperature = 1);

struct SoftValues {
  int64_t max_tokens, vocabulary;
  std::vector<double> value;  // V_t(a), [max_tokens + 1, V]
  double j_star;              // V_0 of the prompt's last token
  double at(int64_t t, int32_t a) const { return value[size_t(t * vocabulary + a)]; }
};

// reward [V]: what each draw adds, the end mark too. log_q [V,V]; β > 0.
SoftValues soft_values(std::span<const double> log_q, std::span<const double> reward, const World& world,
                       double kl_coef);
// log π*(b | t, a) for a prefix of t draws that ends with a.
double log_optimal(const SoftValues& values, std::span<const double> log_q, std::span<const double> reward,
                   const World& world, double kl_coef, int64_t t, int32_t a, int32_t b);

// J(π) = E_π[r] − β KL(π‖q) of a bigram policy by the same walk, without the softmax:
//   V_t(a) = Σ_b π(b|a) (r(b) − β log π(b|a)/q(b|a) + V_{t+1}(b)).
double bigram_objective(std::span<const double> log_pi, std::span<const double> log_q, std::span<const double> reward,
                        const World& world, double kl_coef);

}  // namespace gradus
