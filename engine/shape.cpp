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

std::string index_text(const Shape& shape, int64_t element) {
  std::string s;
  for (int d = shape.rank() - 1; d >= 0; --d) {
    s.insert(0, std::to_string(element % shape[d]) + (s.empty() ? "" : ","));
    element /= shape[d];
  }
  return "[" + s + "]";
}

}  // namespace gradus
