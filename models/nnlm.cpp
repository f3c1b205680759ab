#include "models/nnlm.h"

#include <cmath>

namespace gradus {

void Nnlm::check(const ModelOptions& options) {
  if (options.order < 2)
    throw DataError(
        text("--order ", options.order, ": an nnlm predicts from the order - 1 tokens before; it must be at least 2"));
}

Nnlm::Nnlm(const ModelOptions& options, int64_t V) : LanguageModel(options, V) {
  const int64_t inputs = seen() * options.embd, hidden = options.hidden;
  const auto uniform = [](int64_t n) { return Init::uniform(1 / std::sqrt(double(n))); };
  embedding_ = params_.add("embedding.weight", {V + 1, options.embd}, Init::normal(1));
  hidden_w_ = params_.add("hidden.weight", {hidden, inputs}, uniform(inputs));
  hidden_b_ = params_.add("hidden.bias", {hidden}, uniform(inputs));
  head_w_ = params_.add("head.weight", {V, inputs + hidden}, uniform(inputs + hidden));
  head_b_ = params_.add("head.bias", {V}, uniform(inputs + hidden));
}

Tensor Nnlm::features_of(std::span<const int32_t> histories, int64_t N) const {
  const Tensor x = embedding(embedding_, histories).reshape({N, seen() * options().embd});
  const Tensor hidden = tanh(add_rows(matmul_nt(x, hidden_w_), hidden_b_));
  const Tensor parts[] = {x, dropout(hidden, options().dropout)};
  return concat(parts);
}

Tensor Nnlm::encode(std::span<const int32_t> tokens, int64_t B, int64_t T) const {
  const int64_t n = seen();
  int32_t* histories = Tape::current(Loc::here()).arena().array<int32_t>(B * T * n);
  for (int64_t i = 0; i < B * T; ++i)
    for (int64_t k = 0; k < n; ++k) {  // the oldest first
      const int64_t back = n - 1 - k;
      histories[i * n + k] = back <= i % T ? tokens[size_t(i - back)] : nothing();
    }
  return features_of({histories, size_t(B * T * n)}, B * T);
}

Tensor Nnlm::head(const Tensor& features) const { return add_rows(matmul_nt(features, head_w_), head_b_); }

State Nnlm::start(int64_t B) const { return State(B, 0, seen(), nothing()); }

Tensor Nnlm::advance(State& state, std::span<const int32_t> tokens) const {
  for (int64_t r = 0; r < state.rows; ++r) state.push(r, tokens[size_t(r)]);
  return head(features_of(state.tokens, state.rows));
}

// x twice, the hidden layer three times over, and their gradients; the logits.
int64_t Nnlm::numbers_per_token() const {
  return 2 * (2 * seen() * options().embd + 3 * options().hidden) + LanguageModel::numbers_per_token();
}

}  // namespace gradus
