// Value: one flat array on the tape and its gradient. Tensor: a handle on a Value; it owns nothing.
// Tensors are made by the ops of engine/ops.h on the current tape (engine/tape.h), by Params, or by keep().
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "engine/error.h"
#include "engine/real.h"
#include "engine/shape.h"

namespace gradus {

struct ParamArray;

// Data is contiguous and row-major, always; the gradient has the same layout.
struct Value {
  real* data = nullptr;
  real* grad = nullptr;               // null until a gradient arrives, and of a window, whose gradient is its base's
  Value* base = nullptr;              // of a window: the Value it looks into
  const ParamArray* owner = nullptr;  // of a parameter: the array it is part of; tapes keep a Value of their own for it
  const char* name = "";              // of a parameter or a leaf its own, else the op's
  Shape shape;
  int32_t index = -1;  // of a parameter: its place in the owner
  bool needs_grad = false;
  bool given_up = false;  // a gradient had arrived, and its memory serves another one: Keep::kParameters

  // What has arrived, as many numbers as the value has; null if nothing has, or it was given up. A window's is part of
  // its base's.
  const real* arrived() const {
    if (!base) return grad;
    return base->grad && needs_grad ? base->grad + (data - base->data) : nullptr;
  }
};

// One flat array of parameter values, read-only while tapes run. Params (engine/params.h) fills it.
struct ParamArray {
  std::vector<real> data;
  std::vector<std::unique_ptr<Value>> values;  // one for each parameter, pointing into data, in order
  uint64_t version = 0;                        // goes up whenever data is opened for writing
};

// A window on a Value. A tensor made in a step is dead once its tape has begun a new step or left the Mark it was made
// under; every use of a dead tensor throws ShapeError, and so does an op on a tensor of another tape than the current
// one. Parameters and kept tensors never die.
class Tensor {
 public:
  Tensor() = default;
  const Shape& shape(Loc where = Loc::here()) const { return value(where)->shape; }
  int64_t dim(int i, Loc where = Loc::here()) const { return value(where)->shape[i]; }  // negative counts from the back
  int64_t numel(Loc where = Loc::here()) const { return value(where)->shape.numel(); }
  // The numbers. Throws for a parameter before Params::init().
  const real* data(Loc where = Loc::here()) const { return numbers(where)->data; }
  std::span<const real> span(Loc where = Loc::here()) const { return {data(where), size_t(numel(where))}; }
  // The same to be written, before an op reads them: backward reads them again, and debug builds throw there if they
  // have changed since. Throws for a parameter, which Params::edit() writes.
  std::span<real> edit(Loc where = Loc::here()) const;
  double item(Loc where = Loc::here()) const;  // the one number. REQUIRES: numel() == 1
  // Throws if none has arrived, or it was given up (Keep::kParameters); of a parameter: zeros.
  std::span<const real> grad(Loc where = Loc::here()) const;

  // Windows: no copy, no entry on the tape; a gradient of the window is a gradient of its base.
  Tensor reshape(Shape shape, Loc where = Loc::here()) const;                // REQUIRES: same numel
  Tensor rows(int64_t first, int64_t count, Loc where = Loc::here()) const;  // a slice of dimension 0

  Value* value(const Loc& where) const;  // throws if dead
  explicit operator bool() const { return value_ != nullptr; }

 private:
  const Value* numbers(const Loc& where) const;  // value(), which has numbers
  friend class Tape;
  friend class Kept;
  friend class Params;
  Tensor(Value* value, uint64_t epoch) : value_(value), epoch_(epoch) {}
  Value* value_ = nullptr;
  uint64_t epoch_ = 0;  // 0: never dies
};

// A copy that outlives its step, without a gradient: carried LSTM state, a saved sample. Move-only owner; converts to a
// Tensor that lives as long as it.
class Kept {
 public:
  explicit Kept(const Tensor& t, Loc where = Loc::here());
  void assign(const Tensor& t, Loc where = Loc::here());  // new numbers; no allocation when the size stays
  operator Tensor() const { return Tensor(value_.get(), 0); }

 private:
  std::vector<real> data_;
  std::unique_ptr<Value> value_;
};
inline Kept keep(const Tensor& t, Loc where = Loc::here()) { return Kept(t, where); }

}  // namespace gradus
