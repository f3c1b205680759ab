#include "models/language_model.h"

#include <algorithm>

#include "engine/checks.h"

namespace gradus {

State::State(int64_t B, int64_t reals, int64_t window_tokens, int32_t before)
    : rows(B),
      width(reals),
      window(window_tokens),
      memory(size_t(B * reals)),
      tokens(size_t(B * window_tokens), before),
      position(size_t(B)) {}

std::span<const int32_t> State::push(int64_t r, int32_t token) {
  const auto held = std::span(tokens).subspan(size_t(r * window), size_t(window));
  if (window > 0) {
    std::copy(held.begin() + 1, held.end(), held.begin());
    held.back() = token;
  }
  ++position[size_t(r)];
  return held;
}

// to = the chosen rows of from, `width` numbers each; the two change places afterwards.
template <class T>
static void gather(std::vector<T>& from, std::vector<T>& to, int64_t width, std::span<const int64_t> which) {
  to.resize(which.size() * size_t(width));
  for (size_t i = 0; i < which.size(); ++i)
    std::copy_n(from.begin() + which[i] * width, width, to.begin() + int64_t(i) * width);
  from.swap(to);
}

void State::select(std::span<const int64_t> which) {
  for (int64_t r : which)
    require(r >= 0 && r < rows, "select", Loc::here(), "row ", r, " is not among the ", rows, " of the state");
  gather(memory, spare_memory_, width, which);
  gather(tokens, spare_tokens_, window, which);
  gather(position, spare_position_, 1, which);
  rows = int64_t(which.size());
}

static const Rung& rung_of(const std::string& ops) {
  return row_named(kOps, ops, "choice of ops").value == Ops::kFused ? fused_rung() : composed_rung();
}

Encoder::Encoder(const ModelOptions& options, int64_t vocabulary)
    : options_(options), vocabulary_(vocabulary), rung_(&rung_of(options.ops)) {}

void Encoder::check_tokens(const char* what, std::span<const int32_t> tokens, int64_t wanted, Loc where) const {
  require(int64_t(tokens.size()) == wanted, what, where, tokens.size(), " tokens are given, ", wanted, " are expected");
  require_ids(what, "tokens", tokens, std::max<int64_t>(vocabulary(), mask_id() + 1), where);
}

Tensor Encoder::features(std::span<const int32_t> tokens, int64_t B, int64_t T, Loc where) const {
  check_tokens("features", tokens, B * T, where);
  return encode(tokens, B, T);
}

Tensor Encoder::features(std::span<const int32_t> tokens, std::span<const int32_t> lengths, int64_t B, int64_t T,
                         Loc where) const {
  check_tokens("features", tokens, B * T, where);
  require_lengths("features", lengths, B, T, where);
  return encode_padded(tokens, lengths, B, T);
}

Tensor LanguageModel::next(State& state, std::span<const int32_t> tokens, Loc where) const {
  const NoGrad no_grad;
  check_tokens("next", tokens, state.rows, where);
  return advance(state, tokens);
}

Tensor LanguageModel::losses(std::span<const int32_t> tokens, std::span<const int32_t> targets, int64_t B,
                             int64_t T) const {
  return named("−log p", rung().softmax_cross_entropy(logits(tokens, B, T), targets, Loc::here()));
}

}  // namespace gradus
