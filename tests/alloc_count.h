// Counts the memory requests of the whole process: operator new in all its forms, and with glibc malloc and its family
// too, on every thread. Linking alloc_count.cpp replaces them; what they return is what the system would have returned.
#pragma once

#include <cstdint>

namespace gradus::testing {

struct Allocations {
  int64_t news = 0;  // operator new, new[], aligned and nothrow
  // malloc, calloc, realloc, aligned_alloc, posix_memalign, memalign; 0 where they are not counted
  int64_t mallocs = 0;
};
Allocations allocations();  // since the process began
bool mallocs_counted();     // false under sanitizers, which have a malloc of their own

int64_t held_bytes();  // from operator new, now; from here on most_held_bytes() is the most at once
int64_t most_held_bytes();
// The most that was held at once while f ran, beyond what was held before.
template <class F>
int64_t most_held(const F& f) {
  const int64_t before = held_bytes();
  f();
  return most_held_bytes() - before;
}

}  // namespace gradus::testing
