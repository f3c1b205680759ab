// engine/tensor.h and engine/tape.h. Over 350 lines: a handle is judged by the tape that made it, so both stand here.
#include "engine/tape.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <mutex>

gradus::Tape* gradus_live_tapes[gradus::kMaxLiveTapes];

// The empty asm keeps the calls where they stand, in every build.
[[gnu::noinline, gnu::used]] void gradus_backward_begin(gradus::Tape* tape) { asm volatile("" ::"r"(tape) : "memory"); }
[[gnu::noinline, gnu::used]] void gradus_backward_end(gradus::Tape* tape) { asm volatile("" ::"r"(tape) : "memory"); }
[[gnu::noinline, gnu::used]] int64_t gradus_rewind(gradus::Tape* tape, int64_t k) { return tape->rewind(k); }

namespace gradus {

namespace {
thread_local Tape* current_tape = nullptr;
std::mutex live_mutex;
// Epochs that each slot has seen. Only the tape in the slot counts on; a counter that all tapes share took a twentieth
// of a step of two scalars.
uint64_t epochs_of_slot[kMaxLiveTapes];
}  // namespace

// ---------------------------------------------------------------------------------------------------- handles

bool Tape::alive(uint64_t epoch) const {
  for (size_t i = epochs_.size(); i-- > 0;)
    if (epochs_[i] == epoch) return true;
  return false;
}

Value* Tensor::value(const Loc& where) const {
  require(value_ != nullptr, "tensor", where, "it is empty; nothing has been assigned to it");
  if (epoch_ == 0) return value_;
  const Tape* tape = Tape::of(epoch_);
  require(tape && tape->alive(epoch_), "tensor", where,
          "it belongs to a step that is over; to use its numbers later, keep() it before the step ends");
  return value_;
}

const Value* Tensor::numbers(const Loc& where) const {
  const Value* v = value(where);
  require(!v->owner || v->data || v->shape.numel() == 0, "tensor", where, "the parameter ", v->name, ' ', v->shape,
          " has no numbers before Params::init()");
  return v;
}

std::span<real> Tensor::edit(Loc where) const {
  const Value* v = value(where);
  require(!(v->base ? v->base->index >= 0 : v->owner != nullptr), "edit", where, v->name, ' ', v->shape,
          " is a parameter, which Params::edit() writes");
  return {v->data, size_t(v->shape.numel())};
}

double Tensor::item(Loc where) const {
  const Value* v = numbers(where);
  require(v->shape.numel() == 1, "item", where, "needs a tensor of one number, this one is ", v->shape);
  return double(v->data[0]);
}

std::span<const real> Tensor::grad(Loc where) const {
  const Value* v = numbers(where);
  if (v->owner) {
    Tape& tape = Tape::current(where);
    return tape.gradient(*v->owner).subspan(size_t(v->data - v->owner->data.data()), size_t(v->shape.numel()));
  }
  const real* arrived = v->arrived();
  require(!(v->base ? v->base : v)->given_up, "grad", where, "the gradient of ", v->name, ' ', v->shape,
          " was given up, since the backward pass keeps those of parameters alone; use backward(Keep::kAll)");
  require(arrived != nullptr, "grad", where, "no gradient has reached ", v->name, " ", v->shape,
          v->needs_grad ? "; backward has not run, or the loss does not depend on it" : "; it is a constant");
  return {arrived, size_t(v->shape.numel())};
}

Tensor Tensor::reshape(Shape to, Loc where) const {
  const Value* v = value(where);
  require(to.numel() == v->shape.numel(), "reshape", where, v->shape, " does not hold as many numbers as ", to);
  Tape& tape = epoch_ ? *Tape::of(epoch_) : Tape::current(where);
  return tape.window(*this, 0, to, true, where);
}

Tensor Tensor::rows(int64_t first, int64_t count, Loc where) const {
  const Value* v = value(where);
  require(v->shape.rank() >= 1, "rows", where, "a scalar has no rows");
  require(are_within(first, count, v->shape[0]), "rows", where, "rows ", first, " to ", end_of(first, count),
          " are not in ", v->shape);
  Tape& tape = epoch_ ? *Tape::of(epoch_) : Tape::current(where);
  const int64_t row = v->shape[0] ? v->shape.numel() / v->shape[0] : 0;
  return tape.window(*this, first * row, v->shape.with(0, count), true, where);
}

Kept::Kept(const Tensor& t, Loc where) : value_(std::make_unique<Value>()) { assign(t, where); }

void Kept::assign(const Tensor& t, Loc where) {
  const Value* v = t.numbers(where);
  data_.assign(v->data, v->data + v->shape.numel());
  value_->data = data_.data();
  value_->shape = v->shape;
  value_->name = "kept";
}

// ---------------------------------------------------------------------------------------------------- the tape

Tape::Tape() {
  const std::lock_guard lock(live_mutex);
  slot_ = uint64_t(std::find(gradus_live_tapes, gradus_live_tapes + kMaxLiveTapes, nullptr) - gradus_live_tapes);
  require(slot_ < kMaxLiveTapes, "Tape", Loc::here(), "at most ", kMaxLiveTapes, " tapes may be alive at once");
  epochs_.reserve(16);
  epochs_.push_back(new_epoch());
  gradus_live_tapes[slot_] = this;
}

Tape::~Tape() {
  const std::lock_guard lock(live_mutex);
  gradus_live_tapes[slot_] = nullptr;
}

uint64_t Tape::new_epoch() const { return ++epochs_of_slot[slot_] * kMaxLiveTapes + slot_; }

Tape::Use::Use(Tape& tape) : before_(current_tape) { current_tape = &tape; }
Tape::Use::~Use() { current_tape = before_; }

Tape& Tape::current(const Loc& where) {
  require(current_tape != nullptr, "tape", where, "no tape is current on this thread; make one with Tape::Use");
  return *current_tape;
}

void Tape::new_step(const StepInfo& info, Loc where) {
  require(epochs_.size() == 1, "new_step", where, "a Tape::Mark is open; the step cannot end before its scope does");
  info_ = info;
  dropouts_ = 0;
  done_ = false;
  next = -1;
  ops_.clear();
  sums_.clear();
  met_.clear();
  seeds_.clear();
  bound_.clear();
  scopes_.clear();
  spare_.clear();
  arena_.reset();
  scratch_.reset();
  epochs_.assign(1, new_epoch());
}

Tape::Mark::Mark(Tape& tape) : tape_(tape), memory_(tape.arena_.mark()), recording_(tape.recording_) {
  tape_.recording_ = false;
  tape_.epochs_.push_back(tape_.new_epoch());
}

Tape::Mark::~Mark() {
  tape_.epochs_.pop_back();
  tape_.recording_ = recording_;
  tape_.arena_.rewind(memory_);
}

NoGrad::NoGrad(Loc where) : tape_(Tape::current(where)), before_(tape_.recording_) { tape_.recording_ = false; }

Tape::Scope::Scope(const char* name, int64_t index) : tape_(&Tape::current(Loc::here())) {
  if (!tape_->recording_) tape_ = nullptr;
  if (tape_) tape_->scopes_.push_back({.op = int64_t(tape_->ops_.size()), .name = name, .index = index});
}
Tape::Scope::~Scope() {
  if (tape_) tape_->scopes_.push_back({.op = int64_t(tape_->ops_.size()), .name = nullptr, .index = -1});
}

Tensor named(const char* name, const Tensor& t, Loc where) {
  Value* v = t.value(where);
  require(!v->owner, "named", where, v->name, ' ', v->shape, " is a parameter, which has its name from Params::add()");
  v->name = name;
  return t;
}

Tensor trained(const Tensor& term, Loc where) {
  const Value* v = term.value(where);
  require(v->needs_grad, "trained", where, "no gradient goes through ", v->name, ' ', v->shape,
          "; it is made of constants or frozen parameters alone, by detach() or under NoGrad, and would train nothing");
  return term;
}

Value* Tape::new_value(const Shape& shape, const char* name, bool needs_grad) {
  Value* v = arena_.make<Value>();
  v->shape = shape;
  v->name = name;
  v->needs_grad = needs_grad;
  return v;
}

Tensor Tape::leaf(const Shape& shape, const char* name, bool needs_grad, const real* values) {
  Value* v = new_value(shape, name, needs_grad && recording_);
  const int64_t n = shape.numel();
  v->data = arena_.reals(n);
  if (values && !measures_) {
    if (n == 1)
      *v->data = *values;  // a call would take as long as the rest of a scalar
    else
      std::copy(values, values + n, v->data);
  }
  return Tensor(v, epochs_.back());
}

Tensor Tape::window(const Tensor& of, int64_t offset, const Shape& shape, bool passes_grad, const Loc& where) {
  Value* base = input(of, where);  // what is bound to a frozen parameter may need a gradient
  Value* v = new_value(shape, base->name, passes_grad && base->needs_grad && recording_);
  v->data = base->data + offset;
  v->base = base->base ? base->base : base;  // a window of a window looks into the same Value
  return Tensor(v, epochs_.back());
}

// The Value that an op on this tape refers to for t: its own, also of a parameter, since the gradient is the tape's,
// and of a Kept, which may be assigned anew before backward runs.
Value* Tape::other_input(const Tensor& t, const Loc& where) {
  Value* v = t.value(where);
  require(t.epoch_ == 0 || of(t.epoch_) == this, "tape", where, "the tensor ", v->name, " ", v->shape,
          " was made on another tape");
  if (t.epoch_ != 0) return v;
  if (!measures_) t.numbers(where);
  if (v->owner && !bound_.empty())
    if (Value* instead = bound(*v)) return instead;
  if (!recording_) return v;
  if (v->owner) return local(*v);
  Value* copy = new_value(v->shape, v->name, false);
  copy->data = arena_.copy(std::span<const real>(v->data, size_t(v->shape.numel()))).data();
  return copy;
}

void Tape::bind(const Tensor& parameter, const Tensor& instead, Loc where) {
  const Value* p = parameter.value(where);
  require(p->owner != nullptr, "bind", where, p->name, ' ', p->shape,
          " is not a parameter; only Params makes parameters");
  require(p->shape == instead.shape(where), "bind", where, "the parameter ", p->name, " is ", p->shape,
          ", the tensor bound to it is ", instead.shape(where));
  require(epochs_.size() == 1, "bind", where, "a Tape::Mark is open; a tensor bound now would die with it");
  const Tensor whole = window(instead, 0, p->shape, true, where);
  std::erase_if(bound_, [p](const Bound& b) { return b.parameter == p; });
  bound_.push_back({p, whole.value(where)});
}

Value* Tape::bound(const Value& parameter) const {
  const auto is = [&parameter](const Bound& b) { return b.parameter == &parameter; };
  const auto found = std::find_if(bound_.begin(), bound_.end(), is);
  return found == bound_.end() ? nullptr : found->instead;
}

Value* Tape::local(const Value& parameter) {
  auto met = std::find_if(met_.begin(), met_.end(), [&](const Met& m) { return m.array == parameter.owner; });
  if (met == met_.end()) {
    const size_t count = parameter.owner->values.size();
    Value** local = arena_.array<Value*>(int64_t(count));
    std::fill_n(local, count, nullptr);
    met_.push_back({.array = parameter.owner, .local = local, .grad = nullptr, .version = parameter.owner->version});
    met = met_.end() - 1;
  }
  Value*& v = met->local[parameter.index];
  if (!v) {
    v = new_value(parameter.shape, parameter.name, parameter.needs_grad);
    v->data = parameter.data;
    v->index = parameter.index;
  }
  return v;
}

#ifdef GRADUS_POISON
constexpr bool kWatched = true;
#else
constexpr bool kWatched = false;
#endif
// Of the bits of all inputs and outputs but parameters, whose version tells (FNV-1a, a number at a time).
static uint64_t check_sum(const Op& op) {
  uint64_t sum = 0xcbf29ce484222325;
  for (int32_t i = 0; i < op.n_in + op.n_out; ++i) {
    const Value& v = *op.in[i];  // the outputs stand behind the inputs
    if ((v.base ? v.base : &v)->index >= 0) continue;
    for (int64_t k = 0; k < v.shape.numel(); ++k) {
      uint64_t bits = 0;
      std::memcpy(&bits, v.data + k, sizeof(real));
      sum = (sum ^ bits) * 0x100000001b3;
    }
  }
  return sum;
}

// Keeps the op, unless gradients are off, and computes it. Written where it stays: to copy what has just been written
// takes as long as all the rest of a scalar op. Inlined always: that is a tenth of the time of a scalar graph.
[[gnu::always_inline]] inline Op& Tape::run(const OpKind& kind, Value** values, int32_t n_in, int32_t n_out,
                                            void* saved, const Loc& where) {
  Op& op = recording_ ? ops_.emplace_back() : unrecorded_;
  op.kind = &kind;
  op.in = values;
  op.out = values + n_in;
  op.saved = saved;
  op.where = where;
  op.n_in = n_in;
  op.n_out = n_out;
  if (measures_) {
    measure_scratch(kind.forward_scratch, op);
    return op;
  }
  kind.forward(op);
  if (kWatched && recording_) sums_.push_back(check_sum(op));
  return op;
}

Op& Tape::record(const OpKind& kind, std::span<const Tensor> in, std::initializer_list<Shape> out, void* saved,
                 const Loc& where) {
  const int32_t n_in = int32_t(in.size()), n_out = int32_t(out.size());
  Value** const values = arena_.array<Value*>(n_in + n_out);
  bool needs_grad = false;
  for (int32_t i = 0; i < n_in; ++i) {
    values[i] = input(in[size_t(i)], where);
    needs_grad |= values[i]->needs_grad;
  }
  for (int32_t i = 0; i < n_out; ++i) {
    const Shape& shape = out.begin()[i];
    Value* const v = values[n_in + i] = new_value(shape, kind.name, needs_grad && recording_);
    v->data = arena_.reals(shape.numel());
  }
  return run(kind, values, n_in, n_out, saved, where);
}

Tensor Tape::record_pair(const OpKind& kind, const Tensor& a, const Tensor& b, const Loc& where) {
  Value *u = input(a, where), *v = input(b, where);
  require((u->shape.rank() == 0 && v->shape.rank() == 0) || u->shape == v->shape, kind.name, where,
          "shapes differ: a is ", u->shape, ", b is ", v->shape);
  struct Node {  // what the record of a pair takes, in one piece
    Value* values[3];
    Value out;
  };
  auto* const node = arena_.make<Node>();
  Value& out = node->out;
  out.data = arena_.reals(u->shape.numel());
  out.name = kind.name;
  out.shape = u->shape;
  out.needs_grad = (u->needs_grad || v->needs_grad) && recording_;
  node->values[0] = u;
  node->values[1] = v;
  node->values[2] = &out;
  return output(run(kind, node->values, 2, 1, nullptr, where));
}

void Tape::only_measure() {
  assert(ops_.empty());
  measures_ = true;
  arena_.only_count();
  scratch_.only_count();
}

// ---------------------------------------------------------------------------------------------------- backward

real* Tape::grad_of(Value* v) {
  if (v->base) return grad_of(v->base) + (v->data - v->base->data);
  if (!v->grad) v->grad = new_gradient(v->shape.numel());
  return v->grad;
}

// n zeros. A net repeats its sizes from layer to layer, so what is given up is taken again by those of the same size.
real* Tape::new_gradient(int64_t n) {
  const auto same = std::ranges::find(spare_, size_t(n), &std::span<real>::size);
  if (same == spare_.end()) return arena_.zeros(n);
  real* const grad = same->data();
  spare_.erase(same);
  if (!measures_) std::fill_n(grad, n, real(0));
  return grad;
}

void Tape::give_up_gradients(const Op& op) {
  for (Value* v : std::span(op.out, size_t(op.n_out))) {
    if (!v->grad) continue;
    spare_.emplace_back(v->grad, size_t(v->shape.numel()));
    v->grad = nullptr;
    v->given_up = true;
  }
}

real* Tape::grad_on_current(Value* v) { return current(Loc::here()).grad_of(v); }

void Tape::require_ready(const char* op, const Loc& where) const {
  require(epochs_.size() == 1, op, where,
          "a Tape::Mark is open; the memory of its scope, gradients too, would be given back when it ends");
  require(!done_, op, where,
          "backward has already run on this step, a second pass would double the gradients; begin a new step with "
          "new_step()");
}

void Tape::seed(const Tensor& y, std::span<const real> dy, Loc where) {
  require_ready("seed", where);
  Value* v = input(y, where);
  require(int64_t(dy.size()) == v->shape.numel(), "seed", where, dy.size(), " numbers for a tensor ", v->shape);
  add_seed(v, measures_ ? arena_.reals(int64_t(dy.size())) : arena_.copy(dy).data(), where);
}

void Tape::add_seed(Value* y, const real* dy, const Loc& where) {
  require(y->needs_grad, "backward", where, y->name, " ", y->shape,
          " does not depend on any parameter or leaf that needs a gradient");
  seeds_.push_back({y, dy});
}

void Tape::backward(const Tensor& loss, Loc where) {
  static constexpr real kOne = 1;
  require_ready("backward", where);
  Value* v = input(loss, where);
  require(v->shape.numel() == 1, "backward", where, "the loss must be one number, it is ", v->shape);
  add_seed(v, &kOne, where);
  run_backward(Keep::kAll, where);
}

void Tape::backward(Keep keep, Loc where) {
  require_ready("backward", where);
  run_backward(keep, where);
}

void Tape::run_backward(Keep keep, const Loc& where) {
  require(!seeds_.empty(), "backward", where, "nothing to start from; seed() an output or pass a loss");
  for (const Met& met : met_)
    require(met.array->version == met.version, "backward", where,
            "a parameter was written after the step had read it, so its slopes would be those of other values; write "
            "parameters after backward()");
  done_ = true;
  keep_ = keep;
  const Use use(*this);
  backward_begin_ = arena_.mark();
  start_backward();
  do {  // `next` is read from memory after each hook: a debugger may have moved it, even after the last op
    while (next >= 0) {
      if (!measures_) gradus_backward_begin(this);
      if (next >= 0) step_back();
    }
    if (!measures_) gradus_backward_end(this);  // there is nothing to see where only sizes are counted
  } while (next >= 0);
}

// Numbers in all parameters, which are declared before they exist.
static int64_t numbers_in(const ParamArray& array) {
  if (!array.data.empty()) return int64_t(array.data.size());
  int64_t n = 0;
  for (const auto& value : array.values) n += value->shape.numel();
  return n;
}

void Tape::start_backward() {
  ran_last_ = nullptr;
  for (Met& met : met_) {
    met.grad = arena_.zeros(numbers_in(*met.array));
    for (size_t i = 0; i < met.array->values.size(); ++i)
      if (Value* v = met.local[i]) v->grad = met.grad + (v->data - met.array->data.data());
  }
  for (const Seed& s : seeds_) {
    real* grad = grad_of(s.value);
    for (int64_t i = 0; !measures_ && i < s.value->shape.numel(); ++i) grad[i] += s.dy[i];
  }
  next = next_below(int64_t(ops_.size()));
}

// The last op before i that some gradient has reached; what lies between does not matter to the loss.
int64_t Tape::next_below(int64_t i) const {
  const auto reached = [](const Value* v) { return v->grad && v->needs_grad; };
  while (--i >= 0)
    if (std::any_of(ops_[size_t(i)].out, ops_[size_t(i)].out + ops_[size_t(i)].n_out, reached)) break;
  return i;
}

void Tape::step_back() {
  const int64_t i = next;
  Op& op = ops_[size_t(i)];
  if (keep_ == Keep::kParameters && ran_last_) give_up_gradients(*ran_last_);
  ran_last_ = &op;
  if (measures_) {
    measure_backward(op);
  } else {
    require(!kWatched || sums_[size_t(i)] == check_sum(op), "backward", op.where, "an input or output of ",
            op.kind->name, " has changed since it ran, so its slopes would be those of other values");
    op.kind->backward(op);
  }
  next = next_below(i);
}

void Tape::measure_scratch(int64_t (*numbers)(const Op&), const Op& op) {
  const ArenaScope scope(scratch_);
  if (numbers) scratch_.reals(numbers(op));
}

// Makes the gradients that the op's backward would make.
void Tape::measure_backward(const Op& op) {
  measure_scratch(op.kind->scratch, op);
  for (int32_t i = 0; i < op.n_out; ++i) grad_of(op.out[i]);
  for (int32_t i = 0; i < op.n_in; ++i)
    if (op.in[i]->needs_grad) grad_of(op.in[i]);
}

void Tape::clear_gradients() {
  for (const Op& op : ops_)
    for (int32_t i = 0; i < op.n_in + op.n_out; ++i)
      for (Value* v = op.in[i]; v; v = v->base) v->grad = nullptr, v->given_up = false;
  for (const Seed& s : seeds_)
    for (Value* v = s.value; v; v = v->base) v->grad = nullptr;
  spare_.clear();
  arena_.rewind(backward_begin_);
}

int64_t Tape::rewind(int64_t k) {
  if (!done_) return -1;  // the pass has not begun
  const Use use(*this);
  keep_ = Keep::kAll;
  clear_gradients();
  start_backward();
  while (k-- > 0 && next >= 0) step_back();
  return next;
}

void Tape::restore_gradients() {
  if (!done_ || keep_ == Keep::kAll) return;
  const Use use(*this);
  const int64_t here = next;
  rewind(0);
  while (next > here) step_back();
}

std::span<real> Tape::gradient(const ParamArray& array) {
  for (const Met& met : met_)
    if (met.array == &array && met.grad) return {met.grad, array.data.size()};
  return {arena_.zeros(int64_t(array.data.size())), array.data.size()};
}

}  // namespace gradus
