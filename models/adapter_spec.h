// What --adapter says.
#pragma once

#include <cstdint>
#include <string>

namespace gradus {

inline constexpr const char* kNoAdapter = "none";
struct Adapter {
  int64_t rank;
  // "lora:RANK". DataError, which says the form, for anything else.
  static Adapter parse(const std::string& spec);
  // Whether it has that form, or is kNoAdapter.
  static bool accepts(const std::string& spec);
};

}  // namespace gradus
