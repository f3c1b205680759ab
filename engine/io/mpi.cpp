#include "engine/io/mpi.h"

#include <unistd.h>

#include <cstdlib>

#include "engine/error.h"

#ifdef GRADUS_MPI
#define OMPI_SKIP_MPICXX  // the C interface is all
#define MPICH_SKIP_MPICXX
#include <mpi.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <time.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <optional>
#include <vector>
#endif

namespace gradus {
namespace {

StopSign stop_sign{nullptr, nullptr};
JobFailure failure;

// What mpirun tells each process of its job: Open MPI, and those that begin processes as MPICH does.
const char* set_by_mpirun(const char* of_open_mpi, const char* of_mpich) {
  const char* const value = std::getenv(of_open_mpi);
  return value ? value : std::getenv(of_mpich);
}

}  // namespace

void stop_job_by(StopSign sign) { stop_sign = sign; }
const JobFailure& failure_of_job() { return failure; }

#ifndef GRADUS_MPI

Comm& ranks_of_job() {
  const char* const size = set_by_mpirun("OMPI_COMM_WORLD_SIZE", "PMI_SIZE");
  if (!size || std::atoi(size) < 2) return one_rank();
  const char* const rank = set_by_mpirun("OMPI_COMM_WORLD_RANK", "PMI_RANK");
  if (rank && std::atoi(rank) > 0) sleep(10);  // one says it, and mpirun ends the others
  throw UsageError(text("mpirun has started ", size,
                        " processes, and this gradus was built without MPI; build it with: make MPI=1"));
}
int ranks_on_machine() { return 1; }
int leave_job(int code, const std::string&) { return code; }

#else

namespace {

using Clock = std::chrono::steady_clock;

enum Tag { kData = 1, kNotice = 2 };
struct Notice {
  int code;             // to rank 0: of a rank that failed, or 0 where it was asked to stop; to others: they are to end
  char sentence[1020];  // cut there: it must be sent without waiting for the receiver
};

class Ranks final : public Comm {
 public:
  Ranks() {
    int threads = 0;
    MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &threads);
    require(threads >= MPI_THREAD_FUNNELED, "mpi", Loc::here(), "this MPI allows no threads beside its own");
    MPI_Comm_dup(MPI_COMM_WORLD, &all_);
    MPI_Comm_set_errhandler(all_, MPI_ERRORS_RETURN);
    MPI_Comm_rank(all_, &rank_);
    MPI_Comm_size(all_, &ranks_);
    MPI_Comm machine;
    MPI_Comm_split_type(all_, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &machine);
    MPI_Comm_size(machine, &on_machine_);
    MPI_Comm_free(&machine);
    // Where mpirun itself is killed nobody else ends its ranks. Rank 0 may still save, but its library may end it
    // first.
    prctl(PR_SET_PDEATHSIG, rank_ == 0 ? SIGTERM : SIGKILL);
  }
  int rank() const override { return rank_; }
  int ranks() const override { return ranks_; }
  int on_machine() const { return on_machine_; }

  void transfer(std::span<const Sent> to, std::span<const Received> from) override {
    if (is_broken_) lose();
    look();
    requests_.clear();
    for (int r = 0; r < ranks_; ++r) {
      if (r == rank_) continue;
      in_pieces(from[size_t(r)], [&](std::byte* p, int n) { MPI_Irecv(p, n, MPI_BYTE, r, kData, all_, next()); });
    }
    for (int r = 0; r < ranks_; ++r) {
      if (r == rank_) continue;
      in_pieces(to[size_t(r)], [&](const std::byte* p, int n) { MPI_Isend(p, n, MPI_BYTE, r, kData, all_, next()); });
    }
    wait();
  }

  // Takes the notices that have come.
  void look() {
    int there = 0;
    MPI_Status status;
    while (MPI_Iprobe(MPI_ANY_SOURCE, kNotice, all_, &there, &status) == MPI_SUCCESS && there) {
      Notice notice;
      MPI_Recv(&notice, sizeof notice, MPI_BYTE, status.MPI_SOURCE, kNotice, all_, MPI_STATUS_IGNORE);
      if (rank_ > 0) _exit(notice.code);
      if (stop_sign.ask) stop_sign.ask();
      if (notice.code == 0) continue;
      failure = {notice.code, "rank " + std::to_string(status.MPI_SOURCE) + ": " + notice.sentence};
      lose();
    }
    if (rank_ > 0 && is_asked() && !has_told_) {
      has_told_ = true;
      tell(0, 0, "");
    }
  }

  bool is_broken() const { return is_broken_; }
  void tell(int rank, int code, const std::string& sentence) {
    told_ = {.code = code, .sentence = {}};
    std::memcpy(told_.sentence, sentence.data(), std::min(sentence.size(), sizeof told_.sentence - 1));
    MPI_Request sent;
    MPI_Isend(&told_, sizeof told_, MPI_BYTE, rank, kNotice, all_, &sent);
    for (int i = 0, done = 0; i < 100 && !done; ++i, pause()) MPI_Test(&sent, &done, MPI_STATUS_IGNORE);
  }

  static void pause() {
    const timespec nap{0, 100'000};
    nanosleep(&nap, nullptr);
  }

 private:
  static bool is_asked() { return stop_sign.is_asked && stop_sign.is_asked(); }
  MPI_Request* next() { return &requests_.emplace_back(MPI_REQUEST_NULL); }
  template <class Span, class F>
  static void in_pieces(Span bytes, F f) {  // MPI counts in int
    constexpr size_t kMost = size_t{1} << 30;
    for (size_t at = 0; at < bytes.size(); at += kMost) f(bytes.data() + at, int(std::min(kMost, bytes.size() - at)));
  }

  // As MPI_Waitall, but looks up: a rank that is gone never answers. It gives its core to whoever wants it, for there
  // may be more ranks than cores, and sleeps only after some milliseconds: to wake up takes a tenth of one.
  void wait() {
    // mpirun kills what still runs so long after its SIGTERM; it hands on what it was told.
    const char* const told = std::getenv("OMPI_MCA_odls_base_sigkill_timeout");
    const std::chrono::duration<double> grace(0.4 * (told ? std::max(1.0, std::atof(told)) : 1.0));
    constexpr int kSpins = 20'000;
    std::optional<Clock::time_point> asked;
    for (int round = 1, done = 0;; ++round) {
      if (MPI_Testall(int(requests_.size()), requests_.data(), &done, MPI_STATUSES_IGNORE) != MPI_SUCCESS) lose();
      if (done) return;
      if (round % 16 == 0) sched_yield();
      if (round < kSpins) continue;
      look();
      pause();
      if (rank_ > 0 || !is_asked()) continue;
      if (!asked) asked = Clock::now();
      if (Clock::now() - *asked > grace) lose();
    }
  }
  // What was to arrive has no place any more, so nothing is said to anybody from here on.
  [[noreturn]] void lose() {
    is_broken_ = true;
    if (rank_ == 0) throw JobEnds();
    for (;; pause()) look();
  }

  MPI_Comm all_;
  int rank_, ranks_, on_machine_;
  bool has_told_ = false, is_broken_ = false;
  Notice told_{};
  std::vector<MPI_Request> requests_;
};

Ranks* job = nullptr;  // null: this process runs alone

}  // namespace

Comm& ranks_of_job() {
  static const bool has_joined = [] {
    if (!set_by_mpirun("OMPI_COMM_WORLD_SIZE", "PMI_SIZE")) return false;
    static Ranks all;
    job = &all;
    return true;
  }();
  return has_joined ? static_cast<Comm&>(*job) : one_rank();
}

int ranks_on_machine() { return job ? job->on_machine() : 1; }

int leave_job(int code, const std::string& sentence) {
  if (!job) return code;
  if (code == 0) {
    MPI_Finalize();
    return 0;
  }
  if (job->rank() > 0) {
    job->tell(0, code, sentence);
    for (;; Ranks::pause()) job->look();
  }
  for (int r = 1; r < job->ranks() && !job->is_broken(); ++r) job->tell(r, code, "");
  MPI_Abort(MPI_COMM_WORLD, code);
  return code;
}

#endif

}  // namespace gradus
