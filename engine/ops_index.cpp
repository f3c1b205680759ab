// Leaves, and ops that pick or place numbers: embedding, pick, columns, concat, dropout.
#include <algorithm>

#include "engine/checks.h"
#include "engine/kernels.h"
#include "engine/ops.h"
#include "engine/ops_inside.h"
#include "engine/rng.h"

namespace gradus {

static Tensor leaf(const char* op, const char* name, const Shape& shape, std::span<const real> values, bool needs_grad,
                   const Loc& where) {
  require_count(op, "values", int64_t(values.size()), shape.numel(), where);
  return Tape::current(where).leaf(shape, name, needs_grad, values.data());
}
Tensor constant(const Shape& shape, std::span<const real> values, Loc where) {
  return leaf("constant", "constant", shape, values, false, where);
}
Tensor constant(const Shape& shape, double value, Loc where) {
  Tape& tape = Tape::current(where);
  const Tensor t = tape.leaf(shape, "constant", false);
  if (!tape.measures()) std::ranges::fill(t.edit(), real(value));
  return t;
}
Tensor variable(const char* name, const Shape& shape, std::span<const real> values, Loc where) {
  return leaf("variable", name, shape, values, true, where);
}
Tensor variable(const char* name, double value, Loc where) {
  const real v = real(value);
  return variable(name, Shape{}, {&v, 1}, where);
}
Tensor detach(const Tensor& x, Loc where) { return Tape::current(where).window(x, 0, x.shape(where), false, where); }

struct IdsSaved {
  const int32_t* id;  // [N]
};
static std::span<const int32_t> saved_ids(const Op& op) { return {op.get<IdsSaved>().id, size_t(op.out[0]->shape[0])}; }
static IdsSaved* save_ids(std::span<const int32_t> ids, const Loc& where) {
  Arena& arena = Tape::current(where).arena();
  return arena.make<IdsSaved>(arena.copy(ids).data());
}

constexpr OpMath kEmbeddingMath{.formula = "y[n] = u[id[n]]", .gradient = "∂u[id[n]] += ∂y[n]", .inputs = "u"};
void embedding_forward(Op& op) {
  const int32_t* id = op.get<IdsSaved>().id;
  const int64_t N = op.out[0]->shape[0], C = op.out[0]->shape[1];
  for (int64_t n = 0; n < N; ++n) std::copy_n(op.x(0) + id[n] * C, C, op.y() + n * C);
}
// A row of the table that is looked up very often has a long sum.
void embedding_backward(Op& op) {
  const int32_t* id = op.get<IdsSaved>().id;
  const int64_t V = op.shape(0)[0], N = op.out[0]->shape[0], C = op.out[0]->shape[1];
  const real* dy = op.dy();
  real* dtable = op.dx(0);
  if (!is_long(N)) {
    for (int64_t n = 0; n < N; ++n) kernel::add_to(C, dy + n * C, dtable + id[n] * C);
    return;
  }
  Scratch scratch;
  int64_t* const times = scratch.zeros_of<int64_t>(V);
  for (int64_t n = 0; n < N; ++n) ++times[id[n]];
  auto* const sum = scratch.zeros_of<kernel::RowSum>(V);
  for (int64_t v = 0; v < V; ++v) sum[v] = scratch.row_sum(times[v], C, dtable + v * C);
  for (int64_t n = 0; n < N; ++n) sum[id[n]].add(dy + n * C);
  for (int64_t v = 0; v < V; ++v) sum[v].finish();
}
Tensor embedding(const Tensor& table, std::span<const int32_t> ids, Loc where) {
  static constexpr OpKind kind{.name = "embedding",
                               .forward = embedding_forward,
                               .backward = embedding_backward,
                               .math = kEmbeddingMath,
                               .ids = saved_ids};
  require_rank("embedding", "table", table, 2, where);
  require_ids("embedding", "ids", ids, table.dim(0), where);
  return record(kind, {table}, {int64_t(ids.size()), table.dim(1)}, save_ids(ids, where), where);
}

constexpr OpMath kPickMath{.formula = "y[n] = u[n, id[n]]", .gradient = "∂u[n, id[n]] += ∂y[n]", .inputs = "u"};
void pick_forward(Op& op) {
  const int32_t* column = op.get<IdsSaved>().id;
  const int64_t N = op.shape(0)[0], M = op.shape(0)[1];
  for (int64_t n = 0; n < N; ++n) op.y()[n] = op.x(0)[n * M + column[n]];
}
void pick_backward(Op& op) {
  const int32_t* column = op.get<IdsSaved>().id;
  const int64_t N = op.shape(0)[0], M = op.shape(0)[1];
  const real* dy = op.dy();
  real* dx = op.dx(0);
  for (int64_t n = 0; n < N; ++n) dx[n * M + column[n]] += dy[n];
}
Tensor pick(const Tensor& x, std::span<const int32_t> column, Loc where) {
  static constexpr OpKind kind{
      .name = "pick", .forward = pick_forward, .backward = pick_backward, .math = kPickMath, .ids = saved_ids};
  require_rank("pick", "x", x, 2, where);
  require_count("pick", "column", int64_t(column.size()), x.dim(0), where);
  require_ids("pick", "column", column, x.dim(1), where);
  return record(kind, {x}, {x.dim(0)}, save_ids(column, where), where);
}

struct ColumnsSaved {
  int64_t first;
};
constexpr OpMath kColumnsMath{
    .formula = "y[n,j] = u[n, first+j]", .gradient = "∂u[n, first+j] += ∂y[n,j]", .inputs = "u"};
void columns_forward(Op& op) {
  const int64_t first = op.get<ColumnsSaved>().first, N = op.shape(0)[0], M = op.shape(0)[1];
  const int64_t count = op.out[0]->shape[1];
  for (int64_t n = 0; n < N; ++n) std::copy_n(op.x(0) + n * M + first, count, op.y() + n * count);
}
void columns_backward(Op& op) {
  const int64_t first = op.get<ColumnsSaved>().first, N = op.shape(0)[0], M = op.shape(0)[1];
  const int64_t count = op.out[0]->shape[1];
  const real* dy = op.dy();
  real* dx = op.dx(0);
  for (int64_t n = 0; n < N; ++n) kernel::add_to(count, dy + n * count, dx + n * M + first);
}
int64_t first_column(const Op& op) { return op.kind->forward == columns_forward ? op.get<ColumnsSaved>().first : -1; }
Tensor columns(const Tensor& x, int64_t first, int64_t count, Loc where) {
  static constexpr OpKind kind{
      .name = "columns", .forward = columns_forward, .backward = columns_backward, .math = kColumnsMath};
  require_rank("columns", "x", x, 2, where);
  require(are_within(first, count, x.dim(1)), "columns", where, "columns ", first, " to ", end_of(first, count),
          " are not in x ", x.shape());
  auto* saved = Tape::current(where).arena().make<ColumnsSaved>(first);
  return record(kind, {x}, {x.dim(0), count}, saved, where);
}

constexpr OpMath kConcatMath{.formula = "y = the parts side by side",
                             .gradient = "∂ of each part += its columns of ∂y"};
void concat_forward(Op& op) {
  const int64_t N = op.out[0]->shape[0], M = op.out[0]->shape[1];
  int64_t first = 0;
  for (int32_t i = 0; i < op.n_in; ++i) {
    const int64_t m = op.shape(i)[1];
    for (int64_t n = 0; n < N; ++n) std::copy_n(op.x(i) + n * m, m, op.y() + n * M + first);
    first += m;
  }
}
void concat_backward(Op& op) {
  const int64_t N = op.out[0]->shape[0], M = op.out[0]->shape[1];
  const real* dy = op.dy();
  int64_t first = 0;
  for (int32_t i = 0; i < op.n_in; ++i) {
    const int64_t m = op.shape(i)[1];
    if (real* dx = op.dx(i))
      for (int64_t n = 0; n < N; ++n) kernel::add_to(m, dy + n * M + first, dx + n * m);
    first += m;
  }
}
Tensor concat(std::span<const Tensor> parts, Loc where) {
  static constexpr OpKind kind{
      .name = "concat", .forward = concat_forward, .backward = concat_backward, .math = kConcatMath};
  require(!parts.empty(), "concat", where, "needs at least one part");
  int64_t M = 0;
  for (const Tensor& part : parts) {
    require_rank("concat", "part", part, 2, where);
    require(part.dim(0) == parts[0].dim(0), "concat", where, "the parts must have equal rows: the first is ",
            parts[0].shape(), ", another ", part.shape());
    M += part.dim(1);
  }
  Tape& tape = Tape::current(where);
  return tape.output(tape.record(kind, parts, {Shape{parts[0].dim(0), M}}, nullptr, where));
}

struct DropoutSaved {
  int64_t ordinal;     // which dropout of the step
  int64_t first_row;   // of this shard within the whole batch
  uint32_t threshold;  // an element is dropped when its 32 random bits are below
  real keep_scale;     // 1 / (1 − p)
};
// y (+)= x ∘ mask, the mask drawn anew from the counters: nothing but the key is stored.
template <bool kAccumulate>
static void apply_mask(const Op& op, const real* x, real* y) {
  const auto& s = op.get<DropoutSaved>();
  const StepInfo& info = Tape::current(op.where).info();
  const int64_t N = op.shape(0)[0], M = op.shape(0)[1];
  constexpr int64_t kChunk = 256;  // a multiple of the four numbers of one Philox block
  uint32_t bits[kChunk];
  const Rng rng(info.seed, Stream::kDropout, info.step);
  for (int64_t n = 0; n < N; ++n) {
    const Rng row = rng.at(s.first_row + n, s.ordinal);
    for (int64_t first = 0; first < M; first += kChunk) {
      const int64_t count = std::min(kChunk, M - first);
      row.fill_bits(bits, count, first);
      for (int64_t j = 0; j < count; ++j) {
        const int64_t i = n * M + first + j;
        const real kept = bits[j] < s.threshold ? 0 : s.keep_scale * x[i];
        y[i] = kAccumulate ? y[i] + kept : kept;
      }
    }
  }
}
constexpr OpMath kDropoutMath{
    .formula = "y = u ∘ mask / (1 − p)", .gradient = "∂u += ∂y ∘ mask / (1 − p)", .inputs = "u", .elements = "e"};
void dropout_forward(Op& op) { apply_mask<false>(op, op.x(0), op.y()); }
void dropout_backward(Op& op) { apply_mask<true>(op, op.dy(), op.dx(0)); }
Tensor dropout(const Tensor& x, double p, Loc where) {
  static constexpr OpKind kind{
      .name = "dropout", .forward = dropout_forward, .backward = dropout_backward, .math = kDropoutMath};
  require(p >= 0 && p < 1, "dropout", where, "p is ", p, ", it must be in [0, 1)");
  Tape& tape = Tape::current(where);
  if (!tape.info().training || p == 0) return x;
  require_rank("dropout", "x", x, 2, where);
  const int64_t sequences = tape.info().sequences;
  require(sequences > 0 && x.dim(0) % sequences == 0, "dropout", where, "x is ", x.shape(),
          ", its rows must be a multiple of the ", sequences, " sequences of this tape");
  auto* saved = tape.arena().make<DropoutSaved>(
      tape.next_dropout(), tape.info().first_sequence * (x.dim(0) / sequences), Rng::threshold(p), real(1 / (1 - p)));
  return record(kind, {x}, x.shape(), saved, where);
}

}  // namespace gradus
