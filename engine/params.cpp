#include "engine/params.h"

#include <algorithm>

#include "engine/rng.h"

namespace gradus {

Tensor Params::add(const std::string& name, const Shape& shape, Init init, Loc where) {
  require(array_->data.empty(), "Params", where, name, " comes too late: init() has fixed the array");
  require(find(name) < 0, "Params", where, "the name ", name, " is taken");
  auto value = std::make_unique<Value>();
  value->shape = shape;
  value->owner = array_.get();
  value->index = int32_t(count());
  value->needs_grad = true;
  entries_.push_back({name, total_, init});
  total_ += shape.numel();
  array_->values.push_back(std::move(value));
  return tensor(count() - 1);
}

void Params::init(uint64_t seed) {
  array_->data.assign(size_t(total_), 0);
  const Rng rng(seed, Stream::kInit, 0);
  for (int64_t i = 0; i < count(); ++i) {
    Value& value = *array_->values[size_t(i)];
    const Entry& entry = entries_[size_t(i)];
    value.data = array_->data.data() + entry.offset;
    value.name = entry.name.c_str();
    for (int64_t j = 0; j < value.shape.numel(); ++j) {
      const int64_t place = entry.offset + j;
      value.data[j] = real(entry.init.kind == Init::kNormal    ? entry.init.a * rng.normal(place)
                           : entry.init.kind == Init::kUniform ? entry.init.a * (2 * rng.uniform(place) - 1)
                                                               : entry.init.a);
    }
  }
}

int64_t Params::find(const std::string& name) const {
  const auto i = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& e) { return e.name == name; });
  return i == entries_.end() ? -1 : i - entries_.begin();
}

void Params::copy_from(const Params& other, Loc where) {
  bool same = count() == other.count();
  for (int64_t i = 0; same && i < count(); ++i) same = name(i) == other.name(i) && shape(i) == other.shape(i);
  require(same, "copy_from", where, "wants the same parameters in the same order");
  std::copy(other.data().begin(), other.data().end(), array_->data.begin());
}

}  // namespace gradus
