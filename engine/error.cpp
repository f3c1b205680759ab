#include "engine/error.h"

#include <cstdio>

#include "engine/real.h"

extern "C" const char GRADUS_FLAVOUR_SYMBOL = 0;  // see engine/real.h

namespace gradus {

void append(std::string& out, std::string_view part) { out += part; }
void append(std::string& out, char part) { out += part; }
void append(std::string& out, double part) {
  char digits[32];
  out.append(digits, size_t(std::snprintf(digits, sizeof digits, "%g", part)));
}

void throw_shape_error(const char* op, const Loc& where, const std::string& message) {
  throw ShapeError(text(op, ": ", message, " (", where.file, ":", where.line, ")"));
}

}  // namespace gradus
