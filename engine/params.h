// Params: all parameters of a model in one flat array, with named paths like h.0.attn.c_attn.weight. Zeroing, clipping,
// the optimiser, a copy and a checkpoint are one loop each.
//
//   Params params;
//   Tensor w = params.add("w", {2, 3}, Init::normal(0.02));
//   params.init(seed);                       // fixes the array and draws the values
//   Params prior = params.clone();
//   params.freeze("h.0.");                   // the first block is no longer trained
//   params.edit(0)[5] = 1;                   // the only way to write; everything else reads
#pragma once

#include <deque>
#include <string>
#include <unordered_map>

#include "engine/tensor.h"

namespace gradus {

// How the values of a parameter begin: constant, normal with standard deviation a, or uniform in ±a.
struct Init {
  enum Kind { kConstant, kNormal, kUniform } kind = kConstant;
  double a = 0;
  static Init constant(double value) { return {kConstant, value}; }
  static Init normal(double deviation) { return {kNormal, deviation}; }
  static Init uniform(double bound) { return {kUniform, bound}; }
};

// The maps from hidden vectors to hidden vectors that a matrix consists of, all of one size, `down` below each other
// and `across` side by side, as those of queries, keys and values. Vectors, embeddings and heads have none. Muon's step
// is for these (engine/muon.h).
struct HiddenMaps {
  int64_t down = 0, across = 0;
  explicit operator bool() const { return down > 0; }
};
inline constexpr HiddenMaps kOneMap = {1, 1};

class Params {
 public:
  // Declares a parameter; its numbers exist after init(), and until then only its shape may be asked. Throws ShapeError
  // if the name is taken, init() has run, 64 bits cannot count all numbers, or the shape cannot be cut into the maps.
  Tensor add(const std::string& name, const Shape& shape, Init init, Loc where = Loc::here()) {
    return add(name, shape, init, HiddenMaps{}, where);
  }
  Tensor add(const std::string& name, const Shape& shape, Init init, HiddenMaps maps, Loc where = Loc::here());
  // Allocates the flat array and draws every value as a function of (seed, place in it).
  void init(uint64_t seed);
  // Only allocates it, of zeros, for values that come from elsewhere.
  void allocate();
  // The same names, shapes, values and frozen parameters in an array of its own: a prior, a proposal, a target network.
  Params clone() const;
  // Takes the parameters whose names begin with `prefix` ("" for all) out of training: from the next step on no op
  // computes their gradient, which is 0, and an optimiser leaves them and its own state of them alone.
  // Throws ShapeError if no name begins so. REQUIRES: no step is under way.
  void freeze(const std::string& prefix, Loc where = Loc::here());
  bool frozen(int64_t i) const { return !array_->values[size_t(i)]->needs_grad; }

  int64_t declared_size() const { return total_; }                  // what init() will allocate
  int64_t size() const { return int64_t(array_->data.size()); }     // numbers in all parameters
  int64_t count() const { return int64_t(array_->values.size()); }  // parameters
  std::span<const real> data() const { return array_->data; }
  const ParamArray& array() const { return *array_; }

  // The one way to change values: all numbers, or those of parameter i, to be written before the next step reads them.
  // Raises version(), so what was made of the old values (packed weights) can tell that it is stale, and a backward
  // pass that is under way refuses to go on; a span kept for later writes past it, so ask again. ShapeError before
  // init().
  std::span<real> edit();
  std::span<real> edit(int64_t i) { return edit().subspan(size_t(offset(i)), size_t(shape(i).numel())); }
  // ShapeError if it is not one of these.
  std::span<real> edit(const Tensor& parameter, Loc where = Loc::here());
  uint64_t version() const { return array_->version; }

  // Parameter i: its name, its shape, its maps, where it begins in data(), its numbers.
  const std::string& name(int64_t i) const { return entries_[size_t(i)].name; }
  const Shape& shape(int64_t i) const { return array_->values[size_t(i)]->shape; }
  const HiddenMaps& maps(int64_t i) const { return entries_[size_t(i)].maps; }
  int64_t offset(int64_t i) const { return entries_[size_t(i)].offset; }
  std::span<const real> values(int64_t i) const;  // ShapeError before init()
  Tensor tensor(int64_t i) const { return Tensor(array_->values[size_t(i)].get(), 0); }
  int64_t find(const std::string& name) const;  // −1 if there is none

  // Copies every value. Throws ShapeError unless both have the same names and shapes in the same order.
  void copy_from(const Params& other, Loc where = Loc::here());

 private:
  struct Entry {
    std::string name;
    int64_t offset;
    Init init;
    HiddenMaps maps;
  };
  void require_numbers(const char* what) const;
  void place();  // points every Value at its name and, once they exist, its numbers

  std::unique_ptr<ParamArray> array_ = std::make_unique<ParamArray>();  // tensors point into it, so it never moves
  std::deque<Entry> entries_;                                           // names never move
  std::unordered_map<std::string, int64_t> place_;                      // of each name in entries_
  int64_t total_ = 0;
};

}  // namespace gradus
