// Transformer language model: GPT-2's decoder.
#include <algorithm>
#include <cmath>

#include "engine/kernels.h"
#include "models/transformer.h"

namespace gradus {

class TransformerLm : public Transformer {
 public:
  TransformerLm(const ModelOptions& options, int64_t V) : Transformer(options, V, V) {}

  // A row of the state holds of each layer the keys, in blocks [C,16] of 16 positions, the values [context,C], and the
  // tokens. So the scores of a block are sums of rows; as dot products of 32 numbers each they were a fifth of the time
  // of drawing 64 sequences, now a twentieth.
  State start(int64_t B) const override {
    const ModelOptions& c = options();
    return State(B, c.layers * (places() + c.context) * c.embd, c.context);
  }

 private:
  Tensor encode(std::span<const int32_t> tokens, int64_t B, int64_t T) const override {
    return encode_seeing(tokens, {}, B, T);
  }

  static constexpr int64_t kBlock = 16;
  // Positions in whole blocks.
  int64_t places() const { return (options().context + kBlock - 1) / kBlock * kBlock; }

  // scores[j] = scale q·K_j for the positions j of a block.   q [D], keys [D,16]
  static void block_scores(int64_t D, real scale, const real* q, const real* keys, real* scores) {
    real sum[kBlock] = {};
    for (int64_t d = 0; d < D; ++d)
#pragma GCC unroll 1  // g++ 12 unrolls 16 numbers before it looks for vectors, and then finds none
      for (int j = 0; j < kBlock; ++j) sum[j] = std::fma(q[d], keys[d * kBlock + j], sum[j]);
#pragma GCC unroll 1
    for (int j = 0; j < kBlock; ++j) scores[j] = scale * sum[j];
  }

  // When a row holds `context` tokens, the older half of them is dropped and the rest is encoded again from position 0
  // on, in one pass.
  Tensor advance(State& state, std::span<const int32_t> tokens) const override {
    const int64_t context = options().context, kept = context / 2;
    Tape& tape = Tape::current(Loc::here());
    for (int64_t r = 0; r < state.rows; ++r)
      if (state.position[size_t(r)] == context) {
        state.position[size_t(r)] = 0;
        if (kept == 0) continue;
        const Tape::Mark mark(tape);
        int32_t* again = tape.arena().array<int32_t>(kept);
        std::copy_n(state.tokens.begin() + (r + 1) * context - kept, kept, again);
        const int32_t row = int32_t(r);
        advance_rows(state, {&row, 1}, {again, size_t(kept)}, Want::kMemory);
      }
    int32_t* row = tape.arena().array<int32_t>(state.rows);
    for (int64_t r = 0; r < state.rows; ++r) row[r] = int32_t(r);
    return head(advance_rows(state, {row, size_t(state.rows)}, tokens, Want::kFeatures));
  }

  // T tokens further for the given rows of the state, tokens [rows,T]; returns their features, [rows·T,C]. Where only
  // the memory is wanted, the last block ends with its keys and values, and what is returned means nothing: of 4 blocks
  // that leaves out a fifth of the multiplications.
  enum class Want { kFeatures, kMemory };
  Tensor advance_rows(State& state, std::span<const int32_t> rows, std::span<const int32_t> tokens, Want want) const {
    const int64_t N = int64_t(tokens.size()), T = N / int64_t(rows.size());
    int32_t* position = Tape::current(Loc::here()).arena().array<int32_t>(N);
    for (int64_t i = 0; i < N; ++i) position[i] = int32_t(state.position[size_t(rows[size_t(i / T)])] + i % T);
    Tensor x = add(embedding(wte_, tokens), embedding(wpe_, {position, size_t(N)}));
    for (size_t l = 0; l < blocks_.size(); ++l) {
      const Block& block = blocks_[l];
      const Tensor qkv = block.c_attn(block.ln_1(rung(), x));
      remember(state, rows, T, qkv, int64_t(l));
      if (want == Want::kMemory && l + 1 == blocks_.size()) break;
      x = add(x, block.attn_proj(attend(state, rows, T, qkv, int64_t(l))));
      x = add(x, mlp(block, x));
    }
    for (int64_t i = 0; i < N; ++i) {
      const int64_t r = rows[size_t(i / T)];
      state.tokens[size_t(r * state.window + state.position[size_t(r)]++)] = tokens[size_t(i)];
    }
    return want == Want::kMemory ? x : (*ln_f_)(rung(), x);
  }

  // Where the keys and the values of a layer lie in the memory of row r.
  struct KeysAndValues {
    real *keys, *values;
  };
  KeysAndValues memory_of(State& state, int64_t r, int64_t layer) const {
    const int64_t C = options().embd, L = places();
    real* const keys = state.row(r) + layer * (L + options().context) * C;
    return {keys, keys + L * C};
  }

  // The keys and values of T new positions for each row, of qkv [rows·T,3C], join its memory.
  void remember(State& state, std::span<const int32_t> rows, int64_t T, const Tensor& qkv, int64_t layer) const {
    const int64_t C = options().embd;
    for (int64_t i = 0; i < T * std::ssize(rows); ++i) {
      const int32_t r = rows[size_t(i / T)];
      const int64_t now = state.position[size_t(r)] + i % T;
      const auto [keys, values] = memory_of(state, r, layer);
      const real *k = qkv.data() + i * 3 * C + C, *v = k + C;
      for (int64_t c = 0; c < C; ++c) keys[(now / kBlock * C + c) * kBlock + now % kBlock] = k[c];
      std::copy_n(v, C, values + now * C);
    }
  }

  // Causal attention of T new positions for each row, [rows·T,3C] → [rows·T,C], to what the row's memory holds up to
  // each.
  Tensor attend(State& state, std::span<const int32_t> rows, int64_t T, const Tensor& qkv, int64_t layer) const {
    const int64_t C = options().embd, D = C / options().heads;
    const real scale = 1 / std::sqrt(real(D));
    const Tensor y = constant({qkv.dim(0), C}, 0);
    Scratch scratch;
    real* p = scratch.reals(places());
    for (int64_t i = 0; i < T * std::ssize(rows); ++i) {
      const int32_t r = rows[size_t(i / T)];
      const int64_t seen = state.position[size_t(r)] + i % T + 1;
      const auto [keys, values] = memory_of(state, r, layer);
      const real* q = qkv.data() + i * 3 * C;
      for (int64_t at = 0; at < C; at += D) {  // the first column of each head
        for (int64_t t = 0; t < seen; t += kBlock) block_scores(D, scale, q + at, keys + t * C + at * kBlock, p + t);
        kernel::softmax_row(seen, p, p);
        kernel::add_weighted_rows(seen, D, p, values + at, C, y.edit().data() + i * C + at);
      }
    }
    return y;
  }
};

Family transformer_family() {
  return {.name = "transformer",
          .title = "a Transformer",
          .options = {"layers", "heads", "embd", "dropout", "bias"},
          .windowed = true,
          .check = Transformer::check_heads,
          .declare = declare_stepped<TransformerLm>};
}

}  // namespace gradus
