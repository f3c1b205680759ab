// Exercise 9: the exact KL of two language models, token by token.
//
// KL(p‖q) = Σ p(x) log(p(x)/q(x)) over all sequences x that continue `prefix` with `more` tokens; p(prefix) is a vector
// with the probability of each next token. 0·log 0 is 0. Where p > 0 and q = 0 the answer is infinite.
// No list of all sequences is needed: take one token off, and the function can call itself for the rest.
#include <cmath>

#include "tests/exercises/09_kl/exercise.h"

namespace gradus::lesson {

double sequence_kl(const Model& p, const Model& q, const Tokens& prefix, int more) {
  // Write here.
  return 0;
}

}  // namespace gradus::lesson
