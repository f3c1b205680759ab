// engine/arena.h: memory that does not overlap, marks across blocks, one block after reset, refusals that do no harm.
#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

#include "engine/arena.h"
#include "tests/sanitized.h"

namespace {

using namespace gradus;

bool aligned(const void* p, size_t to) { return reinterpret_cast<uintptr_t>(p) % to == 0; }

// Pieces of memory, each filled with a pattern of its own, which overlap or a move would spoil.
class Pieces {
 public:
  void add(Arena& arena, size_t bytes, size_t align) {
    auto* p = static_cast<unsigned char*>(arena.allocate(bytes, align));
    CHECK(p != nullptr);
    CHECK(aligned(p, align));
    for (size_t k = 0; k < bytes; ++k) p[k] = pattern(pieces_.size(), k);
    pieces_.push_back({p, bytes});
  }
  int64_t spoiled() const {
    int64_t wrong = 0;
    for (size_t i = 0; i < pieces_.size(); ++i)
      for (size_t k = 0; k < pieces_[i].bytes; ++k) wrong += pieces_[i].p[k] != pattern(i, k);
    return wrong;
  }
  size_t size() const { return pieces_.size(); }
  void shrink(size_t n) { pieces_.resize(n); }

 private:
  static unsigned char pattern(size_t i, size_t k) { return static_cast<unsigned char>(i * 151 + k * 7 + (k >> 8)); }
  struct Piece {
    unsigned char* p;
    size_t bytes;
  };
  std::vector<Piece> pieces_;
};

// A step of many sizes and alignments, about 2 MB: several blocks at first.
void step(Arena& arena, Pieces& pieces, int requests = 400) {
  uint32_t h = 12345;
  for (int k = 0; k < requests; ++k) {
    h = h * 1664525 + 1013904223;
    pieces.add(arena, (h >> 8) % (k % 10 == 0 ? 40000 : 500), size_t(1) << (h >> 24) % 7);
  }
}

struct Pair {
  int64_t a;
  const char* b;
};

}  // namespace

TEST_CASE("arena: memory is aligned, disjoint and stays where it is, over several blocks") {
  Arena arena;
  CHECK(arena.blocks() == 0);
  CHECK(arena.used() == 0);
  Pieces pieces;
  step(arena, pieces);
  CHECK(pieces.spoiled() == 0);
  CHECK(arena.blocks() > 2);
  CHECK(arena.used() <= arena.capacity());
  CHECK(arena.used() == arena.high_water());
}

TEST_CASE("arena: after reset everything fits into one block, and nothing is allocated again") {
  Arena arena;
  Pieces first;
  step(arena, first);
  const size_t high = arena.high_water();
  arena.reset();
  CHECK(arena.blocks() == 1);
  CHECK(arena.used() == 0);
  CHECK(arena.high_water() == high);
  CHECK(arena.capacity() >= high);
  CHECK(arena.capacity() <= high + high / 8 + 4096);
  const size_t capacity = arena.capacity();
  const void* start = arena.allocate(0, 1);
  for (int k = 0; k < 3; ++k) {
    Pieces again;
    step(arena, again);
    CHECK(again.spoiled() == 0);
    CHECK(arena.blocks() == 1);
    CHECK(arena.used() <= high + 100);  // of padding, where a block had begun
    arena.reset();
    CHECK(arena.capacity() == capacity);
    CHECK(arena.allocate(0, 1) == start);  // the same memory each time
  }
  Pieces more;  // a longer step grows once more, and again ends in one block
  step(arena, more, 700);
  CHECK(arena.blocks() >= 2);
  CHECK(more.spoiled() == 0);
  arena.reset();
  CHECK(arena.blocks() == 1);
}

TEST_CASE("arena: one block holds the same requests whatever their alignment") {
  for (size_t align : {size_t(1), size_t(8), size_t(64)}) {
    Arena arena;
    const auto run = [&] {
      for (int k = 0; k < 3000; ++k) arena.allocate(size_t(1 + k % 131), k % 3 ? 1 : align);
    };
    run();
    CHECK(arena.blocks() > 1);
    arena.reset();
    run();
    CHECK(arena.blocks() == 1);
  }
}

TEST_CASE("arena: rewind gives up what came after the mark, across blocks too") {
  Arena arena;
  Pieces pieces;
  const Arena::Mark empty = arena.mark();  // before there is any block
  step(arena, pieces, 60);
  const Arena::Mark mark = arena.mark();
  const size_t kept = pieces.size(), used = arena.used();
  step(arena, pieces, 500);
  const size_t high = arena.used(), blocks = arena.blocks(), capacity = arena.capacity();
  REQUIRE(blocks > 2);
  for (int k = 0; k < 3; ++k) {
    arena.rewind(mark);
    pieces.shrink(kept);
    CHECK(arena.used() == used);
    CHECK(arena.high_water() == high);
    CHECK(arena.blocks() == blocks);
    step(arena, pieces, 500);
    CHECK(pieces.spoiled() == 0);
    CHECK(arena.used() == high);  // the same requests, the same places
    CHECK(arena.capacity() == capacity);
  }
  arena.rewind(mark);
  const void* after_mark = arena.allocate(1, 1);
  arena.rewind(mark);
  CHECK(arena.allocate(1, 1) == after_mark);
  pieces.shrink(kept);
  CHECK(pieces.spoiled() == 0);
  arena.rewind(empty);
  CHECK(arena.used() == 0);
  pieces.shrink(0);
  step(arena, pieces, 60);
  CHECK(pieces.spoiled() == 0);
  CHECK(arena.capacity() == capacity);
}

TEST_CASE("arena: a block left by rewind that is too small makes room for one that is not") {
  Arena arena;
  Pieces pieces;
  pieces.add(arena, 60000, 1);
  const Arena::Mark mark = arena.mark();
  pieces.add(arena, 100000, 1);  // second block
  arena.rewind(mark);
  pieces.shrink(1);
  pieces.add(arena, 3000000, 64);  // fits into neither
  pieces.add(arena, 100, 1);
  CHECK(arena.blocks() == 2);
  CHECK(arena.capacity() < 3'100'000);
  CHECK(pieces.spoiled() == 0);
  const size_t high = arena.high_water();
  CHECK(high >= 3060100);
  CHECK(high < 3061000);
  arena.reset();
  CHECK(arena.blocks() == 1);
  CHECK(arena.capacity() >= high);
}

TEST_CASE("arena: nested scopes leave no trace but the high water") {
  Arena arena;
  real* outer = arena.reals(100);
  const size_t used = arena.used();
  void* inside = nullptr;
  for (int k = 0; k < 5; ++k) {
    const ArenaScope scope(arena);
    void* p = arena.reals(100000);
    if (k == 0) inside = p;
    CHECK(p == inside);
    {
      const ArenaScope inner(arena);
      arena.zeros(500000);
    }
    CHECK(arena.used() < used + 100000 * sizeof(real) + 200);
  }
  CHECK(arena.used() == used);
  CHECK(arena.high_water() > 600000 * sizeof(real));
  CHECK(aligned(outer, 64));
}

TEST_CASE("arena: typed memory") {
  Arena arena;
  arena.allocate(1, 1);
  for (int64_t n : {1, 3, 15}) CHECK(aligned(arena.reals(n), 16));
  for (int64_t n : {16, 17, 1000}) {
    arena.allocate(1, 1);
    CHECK(aligned(arena.reals(n), 64));
  }
  Pair* pair = arena.make<Pair>(int64_t(7), "seven");
  CHECK(aligned(pair, alignof(Pair)));
  CHECK(pair->a == 7);
  CHECK(std::strcmp(pair->b, "seven") == 0);
  CHECK(*arena.make<double>(2.5) == 2.5);
  CHECK(arena.make<Pair>()->b == nullptr);

  const Arena::Mark mark = arena.mark();
  std::memset(arena.allocate(64000, 1), 0xff, 64000);
  arena.rewind(mark);
  const real* zero = arena.zeros(1001);
  int64_t not_zero = 0;
  for (int64_t k = 0; k < 1001; ++k) not_zero += zero[k] != 0 || std::signbit(zero[k]);
  CHECK(not_zero == 0);

  std::vector<int32_t> v = {4, 5, 6};
  const std::span<int32_t> a = arena.copy(std::span<const int32_t>(v)), b = arena.copy(std::span<int32_t>(v));
  v[1] = 99;
  CHECK(a.size() == 3);
  CHECK(a[1] == 5);
  CHECK(b[2] == 6);
  CHECK(a.data() != b.data());
  CHECK(arena.copy(std::span<const double>()).empty());
}

TEST_CASE("arena: reals() is NaN when poisoned") {
  Arena arena;
  const Arena::Mark mark = arena.mark();
  std::memset(arena.allocate(64000, 64), 0, 64000);
  arena.rewind(mark);
  const real* p = arena.reals(1000);
  int64_t nan = 0;
  for (int64_t k = 0; k < 1000; ++k) nan += std::isnan(p[k]);
#ifdef GRADUS_POISON
  CHECK(nan == 1000);
#else
  CHECK(nan == 0);
#endif
}

TEST_CASE("arena: sizes that make no sense throw, and leave the arena as it was") {
  Arena arena;
  const auto refuse_all = [&] {
    CHECK_THROWS_AS(arena.reals(-1), std::bad_alloc);
    CHECK_THROWS_AS(arena.zeros(std::numeric_limits<int64_t>::min()), std::bad_alloc);
    CHECK_THROWS_AS(arena.reals(std::numeric_limits<int64_t>::max()), std::bad_alloc);
    CHECK_THROWS_AS(arena.array<Pair>((int64_t(1) << 60) + 1), std::bad_alloc);  // 16 (2^60 + 1) wraps to 16
    CHECK_THROWS_AS(arena.allocate(std::numeric_limits<size_t>::max(), 1), std::bad_alloc);
    CHECK_THROWS_AS(arena.allocate(std::numeric_limits<size_t>::max() - 63, 64), std::bad_alloc);
    CHECK_THROWS_AS(arena.allocate(Arena::kMaxBytes + 1, 1), std::bad_alloc);
  };
  refuse_all();
  CHECK(arena.blocks() == 0);
  Pieces pieces;
  step(arena, pieces, 100);
  const size_t used = arena.used(), capacity = arena.capacity();
  refuse_all();
  CHECK(arena.used() == used);
  CHECK(arena.capacity() == capacity);
  step(arena, pieces, 100);
  CHECK(pieces.spoiled() == 0);
}

#ifndef GRADUS_SANITIZED
TEST_CASE("arena: memory that the system refuses leaves the arena usable") {
  Arena arena;
  Pieces pieces;
  step(arena, pieces, 100);
  const size_t used = arena.used();
  const void* p = nullptr;
  try {
    p = arena.allocate(Arena::kMaxBytes, 64);  // 1 TB: some systems promise it
    CHECK(p != nullptr);
  } catch (const std::bad_alloc&) {
    CHECK(arena.used() == used);
  }
  step(arena, pieces, 100);
  CHECK(pieces.spoiled() == 0);
}
#endif

TEST_CASE("arena: 0 bytes are a place, not null") {
  Arena arena;
  CHECK(arena.allocate(0, 1) != nullptr);
  CHECK(aligned(arena.allocate(0, 64), 64));
  CHECK(arena.reals(0) != nullptr);
  CHECK(arena.zeros(0) != nullptr);
  CHECK(arena.used() == 0);
  arena.rewind(arena.mark());
  arena.reset();
  CHECK(arena.blocks() == 0);
}

TEST_CASE("an arena that only counts holds as much as one that allocates, also across marks, and wraps nowhere") {
  Arena counts, real_one;
  counts.only_count();
  for (Arena* arena : {&counts, &real_one}) {
    arena->reals(1000);
    arena->zeros(17);
    const Arena::Mark mark = arena->mark();
    arena->reals(50000);
    arena->array<int64_t>(7);  // what is no number of a tensor is there in both
    arena->array<int64_t>(7)[6] = 1;
    arena->rewind(mark);
    arena->reals(64);
  }
  CHECK(counts.used() == doctest::Approx(double(real_one.used())).epsilon(0.02));
  CHECK(counts.high_water() == doctest::Approx(double(real_one.high_water())).epsilon(0.02));
  CHECK(counts.capacity() < size_t(1) << 17);
  counts.reals(INT64_MAX);
  counts.reals(INT64_MAX);
  CHECK(counts.used() > size_t(1) << 61);
  CHECK(counts.used() < size_t(1) << 63);
  CHECK_THROWS_AS(counts.reals(-1), std::bad_alloc);
  counts.reset();
  CHECK(counts.used() == 0);
}
