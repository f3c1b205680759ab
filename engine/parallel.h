// The one place where threads work. A step over a batch is cut into shards, fixed slices with a tape each; a small pool
// of threads runs them, and gradients are summed in the order of the shards. The number of shards belongs to the run,
// the number of threads does not: the bits are the same on one thread and on two.
//
//   Shards shards(2, threads);
//   shards.begin({.seed = 1, .step = step, .training = true}, batch);
//   shards.each([&](int s) {                                             // tape s is current
//     loss[s] = ... forward of sequences shards.first(s) .. + shards.count(s) ...;
//   });
//   ... the host looks at all losses and decides the weights ...
//   shards.each([&](int s) { shards.tape(s).seed(loss[s], weight[s]); shards.tape(s).backward(); });
//   optimizer.step(params, shards.gradient(params), lr);
#pragma once

#include <condition_variable>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "engine/params.h"
#include "engine/tape.h"

namespace gradus {

// Runs job(context, i) for i = 0..n-1 on the caller and threads-1 more, or as many as the system gives. With one thread
// there is no pool at all.
class Pool {
 public:
  explicit Pool(int threads);
  ~Pool();
  Pool(const Pool&) = delete;

  int threads() const { return int(workers_.size()) + 1; }
  // Returns when all have run; rethrows the exception of the lowest i that threw.
  void run(int n, void (*job)(void*, int), void* context);
  // The same for f(i).
  template <class F>
  void each(int n, F f) {
    run(
        n, [](void* context, int i) { (*static_cast<F*>(context))(i); }, &f);
  }

 private:
  void work();
  void take_jobs(std::unique_lock<std::mutex>& lock);

  std::vector<std::thread> workers_;
  std::mutex mutex_;
  std::condition_variable wake_, finished_;
  void (*job_)(void*, int) = nullptr;
  void* context_ = nullptr;
  int count_ = 0, next_ = 0, running_ = 0;
  std::exception_ptr error_;
  int error_index_ = 0;
  bool stop_ = false;
};

class Shards {
 public:
  Shards(int shards, int threads);

  int size() const { return int(tapes_.size()); }
  int threads() const { return pool_.threads(); }  // that really run
  Tape& tape(int s) { return *tapes_[size_t(s)]; }
  // Begins a step over a batch of `sequences`: shard s holds sequences first(s) .. first(s)+count(s)-1, which differ in
  // number by at most one. A shard may be empty; each() leaves it out.
  void begin(const StepInfo& step, int64_t sequences);
  int64_t first(int s) const { return batch_ * s / size(); }
  int64_t count(int s) const { return first(s + 1) - first(s); }

  // Runs f(s) for every shard that is not empty, with its tape current.
  template <class F>
  void each(F&& f) {
    pool_.each(size(), [&](int s) {
      if (count(s) == 0) return;
      const Tape::Use use(tape(s));
      f(s);
    });
  }

  // The gradient of the whole batch, summed in the order of the shards. Valid until the next call.
  std::span<const real> gradient(const Params& params);

 private:
  Pool pool_;
  std::vector<std::unique_ptr<Tape>> tapes_;
  std::vector<real> sum_;
  std::vector<const real*> parts_;
  int64_t batch_ = 0;
};

}  // namespace gradus
