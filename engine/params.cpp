#include "engine/params.h"

#include <algorithm>

#include "engine/rng.h"

namespace gradus {

Tensor Params::add(const std::string& name, const Shape& shape, Init init, HiddenMaps maps, Loc where) {
  require(array_->data.empty(), "Params", where, name, " comes too late: init() has fixed the array");
  require(find(name) < 0, "Params", where, "the name ", name, " is taken");
  require(!maps || (shape.rank() == 2 && maps.across > 0 && shape[0] % maps.down == 0 && shape[1] % maps.across == 0),
          "Params", where, name, ' ', shape, " cannot be cut into ", maps.down, " × ", maps.across, " maps");
  auto value = std::make_unique<Value>();
  value->shape = shape;
  value->owner = array_.get();
  value->index = int32_t(count());
  value->needs_grad = true;
  const int64_t offset = total_;
  require(!__builtin_add_overflow(total_, shape.numel(), &total_), "Params", where, name, ' ', shape,
          " makes more numbers than 64 bits can count");
  place_.emplace(name, count());
  entries_.push_back({name, offset, init, maps});
  value->name = entries_.back().name.c_str();
  array_->values.push_back(std::move(value));
  return tensor(count() - 1);
}

void Params::place() {
  for (int64_t i = 0; i < count(); ++i) {
    if (size() > 0) array_->values[size_t(i)]->data = array_->data.data() + offset(i);
    array_->values[size_t(i)]->name = name(i).c_str();
  }
}

void Params::allocate() {
  array_->data.assign(size_t(total_), 0);
  place();
}

void Params::init(uint64_t seed) {
  allocate();
  const Rng rng(seed, Stream::kInit, 0);
  const std::span<real> data = edit();
  for (int64_t i = 0; i < count(); ++i) {
    const Init& init = entries_[size_t(i)].init;
    for (int64_t at = offset(i); at < offset(i) + shape(i).numel(); ++at)
      data[size_t(at)] = real(init.kind == Init::kNormal    ? init.a * rng.normal(at)
                              : init.kind == Init::kUniform ? init.a * (2 * rng.uniform(at) - 1)
                                                            : init.a);
  }
}

Params Params::clone() const {
  Params copy;
  copy.entries_ = entries_;
  copy.place_ = place_;
  copy.total_ = total_;
  copy.array_->data = array_->data;
  for (const auto& value : array_->values) {
    copy.array_->values.push_back(std::make_unique<Value>(*value));
    copy.array_->values.back()->owner = copy.array_.get();
  }
  copy.place();
  return copy;
}

void Params::freeze(const std::string& prefix, Loc where) {
  bool found = false;
  for (int64_t i = 0; i < count(); ++i)
    if (name(i).starts_with(prefix)) {
      array_->values[size_t(i)]->needs_grad = false;
      found = true;
    }
  require(found, "freeze", where, "no parameter's name begins with \"", prefix, "\"");
}

void Params::require_numbers(const char* what) const {
  require(total_ == 0 || size() > 0, what, Loc::here(), "the parameters have no numbers before Params::init()");
}

std::span<const real> Params::values(int64_t i) const {
  require_numbers("values");
  return data().subspan(size_t(offset(i)), size_t(shape(i).numel()));
}

std::span<real> Params::edit() {
  require_numbers("edit");
  ++array_->version;
  return array_->data;
}

std::span<real> Params::edit(const Tensor& parameter, Loc where) {
  const Value* value = parameter.value(where);
  require(value->owner == array_.get(), "edit", where, value->name, ' ', value->shape,
          " is not one of these parameters");
  return edit(value->index);
}

int64_t Params::find(const std::string& name) const {
  const auto found = place_.find(name);
  return found == place_.end() ? -1 : found->second;
}

void Params::copy_from(const Params& other, Loc where) {
  bool same = count() == other.count();
  for (int64_t i = 0; same && i < count(); ++i) same = name(i) == other.name(i) && shape(i) == other.shape(i);
  require(same, "copy_from", where, "needs the same parameters in the same order");
  std::ranges::copy(other.data(), edit().begin());
}

}  // namespace gradus
