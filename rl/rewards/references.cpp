// The rewards that compare a text with the references of its prompt: bleu, rouge-l, exact-match. Tokens are compared.
#include <algorithm>

#include "rl/rewards/overlap.h"
#include "rl/rewards/terms.h"

namespace gradus::reward {

static Scorer compared(double (*f)(Tokens text, References references)) {
  return [f](std::span<const Generated> sequences, std::span<double> scores) {
    std::ranges::transform(sequences, scores.begin(), [&](const Generated& g) { return f(g.tokens, g.references); });
  };
}

Scorer bleu(const std::string&, const Tokenizer&) {
  return compared([](Tokens text, References references) {
    Bleu of_text;
    of_text.add(text, references);
    return of_text.smoothed();
  });
}
// The BLEU of a corpus, as it is printed of systems that translate.
double bleu_of_all(std::span<const Generated> sequences) {
  Bleu all;
  for (const Generated& g : sequences) all.add(g.tokens, g.references);
  return all.score();
}
Scorer rouge_l(const std::string&, const Tokenizer&) { return compared(gradus::rouge_l); }
Scorer exact_match(const std::string&, const Tokenizer&) { return compared(gradus::exact_match); }

}  // namespace gradus::reward
