// Arena: the memory of one step. Allocating is a pointer that moves up; nothing is freed singly, all of it at reset().
// Memory never moves, so pointers hold until reset() or a rewind() to an older mark. Not thread-safe: one arena, one
// thread at a time.
//
// Each new block adds a quarter of what is used, or what the system still gives, so that little is held beyond what is
// needed where address space is limited. reset() replaces several blocks by one that holds everything, so a second step
// of the same size runs in one block, and no later step allocates.
#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "engine/real.h"

namespace gradus {

class Arena {
 public:
  static constexpr size_t kMaxAlign = 64;               // a cache line, and the widest vector
  static constexpr size_t kMaxBytes = size_t(1) << 40;  // one request; beyond it a size is a mistake

  Arena() = default;  // allocates nothing
  ~Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  // `bytes` bytes of uninitialised memory, never null (0 bytes too). REQUIRES: align a power of two, at most kMaxAlign.
  // Throws std::bad_alloc, and leaves the arena as it was.
  void* allocate(size_t bytes, size_t align) {
    assert(align != 0 && (align & (align - 1)) == 0 && align <= kMaxAlign);
    const uintptr_t p = (cursor_ + (align - 1)) & ~uintptr_t(align - 1);
    if (p > end_ || bytes > end_ - p) [[unlikely]]
      return allocate_in_next_block(bytes, align);
    cursor_ = p + bytes;
    return reinterpret_cast<void*>(p);
  }

  // An object, made from T{args...}. No destructor will run.
  template <class T, class... Args>
  T* make(Args&&... args) {
    static_assert(std::is_trivially_destructible_v<T>, "an arena runs no destructors");
    return new (allocate(sizeof(T), alignof(T))) T{std::forward<Args>(args)...};
  }

  // n uninitialised elements. A negative or absurd n throws std::bad_array_new_length (a std::bad_alloc).
  template <class T>
  T* array(int64_t n) {
    static_assert(std::is_trivially_copyable_v<T> && std::is_trivially_destructible_v<T>);
    return static_cast<T*>(allocate(bytes_of(n, sizeof(T)), alignof(T)));
  }

  // From here on the numbers of reals() and zeros() are only counted: they join used(), but nothing is allocated for
  // them, and the pointers must not be followed. For the size of a step before it is taken (Tape::only_measure).
  void only_count() { counting_ = true; }

  // n uninitialised numbers; NaN if built with -DGRADUS_POISON. Aligned to 64 bytes if n >= 16, else to 16.
  real* reals(int64_t n) {
    if (counting_) [[unlikely]]
      return count(n);
    real* p = raw_reals(n);
#ifdef GRADUS_POISON
    poison(p, n);
#endif
    return p;
  }

  // n zeros, aligned like reals().
  real* zeros(int64_t n) {
    if (counting_) [[unlikely]]
      return count(n);
    real* p = raw_reals(n);
    if (n == 1)
      *p = 0;  // a call would take as long as the rest of a scalar's backward pass
    else
      std::memset(p, 0, size_t(n) * sizeof(real));
    return p;
  }

  template <class T>
  std::span<std::remove_const_t<T>> copy(std::span<T> from) {
    auto* p = array<std::remove_const_t<T>>(int64_t(from.size()));
    if (!from.empty()) std::memcpy(p, from.data(), from.size_bytes());
    return {p, from.size()};
  }

  // A place to come back to: rewind(m) gives up what was allocated after m = mark() and makes that memory available
  // again; blocks are kept. REQUIRES: no reset(), and no rewind() to an older mark, between the two.
  struct Mark {
    size_t block = 0;  // number of blocks before the current one
    uintptr_t cursor = 0;
    size_t counted = 0;
  };
  Mark mark() const { return {current_, cursor_, counted_}; }
  void rewind(Mark m) noexcept;

  // Gives up everything. Never throws: if the one large block cannot be allocated, blocks grow anew.
  void reset() noexcept;

  size_t used() const;        // bytes allocated now, with padding
  size_t high_water() const;  // the maximum of used() since construction
  size_t capacity() const;    // bytes held from the system
  size_t blocks() const { return blocks_.size(); }

 private:
  struct Block {
    uintptr_t begin, end;
    size_t used_before;  // bytes used in the blocks below, when this one became current
  };

  static size_t bytes_of(int64_t n, size_t size) {
    if (uint64_t(n) > kMaxBytes / size) [[unlikely]]  // negative n is huge
      throw std::bad_array_new_length();
    return size_t(n) * size;
  }
  real* raw_reals(int64_t n) {
    return static_cast<real*>(allocate(bytes_of(n, sizeof(real)), n >= 16 ? kMaxAlign : 16));
  }
  static void poison(real* p, int64_t n);
  real* count(int64_t n);
  void* allocate_in_next_block(size_t bytes, size_t align);
  void enter(size_t block, size_t used_before);
  void release_blocks() noexcept;

  alignas(kMaxAlign) static constexpr char nowhere_[kMaxAlign] = {};  // where 0 bytes live before there is a block

  uintptr_t cursor_ = reinterpret_cast<uintptr_t>(nowhere_);  // next free byte of the current block
  uintptr_t end_ = cursor_;
  size_t current_ = 0;  // index of the current block; blocks above it are empty
  std::vector<Block> blocks_;
  size_t high_water_ = 0;  // up to the last time the cursor went down
  bool counting_ = false;
  size_t counted_ = 0;  // bytes that were counted instead of allocated
};

// Memory for a scope: what is allocated while it lives, here or from the arena itself, is given up when it ends.
class ArenaScope {
 public:
  explicit ArenaScope(Arena& arena) : arena_(arena), mark_(arena.mark()) {}
  ~ArenaScope() { arena_.rewind(mark_); }
  ArenaScope(const ArenaScope&) = delete;
  ArenaScope& operator=(const ArenaScope&) = delete;
  real* reals(int64_t n) { return arena_.reals(n); }
  real* zeros(int64_t n) { return arena_.zeros(n); }
  template <class T>
  T* zeros_of(int64_t n) {
    T* p = arena_.array<T>(n);
    std::memset(p, 0, size_t(n) * sizeof(T));
    return p;
  }

 private:
  Arena& arena_;
  Arena::Mark mark_;
};

}  // namespace gradus
