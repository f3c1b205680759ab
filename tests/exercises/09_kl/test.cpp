// Exercise 9: the exact KL of two language models, token by token.
#include "tests/exercises/09_kl/exercise.h"

#include <limits>

#include "tests/exercises/lesson.h"

TEST_SUITE_BEGIN("exercise 9");

namespace gradus::lesson {

// "the cat", "the dog", "a cat", "a dog", as one token each.
static const Numbers kPi{0.5, 0.2, 0.1, 0.2}, kQ{0.4, 0.3, 0.2, 0.1};
static Model one_token(const Numbers& table) {
  return [=](const Tokens&) { return table; };
}
// The same four sentences as two tokens: the or a, then cat or dog.
static Model two_tokens(const Numbers& t) {
  return [=](const Tokens& prefix) -> Numbers {
    if (prefix.empty()) return {t[0] + t[1], t[2] + t[3]};
    const size_t first = size_t(prefix[0]) * 2;
    return {t[first] / (t[first] + t[first + 1]), t[first + 1] / (t[first] + t[first + 1])};
  };
}

TEST_CASE("four sentences, each one token: KL(π‖q)") {
  const Model pi = one_token(kPi), q = one_token(kQ);
  expect("KL(π‖q)", sequence_kl(pi, q, {}, 1), 0.0997934720914665,
         "one token is left: what does the definition say of four sequences? (The logarithm is the natural one.)");
  expect("KL(q‖π)", sequence_kl(q, pi, {}, 1), 0.101696829962760,
         "KL is not symmetric: which of the two models does the averaging?");
  expect("KL(π‖π)", sequence_kl(pi, pi, {}, 1), 0, "how far is a model from itself?");
}

TEST_CASE("the same sentences as two tokens") {
  const Model pi = two_tokens(kPi), q = two_tokens(kQ);
  expect("KL after \"the\"", sequence_kl(pi, q, {0}, 1), 0.0435410771935314,
         "after which tokens are both models asked for the next one?");
  expect("KL after \"a\"", sequence_kl(pi, q, {1}, 1), 0.231049060186648,
         "after which tokens are both models asked for the next one?");
  expect("KL of the first word", sequence_kl(pi, q, {}, 1), 0,
         "both say \"the\" with probability 0.7: how far apart are they?");
  expect("KL(π‖q) of two words", sequence_kl(pi, q, {}, 2), 0.0997934720914665,
         "after the first word another KL is left, that of the second: how much does each first word count?");
  expect("KL(q‖π) of two words", sequence_kl(q, pi, {}, 2), 0.101696829962760,
         "which model decides how often a prefix occurs?");
}

TEST_CASE("no token left") {
  expect("KL", sequence_kl(one_token(kPi), one_token(kQ), {}, 0), 0,
         "there is one sequence, the empty one: what is its probability under both models?");
}

TEST_CASE("zeros") {
  const double infinite = std::numeric_limits<double>::infinity();
  const Model sure = one_token({1, 0}), even = one_token({0.5, 0.5});
  expect("KL((1,0)‖(½,½))", sequence_kl(sure, even, {}, 1), std::log(2.0),
         "0·log 0 is 0 by definition: what does the computer say, and which tokens need no computing?");
  expect("KL((½,½)‖(1,0))", sequence_kl(even, sure, {}, 1), infinite, "p says what q excludes: how surprised is q?");
  // After token 1, which p never says, q is sure of what p would not say.
  const Model p = [](const Tokens& prefix) -> Numbers { return prefix.empty() ? Numbers{1, 0} : Numbers{0.5, 0.5}; };
  const Model q = [](const Tokens& prefix) -> Numbers {
    return prefix.empty() || prefix[0] == 0 ? Numbers{0.5, 0.5} : Numbers{1, 0};
  };
  expect("KL where p never goes", sequence_kl(p, q, {}, 2), std::log(2.0),
         "what is 0 · ∞ for the computer, and why would one go where p never goes?");
}

// Models that look at all of the prefix, against the definition: all 3^5 sequences.
TEST_CASE("five tokens of three, against the sum over all 243 sequences") {
  const auto model = [](double seed) -> Model {
    return [=](const Tokens& prefix) {
      double z = seed;
      for (const int t : prefix) z = 1.7 * z + t + 1;
      Numbers next(3);
      double sum = 0;
      for (size_t w = 0; w < 3; ++w) sum += next[w] = std::exp(std::sin(z + 2.0 * double(w)));
      for (double& x : next) x /= sum;
      return next;
    };
  };
  const Model p = model(0.3), q = model(0.8);
  double wanted = 0;
  for (int n = 0; n < 243; ++n) {
    Tokens prefix;
    double probability = 1, log_ratio = 0;
    for (int t = 0, rest = n; t < 5; ++t, rest /= 3) {
      const size_t w = size_t(rest % 3);
      probability *= p(prefix)[w];
      log_ratio += std::log(p(prefix)[w] / q(prefix)[w]);
      prefix.push_back(int(w));
    }
    wanted += probability * log_ratio;
  }
  expect("KL(p‖q)", sequence_kl(p, q, {}, 5), wanted,
         "does each call hand both models the whole prefix, the new token included?");
}

}  // namespace gradus::lesson
