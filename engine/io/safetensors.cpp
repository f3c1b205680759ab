#include "engine/io/safetensors.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utf8.h>

#include <algorithm>
#include <bit>
#include <cassert>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <future>
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
  std::string_view dtype;
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

constexpr size_t kWorthAThread = 16 << 20;  // bytes to read
// Bytes that are hashed at once, few enough to be in the cache; of a small file fewer, since a run that goes on reads
// its own for its page, and two pieces of 2 MB would be a twentieth of its memory.
constexpr size_t kHashedAtOnce = 1 << 21, kHashedOfSmall = 1 << 18;

// What a file is that does not begin as a safetensors file does, from its first bytes; null where they do not tell.
const char* other_kind(std::string_view start) {
  if (const char* const pointer = as_lfs_pointer(start)) return pointer;
  if (start.starts_with("PK\3\4")) return "is a zip archive, as torch.save writes it, not a safetensors file";
  if (start.starts_with("GGUF")) return "is a GGUF file, not a safetensors file";
  const auto bad = utf8::find_invalid(start.begin(), start.end());  // the last character may be cut
  const bool is_text = !start.empty() && start.end() - bad < 4 && std::ranges::none_of(start, [](char c) {
    return (c >= 0 && c < 0x20 && c != '\n' && c != '\r' && c != '\t') || c == 0x7F;
  });
  return is_text ? "is a text, not a safetensors file" : nullptr;
}

bool is_hash(std::string_view s) { return s.size() == 16 && s.find_first_not_of("0123456789abcdef") == s.npos; }

// Bits in which two texts of one length differ; -1 where they have not one length.
int bits_between(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return -1;
  int bits = 0;
  for (size_t i = 0; i < a.size(); ++i) bits += std::popcount(static_cast<unsigned char>(a[i] ^ b[i]));
  return bits;
}

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
  if (size >= sizeof header_bytes) fetch(0, std::as_writable_bytes(std::span(&header_bytes, 1)));
  check_length(header_bytes);
  data_begin_ = sizeof header_bytes + header_bytes;
  std::string json(header_bytes, '\0');
  fetch(sizeof header_bytes, std::as_writable_bytes(std::span(json)));
  SafetensorsHeader header = parse_header(path_, json, size - data_begin_);
  tensors_ = std::move(header.tensors);
  metadata_ = std::move(header.metadata);
  by_name_ = std::move(header.by_name);
  check_hash(std::move(json));
}

void SafetensorsFile::check_length(uint64_t header_bytes) const {
  const bool is_short = size_ < sizeof header_bytes;
  if (!is_short && header_bytes <= std::min(kMaxHeaderBytes, size_ - sizeof header_bytes)) return;
  std::string start(std::min<uint64_t>(size_, 64), '\0');
  fetch(0, std::as_writable_bytes(std::span(start)));
  if (const char* other = other_kind(start)) throw DataError(text(path_, ": ", other));
  // The length says something only where a header begins behind it, or was cut off.
  if (size_ > sizeof header_bytes ? start[sizeof header_bytes] != '{' : !is_short && header_bytes > kMaxHeaderBytes)
    throw DataError(text(path_, ": is not a safetensors file"));
  if (is_short)
    throw DataError(text(path_, ": is too short for a safetensors file: ", size_, " bytes, at least 8 are needed"));
  if (header_bytes > kMaxHeaderBytes)
    throw DataError(text(path_, ": the header length ", header_bytes, " is too large; ", kMaxHeaderBytes,
                         " bytes are allowed (offset 0)"));
  throw DataError(text(path_, ": the header length ", header_bytes, " reaches beyond the end of the file, which has ",
                       size_, " bytes (offset 0)"));
}

// Reads out.size() bytes from `offset` of the file. Half of a large array is read on another thread: of 225 ms that 500
// MB take, 190 go into fresh pages of memory.
void SafetensorsFile::fetch(uint64_t offset, std::span<std::byte> out) const {
  assert(offset <= size_ && out.size() <= size_ - offset);
  if (out.size() < kWorthAThread) return fetch_alone(offset, out);
  const size_t half = out.size() / 2;
  std::future<void> other = std::async([&] { fetch_alone(offset + half, out.subspan(half)); });
  fetch_alone(offset, out.first(half));
  other.get();
}

void SafetensorsFile::fetch_alone(uint64_t offset, std::span<std::byte> out) const {
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

// While one piece of a large file is hashed the next is read on another thread: of 500 MB the hash, a chain of
// multiplications, takes 103 ms, and reading what the system keeps in memory 57.
void SafetensorsFile::hash_data(Hash64& hash) const {
  const bool is_small = size_ < kWorthAThread;
  const std::launch how = is_small ? std::launch::deferred : std::launch::async | std::launch::deferred;
  const uint64_t at_once = is_small ? kHashedOfSmall : kHashedAtOnce;
  std::vector<std::byte> now(std::min(at_once, size_ - data_begin_)), next;
  fetch(data_begin_, now);
  for (uint64_t at = data_begin_ + now.size(); !now.empty(); at += now.size()) {
    next.resize(std::min(at_once, size_ - at));
    std::future<void> reading;
    if (!next.empty()) reading = std::async(how, [&, at] { fetch(at, next); });
    hash.add(now);
    if (reading.valid()) reading.get();
    std::swap(now, next);
  }
}

// A file of ours says so twice, by its format and by its hash, so that damage to one of the words does not pass it off
// as the file of another program, which needs no hash and may mean other things by that word.
void SafetensorsFile::check_hash(std::string header) {
  const auto format = metadata_.find("format"), stored = metadata_.find("hash");
  const bool has_format = format != metadata_.end(), has_hash = stored != metadata_.end() && is_hash(stored->second);
  is_ours_ = (has_format && format->second == "gradus") ||
             (has_hash && (!has_format || bits_between(format->second, "gradus") == 1));
  if (!is_ours_) return;
  if (stored == metadata_.end())
    throw DataError(text(path_, ": gradus wrote it, but its metadata lack the hash, so damage could not be seen; the ",
                         "file is damaged, or another program changed it and should have left out \"format\""));
  Hash64 hash;
  if (const size_t digits = find_hash_digits(header); digits != header.npos) {
    header.replace(digits, 16, 16, '0');
    hash.add(bytes_of(header.size()));
    hash.add(header);
    hash_data(hash);
  }
  if (hash.hex() != stored->second)
    throw DataError(text(path_, ": hash mismatch: the content has ", hash.hex(), ", the metadata say otherwise; ",
                         "the file is damaged, or another program changed it and should have left out \"hash\""));
}

const TensorInfo* SafetensorsFile::find(std::string_view name) const {
  const auto name_of = [&](uint32_t i) -> std::string_view { return tensors_[i].name; };
  const auto found = std::ranges::lower_bound(by_name_, name, {}, name_of);
  return found == by_name_.end() || name_of(*found) != name ? nullptr : &tensors_[*found];
}

const TensorInfo& SafetensorsFile::at(std::string_view name) const {
  if (const TensorInfo* tensor = find(name)) return *tensor;
  throw DataError(text(path_, ": has no tensor \"", name, "\""));
}

// What reads the values of a tensor. DataError where they are not floating-point.
static const Decoder* decoder_of(const SafetensorsFile& file, const TensorInfo& tensor) {
  const auto decoder = std::ranges::find(kDecoders, tensor.dtype, &Decoder::dtype);
  if (decoder == std::end(kDecoders))
    throw DataError(text(file.path(), ": holds ", tensor.dtype,
                         " values; gradus reads F64, F32, F16 and BF16 (tensor \"", tensor.name, "\")"));
  return decoder;
}

void SafetensorsFile::require_floating(const TensorInfo& tensor) const { decoder_of(*this, tensor); }

template <class To>
void SafetensorsFile::read_all(const TensorInfo& tensor, std::span<To> out) const {
  require_floating(tensor);
  if (out.size() != static_cast<uint64_t>(tensor.numel()))
    throw DataError(text(path_, ": has shape ", shape_text(tensor.shape), ", but ", out.size(),
                         " values are expected (tensor \"", tensor.name, "\")"));
  read_as(tensor, 0, out);
}

template <class To>
void SafetensorsFile::read_as(const TensorInfo& tensor, uint64_t first, std::span<To> out) const {
  const Decoder* decoder = decoder_of(*this, tensor);
  const uint64_t begin = data_begin_ + tensor.begin + first * decoder->width;
  if (tensor.dtype == (std::is_same_v<To, double> ? "F64" : "F32")) return fetch(begin, std::as_writable_bytes(out));

  std::byte buffer[1 << 14];
  for (size_t i = 0; i < out.size();) {
    const size_t n = std::min(out.size() - i, sizeof buffer / decoder->width);
    fetch(begin + i * decoder->width, std::span(buffer, n * decoder->width));
    for (size_t k = 0; k < n; ++k, ++i) {
      const double value = decoder->decode(buffer + k * decoder->width);
      out[i] = static_cast<To>(value);
      if (std::isinf(out[i]) && !std::isinf(value))
        throw DataError(text(path_, ": value ", first + i, " is ", value,
                             ", too large for F32; use the F64 build (tensor \"", tensor.name, "\")"));
    }
  }
}

void SafetensorsFile::read(const TensorInfo& tensor, std::span<float> out) const { read_all(tensor, out); }
void SafetensorsFile::read(const TensorInfo& tensor, std::span<double> out) const { read_all(tensor, out); }
void SafetensorsFile::read_part(const TensorInfo& tensor, uint64_t first, std::span<double> out) const {
  assert(first + out.size() <= static_cast<uint64_t>(tensor.numel()));
  read_as(tensor, first, out);
}

void write_safetensors(const std::string& path, std::vector<TensorSource> tensors,
                       std::map<std::string, std::string> metadata) {
  std::sort(tensors.begin(), tensors.end(), [](const TensorSource& a, const TensorSource& b) {
    return std::tuple(b.dtype == std::string_view("F64"), std::string_view(a.name)) <
           std::tuple(a.dtype == std::string_view("F64"), std::string_view(b.name));
  });
  SafetensorsHeader header{.tensors = {}, .by_name = {}, .metadata = std::move(metadata)};
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
