// Shape: the sizes of a tensor, rank 0 (a scalar) to 4, without heap. Data is row-major: the last size runs fastest.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <iosfwd>
#include <string>
#include <vector>

#include "engine/error.h"

namespace gradus {

class Shape {
 public:
  static constexpr int kMaxRank = 4;

  constexpr Shape() = default;
  // ShapeError for more than kMaxRank sizes, a negative size, or sizes whose product 64 bits cannot hold.
  constexpr Shape(std::initializer_list<int64_t> sizes, Loc where = Loc::here()) {
    bool good = sizes.size() <= kMaxRank;
    int64_t product = 1;
    for (int64_t n : sizes) {
      good = good && n >= 0 && !__builtin_mul_overflow(product, n, &product);
      if (good) size_[rank_++] = n;
    }
    if (!good) [[unlikely]]
      refuse(sizes, where);
  }

  constexpr int rank() const { return rank_; }
  // Size of dimension i; negative i counts from the back.
  constexpr int64_t operator[](int i) const { return size_[i < 0 ? rank_ + i : i]; }
  constexpr int64_t numel() const {
    int64_t n = 1;
    for (int i = 0; i < rank_; ++i) n *= size_[i];
    return n;
  }
  std::vector<int64_t> sizes() const { return {size_, size_ + rank_}; }  // as files list them
  // The same shape with n in dimension d. REQUIRES: 0 <= d < rank(), 0 <= n <= size d.
  constexpr Shape with(int d, int64_t n) const {
    Shape s = *this;
    s.size_[d] = n;
    return s;
  }
  friend constexpr bool operator==(const Shape&, const Shape&) = default;

 private:
  [[noreturn]] static void refuse(std::initializer_list<int64_t> sizes, const Loc& where);

  int64_t size_[kMaxRank] = {0, 0, 0, 0};
  int32_t rank_ = 0;
};

// Whether `count` of them, from number `first` on, are among `all`.
inline bool are_within(int64_t first, int64_t count, int64_t all) {
  return first >= 0 && count >= 0 && first <= all && count <= all - first;
}
// first + count for a message, also where 64 bits do not hold it.
inline int64_t end_of(int64_t first, int64_t count) { return int64_t(uint64_t(first) + uint64_t(count)); }

// "[2,3]"
void append(std::string& out, const Shape& shape);
std::ostream& operator<<(std::ostream& out, const Shape& shape);

// The index of number `element` in row-major order: 5 of [2,3] is "[1,2]".
std::string index_text(const Shape& shape, int64_t element);

}  // namespace gradus
