#include "engine/shape.h"

#include <ostream>

#include "engine/error.h"

namespace gradus {

void append(std::string& out, const Shape& shape) {
  out += '[';
  for (int i = 0; i < shape.rank(); ++i) out += text(i ? "," : "", shape[i]);
  out += ']';
}
std::ostream& operator<<(std::ostream& out, const Shape& shape) { return out << text(shape); }

}  // namespace gradus
