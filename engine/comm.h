// How the ranks of a job exchange bytes. A rank is a process of several that train one run together (engine/io/mpi.h),
// or, in a test, a thread. Every rank makes the same calls in the same order; a program that runs alone is one rank and
// need not know.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace gradus {

class Comm {
 public:
  using Sent = std::span<const std::byte>;
  using Received = std::span<std::byte>;

  virtual ~Comm() = default;
  virtual int rank() const = 0;  // 0 .. ranks() - 1
  virtual int ranks() const = 0;

  // to[r] goes to rank r, and from[r] is filled by what rank r sends to this one, which must be as long; either may be
  // empty. What a rank has for itself stays where it is. Returns when all is there. Throws where another rank is gone.
  // REQUIRES: ranks() of each.
  void exchange(std::span<const Sent> to, std::span<const Received> from);
  // The same bytes on all ranks: those of rank 0.
  void broadcast(Received bytes);

  int64_t sent() const { return sent_; }  // bytes to other ranks so far

 private:
  virtual void transfer(std::span<const Sent> to, std::span<const Received> from) = 0;
  int64_t sent_ = 0;
};

Comm& one_rank();  // the Comm of a program that runs alone: rank 0 of 1

}  // namespace gradus
