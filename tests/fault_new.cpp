// Memory that runs out: the FAULT_NEW-th call of operator new (1, 2, ...) in a process fails, and all later ones too
// where FAULT_ALWAYS is set. Calls before main() count.
//   g++ -shared -fPIC -o fault_new.so tests/fault_new.cpp
//   FAULT_NEW=3 LD_PRELOAD=./fault_new.so build/gradus train ...
// With FAULT_NEW=0 it only counts, and FAULT_COUNT names the file that gets the number.
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <new>

namespace {

std::atomic<long> calls{0};
long fault_at = -1;
bool always = false;

bool fails() {
  if (fault_at < 0) return false;
  const long call = ++calls;
  return fault_at > 0 && (call == fault_at || (always && call > fault_at));
}
void* get(std::size_t n, std::size_t align) {
  if (fails()) return nullptr;
  if (n == 0) n = 1;
  if (align <= __STDCPP_DEFAULT_NEW_ALIGNMENT__) return std::malloc(n);
  void* p = nullptr;
  return posix_memalign(&p, align, n) == 0 ? p : nullptr;
}
void* get_or_throw(std::size_t n, std::size_t align = 1) {
  void* p = get(n, align);
  if (!p) throw std::bad_alloc();
  return p;
}

struct Session {
  Session() {
    if (const char* at = std::getenv("FAULT_NEW")) fault_at = std::atol(at);
    always = std::getenv("FAULT_ALWAYS") != nullptr;
  }
  ~Session() {
    if (const char* to = std::getenv("FAULT_COUNT"))
      if (std::FILE* file = std::fopen(to, "w")) {
        std::fprintf(file, "%ld\n", calls.load());
        std::fclose(file);
      }
  }
} session;

}  // namespace

void* operator new(std::size_t n) { return get_or_throw(n); }
void* operator new[](std::size_t n) { return get_or_throw(n); }
void* operator new(std::size_t n, std::align_val_t a) { return get_or_throw(n, std::size_t(a)); }
void* operator new[](std::size_t n, std::align_val_t a) { return get_or_throw(n, std::size_t(a)); }
void* operator new(std::size_t n, const std::nothrow_t&) noexcept { return get(n, 1); }
void* operator new[](std::size_t n, const std::nothrow_t&) noexcept { return get(n, 1); }
void* operator new(std::size_t n, std::align_val_t a, const std::nothrow_t&) noexcept { return get(n, std::size_t(a)); }
void* operator new[](std::size_t n, std::align_val_t a, const std::nothrow_t&) noexcept {
  return get(n, std::size_t(a));
}
void operator delete(void* p) noexcept { std::free(p); }
void operator delete[](void* p) noexcept { std::free(p); }
void operator delete(void* p, std::size_t) noexcept { std::free(p); }
void operator delete[](void* p, std::size_t) noexcept { std::free(p); }
void operator delete(void* p, std::align_val_t) noexcept { std::free(p); }
void operator delete[](void* p, std::align_val_t) noexcept { std::free(p); }
void operator delete(void* p, std::size_t, std::align_val_t) noexcept { std::free(p); }
void operator delete[](void* p, std::size_t, std::align_val_t) noexcept { std::free(p); }
