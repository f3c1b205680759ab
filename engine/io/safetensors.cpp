#include "engine/io/safetensors.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cassert>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <system_error>
#include <tuple>
#include <type_traits>

#include "engine/error.h"
#include "engine/io/hash.h"
#include "engine/io/safetensors_header.h"

namespace gradus {
namespace {

static_assert(std::endian::native == std::endian::little, "values are copied as they are in the file");

std::string reason(int code) { return std::generic_category().message(code); }

// IEEE binary16: 1 sign, 5 exponent (bias 15), 10 fraction bits.
float from_half(uint16_t h) {
  const uint32_t sign = static_cast<uint32_t>(h >> 15) << 31, exponent = (h >> 10) & 31, fraction = h & 1023;
  if (exponent == 0) {  // zero and denormals: fraction * 2^-24, exact in float
    const float value = static_cast<float>(fraction) * 0x1p-24f;
    return sign ? -value : value;
  }
  const uint32_t wide = exponent == 31 ? 255 : exponent + 127 - 15;
  return std::bit_cast<float>(sign | wide << 23 | fraction << 13);
}

template <class T>
T load(const std::byte* p) {
  T value;
  std::memcpy(&value, p, sizeof value);
  return value;
}

struct Decoder {
  const char* dtype;
  size_t width;
  double (*decode)(const std::byte*);
};
constexpr Decoder kDecoders[] = {
    {"F64", 8, [](const std::byte* p) { return load<double>(p); }},
    {"F32", 4, [](const std::byte* p) { return static_cast<double>(load<float>(p)); }},
    {"F16", 2, [](const std::byte* p) { return static_cast<double>(from_half(load<uint16_t>(p))); }},
    {"BF16", 2, [](const std::byte* p) {
       return static_cast<double>(std::bit_cast<float>(static_cast<uint32_t>(load<uint16_t>(p)) << 16));
     }}};

std::string shape_text(const std::vector<int64_t>& shape) {
  std::string out = "[";
  for (const int64_t n : shape) out += (out.size() > 1 ? "," : "") + std::to_string(n);
  return out + "]";
}

std::string_view bytes_of(const uint64_t& n) { return {reinterpret_cast<const char*>(&n), sizeof n}; }

}  // namespace

int64_t TensorInfo::numel() const {
  int64_t n = 1;
  for (const int64_t size : shape) n *= size;
  return n;
}

SafetensorsFile SafetensorsFile::open(const std::string& path) {
  // Without O_NONBLOCK a pipe without a writer would keep us waiting.
  Descriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat status {};
  if (!fd || ::fstat(fd.get(), &status) != 0) throw DataError(text(path, ": cannot be opened: ", reason(errno)));
  if (!S_ISREG(status.st_mode)) throw DataError(text(path, ": is a folder, a device or a pipe, not a regular file"));
  return SafetensorsFile(path, std::move(fd), {}, static_cast<uint64_t>(status.st_size));
}

SafetensorsFile SafetensorsFile::parse(std::span<const std::byte> bytes, std::string name) {
  return SafetensorsFile(std::move(name), Descriptor(), bytes, bytes.size());
}

SafetensorsFile::SafetensorsFile(std::string path, Descriptor fd, std::span<const std::byte> bytes, uint64_t size)
    : path_(std::move(path)), fd_(std::move(fd)), bytes_(bytes), size_(size) {
  uint64_t header_bytes = 0;
  if (size < sizeof header_bytes)
    throw DataError(text(path_, ": is too short for a safetensors file: ", size, " bytes, at least 8 are needed"));
  fetch(0, std::as_writable_bytes(std::span(&header_bytes, 1)));
  if (header_bytes > kMaxHeaderBytes)
    throw DataError(text(path_, ": the header length ", header_bytes, " is too large; ", kMaxHeaderBytes,
                         " bytes are allowed (offset 0)"));
  if (header_bytes > size - sizeof header_bytes)
    throw DataError(text(path_, ": the header length ", header_bytes, " reaches beyond the end of the file, which has ",
                         size, " bytes (offset 0)"));
  data_begin_ = sizeof header_bytes + header_bytes;
  std::string json(header_bytes, '\0');
  fetch(sizeof header_bytes, std::as_writable_bytes(std::span(json)));
  SafetensorsHeader header = parse_header(path_, json, size - data_begin_);
  tensors_ = std::move(header.tensors);
  metadata_ = std::move(header.metadata);
  for (size_t i = 0; i < tensors_.size(); ++i) index_.emplace(tensors_[i].name, i);
  check_hash(std::move(json));
}

// Reads out.size() bytes from `offset` of the file.
void SafetensorsFile::fetch(uint64_t offset, std::span<std::byte> out) const {
  assert(offset <= size_ && out.size() <= size_ - offset);
  if (!fd_) {
    std::copy_n(bytes_.begin() + static_cast<std::ptrdiff_t>(offset), out.size(), out.begin());
    return;
  }
  while (!out.empty()) {
    const ssize_t n = ::pread(fd_.get(), out.data(), out.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw DataError(text(path_, ": read failed: ", reason(errno), " (offset ", offset, ")"));
    if (n == 0) throw DataError(text(path_, ": was cut short while it was read (offset ", offset, ")"));
    offset += static_cast<uint64_t>(n);
    out = out.subspan(static_cast<size_t>(n));
  }
}

// A file of format "gradus" with a hash must agree with it. Other programs may mean other things by the word.
void SafetensorsFile::check_hash(std::string header) const {
  const auto format = metadata_.find("format"), stored = metadata_.find("hash");
  if (format == metadata_.end() || format->second != "gradus" || stored == metadata_.end()) return;
  Hash64 hash;
  if (const size_t digits = find_hash_digits(header); digits != header.npos) {
    header.replace(digits, 16, 16, '0');
    hash.add(bytes_of(header.size()));
    hash.add(header);
    std::vector<std::byte> buffer(std::min<uint64_t>(size_ - data_begin_, 1 << 20));
    for (uint64_t at = data_begin_; at < size_; at += buffer.size()) {
      buffer.resize(std::min<uint64_t>(buffer.size(), size_ - at));
      fetch(at, buffer);
      hash.add(buffer);
    }
  }
  if (hash.hex() != stored->second)
    throw DataError(text(path_, ": hash mismatch: the content has ", hash.hex(), ", the metadata say otherwise; ",
                         "the file is damaged, or another program changed it and should have left out \"hash\""));
}

const TensorInfo* SafetensorsFile::find(std::string_view name) const {
  const auto found = index_.find(name);
  return found == index_.end() ? nullptr : &tensors_[found->second];
}

const TensorInfo& SafetensorsFile::at(std::string_view name) const {
  if (const TensorInfo* tensor = find(name)) return *tensor;
  throw DataError(text(path_, ": has no tensor \"", name, "\""));
}

template <class To>
void SafetensorsFile::read_as(const TensorInfo& tensor, std::span<To> out) const {
  const std::string where = text(" (tensor \"", tensor.name, "\")");
  const auto decoder = std::find_if(std::begin(kDecoders), std::end(kDecoders),
                                    [&](const Decoder& d) { return tensor.dtype == d.dtype; });
  if (decoder == std::end(kDecoders))
    throw DataError(text(path_, ": holds ", tensor.dtype, " values; gradus reads F64, F32, F16 and BF16", where));
  if (out.size() != static_cast<uint64_t>(tensor.numel()))
    throw DataError(
        text(path_, ": has shape ", shape_text(tensor.shape), ", but ", out.size(), " values are expected", where));
  if (tensor.dtype == (std::is_same_v<To, double> ? "F64" : "F32"))
    return fetch(data_begin_ + tensor.begin, std::as_writable_bytes(out));

  std::byte buffer[1 << 14];
  for (size_t i = 0; i < out.size();) {
    const size_t n = std::min(out.size() - i, sizeof buffer / decoder->width);
    fetch(data_begin_ + tensor.begin + i * decoder->width, std::span(buffer, n * decoder->width));
    for (size_t k = 0; k < n; ++k, ++i) {
      const double value = decoder->decode(buffer + k * decoder->width);
      out[i] = static_cast<To>(value);
      if (std::isinf(out[i]) && !std::isinf(value))
        throw DataError(text(path_, ": value ", i, " is ", value, ", too large for F32; use the F64 build", where));
    }
  }
}

void SafetensorsFile::read(const TensorInfo& tensor, std::span<float> out) const { read_as(tensor, out); }
void SafetensorsFile::read(const TensorInfo& tensor, std::span<double> out) const { read_as(tensor, out); }

void write_safetensors(const std::string& path, std::vector<TensorSource> tensors,
                       std::map<std::string, std::string> metadata) {
  std::sort(tensors.begin(), tensors.end(), [](const TensorSource& a, const TensorSource& b) {
    return std::tuple(b.dtype == std::string_view("F64"), std::string_view(a.name)) <
           std::tuple(a.dtype == std::string_view("F64"), std::string_view(b.name));
  });
  SafetensorsHeader header{{}, std::move(metadata)};
  header.metadata["format"] = "gradus";
  header.metadata["hash"] = "0000000000000000";
  uint64_t data_bytes = 0;
  for (const TensorSource& t : tensors) {
    header.tensors.push_back({t.name, t.dtype, t.shape, data_bytes, data_bytes + t.bytes.size()});
    data_bytes += t.bytes.size();
  }
  std::string json = format_header(header);
  try {  // we write nothing that we would not read
    if (json.size() > kMaxHeaderBytes)
      throw DataError(text(path, ": the header would have ", json.size(), " bytes; ", kMaxHeaderBytes, " are allowed"));
    parse_header(path, json, data_bytes);
  } catch (const DataError& error) {
    throw WriteError(text(error.what(), "; nothing was written"));
  }
  const uint64_t header_bytes = json.size();
  Hash64 hash;
  hash.add(bytes_of(header_bytes));
  hash.add(json);
  for (const TensorSource& t : tensors) hash.add(t.bytes);
  json.replace(find_hash_digits(json), 16, hash.hex());

  AtomicFile file(path);
  file.write(bytes_of(header_bytes));
  file.write(json);
  for (const TensorSource& t : tensors) file.write(t.bytes);
  file.commit();
}

}  // namespace gradus
