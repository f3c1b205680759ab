// The one place where threads work. A step over a batch is cut into shards, fixed slices with a tape each; a small pool
// of threads runs them, and gradients are summed in the order of the shards. The number of shards belongs to the run,
// the numbers of threads and of ranks do not: the bits are the same on one and on many. A rank is a process (or, in a
// test, a thread) with a Comm to the others (engine/comm.h); it runs its own shards, and all ranks get the same sums.
//
//   Shards shards(2, threads);
//   shards.begin({.seed = 1, .step = step, .training = true}, batch);
//   shards.each([&](int s) {                                             // tape s is current
//     loss[s] = ... forward of sequences shards.first(s) .. + shards.count(s) ...;
//   });
//   shards.gather_by_shard(losses);                                      // values of other ranks, for the host
//   ... the host looks at all losses and decides the weights ...
//   shards.each([&](int s) { shards.tape(s).seed(loss[s], weight[s]); shards.tape(s).backward(); });
//   optimizer.step(params, shards.gradient(params), lr);
#pragma once

#include <condition_variable>
#include <exception>
#include <memory>
#include <mutex>
#include <span>
#include <thread>
#include <vector>

#include "engine/comm.h"
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

// Every rank makes the same calls, except that each() runs only its own shards, own_first() .. own_last()-1.
class Shards {
 public:
  Shards(int shards, int threads) : Shards(one_rank(), shards, threads) {}
  Shards(Comm& comm, int shards, int threads);  // the comm must outlive it

  int size() const { return shards_; }             // of all ranks
  int threads() const { return pool_.threads(); }  // that really run, on this rank
  int own_first() const { return first_of(comm_.rank()); }
  int own_last() const { return first_of(comm_.rank() + 1); }
  Tape& tape(int s) { return *tapes_[size_t(s - own_first())]; }  // REQUIRES: s is one of this rank's own
  // Begins a step over a batch of `sequences`: shard s holds sequences first(s) .. first(s)+count(s)-1, which differ in
  // number by at most one. A shard may be empty; each() leaves it out. Random numbers take the batch to begin at
  // sequence step.first_sequence.
  void begin(const StepInfo& step, int64_t sequences);
  int64_t first(int s) const { return batch_ * s / size(); }
  int64_t count(int s) const { return first(s + 1) - first(s); }

  // Runs f(s) for each of this rank's shards that is not empty, with its tape current.
  template <class F>
  void each(F&& f) {
    pool_.each(int(tapes_.size()), [&](int i) {
      const int s = own_first() + i;
      if (count(s) == 0) return;
      const Tape::Use use(tape(s));
      f(s);
    });
  }

  // The gradient of the whole batch, of all ranks, summed in the order of the shards. Valid until the next call or
  // step. Each rank sums one range of the parameters: it gets that range of every shard, and all get its sums. A single
  // rank sums in the place of the first shard's gradient, which its tape then no longer has.
  std::span<const real> gradient(const Params& params);
  // Bytes that all ranks together send for gradient(): with R ranks, and k_r shards that are not empty and n_r of the n
  // parameters on rank r, Σ_r k_r (n − n_r) for the ranges and Σ_r n_r (R − 1) for the sums, of sizeof(real) each.
  int64_t gradient_bytes(const Params& params) const;

  // What each() wrote on its own rank for its shards or their sequences is on all ranks afterwards. values: the same
  // number of numbers for each shard, [size(), n], or for each sequence of the batch, [sequences, n]; each rank gives
  // the part of its own shards.
  void gather_by_shard(std::span<double> values) { gather(values, size(), false); }
  void gather_by_sequence(std::span<double> values) { gather(values, batch_, true); }

 private:
  int first_of(int rank) const { return int(int64_t(shards_) * rank / comm_.ranks()); }
  struct Range {
    int64_t first, last;
  };
  Range range_of(int rank, int64_t numbers) const;  // of the parameters, that a rank sums
  void gather_range(const Params& params, Range own);
  void share_sums();
  void gather(std::span<double> values, int64_t rows, bool by_sequence);

  Comm& comm_;
  int shards_;
  Pool pool_;
  std::vector<std::unique_ptr<Tape>> tapes_;  // of this rank
  std::vector<real> sum_;                     // on several ranks
  std::vector<const real*> summed_;           // on a single rank: the sums of this step
  std::vector<real> of_others_;       // this rank's range of the gradients of other ranks' shards, one after the other
  std::vector<real*> parts_;          // this rank's range of every shard's gradient, in their order
  std::vector<Comm::Sent> to_;        // by rank
  std::vector<Comm::Received> from_;  // by rank
  int64_t batch_ = 0;
};

}  // namespace gradus
