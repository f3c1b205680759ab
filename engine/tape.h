// Tape: the record of one step, and its backward pass. Ops are stored in the order they ran, which is already a
// topological order, so backward is one loop down the list: no sort, no recursion.
//
//   Tape tape;
//   Tape::Use use(tape);                      // current on this thread for a scope
//   for (int64_t step = 1; step <= n; ++step) {
//     tape.new_step({.seed = 1, .step = step, .training = true});
//     Tensor loss = ...;                      // ops of engine/ops.h
//     tape.backward(loss);
//     optimizer.step(params, tape.gradient(params.array()), lr);
//   }
//
// What an op has read must not change until backward() is over, since the slopes are those of the values then. Changed
// parameters are refused there in every build, other changed numbers in debug builds (GRADUS_POISON).
//
// A tape is used by one thread at a time. Different tapes may run at once on shared parameters, which are read-only
// meanwhile. After two steps of one size a step allocates nothing on the heap.
#pragma once

#include <initializer_list>

#include "engine/arena.h"
#include "engine/kernels.h"
#include "engine/tensor.h"

namespace gradus {
class Tape;
inline constexpr uint64_t kMaxLiveTapes = 1024;  // alive at once in one process
}  // namespace gradus

// Stable breakpoints around each op of a backward pass, and the live tapes, for debuggers.
extern "C" {
void gradus_backward_begin(gradus::Tape* tape);
void gradus_backward_end(gradus::Tape* tape);
int64_t gradus_rewind(gradus::Tape* tape, int64_t k);
extern gradus::Tape* gradus_live_tapes[gradus::kMaxLiveTapes];
}

namespace gradus {

struct Op;
using OpFunction = void (*)(Op&);

// The mathematics of an op as text, for people: `gradus step`, its page and gdb show it.
struct OpMath {
  const char* formula = "";   // what forward computes; the output is y
  const char* gradient = "";  // what backward adds; ∂u is the gradient of u
  // What both call the inputs, in order, with a blank between: u v s t, which are not the names that programs give.
  const char* inputs = "";
  // A letter for each input says which of its numbers element [.., j] of an output is made of: e, its own element
  // there; c, its element j, one for each column; -, several. Inputs beyond the last letter: several.
  const char* elements = "";
};

// What an op is: its name, its two named functions, which a debugger can break on and run again, and its mathematics.
struct OpKind {
  const char* name;
  OpFunction forward;   // computes the outputs from the inputs; may be run again
  OpFunction backward;  // adds to the gradients of the inputs that need them
  OpMath math = {};
  // Numbers that backward, and that forward, takes for itself meanwhile, where they are many.
  int64_t (*scratch)(const Op&) = nullptr;
  int64_t (*forward_scratch)(const Op&) = nullptr;
  // Where each row of the output has an id, these: the row of the table, the column, the target (−1 for none).
  std::span<const int32_t> (*ids)(const Op&) = nullptr;
};

// One entry of the tape. Inputs and outputs are pointers to Values in the arena; anything else that backward needs is
// in `saved`, a trivially destructible struct in the arena.
struct Op {
  const OpKind* kind;
  Value** in;
  Value** out;
  void* saved;
  Loc where;  // the source line that asked for it
  int32_t n_in, n_out;

  const real* x(int i) const { return in[i]->data; }  // data of input i
  real* y(int i = 0) const { return out[i]->data; }   // data of output i
  // Gradient to add to, or null when input i needs none.
  real* dx(int i) const { return in[i]->needs_grad ? gradient(in[i]) : nullptr; }
  // Gradient that arrived at output i; zeros if none did.
  const real* dy(int i = 0) const { return gradient(out[i]); }
  const Shape& shape(int i) const { return in[i]->shape; }
  template <class Saved>
  Saved& get() const {
    return *static_cast<Saved*>(saved);
  }

 private:
  static real* gradient(Value* v);
};
static_assert(sizeof(Op) <= 96, "a node of a scalar graph must stay cheap");

// What identifies a step to everything random in it, and which part of the batch this tape works on.
struct StepInfo {
  uint64_t seed = 1;
  int64_t step = 0;
  bool training = false;       // dropout acts only when training
  int64_t first_sequence = 0;  // this tape's shard of the batch: its first sequence ...
  int64_t sequences = 1;       // ... and how many it holds
};

// Which gradients a backward pass leaves behind: all, or those of parameters and leaves alone. Those of an op's outputs
// are then given up when the next op's backward begins, and others take their memory: a shard of the default
// Transformer takes 23 MB instead of 33.
enum class Keep { kAll, kParameters };

class Tape {
 public:
  Tape();
  ~Tape();
  Tape(const Tape&) = delete;
  Tape& operator=(const Tape&) = delete;

  // Ends the step: every tensor made so far is dead, memory is kept. Throws ShapeError under an open Mark.
  void new_step(const StepInfo& info = {}, Loc where = Loc::here());
  const StepInfo& info() const { return info_; }
  int64_t next_dropout() { return dropouts_++; }  // ordinal of a dropout op within the step

  // Adds dy to the gradient of y before the backward pass. Several outputs may be seeded.
  void seed(const Tensor& y, std::span<const real> dy, Loc where = Loc::here());
  // Runs backward once over the step. With a loss: seeds it with 1 first. Throws ShapeError where the loss is not one
  // number, or a parameter that the step has read was written since.
  void backward(const Tensor& loss, Loc where = Loc::here());
  void backward(Keep keep = Keep::kAll, Loc where = Loc::here());
  // Runs the pass again, as far as it has come, with all gradients kept, where some were given up.
  void restore_gradients();

  // From here to the end of the step `instead` replaces the parameter: every op on this tape that is given the
  // parameter, also without gradients, takes `instead`, and its gradient goes there. Ops before, those that make
  // `instead` above all, take the parameter itself. Other tapes see nothing of it. So weights may be results of ops,
  // without a change to any model: w + a b (LoRA), μ + σ ε. A second bind replaces the first.
  // Throws ShapeError if `parameter` is not a parameter, the shapes differ, or a Mark is open, with which `instead`
  // would die.
  void bind(const Tensor& parameter, const Tensor& instead, Loc where = Loc::here());

  bool binds() const { return !bound_.empty(); }

  // Gradient of all parameters of `array`, flat, in their order; zeros if the step did not use them. Valid until the
  // next step.
  std::span<real> gradient(const ParamArray& array);

  // From here on this tape only measures: ops and backward passes make everything that they would make, but of the
  // numbers only the sizes, so that bytes() says what the same calls will take on another tape. No op computes, and no
  // number of a tensor may be read or written. The parameters need not be initialised. REQUIRES: nothing is recorded.
  void only_measure();
  bool measures() const { return measures_; }

  std::span<const Op> ops() const { return ops_; }
  Arena& arena() { return arena_; }
  Arena& scratch() { return scratch_; }
  // The most that a step has taken so far.
  size_t bytes() const { return arena_.high_water() + scratch_.high_water() + ops_.capacity() * sizeof(Op); }

  // --- for the ops (engine/ops_*.cpp) ---
  // Makes the outputs, runs forward and, unless gradients are off, keeps the op. Throws if an input is dead.
  Op& record(const OpKind& kind, std::span<const Tensor> in, std::initializer_list<Shape> out, void* saved,
             const Loc& where);
  // An op of two inputs of one shape, which is that of its output. Throws if the shapes differ. A node of a scalar
  // graph is mostly what it costs to record it, so a handle is looked at once here and a shape not taken apart.
  Tensor record_pair(const OpKind& kind, const Tensor& a, const Tensor& b, const Loc& where);
  Tensor output(const Op& op, int i = 0) const { return Tensor(op.out[i], epochs_.back()); }
  // A Value of this tape over existing or new memory; the source of constants, leaves and windows. A leaf with `values`
  // begins as a copy of them; REQUIRES: as many as the shape has.
  Tensor leaf(const Shape& shape, const char* name, bool needs_grad, const real* values = nullptr);
  Tensor window(const Tensor& of, int64_t offset, const Shape& shape, bool needs_grad, const Loc& where);
  real* grad_of(Value* v);  // zero-filled on first use
  static real* grad_on_current(Value* v);
  bool alive(uint64_t epoch) const;
  static Tape* of(uint64_t epoch) { return gradus_live_tapes[epoch % kMaxLiveTapes]; }  // the tape that made this epoch

  // --- for debuggers: the backward pass as a state machine ---
  // Zeroes the gradients and replays the first k ops of the backward pass; returns the index of the next op. From here
  // on all gradients are kept. Tensors made since backward() began are gone.
  int64_t rewind(int64_t k);
  volatile int64_t next = -1;  // index of the next op of the running backward pass

  // Makes a tape current on this thread.
  class Use {
   public:
    explicit Use(Tape& tape);
    ~Use();
    Use(const Use&) = delete;

   private:
    Tape* before_;
  };
  // For work whose tensors are only read, like a step of sampling: under a Mark nothing is recorded, and when it goes
  // out of scope the memory is given back and the tensors made under it die.
  class Mark {
   public:
    explicit Mark(Tape& tape);
    ~Mark();
    Mark(const Mark&) = delete;

   private:
    Tape& tape_;
    Arena::Mark memory_;
    bool recording_;
  };

  // Names the ops that are recorded while it lives, for people who look at the step: "attn" within "h.0" is h.0.attn.
  // Nothing happens where nothing is recorded. REQUIRES: a tape is current, and the name outlives its step.
  class Scope {
   public:
    explicit Scope(const char* name, int64_t index = -1);  // with an index: name.index
    ~Scope();
    Scope(const Scope&) = delete;

   private:
    Tape* tape_;  // null where nothing is recorded
  };
  // Where scopes begin and end, in order.
  struct ScopeMark {
    int64_t op;        // the next op
    const char* name;  // null: the innermost scope ends
    int64_t index;
  };
  std::span<const ScopeMark> scopes() const { return scopes_; }

  static Tape& current(const Loc& where);  // throws if this thread has none

 private:
  friend class NoGrad;
  // The tape's own gradient of one ParamArray.
  struct Met {
    const ParamArray* array;
    Value** local;     // this tape's Value of each parameter, null until used
    real* grad;        // one flat array, null until backward
    uint64_t version;  // of the values that the step read
  };
  struct Seed {
    Value* value;
    const real* dy;
  };
  struct Bound {
    const Value* parameter;
    Value* instead;
  };
  void require_ready(const char* op, const Loc& where) const;  // for a backward pass
  void add_seed(Value* y, const real* dy, const Loc& where);   // dy lives until the pass is over
  void run_backward(Keep keep, const Loc& where);
  Value* new_value(const Shape& shape, const char* name, bool needs_grad);
  Value* input(const Tensor& t, const Loc& where) {
    if (t.epoch_ == epochs_.back()) return t.value_;  // of this tape and alive, the usual case
    return other_input(t, where);
  }
  Value* other_input(const Tensor& t, const Loc& where);
  Op& run(const OpKind& kind, Value** values, int32_t n_in, int32_t n_out, void* saved, const Loc& where);
  Value* bound(const Value& parameter) const;  // null if nothing is
  Value* local(const Value& parameter);
  uint64_t new_epoch() const;  // never used before, also by no tape that is gone, and names this tape: see of()
  void clear_gradients();
  void start_backward();
  void step_back();
  void measure_scratch(int64_t (*numbers)(const Op&), const Op& op);
  void measure_backward(const Op& op);
  real* new_gradient(int64_t n);
  void give_up_gradients(const Op& op);
  int64_t next_below(int64_t i) const;

  Arena arena_, scratch_;
  std::vector<Op> ops_;
  std::vector<Met> met_;
  std::vector<Seed> seeds_;
  std::vector<Bound> bound_;
  std::vector<ScopeMark> scopes_;
  std::vector<uint64_t> epochs_;  // of the step and of the open Marks
  std::vector<uint64_t> sums_;    // in debug builds, check sums of what each op read and wrote
  uint64_t slot_ = 0;             // in gradus_live_tapes
  Arena::Mark backward_begin_{};
  Keep keep_ = Keep::kAll;
  const Op* ran_last_ = nullptr;        // of the backward pass
  std::vector<std::span<real>> spare_;  // gradients that were given up
  Op unrecorded_{};
  StepInfo info_;
  int64_t dropouts_ = 0;
  bool recording_ = true;
  bool done_ = false;
  bool measures_ = false;
};

// Ops that run in its scope on the current tape are not recorded: their results are constants.
class NoGrad {
 public:
  explicit NoGrad(Loc where = Loc::here());
  ~NoGrad() { tape_.recording_ = before_; }
  NoGrad(const NoGrad&) = delete;

 private:
  Tape& tape_;
  bool before_;
};

// The same tensor, for a term of a loss that is meant to train something. ShapeError where no gradient can go through
// it, since it was made of constants or frozen parameters alone, by detach() or under NoGrad: added to a loss it would
// be a constant, and its weight would change nothing but the number that is printed.
//   loss = cross_entropy + 0.1 * trained(penalty);
Tensor trained(const Tensor& term, Loc where = Loc::here());

// Gives the tensor a name of its own, for people who look at the step. REQUIRES: it is no parameter, and the name
// outlives the step.
//   const Tensor P = named("P", causal_softmax(scores));
Tensor named(const char* name, const Tensor& t, Loc where = Loc::here());

// Records an op and returns its first output; the last line of nearly every op.
inline Tensor record(const OpKind& kind, std::initializer_list<Tensor> in, const Shape& out, void* saved,
                     const Loc& where) {
  Tape& tape = Tape::current(where);
  return tape.output(tape.record(kind, {in.begin(), in.size()}, {out}, saved, where));
}

// Memory of the current tape for the body of an op, given back at the end of the scope.
struct Scratch : ArenaScope {
  Scratch() : ArenaScope(Tape::current(Loc::here()).scratch()) {}
  // Of `rows` rows [M] into y, null where none is wanted.
  kernel::RowSum row_sum(int64_t rows, int64_t M, real* y) {
    return {.M = M, .y = y, .wide = y && is_long(rows) ? zeros_of<double>(M) : nullptr};
  }
};

// y[j] += Σ_i x[i,j].   x [N,M], y [M]
inline void add_column_sums(int64_t N, int64_t M, const real* x, real* y) {
  Scratch scratch;
  const kernel::RowSum sum = scratch.row_sum(N, M, y);
  for (int64_t i = 0; i < N; ++i) sum.add(x + i * M);
  sum.finish();
}

inline real* Op::gradient(Value* v) { return v->grad ? v->grad : Tape::grad_on_current(v); }

}  // namespace gradus
