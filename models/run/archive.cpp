#include "models/run/archive.h"

#include <algorithm>
#include <cmath>

namespace gradus {

static constexpr const char *kMean = "adam.m.", *kSquare = "adam.v.";

void ArchiveWriter::list(std::string name, std::vector<double> values) {
  const std::vector<double>& kept = lists_.emplace_back(std::move(values));
  array(std::move(name), {int64_t(kept.size())}, std::span(kept));
}

void ArchiveWriter::write(const std::string& path) && {
  write_safetensors(path, std::move(arrays_), std::move(sections_));
}

const std::string* ArchiveReader::find_section(const std::string& key) {
  sections_asked_.insert(key);
  const auto i = file_.metadata().find(key);
  return i == file_.metadata().end() ? nullptr : &i->second;
}

const std::string& ArchiveReader::section(const std::string& key) {
  if (const std::string* content = find_section(key)) return *content;
  throw DataError(text(file_.path(), ": not a gradus checkpoint, its metadata lack '", key, "'"));
}

const TensorInfo* ArchiveReader::find(const std::string& name) {
  const TensorInfo* info = file_.find(name);
  if (info) arrays_asked_.insert(name);
  return info;
}

const TensorInfo& ArchiveReader::require(const std::string& name, const Shape& shape) {
  const TensorInfo* info = find(name);
  if (!info) throw DataError(text(file_.path(), ": the tensor ", name, " ", shape, " of this model is missing"));
  if (info->shape != shape.sizes()) {
    std::string found;
    for (int64_t n : info->shape) found += (found.empty() ? "" : ",") + std::to_string(n);
    throw DataError(text(file_.path(), ": ", name, " is [", found, "], this model needs ", shape));
  }
  file_.require_floating(*info);
  return *info;
}

void ArchiveReader::read(const std::string& name, const Shape& shape, std::span<real> out) {
  file_.read(require(name, shape), out);
}

std::vector<double> ArchiveReader::list(const std::string& name) {
  const TensorInfo* info = find(name);
  if (!info) throw DataError(text(file_.path(), ": the tensor ", name, " is missing"));
  file_.require_floating(*info);
  std::vector<double> values(size_t(info->numel()));
  file_.read(*info, std::span(values));
  return values;
}

void ArchiveReader::refuse_rest() const {
  if (file_.tensors().size() != arrays_asked_.size())
    throw DataError(
        text(file_.path(), ": holds ", file_.tensors().size(), " tensors, this model has ", arrays_asked_.size()));
}

std::vector<std::string> ArchiveReader::other_sections() const {
  std::vector<std::string> others;
  for (const auto& [key, content] : file_.metadata())
    if (!sections_asked_.contains(key)) others.push_back(key);
  return others;
}

// The part of an array as long as all parameters that belongs to parameter i.
template <class T>
static std::span<T> part(const Params& params, int64_t i, std::span<T> all) {
  return all.subspan(size_t(params.offset(i)), size_t(params.shape(i).numel()));
}

template <class T>
void save_parts(ArchiveWriter& out, const Params& params, std::span<const T> all, const std::string& prefix) {
  for (int64_t i = 0; i < params.count(); ++i)
    out.array(prefix + params.name(i), params.shape(i).sizes(), part(params, i, all));
}
template void save_parts(ArchiveWriter&, const Params&, std::span<const float>, const std::string&);
template void save_parts(ArchiveWriter&, const Params&, std::span<const double>, const std::string&);

void load_parts(ArchiveReader& in, const Params& params, std::span<real> all, const std::string& prefix) {
  for (int64_t i = 0; i < params.count(); ++i) in.read(prefix + params.name(i), params.shape(i), part(params, i, all));
}

void save_params(ArchiveWriter& out, const Params& params, const std::string& prefix) {
  save_parts(out, params, params.data(), prefix);
}

void require_params(ArchiveReader& in, const Params& params, const std::string& prefix) {
  for (int64_t i = 0; i < params.count(); ++i) in.require(prefix + params.name(i), params.shape(i));
}

void load_params(ArchiveReader& in, Params& params, const std::string& prefix) {
  load_parts(in, params, params.edit(), prefix);
}

void save_moments(ArchiveWriter& out, const Params& params, const AdamW& optimizer, const std::string& prefix) {
  save_parts(out, params, std::span(optimizer.m), kMean + prefix);
  save_parts(out, params, std::span(optimizer.v), kSquare + prefix);
}

bool has_moments(ArchiveReader& in, const Params& params) {
  if (params.count() == 0 || !in.find(kMean + params.name(0))) return false;
  for (const char* prefix : {kMean, kSquare}) require_params(in, params, prefix);
  return true;
}

void load_moments(ArchiveReader& in, const Params& params, AdamW& optimizer, const std::string& prefix) {
  load_parts(in, params, std::span(optimizer.m), kMean + prefix);
  load_parts(in, params, std::span(optimizer.v), kSquare + prefix);
  const auto refuse = [&](const char* which, const std::vector<real>& numbers, const auto& is_wrong, const char* how) {
    for (int64_t i = 0; i < params.count(); ++i)
      if (std::ranges::any_of(part(params, i, std::span(numbers)), is_wrong))
        throw DataError(text(in.file().path(), ": ", which, prefix, params.name(i), " holds a number that is ", how));
  };
  refuse(
      kMean, optimizer.m, [](real x) { return !std::isfinite(x); }, "not finite");
  refuse(
      kSquare, optimizer.v, [](real x) { return !std::isfinite(x) || x < 0; }, "negative, or not finite");
}

}  // namespace gradus
