// Transformer language model: GPT-2's decoder.
#include <algorithm>
#include <cmath>

#include "engine/kernels.h"
#include "models/transformer.h"

namespace gradus {

class TransformerLm : public Transformer {
 public:
  TransformerLm(const ModelOptions& options, int64_t V) : Transformer(options, V, V) {}

  // A row of the state holds [layers, context, 2C], the key and the value of each position in each layer, and the
  // tokens.
  State start(int64_t B) const override {
    const ModelOptions& c = options();
    return State(B, c.layers * c.context * 2 * c.embd, c.context);
  }

 private:
  Tensor encode(std::span<const int32_t> tokens, int64_t B, int64_t T) const override {
    return encode_seeing(tokens, {}, B, T);
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
        advance_rows(state, {&row, 1}, {again, size_t(kept)});
      }
    int32_t* row = tape.arena().array<int32_t>(state.rows);
    for (int64_t r = 0; r < state.rows; ++r) row[r] = int32_t(r);
    return head(advance_rows(state, {row, size_t(state.rows)}, tokens));
  }

  // T tokens further for the given rows of the state, tokens [rows,T]; returns their features, [rows·T,C].
  Tensor advance_rows(State& state, std::span<const int32_t> rows, std::span<const int32_t> tokens) const {
    const int64_t N = int64_t(tokens.size()), T = N / int64_t(rows.size());
    int32_t* position = Tape::current(Loc::here()).arena().array<int32_t>(N);
    for (int64_t i = 0; i < N; ++i) position[i] = int32_t(state.position[size_t(rows[size_t(i / T)])] + i % T);
    Tensor x = add(embedding(wte_, tokens), embedding(wpe_, {position, size_t(N)}));
    for (size_t l = 0; l < blocks_.size(); ++l) {
      const Block& block = blocks_[l];
      x = add(x, block.attn_proj(attend(state, rows, T, block.c_attn(block.ln_1(rung(), x)), int64_t(l))));
      x = add(x, mlp(block, x));
    }
    for (int64_t i = 0; i < N; ++i) {
      const int64_t r = rows[size_t(i / T)];
      state.tokens[size_t(r * state.window + state.position[size_t(r)]++)] = tokens[size_t(i)];
    }
    return (*ln_f_)(rung(), x);
  }

  // Causal attention of T new positions for each row, [rows·T,3C] → [rows·T,C]; their keys and values join the row's
  // memory.
  Tensor attend(State& state, std::span<const int32_t> rows, int64_t T, const Tensor& qkv, int64_t layer) const {
    const int64_t C = options().embd, heads = options().heads, D = C / heads, context = options().context;
    const real scale = 1 / std::sqrt(real(D));
    const Tensor y = constant({qkv.dim(0), C}, 0);
    Scratch scratch;
    real* p = scratch.reals(heads * context);
    for (int64_t i = 0; i < T * std::ssize(rows); ++i) {
      const int32_t r = rows[size_t(i / T)];
      const int64_t now = state.position[size_t(r)] + i % T;
      real* memory = state.row(r) + layer * context * 2 * C;
      const real* q = qkv.data() + i * 3 * C;
      std::copy_n(q + C, 2 * C, memory + now * 2 * C);
      for (int64_t j = 0; j <= now; ++j)  // keys in the order of memory: of 32 sequences they outgrow the near cache
        for (int64_t head = 0; head < heads; ++head)
          p[head * context + j] = scale * kernel::dot(D, q + head * D, memory + j * 2 * C + head * D);
      for (int64_t head = 0; head < heads; ++head) {
        real* p_head = p + head * context;
        kernel::softmax_row(now + 1, p_head, p_head);
        kernel::add_weighted_rows(now + 1, D, p_head, memory + C + head * D, 2 * C, y.edit().data() + i * C + head * D);
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
