// The safetensors format: named arrays in one file, written by any program. No file can make this code crash, read
// beyond its end or allocate more than it holds; the rules are listed in safetensors_header.cpp.
//
//   8 bytes         N, little-endian
//   N bytes         JSON: {"name":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}, ...}, spaces at the end
//   all the others  the values, row-major, little-endian, without gaps
//
// Format: https://github.com/huggingface/safetensors. It has no checksum, so our files carry one in their metadata.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/io/file.h"
#include "engine/io/hash.h"

namespace gradus {

inline constexpr uint64_t kMaxHeaderBytes = uint64_t{16} << 20;
inline constexpr size_t kMaxTensors = 65536, kMaxDims = 8, kMaxNameBytes = 512, kMaxMetadata = 4096;

struct TensorInfo {
  std::string name;
  std::string_view dtype;       // "F32", "F64", "F16", "BF16"; others may be listed but not read
  std::vector<int64_t> shape;   // up to kMaxDims sizes; empty for a scalar
  uint64_t begin = 0, end = 0;  // bytes of its values, counted from the end of the header

  int64_t numel() const;
};

// A file whose header has passed every check and, where it is ours, whose hash agrees.
// All errors are DataError, one sentence: FILE: the rule that is broken, the tensor, the offset, what would be right.
class SafetensorsFile {
 public:
  // Keeps the file open: a file replaced meanwhile is still read as it was.
  static SafetensorsFile open(const std::string& path);
  // The same from memory, which must outlive the result; messages have `name` instead of the path.
  static SafetensorsFile parse(std::span<const std::byte> bytes, std::string name = "memory");

  const std::string& path() const { return path_; }
  uint64_t size() const { return size_; }                              // in bytes
  const std::vector<TensorInfo>& tensors() const { return tensors_; }  // in the order of their values in the file
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  const TensorInfo* find(std::string_view name) const;  // null if there is none
  const TensorInfo& at(std::string_view name) const;    // DataError if there is none
  // gradus wrote it, and its hash agrees: it is as it was written.
  bool is_ours() const { return is_ours_; }

  // DataError unless its values are floating-point: F64, F32, F16 or BF16.
  void require_floating(const TensorInfo& tensor) const;
  // The values of a floating-point tensor. DataError where it is another one, where `out`
  // is not of numel() values, and where a finite value does not fit into float.
  void read(const TensorInfo& tensor, std::span<float> out) const;
  void read(const TensorInfo& tensor, std::span<double> out) const;
  // The same of its values [first, first + out.size()). REQUIRES: it has them.
  void read_part(const TensorInfo& tensor, uint64_t first, std::span<double> out) const;

 private:
  SafetensorsFile(std::string path, Descriptor fd, std::span<const std::byte> bytes, uint64_t size);
  void fetch(uint64_t offset, std::span<std::byte> out) const;
  void fetch_alone(uint64_t offset, std::span<std::byte> out) const;
  void check_length(uint64_t header_bytes) const;
  void check_hash(std::string header);
  void hash_data(Hash64& hash) const;
  template <class To>
  void read_all(const TensorInfo& tensor, std::span<To> out) const;
  template <class To>
  void read_as(const TensorInfo& tensor, uint64_t first, std::span<To> out) const;

  std::string path_;
  Descriptor fd_;                     // the file, or
  std::span<const std::byte> bytes_;  // the memory
  uint64_t size_ = 0, data_begin_ = 0;
  std::vector<TensorInfo> tensors_;
  std::map<std::string, std::string> metadata_;
  std::vector<uint32_t> by_name_;  // places in tensors_
  bool is_ours_ = false;
};

// One array to be written; refers to the values, which stay the caller's.
struct TensorSource {
  TensorSource(std::string path, std::vector<int64_t> sizes, std::span<const float> values)
      : name(std::move(path)), dtype("F32"), shape(std::move(sizes)), bytes(std::as_bytes(values)) {}
  TensorSource(std::string path, std::vector<int64_t> sizes, std::span<const double> values)
      : name(std::move(path)), dtype("F64"), shape(std::move(sizes)), bytes(std::as_bytes(values)) {}

  std::string name;
  const char* dtype;
  std::vector<int64_t> shape;
  std::span<const std::byte> bytes;
};

// Replaces PATH atomically (engine/io/file.h). Equal content gives equal bytes, whatever the order of `tensors`:
// F64 before F32, then by name, the values 8-aligned. Metadata keys "format" ("gradus") and "hash" are set here.
// WriteError where a call fails, or, before anything is touched, where the reader above would refuse the file.
void write_safetensors(const std::string& path, std::vector<TensorSource> tensors,
                       std::map<std::string, std::string> metadata);

}  // namespace gradus
