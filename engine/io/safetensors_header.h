// The JSON header of a safetensors file: text to checked structure and back. Used by safetensors.cpp only.
#pragma once

#include <string>
#include <string_view>

#include "engine/io/safetensors.h"

namespace gradus {

struct SafetensorsHeader {
  std::vector<TensorInfo> tensors;  // in the order of their values
  std::vector<uint32_t> by_name;    // their places, in the order of their names
  std::map<std::string, std::string> metadata;
};

// Checks every rule listed in safetensors_header.cpp; the tensors returned tile [0, data_bytes) exactly.
// `file` is for messages. Throws DataError.
SafetensorsHeader parse_header(const std::string& file, std::string_view json, uint64_t data_bytes);

// The text that parse_header reads, with spaces at the end up to a multiple of 8 bytes. Nothing is checked.
std::string format_header(const SafetensorsHeader& header);

// The position of the 16 digits of the metadata value "hash" in a valid header; npos where there are none, or others.
size_t find_hash_digits(std::string_view json);

}  // namespace gradus
