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

}  // namespace gradus::testing
