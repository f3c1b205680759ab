// See alloc_count.h. A counter is one relaxed atomic addition; memory comes from glibc's own functions.
#include "tests/alloc_count.h"

#include <malloc.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <new>

#include "tests/sanitized.h"

#if defined(__GLIBC__) && !defined(GRADUS_SANITIZED)
#define GRADUS_COUNT_MALLOC
#endif

namespace {

// Zero before any constructor runs.
constinit std::atomic<int64_t> news{0};
constinit std::atomic<int64_t> mallocs{0};
constinit std::atomic<int64_t> held{0}, most{0};  // bytes from operator new

void count(std::atomic<int64_t>& counter) { counter.fetch_add(1, std::memory_order_relaxed); }

void* take(std::size_t bytes, std::size_t align) noexcept {
  count(news);
  if (bytes == 0) bytes = 1;
  if (align <= __STDCPP_DEFAULT_NEW_ALIGNMENT__) return std::malloc(bytes);
  void* p = nullptr;
  return posix_memalign(&p, align, bytes) == 0 ? p : nullptr;
}
void* get(std::size_t bytes, std::size_t align) noexcept {
  void* p = take(bytes, align);
  if (!p) return p;
  const int64_t n = int64_t(malloc_usable_size(p)), now = held.fetch_add(n, std::memory_order_relaxed) + n;
  for (int64_t old = most.load(); old < now && !most.compare_exchange_weak(old, now);) {
  }
  return p;
}
void give_back(void* p) noexcept {
  if (p) held.fetch_sub(int64_t(malloc_usable_size(p)), std::memory_order_relaxed);
  std::free(p);
}
void* get_or_throw(std::size_t bytes, std::size_t align = 1) {
  void* p = get(bytes, align);
  if (!p) throw std::bad_alloc();
  return p;
}

}  // namespace

namespace gradus::testing {

Allocations allocations() { return {news.load(), mallocs.load()}; }

int64_t held_bytes() {
  most = held.load();
  return most;
}
int64_t most_held_bytes() { return most; }

bool mallocs_counted() {
#ifdef GRADUS_COUNT_MALLOC
  return true;
#else
  return false;
#endif
}

}  // namespace gradus::testing

using Align = std::align_val_t;
using Quiet = const std::nothrow_t&;
void* operator new(std::size_t n) { return get_or_throw(n); }
void* operator new[](std::size_t n) { return get_or_throw(n); }
void* operator new(std::size_t n, Align a) { return get_or_throw(n, std::size_t(a)); }
void* operator new[](std::size_t n, Align a) { return get_or_throw(n, std::size_t(a)); }
void* operator new(std::size_t n, Quiet) noexcept { return get(n, 1); }
void* operator new[](std::size_t n, Quiet) noexcept { return get(n, 1); }
void* operator new(std::size_t n, Align a, Quiet) noexcept { return get(n, std::size_t(a)); }
void* operator new[](std::size_t n, Align a, Quiet) noexcept { return get(n, std::size_t(a)); }

void operator delete(void* p) noexcept { give_back(p); }
void operator delete[](void* p) noexcept { give_back(p); }
void operator delete(void* p, std::size_t) noexcept { give_back(p); }
void operator delete[](void* p, std::size_t) noexcept { give_back(p); }
void operator delete(void* p, Align) noexcept { give_back(p); }
void operator delete[](void* p, Align) noexcept { give_back(p); }
void operator delete(void* p, std::size_t, Align) noexcept { give_back(p); }
void operator delete[](void* p, std::size_t, Align) noexcept { give_back(p); }
void operator delete(void* p, Quiet) noexcept { give_back(p); }
void operator delete[](void* p, Quiet) noexcept { give_back(p); }
void operator delete(void* p, Align, Quiet) noexcept { give_back(p); }
void operator delete[](void* p, Align, Quiet) noexcept { give_back(p); }

#ifdef GRADUS_COUNT_MALLOC
extern "C" {
// What stands behind malloc in glibc, and stays reachable when malloc is replaced.
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);
void __libc_free(void*);

void* malloc(std::size_t n) noexcept {
  count(mallocs);
  return __libc_malloc(n);
}
void* calloc(std::size_t n, std::size_t size) noexcept {
  count(mallocs);
  return __libc_calloc(n, size);
}
void* realloc(void* p, std::size_t n) noexcept {
  count(mallocs);
  return __libc_realloc(p, n);
}
void* memalign(std::size_t align, std::size_t n) noexcept {
  count(mallocs);
  return __libc_memalign(align, n);
}
void* aligned_alloc(std::size_t align, std::size_t n) noexcept {
  count(mallocs);
  return __libc_memalign(align, n);
}
int posix_memalign(void** out, std::size_t align, std::size_t n) noexcept {
  count(mallocs);
  if (align % sizeof(void*) != 0 || (align & (align - 1)) != 0 || align == 0) return EINVAL;
  void* p = __libc_memalign(align, n);
  if (!p) return ENOMEM;
  *out = p;
  return 0;
}
void free(void* p) noexcept { __libc_free(p); }
}
#endif
