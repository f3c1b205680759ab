#include "engine/parallel.h"

#include <algorithm>
#include <cassert>
#include <new>
#include <system_error>

namespace gradus {

Pool::Pool(int threads) {
  workers_.reserve(size_t(std::max(threads, 1)));
  try {
    for (int i = 1; i < threads; ++i) workers_.emplace_back([this] { work(); });
  } catch (const std::system_error&) {  // the system gives no more: fewer threads do the same work
  } catch (const std::bad_alloc&) {
  }
}

Pool::~Pool() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void Pool::run(int n, void (*job)(void*, int), void* context) {
  std::unique_lock lock(mutex_);
  job_ = job, context_ = context, count_ = n, next_ = 0, error_ = nullptr;
  if (n > 1) wake_.notify_all();
  take_jobs(lock);
  finished_.wait(lock, [this] { return running_ == 0; });
  count_ = next_ = 0;
  if (error_) std::rethrow_exception(error_);
}

void Pool::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] { return stop_ || next_ < count_; });
    if (stop_) return;
    take_jobs(lock);
    if (running_ == 0) finished_.notify_one();
  }
}

void Pool::take_jobs(std::unique_lock<std::mutex>& lock) {
  while (next_ < count_) {
    const int i = next_++;
    ++running_;
    lock.unlock();
    std::exception_ptr error;
    try {
      job_(context_, i);
    } catch (...) {
      error = std::current_exception();
    }
    lock.lock();
    --running_;
    if (error && (!error_ || i < error_index_)) error_ = error, error_index_ = i;
  }
}

namespace {
struct OneRank final : Comm {
  int rank() const override { return 0; }
  int ranks() const override { return 1; }
  void send(std::span<const std::byte>, int) override { assert(!"one rank sends to no other"); }
  void receive(std::span<std::byte>, int) override { assert(!"one rank receives from no other"); }
};
}  // namespace

Comm& one_rank() {
  static OneRank alone;
  return alone;
}

Shards::Shards(Comm& comm, int shards, int threads)
    : comm_(comm), shards_(std::max(1, shards)), pool_(std::clamp(threads, 1, std::max(1, own_last() - own_first()))) {
  for (int s = own_first(); s < own_last(); ++s) tapes_.push_back(std::make_unique<Tape>());
}

void Shards::begin(const StepInfo& step, int64_t sequences) {
  batch_ = sequences;
  for (int s = own_first(); s < own_last(); ++s) {
    StepInfo info = step;
    info.first_sequence = first(s);
    info.sequences = count(s);
    tape(s).new_step(info);
  }
}

// Adds the gradients of this rank's shards to the sum, one after the other.
void Shards::add_own(const Params& params) {
  parts_.clear();
  for (int s = own_first(); s < own_last(); ++s)
    if (count(s) > 0) parts_.push_back(tape(s).gradient(params.array()).data());
  const int slices = pool_.threads();
  const int64_t n = params.size();
  pool_.each(slices, [&](int i) {  // each thread adds up all shards over its slice
    const int64_t first = n * i / slices, last = n * (i + 1) / slices;
    for (const real* part : parts_)
      for (int64_t j = first; j < last; ++j) sum_[size_t(j)] += part[j];
  });
}

// The sum goes from rank to rank, each adding its own shards, and back to all from the last: the order of additions is
// that of the shards on any number of ranks, which a tree of partial sums would change.
std::span<const real> Shards::gradient(const Params& params) {
  if (size() == 1 && comm_.ranks() == 1) return tape(0).gradient(params.array());
  sum_.assign(size_t(params.size()), 0);
  const std::span<std::byte> bytes = std::as_writable_bytes(std::span(sum_));
  const int rank = comm_.rank(), last = comm_.ranks() - 1;
  if (rank > 0) comm_.receive(bytes, rank - 1);
  add_own(params);
  if (rank < last) {
    comm_.send(bytes, rank + 1);
    comm_.receive(bytes, last);
  } else {
    for (int to = 0; to < last; ++to) comm_.send(bytes, to);
  }
  return sum_;
}

void Shards::gather(std::span<double> values, int64_t rows, bool by_sequence) {
  const int64_t n = rows > 0 ? int64_t(values.size()) / rows : 0;
  require(n * rows == int64_t(values.size()), "gather", Loc::here(), values.size(), " numbers for ", size(),
          " shards of ", batch_, " sequences; each must have equally many");
  const auto begin = [&](int rank) { return n * (by_sequence ? first(first_of(rank)) : first_of(rank)); };
  const auto part = [&](int rank) {
    return std::as_writable_bytes(values.subspan(size_t(begin(rank)), size_t(begin(rank + 1) - begin(rank))));
  };
  for (int from = 0; from < comm_.ranks(); ++from)
    for (int to = 0; to < comm_.ranks(); ++to) {
      if (from == to) continue;
      if (comm_.rank() == from) comm_.send(part(from), to);
      if (comm_.rank() == to) comm_.receive(part(from), from);
    }
}

}  // namespace gradus
