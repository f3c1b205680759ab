#include "engine/error.h"

#include "engine/real.h"

extern "C" const char GRADUS_FLAVOUR_SYMBOL = 0;  // see engine/real.h

namespace gradus {

void throw_shape_error(const char* op, const Loc& where, const std::string& message) {
  throw ShapeError(text(op, ": ", message, " (", where.file, ":", where.line, ")"));
}

}  // namespace gradus
