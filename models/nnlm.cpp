// Feed-forward language model (Bengio, Ducharme, Vincent and Jauvin, "A neural probabilistic language model", JMLR 3,
// 2003). The embeddings of the last n = order − 1 tokens side by side are x; the logits of the next token are
//   y = b + W x + U tanh(d + H x),
// W the paper's direct connections. A place before the first token has an embedding of its own.
#include <cmath>

#include "models/family.h"
#include "models/language_model.h"

namespace gradus {

class Nnlm : public LanguageModel {
 public:
  Nnlm(const ModelOptions& options, int64_t V) : LanguageModel(options, V) {
    const int64_t inputs = seen() * options.embd, hidden = options.hidden;
    const auto uniform = [](int64_t n) { return Init::uniform(1 / std::sqrt(double(n))); };
    embedding_ = params_.add("embedding.weight", {V + 1, options.embd}, Init::normal(1));
    hidden_w_ = params_.add("hidden.weight", {hidden, inputs}, uniform(inputs), kOneMap);
    hidden_b_ = params_.add("hidden.bias", {hidden}, uniform(inputs));
    head_w_ = params_.add("head.weight", {V, inputs + hidden}, uniform(inputs + hidden));
    head_b_ = params_.add("head.bias", {V}, uniform(inputs + hidden));
  }

  // A feature is what y is linear in: x and tanh(d + H x) side by side.
  int64_t width() const override { return seen() * options().embd + options().hidden; }
  Tensor head(const Tensor& features) const override {
    return named("logits", add_rows(matmul_nt(features, head_w_), head_b_));
  }
  Tensor token_vectors() const override { return embedding_; }
  // A row of the state holds the last n tokens.
  State start(int64_t B) const override { return State(B, 0, seen(), nothing()); }

 private:
  int64_t seen() const { return options().order - 1; }       // n
  int32_t nothing() const { return int32_t(vocabulary()); }  // id of a place before the first token

  Tensor encode(std::span<const int32_t> tokens, int64_t B, int64_t T) const override {
    const int64_t n = seen();
    int32_t* histories = Tape::current(Loc::here()).arena().array<int32_t>(B * T * n);
    for (int64_t i = 0; i < B * T; ++i)
      for (int64_t k = 0; k < n; ++k) {  // the oldest first
        const int64_t back = n - 1 - k;
        histories[i * n + k] = back <= i % T ? tokens[size_t(i - back)] : nothing();
      }
    return features_of({histories, size_t(B * T * n)}, B * T);
  }

  Tensor advance(State& state, std::span<const int32_t> tokens) const override {
    for (int64_t r = 0; r < state.rows; ++r) state.push(r, tokens[size_t(r)]);
    return head(features_of(state.tokens, state.rows));
  }

  // [N,n] → [N,C]
  Tensor features_of(std::span<const int32_t> histories, int64_t N) const {
    const Tensor x = embedding(embedding_, histories).reshape({N, seen() * options().embd});
    const Tensor hidden = tanh(add_rows(matmul_nt(x, hidden_w_), hidden_b_));
    const Tensor parts[] = {x, dropout(hidden, options().dropout)};
    return concat(parts);
  }

  Tensor embedding_, hidden_w_, hidden_b_;  // [V+1,E], H [hidden,nE], d [hidden]
  Tensor head_w_, head_b_;                  // [W U] [V,C], b [V]
};

Family nnlm_family() {
  return {.name = "nnlm",
          .title = "a feed-forward network",
          .options = {"embd", "hidden", "dropout", "order"},
          .layers = 1,
          .check =
              [](const ModelOptions& options) {
                if (options.order < 2)
                  throw DataError(text("order ", options.order,
                                       ": an nnlm predicts from the order - 1 tokens before; it must be at least 2"));
              },
          .declare = declare_stepped<Nnlm>};
}

}  // namespace gradus
