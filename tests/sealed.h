// For tests: the bytes of a checkpoint whose metadata were changed, with the hash that agrees with them, as somebody
// would write it who means to deceive.
#pragma once

#include <cstring>
#include <string>
#include <string_view>

#include "engine/error.h"
#include "engine/io/hash.h"
#include "engine/io/safetensors_header.h"

namespace gradus {

// The JSON of a file's header; "" where there is none.
inline std::string_view header_of(std::string_view file) {
  uint64_t length = 0;
  if (file.size() < sizeof length) return {};
  std::memcpy(&length, file.data(), sizeof length);
  return length > file.size() - sizeof length ? std::string_view() : file.substr(sizeof length, length);
}

// The same bytes with the hash that agrees with them, where a valid header has a place for one.
inline std::string sealed(std::string file) {
  const std::string_view json = header_of(file);
  size_t digits = json.npos;
  try {
    parse_header("", json, file.size() - sizeof(uint64_t) - json.size());
    digits = find_hash_digits(json);
  } catch (const DataError&) {
  }
  if (digits == json.npos) return file;
  file.replace(sizeof(uint64_t) + digits, 16, 16, '0');
  Hash64 hash;
  hash.add(file);
  return file.replace(sizeof(uint64_t) + digits, 16, hash.hex());
}

// A file of this header and these values.
inline std::string with_json(std::string_view json, std::string_view values) {
  const uint64_t length = json.size();
  std::string file(reinterpret_cast<const char*>(&length), sizeof length);
  return file.append(json).append(values);
}

// A valid file with another header, which `change` makes of its own, sealed.
template <class Change>
std::string with_header_changed(const std::string& file, const Change& change) {
  const std::string_view json = header_of(file), values = std::string_view(file).substr(8 + json.size());
  SafetensorsHeader header = parse_header("", json, values.size());
  change(header);
  return sealed(with_json(format_header(header), values));
}

}  // namespace gradus
