#include "engine/shape.h"

#include <algorithm>
#include <ostream>

namespace gradus {

void Shape::refuse(std::initializer_list<int64_t> sizes, const Loc& where) {
  std::string list;
  for (const int64_t n : sizes) list += text(list.empty() ? "[" : ",", n);
  if (sizes.size() > kMaxRank)
    throw_shape_error("Shape", where, text(list, "] has rank ", sizes.size(), ", it must be at most ", kMaxRank));
  const bool negative = std::any_of(sizes.begin(), sizes.end(), [](int64_t n) { return n < 0; });
  throw_shape_error("Shape", where, list + (negative ? "] has a negative size" : "] has too many numbers for 64 bits"));
}

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
