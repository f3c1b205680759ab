// Transformer language model: GPT-2's decoder (pre-norm blocks, learned positions, tanh GELU, head tied to wte) with
// GPT-2's names and layouts of weights.
#include <algorithm>
#include <cmath>

#include "engine/kernels.h"
#include "models/family.h"
#include "models/language_model.h"
#include "models/layers.h"

namespace gradus {

constexpr double kDeviation = 0.02;  // of every weight at the start, as GPT-2

// Projections onto the residual stream begin smaller, so that its variance does not grow with the depth.
static Init residual_init(const ModelOptions& options) {
  return Init::normal(kDeviation / std::sqrt(2.0 * double(options.layers)));
}

class TransformerLm : public LanguageModel {
 public:
  TransformerLm(const ModelOptions& options, int64_t V) : LanguageModel(options, V) {
    wte_ = params_.add("wte.weight", {V, options.embd}, Init::normal(kDeviation));
    wpe_ = params_.add("wpe.weight", {options.context, options.embd}, Init::normal(kDeviation));
    for (int64_t l = 0; l < options.layers; ++l) blocks_.emplace_back(params_, text("h.", l), options);
    ln_f_ = std::make_unique<LayerNorm>(params_, "ln_f", options.embd, options.bias);
  }

  int64_t width() const override { return options().embd; }
  Tensor head(const Tensor& features) const override { return named("logits", matmul_nt(features, wte_)); }
  Tensor token_vectors() const override { return wte_; }
  // A row of the state holds [layers, context, 2C], the key and the value of each position in each layer, and the
  // tokens.
  State start(int64_t B) const override {
    const ModelOptions& c = options();
    return State(B, c.layers * c.context * 2 * c.embd, c.context);
  }

 private:
  struct Block {
    LayerNorm ln_1;
    Linear c_attn, attn_proj;
    LayerNorm ln_2;
    Linear c_fc, mlp_proj;
    Block(Params& p, const std::string& name, const ModelOptions& c)
        : ln_1(p, name + ".ln_1", c.embd, c.bias),
          c_attn(p, name + ".attn.c_attn", c.embd, 3 * c.embd, Init::normal(kDeviation), c.bias),
          attn_proj(p, name + ".attn.c_proj", c.embd, c.embd, residual_init(c), c.bias),
          ln_2(p, name + ".ln_2", c.embd, c.bias),
          c_fc(p, name + ".mlp.c_fc", c.embd, 4 * c.embd, Init::normal(kDeviation), c.bias),
          mlp_proj(p, name + ".mlp.c_proj", 4 * c.embd, c.embd, residual_init(c), c.bias) {}
  };

  // A sequence has at most options().context tokens.
  Tensor encode(std::span<const int32_t> tokens, int64_t B, int64_t T) const override {
    const ModelOptions& c = options();
    require(T <= c.context, "features", Loc::here(), T, " tokens are more than the context of ", c.context);
    int32_t* position = Tape::current(Loc::here()).arena().array<int32_t>(B * T);
    for (int64_t i = 0; i < B * T; ++i) position[i] = int32_t(i % T);

    Tensor x = add(embedding(wte_, tokens), embedding(wpe_, {position, size_t(B * T)}));
    x = named("x", dropout(x, c.dropout));
    for (size_t l = 0; l < blocks_.size(); ++l) {
      const Block& block = blocks_[l];
      const Tape::Scope scope("h", int64_t(l));
      x = named("x + attn", add(x, dropout(attention(block, x, B, T), c.dropout)));
      x = named("x + mlp", add(x, dropout(mlp(block, x), c.dropout)));
    }
    return (*ln_f_)(rung(), x);
  }

  Tensor attention(const Block& block, const Tensor& x, int64_t B, int64_t T) const {
    const Tensor normal = block.ln_1(rung(), x);
    const Tape::Scope scope("attn");
    return block.attn_proj(rung().causal_attention(block.c_attn(normal), B, T, options().heads, Loc::here()));
  }

  Tensor mlp(const Block& block, const Tensor& x) const {
    const Tensor normal = block.ln_2(rung(), x);
    const Tape::Scope scope("mlp");
    const Tensor hidden = rung().linear_gelu(normal, block.c_fc.w, block.c_fc.b, Loc::here());
    return block.mlp_proj(hidden);
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
    for (int64_t i = 0; i < qkv.dim(0); ++i) {
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

  Tensor wte_, wpe_;
  std::vector<Block> blocks_;
  std::unique_ptr<LayerNorm> ln_f_;
};

Family transformer_family() {
  return {.name = "transformer",
          .title = "a Transformer",
          .options = {"layers", "heads", "embd", "dropout", "bias"},
          .windowed = true,
          .check =
              [](const ModelOptions& options) {
                if (options.embd % options.heads != 0)
                  throw DataError(text("embd ", options.embd, " is not a multiple of heads ", options.heads,
                                       ": every head needs the same width"));
              },
          .declare = declare_stepped<TransformerLm>};
}

}  // namespace gradus
