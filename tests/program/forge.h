// A checkpoint as somebody else might have written it: its header changed, and its hash right.
#pragma once

#include <cstring>

#include "engine/io/hash.h"
#include "tests/program/program.h"

namespace gradus::testing {

// `text` as it stands in a string of JSON, so that "key":"value" of a section can be found in the header.
inline std::string within_json(const std::string& text) {
  const std::string quoted = Json(text).dump();
  return quoted.substr(1, quoted.size() - 2);
}

// Replaces every `from` in the header of RUN/checkpoint.safetensors by `to`.
inline void forge(const Scratch& dir, const std::string& run, const std::string& from, const std::string& to) {
  const std::string name = run + "/checkpoint.safetensors", file = dir.read(name);
  uint64_t bytes = 0;
  std::memcpy(&bytes, file.data(), 8);
  std::string header = file.substr(8, bytes);
  if (header.find(from) == header.npos) throw std::runtime_error("the header lacks " + from);
  for (size_t at = 0; (at = header.find(from, at)) != header.npos; at += to.size()) header.replace(at, from.size(), to);
  header.resize((header.size() + 7) / 8 * 8, ' ');
  const size_t digits = header.find("\"hash\":\"") + 8;
  header.replace(digits, 16, 16, '0');
  bytes = header.size();
  std::string out(reinterpret_cast<const char*>(&bytes), 8);
  out +=
      header + file.substr(8 + size_t(file[0] & 0xFF) + 256 * size_t(file[1] & 0xFF) + 65536 * size_t(file[2] & 0xFF));
  Hash64 hash;
  hash.add(out);
  dir.write(name, out.replace(8 + digits, 16, hash.hex()));
}

}  // namespace gradus::testing
