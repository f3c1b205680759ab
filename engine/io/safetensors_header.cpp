// The rules for a header, each with its row in tests/test_safetensors.cpp: it starts with '{', holds no NUL, is valid
// UTF-8 and strict JSON, at most 3 levels deep, without duplicate keys or unknown fields; numbers are JSON integers
// from 0 to 2^48; there are at most 65,536 tensors of at most 8 dimensions; a name is 1 to 512 bytes without control
// characters; products are checked for overflow, from left to right; the tensors tile the data exactly.
// The parser is nlohmann's, through its SAX interface: its tree keeps the last of two equal keys, turns 1e2 and 2^64
// into doubles, and overflows the stack when deeply nested values are written; its lexer takes a NUL for the end.
#include "engine/io/safetensors_header.h"

#include <utf8.h>

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>
#include <set>
#include <tuple>

#include "engine/error.h"

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

// Text of the file as it may appear in a message on a terminal: short, without control characters.
std::string in_quotes(const std::string& s) {
  size_t n = std::min<size_t>(s.size(), 80);
  while (n < s.size() && n > 0 && (s[n] & 0xC0) == 0x80) --n;  // not through the middle of a character
  std::string out = "\"" + s.substr(0, n) + (n < s.size() ? "...\"" : "\"");
  for (size_t i = 0; i < out.size(); ++i) {
    const auto c = static_cast<unsigned char>(out[i]);
    if (c < 0x20 || c == 0x7F) out[i] = '?';
    if (c == 0xC2 && static_cast<unsigned char>(out[i + 1]) < 0xA0) out.replace(i, 2, "?");  // U+0080 to U+009F
  }
  return out;
}

// REQUIRES: valid UTF-8.
bool has_control_characters(const std::string& s) {
  for (auto i = s.begin(); i != s.end();) {
    const auto c = utf8::next(i, s.end());
    if (c < 0x20 || (c >= 0x7F && c < 0xA0)) return true;
  }
  return false;
}

// Receives the header piece by piece. nlohmann's methods return false to stop; ours throw instead.
class HeaderHandler final : public nlohmann::json_sax<nlohmann::json> {
 public:
  HeaderHandler(const std::string& file, SafetensorsHeader& out) : file_(file), out_(out) {}

  bool null() override { bad_value("null"); }
  bool boolean(bool) override { bad_value("true or false"); }
  bool number_integer(number_integer_t v) override { bad_value(std::to_string(v)); }  // a negative one
  bool number_float(number_float_t, const string_t& s) override { bad_value(s); }
  bool binary(binary_t&) override { bad_value("binary data"); }

  bool number_unsigned(number_unsigned_t v) override {
    if (v > kMaxInteger || (place_ != Place::kShape && place_ != Place::kOffsets)) bad_value(std::to_string(v));
    if (place_ == Place::kShape) {
      if (tensor_.shape.size() == kMaxDims) fail("shape has more than ", kMaxDims, " dimensions");
      tensor_.shape.push_back(static_cast<int64_t>(v));
    } else {
      (offsets_++ == 0 ? tensor_.begin : tensor_.end) = v;
    }
    return true;
  }

  bool string(string_t& s) override {
    if (place_ == Place::kMetadata)
      out_.metadata[field_] = s;
    else if (place_ == Place::kTensor && field_ == "dtype")
      tensor_.dtype = s;
    else
      bad_value("a string");
    return true;
  }

  bool start_object(size_t) override {
    if (place_ == Place::kOutside)
      place_ = Place::kTop;
    else if (place_ == Place::kTop)
      place_ = in_metadata_ ? Place::kMetadata : Place::kTensor;
    else
      bad_value("an object");
    return true;
  }

  bool start_array(size_t) override {
    if (place_ == Place::kShape || place_ == Place::kOffsets) fail(field_, " is nested too deeply: ", expected());
    if (place_ == Place::kTensor && field_ == "shape")
      place_ = Place::kShape;
    else if (place_ == Place::kTensor && field_ == "data_offsets")
      place_ = Place::kOffsets;
    else
      bad_value("a list");
    return true;
  }

  bool end_array() override {
    if (place_ == Place::kOffsets && offsets_ != 2) bad_value("a list of another length");
    place_ = Place::kTensor;
    return true;
  }

  bool key(string_t& name) override {
    if (place_ == Place::kTop) {
      begin_entry(name);
    } else if (place_ == Place::kMetadata) {
      if (!out_.metadata.emplace(name, "").second) fail("metadata has a duplicate key ", in_quotes(name));
    } else {
      if (name != "dtype" && name != "shape" && name != "data_offsets")
        fail("unknown field ", in_quotes(name), "; dtype, shape and data_offsets are the three there are");
      if (!fields_.insert(name).second) fail("duplicate key ", in_quotes(name));
    }
    if (place_ != Place::kTop) field_ = name;
    return true;
  }

  bool end_object() override {
    if (place_ == Place::kTensor) {
      for (const char* field : {"dtype", "shape", "data_offsets"})
        if (!fields_.count(field)) fail(field, " is missing");
      out_.tensors.push_back(tensor_);
    }
    place_ = place_ == Place::kTop ? Place::kOutside : Place::kTop;
    return true;
  }

  bool parse_error(size_t position, const std::string&, const nlohmann::json::exception&) override {
    throw DataError(text(file_, ": the header is not valid JSON (offset ", 8 + position - (position > 0), ")"));
  }

 private:
  enum class Place { kOutside, kTop, kTensor, kMetadata, kShape, kOffsets };

  void begin_entry(const std::string& name) {
    if (!names_.insert(name).second) throw DataError(text(file_, ": the header has a duplicate key ", in_quotes(name)));
    in_metadata_ = name == "__metadata__";
    if (in_metadata_) return;
    if (out_.tensors.size() == kMaxTensors)
      throw DataError(text(file_, ": the header lists more than ", kMaxTensors, " tensors"));
    if (name.empty() || name.size() > kMaxNameBytes || has_control_characters(name))
      throw DataError(text(file_, ": the name of tensor number ", out_.tensors.size() + 1, ", ", in_quotes(name),
                           ", is not one of 1 to ", kMaxNameBytes, " bytes without control characters"));
    tensor_ = TensorInfo{};
    tensor_.name = name;
    fields_.clear();
    offsets_ = 0;
  }

  std::string expected() const {
    if (place_ == Place::kMetadata || (place_ == Place::kTop && in_metadata_))
      return "metadata is an object of strings";
    if (place_ == Place::kTop) return "a tensor is an object with dtype, shape and data_offsets";
    if (field_ == "dtype") return "dtype is a string";
    if (field_ == "shape") return "shape is a list of integers from 0 to 2^48";
    return "data_offsets are two integers from 0 to 2^48";
  }
  [[noreturn]] void bad_value(const std::string& found) const { fail(expected(), ", not ", found); }

  template <class... Parts>
  [[noreturn]] void fail(const Parts&... parts) const {
    const bool metadata = in_metadata_ && place_ != Place::kOutside;
    throw DataError(text(file_, ": ", parts..., " (", metadata ? "__metadata__" : "tensor ",
                         metadata ? "" : in_quotes(tensor_.name), ")"));
  }

  const std::string& file_;
  SafetensorsHeader& out_;
  Place place_ = Place::kOutside;
  std::set<std::string> names_, fields_;  // seen in the header, and in the present tensor
  std::string field_;                     // the key whose value comes next, below the top level
  bool in_metadata_ = false;
  TensorInfo tensor_;
  int offsets_ = 0;
};

// The size that dtype and shape ask for is that of the offsets, and the offsets are in the file.
void check_tensor(const std::string& file, const TensorInfo& t, uint64_t data_bytes) {
  const std::string where = text(" (tensor ", in_quotes(t.name), ", data offset ", t.begin, ")");
  const auto dtype =
      std::find_if(std::begin(kDtypes), std::end(kDtypes), [&](const Dtype& d) { return t.dtype == d.name; });
  if (dtype == std::end(kDtypes)) throw DataError(text(file, ": unknown dtype ", in_quotes(t.dtype), where));
  if (dtype->bytes == 0)
    throw DataError(text(file, ": unsupported dtype ", t.dtype, "; gradus reads F64, F32, F16 and BF16", where));
  uint64_t bytes = 1;
  bool overflow = false;
  for (int64_t size : t.shape) overflow |= __builtin_mul_overflow(bytes, static_cast<uint64_t>(size), &bytes);
  overflow |= __builtin_mul_overflow(bytes, dtype->bytes, &bytes);
  if (overflow) throw DataError(text(file, ": shape overflows 64 bits", where));
  if (t.begin > t.end)
    throw DataError(text(file, ": data_offsets are reversed: the end, ", t.end, ", is smaller", where));
  if (t.end > data_bytes)
    throw DataError(text(file, ": data_offsets end at ", t.end, ", beyond the end of the file, which holds ",
                         data_bytes, " bytes of data", where));
  if (t.end - t.begin != bytes)
    throw DataError(
        text(file, ": size mismatch: dtype and shape make ", bytes, " bytes, data_offsets ", t.end - t.begin, where));
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

  SafetensorsHeader header;
  HeaderHandler handler(file, header);
  nlohmann::json::sax_parse(json.begin(), json.end(), &handler);

  for (const TensorInfo& t : header.tensors) check_tensor(file, t, data_bytes);
  std::sort(header.tensors.begin(), header.tensors.end(), [](const TensorInfo& a, const TensorInfo& b) {
    return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name);
  });
  uint64_t covered = 0;
  for (const TensorInfo& t : header.tensors) {
    if (t.begin != covered)
      throw DataError(text(file, t.begin < covered ? ": overlap" : ": hole", " in the data: the tensor begins at ",
                           t.begin, ", the one before ends at ", covered, " (tensor ", in_quotes(t.name), ")"));
    covered = t.end;
  }
  if (covered != data_bytes)
    throw DataError(
        text(file, ": ", data_bytes - covered, " trailing bytes after the last tensor (data offset ", covered, ")"));
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
