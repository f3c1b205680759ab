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

Shards::Shards(Comm& comm, int shards, int threads)
    : comm_(comm), shards_(std::max(1, shards)), pool_(std::clamp(threads, 1, std::max(1, own_last() - own_first()))) {
  for (int s = own_first(); s < own_last(); ++s) tapes_.push_back(std::make_unique<Tape>());
}

void Shards::begin(const StepInfo& step, int64_t sequences) {
  batch_ = sequences;
  summed_.clear();
  for (int s = own_first(); s < own_last(); ++s) {
    StepInfo info = step;
    info.first_sequence += first(s);
    info.sequences = count(s);
    tape(s).new_step(info);
  }
}

Shards::Range Shards::range_of(int rank, int64_t numbers) const {
  return {numbers * rank / comm_.ranks(), numbers * (rank + 1) / comm_.ranks()};
}

template <class T>
static std::span<T> part_of(std::span<T> all, int64_t first, int64_t last) {
  return all.subspan(size_t(first), size_t(last - first));
}

// Points parts_ at range `own` of the gradient of every shard that is not empty, in the order of the shards. In round i
// each rank sends its shard number i, straight from the tape.
void Shards::gather_range(const Params& params, Range own) {
  const int R = comm_.ranks(), me = comm_.rank();
  const int64_t width = own.last - own.first;
  int rounds = 0;
  for (int r = 0; r < R; ++r) rounds = std::max(rounds, first_of(r + 1) - first_of(r));
  if (R > 1) of_others_.resize(size_t(size() * width));
  parts_.assign(size_t(size()), nullptr);
  to_.resize(size_t(R));
  from_.resize(size_t(R));
  const auto has = [&](int r, int i) { return first_of(r) + i < first_of(r + 1) && count(first_of(r) + i) > 0; };
  for (int i = 0; i < rounds; ++i) {
    const int shard = own_first() + i;
    const std::span<real> mine = has(me, i) ? tape(shard).gradient(params.array()) : std::span<real>();
    for (int r = 0; r < R; ++r) {
      const Range theirs = range_of(r, params.size());
      to_[size_t(r)] = from_[size_t(r)] = {};
      if (r == me && has(me, i)) parts_[size_t(shard)] = mine.data() + own.first;
      if (r == me) continue;
      if (has(me, i)) to_[size_t(r)] = std::as_bytes(part_of(mine, theirs.first, theirs.last));
      if (!has(r, i)) continue;
      const int s = first_of(r) + i;
      const std::span<real> place = part_of(std::span(of_others_), s * width, (s + 1) * width);
      parts_[size_t(s)] = place.data();
      from_[size_t(r)] = std::as_writable_bytes(place);
    }
    comm_.exchange(to_, from_);
  }
  std::erase(parts_, nullptr);
}

// Each rank's range of sum_ to all others.
void Shards::share_sums() {
  const std::span<real> sum(sum_);
  const Range own = range_of(comm_.rank(), int64_t(sum.size()));
  for (int r = 0; r < comm_.ranks(); ++r) {
    const Range theirs = range_of(r, int64_t(sum.size()));
    to_[size_t(r)] = std::as_bytes(part_of(sum, own.first, own.last));
    from_[size_t(r)] =
        r == comm_.rank() ? Comm::Received() : std::as_writable_bytes(part_of(sum, theirs.first, theirs.last));
  }
  comm_.exchange(to_, from_);
}

// The order of additions is that of the shards on any number of ranks, which a tree of partial sums would change.
std::span<const real> Shards::gradient(const Params& params) {
  const bool alone = comm_.ranks() == 1;
  const Range own = range_of(comm_.rank(), params.size());
  gather_range(params, own);
  if (alone && parts_.empty()) return tape(0).gradient(params.array());  // zeros
  if (!alone) sum_.assign(size_t(params.size()), 0);
  real* const sum = alone ? parts_[0] : sum_.data() + own.first;
  const int slices = parts_.empty() ? 0 : pool_.threads();
  const int64_t n = own.last - own.first;
  if (alone && std::ranges::find(summed_, sum) != summed_.end()) return {sum, size_t(n)};
  pool_.each(slices, [&](int i) {  // each thread adds up all shards over its slice
    const int64_t first = n * i / slices, last = n * (i + 1) / slices;
    if (!alone) std::copy(parts_[0] + first, parts_[0] + last, sum + first);
    for (const real* part : std::span(parts_).subspan(1))
      for (int64_t j = first; j < last; ++j) sum[j] += part[j];
  });
  if (alone) {
    summed_.push_back(sum);
    return {sum, size_t(n)};
  }
  share_sums();
  return sum_;
}

int64_t Shards::gradient_bytes(const Params& params) const {
  const int64_t n = params.size(), R = comm_.ranks();
  int64_t numbers = 0;
  for (int r = 0; r < R; ++r) {
    const Range range = range_of(r, n);
    const int64_t n_r = range.last - range.first;
    int64_t k_r = 0;
    for (int s = first_of(r); s < first_of(r + 1); ++s) k_r += count(s) > 0;
    numbers += k_r * (n - n_r) + n_r * (R - 1);
  }
  return numbers * int64_t(sizeof(real));
}

void Shards::gather(std::span<double> values, int64_t rows, bool by_sequence) {
  const int64_t n = rows > 0 ? int64_t(values.size()) / rows : 0;
  require(n * rows == int64_t(values.size()), "gather", Loc::here(), values.size(), " numbers for ", size(),
          " shards of ", batch_, " sequences; each must have equally many");
  if (comm_.ranks() == 1) return;
  const auto begin = [&](int rank) { return n * (by_sequence ? first(first_of(rank)) : first_of(rank)); };
  to_.resize(size_t(comm_.ranks()));
  from_.resize(size_t(comm_.ranks()));
  for (int r = 0; r < comm_.ranks(); ++r) {
    to_[size_t(r)] = std::as_bytes(part_of(values, begin(comm_.rank()), begin(comm_.rank() + 1)));
    from_[size_t(r)] =
        r == comm_.rank() ? Comm::Received() : std::as_writable_bytes(part_of(values, begin(r), begin(r + 1)));
  }
  comm_.exchange(to_, from_);
}

}  // namespace gradus
