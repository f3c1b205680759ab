#include "engine/parallel.h"

#include <algorithm>
#include <system_error>

namespace gradus {

Pool::Pool(int threads) {
  workers_.reserve(size_t(std::max(threads, 1)));
  try {
    for (int i = 1; i < threads; ++i) workers_.emplace_back([this] { work(); });
  } catch (const std::system_error&) {  // the system gives no more: fewer threads do the same work
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

Shards::Shards(int shards, int threads) : pool_(std::max(1, std::min(threads, shards))) {
  for (int s = 0; s < std::max(1, shards); ++s) tapes_.push_back(std::make_unique<Tape>());
}

void Shards::begin(const StepInfo& step, int64_t sequences) {
  batch_ = sequences;
  for (int s = 0; s < size(); ++s) {
    StepInfo info = step;
    info.first_sequence = first(s);
    info.sequences = count(s);
    tape(s).new_step(info);
  }
}

std::span<const real> Shards::gradient(const Params& params) {
  if (size() == 1) return tape(0).gradient(params.array());
  sum_.assign(size_t(params.size()), 0);
  parts_.clear();
  for (int s = 0; s < size(); ++s)
    if (count(s) > 0) parts_.push_back(tape(s).gradient(params.array()).data());
  const int slices = pool_.threads();
  const int64_t n = params.size();
  pool_.each(slices, [&](int i) {  // each thread adds up all shards over its slice
    const int64_t first = n * i / slices, last = n * (i + 1) / slices;
    for (const real* part : parts_)
      for (int64_t j = first; j < last; ++j) sum_[size_t(j)] += part[j];
  });
  return sum_;
}

}  // namespace gradus
