// The errors of gradus. A caller's mistake throws one sentence that says what was wrong, where, and what would be
// right; a mistake of ours is an assert. Nothing in the engine aborts, exits or returns an error code.
#pragma once

#include <concepts>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

namespace gradus {

// The source line of a call. As a defaulted last argument it is the caller's line (g++ 12 and clang 14 agree on these
// builtins; std::source_location is missing from clang 14 with libstdc++ 12).
struct Loc {
  const char* file = "";
  const char* function = "";
  int64_t line = 0;  // as wide as its neighbours: a copy of a Loc need not wait for a narrower store before it
  static constexpr Loc here(const char* file = __builtin_FILE(), const char* function = __builtin_FUNCTION(),
                            int line = __builtin_LINE()) {
    return {file, function, line};
  }
};

// Shapes, indices or handles that do not fit together.
struct ShapeError : std::invalid_argument {
  using std::invalid_argument::invalid_argument;
};
// An option or argument with no meaning, or with a wrong value (exit code 2).
struct UsageError : std::invalid_argument {
  using std::invalid_argument::invalid_argument;
};
// A file, text or name given by the user that cannot be used (exit code 4).
struct DataError : std::runtime_error {
  using std::runtime_error::runtime_error;
};
// A file that could not be written (exit code 3).
struct WriteError : std::runtime_error {
  using std::runtime_error::runtime_error;
};
// A loss or gradient that is not finite (exit code 5).
struct DivergedError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// How text() writes a part; a class overloads this function. Real numbers have six digits, as
// printf's %g. Streams would put their header and code into every file.
void append(std::string& out, std::string_view part);
void append(std::string& out, char part);
void append(std::string& out, double part);
template <std::integral T>
void append(std::string& out, T part) {
  append(out, std::string_view(std::to_string(part)));
}

// The parts written one after the other.
template <class... Parts>
std::string text(const Parts&... parts) {
  std::string out;
  (append(out, parts), ...);
  return out;
}

// Throws ShapeError("op: parts... (file:line)").
[[noreturn]] void throw_shape_error(const char* op, const Loc& where, const std::string& message);

template <class... Parts>
inline void require(bool ok, const char* op, const Loc& where, const Parts&... parts) {
  if (!ok) [[unlikely]]
    throw_shape_error(op, where, text(parts...));
}

}  // namespace gradus
