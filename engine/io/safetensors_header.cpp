// The rules for a header, each with its row in tests/test_safetensors.cpp: it starts with '{', holds no NUL, is valid
// UTF-8 and strict JSON, at most 3 levels deep, without duplicate keys or unknown fields; numbers are JSON integers
// from 0 to 2^48; there are at most 65,536 tensors of at most 8 dimensions, and 4,096 keys of metadata; a name is 1 to
// 512 bytes without control characters; products are checked for overflow, from left to right; the tensors tile the
// data exactly.
#include "engine/io/safetensors_header.h"

#include <utf8.h>

#include <algorithm>
#include <charconv>
#include <iterator>
#include <numeric>
#include <tuple>

#include "engine/error.h"
#include "engine/io/json_reader.h"
#include "engine/io/orders.h"

namespace gradus {
namespace {

constexpr uint64_t kMaxInteger = uint64_t{1} << 48;

struct Dtype {
  const char* name;
  uint64_t bytes;  // 0: legal in safetensors, but not one that we can lay out
};
constexpr Dtype kDtypes[] = {{"F64", 8},         {"F32", 4},        {"F16", 2},     {"BF16", 2},    {"I64", 8},
                             {"I32", 4},         {"I16", 2},        {"I8", 1},      {"U64", 8},     {"U32", 4},
                             {"U16", 2},         {"U8", 1},         {"BOOL", 1},    {"C64", 8},     {"F4", 0},
                             {"F6_E2M3", 0},     {"F6_E3M2", 0},    {"F8_E8M0", 0}, {"F8_E4M3", 0}, {"F8_E5M2", 0},
                             {"F8_E4M3FNUZ", 0}, {"F8_E5M2FNUZ", 0}};

const Dtype* find_dtype(std::string_view name) {
  const auto found = std::ranges::find_if(kDtypes, [&](const Dtype& d) { return name == d.name; });
  return found == std::end(kDtypes) ? nullptr : found;
}

// REQUIRES: valid UTF-8.
bool has_control_characters(const std::string& s) {
  for (auto i = s.begin(); i != s.end();) {
    if (is_control(utf8::next(i, s.end()))) return true;
  }
  return false;
}

class HeaderReader {
 public:
  HeaderReader(const std::string& file, std::string_view json) : file_(file), in_(json) {}

  SafetensorsHeader read() {
    in_.open('{');
    while (in_.more('}')) {
      std::string name = in_.key();
      in_metadata_ = name == "__metadata__";
      if (in_metadata_)
        metadata();
      else
        tensor(std::move(name));
    }
    in_.end();
    return std::move(header_);
  }
  size_t offset() const { return in_.offset(); }

 private:
  void metadata() {
    if (std::exchange(has_metadata_, true))
      throw DataError(file_ + ": the header has a duplicate key \"__metadata__\"");
    const char* const expected = "metadata is an object of strings";
    want('{', expected);
    in_.open('{');
    while (in_.more('}')) {
      const auto [entry, is_new] = header_.metadata.emplace(in_.key(), "");
      if (!is_new) fail("metadata has a duplicate key ", in_quotes(entry->first));
      if (header_.metadata.size() > kMaxMetadata) fail("metadata has more than ", kMaxMetadata, " keys");
      want('"', expected);
      entry->second = in_.text();
    }
  }

  void tensor(std::string name) {
    if (header_.tensors.size() == kMaxTensors)
      throw DataError(text(file_, ": the header lists more than ", kMaxTensors, " tensors"));
    if (name.empty() || name.size() > kMaxNameBytes || has_control_characters(name))
      throw DataError(text(file_, ": the name of tensor number ", header_.tensors.size() + 1, ", ", in_quotes(name),
                           ", is not one of 1 to ", kMaxNameBytes, " bytes without control characters"));
    TensorInfo& t = header_.tensors.emplace_back();
    t.name = std::move(name);
    want('{', "a tensor is an object with dtype, shape and data_offsets");
    in_.open('{');
    static constexpr const char* kFields[] = {"dtype", "shape", "data_offsets"};
    bool seen[3] = {};
    while (in_.more('}')) {
      const std::string field = in_.key();
      const auto i = size_t(std::find(std::begin(kFields), std::end(kFields), field) - std::begin(kFields));
      if (i == 3) fail("unknown field ", in_quotes(field), "; dtype, shape and data_offsets are the three there are");
      if (std::exchange(seen[i], true)) fail("duplicate key ", in_quotes(field));
      i == 0 ? dtype(t) : i == 1 ? shape(t) : offsets(t);
    }
    for (size_t i = 0; i < 3; ++i)
      if (!seen[i]) fail(kFields[i], " is missing");
  }

  void dtype(TensorInfo& t) {
    want('"', "dtype is a string");
    const std::string name = in_.text();
    const Dtype* found = find_dtype(name);
    if (!found) fail("unknown dtype ", in_quotes(name));
    if (found->bytes == 0) fail("unsupported dtype ", name, "; gradus reads F64, F32, F16 and BF16");
    t.dtype = found->name;
  }

  void shape(TensorInfo& t) {
    const char* const expected = "shape is a list of integers from 0 to 2^48";
    want('[', expected);
    in_.open('[');
    while (in_.more(']')) {
      const uint64_t size = integer(expected);
      if (t.shape.size() == kMaxDims) fail("shape has more than ", kMaxDims, " dimensions");
      t.shape.push_back(static_cast<int64_t>(size));
    }
  }

  void offsets(TensorInfo& t) {
    const char* const expected = "data_offsets are two integers from 0 to 2^48";
    want('[', expected);
    in_.open('[');
    size_t n = 0;
    for (; in_.more(']'); ++n) (n == 0 ? t.begin : t.end) = integer(expected);
    if (n != 2) fail(expected, ", not a list of another length");
  }

  uint64_t integer(const char* expected) {
    if (in_.peek() == '[') fail("a list is nested too deeply: ", expected);
    if (std::string_view("{\"tfn").find(in_.peek()) != std::string_view::npos) bad_value(expected);
    const std::string_view digits = in_.number();
    uint64_t value = 0;
    const auto [rest, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (error != std::errc() || rest != digits.data() + digits.size() || value > kMaxInteger)
      fail(expected, ", not ", digits.substr(0, 40));
    return value;
  }

  void want(char begin, const char* expected) {
    if (in_.peek() != begin) bad_value(expected);
  }
  [[noreturn]] void bad_value(const char* expected) {
    const char c = in_.peek();
    fail(expected, ", not ",
         c == '{'               ? "an object"
         : c == '['             ? "a list"
         : c == '"'             ? "a string"
         : c == 'n'             ? "null"
         : c == 't' || c == 'f' ? "true or false"
                                : in_.number().substr(0, 40));
  }

  template <class... Parts>
  [[noreturn]] void fail(const Parts&... parts) const {
    throw DataError(text(file_, ": ", parts..., " (",
                         in_metadata_ ? "__metadata__" : "tensor " + in_quotes(header_.tensors.back().name), ")"));
  }

  const std::string& file_;
  JsonReader in_;
  SafetensorsHeader header_;
  bool in_metadata_ = false, has_metadata_ = false;
};

// The size that dtype and shape ask for is that of the offsets, and the offsets are in the file.
void check_tensor(const std::string& file, const TensorInfo& t, uint64_t data_bytes) {
  const auto fail = [&](const auto&... parts) {
    throw DataError(text(file, ": ", parts..., " (tensor ", in_quotes(t.name), ", data offset ", t.begin, ")"));
  };
  uint64_t bytes = 1;
  bool overflow = false;
  for (int64_t size : t.shape) overflow |= __builtin_mul_overflow(bytes, static_cast<uint64_t>(size), &bytes);
  overflow |= __builtin_mul_overflow(bytes, find_dtype(t.dtype)->bytes, &bytes);
  if (overflow) fail("shape overflows 64 bits");
  if (t.begin > t.end) fail("data_offsets are reversed: the end, ", t.end, ", is smaller");
  if (t.end > data_bytes)
    fail("data_offsets end at ", t.end, ", beyond the end of the file, which holds ", data_bytes, " bytes of data");
  if (t.end - t.begin != bytes)
    fail("size mismatch: dtype and shape make ", bytes, " bytes, data_offsets ", t.end - t.begin);
}

// The places of the tensors in the order of their names, each of which occurs once.
std::vector<uint32_t> sorted_by_name(const std::string& file, const std::vector<TensorInfo>& tensors) {
  std::vector<uint32_t> order(tensors.size());
  std::iota(order.begin(), order.end(), 0);
  const auto name = [&](uint32_t i) -> const std::string& { return tensors[i].name; };
  std::ranges::sort(order, {}, name);
  if (const auto twice = std::ranges::adjacent_find(order, {}, name); twice != order.end())
    throw DataError(text(file, ": the header has a duplicate key ", in_quotes(name(*twice))));
  return order;
}

// Sorted by their offsets, the tensors lie one behind the other, from the first byte of data to the last.
void check_tiling(const std::string& file, const std::vector<TensorInfo>& tensors, uint64_t data_bytes) {
  uint64_t covered = 0;
  for (const TensorInfo& t : tensors) {
    if (t.begin != covered)
      throw DataError(text(file, t.begin < covered ? ": overlap" : ": hole", " in the data: the tensor begins at ",
                           t.begin, ", the one before ends at ", covered, " (tensor ", in_quotes(t.name), ")"));
    covered = t.end;
  }
  if (covered != data_bytes)
    throw DataError(
        text(file, ": ", data_bytes - covered, " trailing bytes after the last tensor (data offset ", covered, ")"));
}

// `s` as a JSON string.
std::string json_string(std::string_view s) {
  static const char digits[] = "0123456789abcdef";
  std::string out = "\"";
  for (const char c : s) {
    const auto u = static_cast<unsigned char>(c);
    if (u < 0x20) {
      out += "\\u00";
      out += digits[u >> 4];
      out += digits[u & 15];
    } else {
      if (c == '"' || c == '\\') out += '\\';
      out += c;
    }
  }
  return out + '"';
}

}  // namespace

SafetensorsHeader parse_header(const std::string& file, std::string_view json, uint64_t data_bytes) {
  if (json.empty() || json[0] != '{') throw DataError(text(file, ": the header does not start with '{' (offset 8)"));
  if (const size_t nul = json.find('\0'); nul != json.npos)
    throw DataError(text(file, ": NUL in the header (offset ", 8 + nul, ")"));
  if (const auto bad = utf8::find_invalid(json.begin(), json.end()); bad != json.end())
    throw DataError(text(file, ": the header is not valid UTF-8 (offset ", 8 + (bad - json.begin()), ")"));

  HeaderReader reader(file, json);
  SafetensorsHeader header;
  try {
    header = reader.read();
  } catch (const JsonError&) {
    throw DataError(text(file, ": the header is not valid JSON (offset ", 8 + reader.offset(), ")"));
  }
  for (const TensorInfo& t : header.tensors) check_tensor(file, t, data_bytes);
  std::ranges::sort(header.tensors, [](const TensorInfo& a, const TensorInfo& b) {
    return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name);
  });
  header.by_name = sorted_by_name(file, header.tensors);
  check_tiling(file, header.tensors, data_bytes);
  return header;
}

std::string format_header(const SafetensorsHeader& header) {
  std::string out = "{\"__metadata__\":{";
  for (const auto& [key, value] : header.metadata) {
    if (out.back() != '{') out += ',';
    out += json_string(key) + ':' + json_string(value);
  }
  out += '}';
  for (const TensorInfo& t : header.tensors) {
    out += ',' + json_string(t.name) + ":{\"dtype\":" + json_string(t.dtype) + ",\"shape\":[";
    for (const int64_t size : t.shape) {
      if (out.back() != '[') out += ',';
      out += std::to_string(size);
    }
    out += "],\"data_offsets\":[" + std::to_string(t.begin) + ',' + std::to_string(t.end) + "]}";
  }
  out += '}';
  out.append((8 - out.size() % 8) % 8, ' ');
  return out;
}

size_t find_hash_digits(std::string_view json) {
  // In valid JSON a quote inside a string follows a backslash. So this text without one is the key with its value.
  static constexpr std::string_view kKey = "\"hash\":\"";
  size_t at = json.find(kKey);
  while (at != json.npos && at > 0 && json[at - 1] == '\\') at = json.find(kKey, at + 1);
  if (at == json.npos) return at;
  at += kKey.size();
  const size_t end = json.find_first_not_of("0123456789abcdef", at);
  return end == at + 16 && json[end] == '"' ? at : json.npos;
}

}  // namespace gradus
