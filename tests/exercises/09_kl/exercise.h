// The divergence of two language models.
#pragma once

#include <functional>
#include <vector>

namespace gradus::lesson {

// What a language model is: the probabilities of the next token after these, one for each token of the vocabulary.
using Tokens = std::vector<int>;
using Model = std::function<std::vector<double>(const Tokens& prefix)>;

// KL(p‖q) = Σ p(x) log(p(x)/q(x)) over all sequences x that continue `prefix` with `more` tokens, in nats.
double sequence_kl(const Model& p, const Model& q, const Tokens& prefix, int more);

}  // namespace gradus::lesson
