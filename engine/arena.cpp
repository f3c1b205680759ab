#include "engine/arena.h"

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <limits>

namespace gradus {

namespace {

constexpr size_t kFirstBlock = size_t(1) << 16;
constexpr size_t kPage = 4096;

size_t round_up(size_t n, size_t unit) { return (n + unit - 1) / unit * unit; }

// Blocks are mapped, not allocated, so that their pages go back when they are given up. malloc keeps what is below its
// threshold, which rises to 32 MB: 64 tapes that each replaced their blocks by one larger one held twice what they
// used.
// One first block outlives its arena: short walks, each on a tape of its own, would spend their time on mapping pages.
std::atomic<uintptr_t> spare{0};

uintptr_t new_block(size_t bytes) noexcept {
  if (bytes == kFirstBlock)
    if (const uintptr_t block = spare.exchange(0)) return block;
  void* const pages = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return pages == MAP_FAILED ? 0 : reinterpret_cast<uintptr_t>(pages);
}

void delete_block(uintptr_t begin, size_t bytes) noexcept {
  uintptr_t none = 0;
  if (bytes == kFirstBlock && spare.compare_exchange_strong(none, begin)) return;
  ::munmap(reinterpret_cast<void*>(begin), bytes);
}

}  // namespace

Arena::~Arena() { release_blocks(); }

void Arena::release_blocks() noexcept {
  for (const Block& b : blocks_) delete_block(b.begin, b.end - b.begin);
  blocks_.clear();
  current_ = 0;
  cursor_ = end_ = reinterpret_cast<uintptr_t>(nowhere_);
}

void Arena::enter(size_t block, size_t used_before) {
  current_ = block;
  blocks_[block].used_before = used_before;
  cursor_ = blocks_[block].begin;
  end_ = blocks_[block].end;
}

void* Arena::allocate_in_next_block(size_t bytes, size_t align) {
  if (bytes > kMaxBytes) throw std::bad_alloc();
  const size_t before = used() - counted_;
  // Blocks left over from before a rewind are empty. One that is too small makes room for one that is not.
  const size_t next = blocks_.empty() ? 0 : current_ + 1;
  while (next < blocks_.size() && blocks_[next].end - blocks_[next].begin < bytes) {
    delete_block(blocks_[next].begin, blocks_[next].end - blocks_[next].begin);
    blocks_.erase(blocks_.begin() + std::ptrdiff_t(next));
  }
  if (next == blocks_.size()) {
    const size_t least = round_up(bytes, kPage);
    size_t size = std::max(least, round_up(std::max(kFirstBlock, before / 4), kPage));
    blocks_.reserve(next + 1);  // before the block exists, so that nothing leaks if it throws
    uintptr_t begin = new_block(size);
    for (; begin == 0 && size > least; begin = new_block(size)) size = std::max(least, round_up(size / 4, kPage));
    if (begin == 0) throw std::bad_alloc();
    blocks_.push_back({begin, begin + size, 0});
  }
  enter(next, before);
  return allocate(bytes, align);
}

real* Arena::count(int64_t n) {
  constexpr size_t kMost = size_t(1) << 62;  // sizes that mean nothing must not wrap around
  if (n < 0) throw std::bad_array_new_length();
  const size_t bytes =
      size_t(n) > kMost / sizeof(real) ? kMost : round_up(size_t(n) * sizeof(real), n >= 16 ? kMaxAlign : 16);
  counted_ = std::min(kMost, counted_ + bytes);
  return reinterpret_cast<real*>(reinterpret_cast<uintptr_t>(nowhere_));
}

void Arena::rewind(Mark m) noexcept {
  high_water_ = high_water();
  counted_ = m.counted;
  if (blocks_.empty()) return;
  if (m.cursor == reinterpret_cast<uintptr_t>(nowhere_))
    m = {0, blocks_[0].begin, m.counted};  // marked before the first block
  assert(m.block <= current_ && m.cursor >= blocks_[m.block].begin && m.cursor <= blocks_[m.block].end);
  assert(m.block < current_ || m.cursor <= cursor_);
  current_ = m.block;
  cursor_ = m.cursor;
  end_ = blocks_[m.block].end;
}

void Arena::reset() noexcept {
  high_water_ = high_water();
  counted_ = 0;
  if (blocks_.size() > 1) {
    // An eighth more: steps that grow slowly must not come back here each time, and requests that began a block at 64
    // bytes may now need padding. Pages never touched cost nothing.
    const size_t size = round_up(high_water_ + high_water_ / 8, kPage);
    release_blocks();  // first, so that the two never stand side by side; blocks_ keeps room for the one
    if (const uintptr_t begin = new_block(size)) blocks_.push_back({begin, begin + size, 0});
  }
  if (!blocks_.empty()) enter(0, 0);
}

size_t Arena::used() const {
  return counted_ + (blocks_.empty() ? 0 : blocks_[current_].used_before + size_t(cursor_ - blocks_[current_].begin));
}

size_t Arena::high_water() const { return std::max(high_water_, used()); }

size_t Arena::capacity() const {
  size_t sum = 0;
  for (const Block& b : blocks_) sum += b.end - b.begin;
  return sum;
}

void Arena::poison(real* p, int64_t n) { std::fill_n(p, n, std::numeric_limits<real>::quiet_NaN()); }

}  // namespace gradus
