// Archive: a checkpoint on disk, which is named arrays and named sections of text in one safetensors file. Each owner
// (a model, an optimiser, a tokenizer, fine-tuning) writes its part under its own names and reads it back; the archive
// knows none of them. It reads arrays of files by other programs too, which have no sections of ours.
//
//   ArchiveWriter out;
//   out.section("step", "7");
//   save_params(out, model.params());
//   out.write(path);
//
//   ArchiveReader in(path);
//   load_params(in, model.params());
//   in.refuse_rest();
#pragma once

#include <deque>
#include <set>
#include <string>
#include <vector>

#include "engine/error.h"
#include "engine/io/safetensors.h"
#include "engine/optim.h"

namespace gradus {

class ArchiveWriter {
 public:
  void section(const std::string& key, std::string content) { sections_[key] = std::move(content); }
  // `values`, float or double, stay the caller's until write().
  template <class T>
  void array(std::string name, std::vector<int64_t> shape, std::span<const T> values) {
    arrays_.emplace_back(std::move(name), std::move(shape), values);
  }
  // Numbers of [n] that are kept in double precision by either build; the archive keeps a copy.
  void list(std::string name, std::vector<double> values);
  // Replaces the file atomically; the old one stays if anything fails (WriteError).
  void write(const std::string& path) &&;

 private:
  std::vector<TensorSource> arrays_;
  std::map<std::string, std::string> sections_;
  std::deque<std::vector<double>> lists_;  // stay where they are while it grows
};

// All errors are DataError and name the file.
class ArchiveReader {
 public:
  explicit ArchiveReader(const std::string& path) : file_(SafetensorsFile::open(path)) {}
  explicit ArchiveReader(SafetensorsFile file) : file_(std::move(file)) {}
  const SafetensorsFile& file() const { return file_; }

  // A section; if it is missing, null, or for section() an error.
  const std::string* find_section(const std::string& key);
  const std::string& section(const std::string& key);
  // What `read` makes of a section's content; its errors are told with the file and the key.
  template <class Read>
  auto section(const std::string& key, const Read& read) {
    const std::string& content = section(key);
    try {
      return read(content);
    } catch (const DataError& error) {
      throw DataError(text(file_.path(), ": the metadata's '", key, "': ", error.what()));
    }
  }
  // An array; null if it is missing. file().read() has its numbers.
  const TensorInfo* find(const std::string& name);
  // One that must be there, of this shape and of floating-point numbers.
  const TensorInfo& require(const std::string& name, const Shape& shape);
  // Its numbers.
  void read(const std::string& name, const Shape& shape, std::span<real> out);
  std::vector<double> list(const std::string& name);  // of any shape

  // The parts that no owner has read: an error for arrays, the keys of sections.
  void refuse_rest() const;
  std::vector<std::string> other_sections() const;

 private:
  SafetensorsFile file_;
  std::set<std::string> arrays_asked_, sections_asked_;
};

// A number for each parameter element, one array PREFIX + NAME for each parameter; a file may hold more.
template <class T>  // float or double
void save_parts(ArchiveWriter& out, const Params& params, std::span<const T> all, const std::string& prefix);
void load_parts(ArchiveReader& in, const Params& params, std::span<real> all, const std::string& prefix);
// The same of the parameters themselves; require_params() looks whether they are there, before init() takes memory.
void require_params(ArchiveReader& in, const Params& params, const std::string& prefix = "");
void save_params(ArchiveWriter& out, const Params& params, const std::string& prefix = "");
void load_params(ArchiveReader& in, Params& params, const std::string& prefix = "");
// The moments of an optimiser as adam.m.NAME and adam.v.NAME, NAME with its prefix; the caller keeps the number of its
// steps.
void save_moments(ArchiveWriter& out, const Params& params, const AdamW& optimizer, const std::string& prefix = "");
// Whether it has them; an error where it has but some.
bool has_moments(ArchiveReader& in, const Params& params);
void load_moments(ArchiveReader& in, const Params& params, AdamW& optimizer, const std::string& prefix = "");

}  // namespace gradus
