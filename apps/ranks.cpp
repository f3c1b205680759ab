#include "apps/ranks.h"

#include <array>

#include "apps/signals.h"
#include "engine/gemm.h"
#include "engine/io/hash.h"
#include "engine/io/mpi.h"
#include "engine/version.h"

namespace gradus {

Comm& ranks_for(const std::string& alone) {
  Comm& ranks = ranks_of_job();
  if (ranks.ranks() == 1) return ranks;
  if (!alone.empty()) throw UsageError(text(alone, " is made in one process; leave out mpirun for it"));
  stop_with_job(ranks.rank() == 0);
  stop_job_by({was_signalled, interrupt});
  return ranks;
}

void require_agreement(Comm& ranks, const std::string& command, const std::vector<Fact>& facts) {
  if (ranks.ranks() == 1) return;
  std::vector<Fact> all{
      {"another version of gradus", kGradusVersion},
      {"another precision", kRealName},
      {"another processor, for which OpenBLAS rounds otherwise (OPENBLAS_CORETYPE sets it),", blas_core()},
      {"another command", command}};
  all.insert(all.end(), facts.begin(), facts.end());
  using Row = std::array<std::array<char, 32>, 4 + kMostFacts>;  // hash and, where it is short, value of each fact
  Row own{};
  for (size_t i = 0; i < all.size(); ++i) {
    Hash64 hash;
    hash.add(all[i].value);
    hash.hex().copy(own[i].data(), 16);
    if (all[i].value.size() < 16) all[i].value.copy(own[i].data() + 16, 15);
  }
  std::vector<Row> rows(size_t(ranks.ranks()));
  std::vector<Comm::Sent> to(rows.size());
  std::vector<Comm::Received> from(rows.size());
  if (ranks.rank() > 0) to[0] = std::as_bytes(std::span(own));
  for (size_t r = 1; r < rows.size() && ranks.rank() == 0; ++r) from[r] = std::as_writable_bytes(std::span(rows[r]));
  ranks.exchange(to, from);
  for (size_t r = 1; r < rows.size() && ranks.rank() == 0; ++r)
    for (size_t i = 0; i < all.size(); ++i) {
      if (rows[r][i] == own[i]) continue;
      const std::string theirs = rows[r][i].data() + 16, ours = own[i].data() + 16;
      throw DataError(text("rank ", r, " has ", all[i].what, theirs.empty() || ours.empty() ? "" : " (" + theirs + ")",
                           " than rank 0", theirs.empty() || ours.empty() ? "" : " (" + ours + ")",
                           "; all ranks of a job must have the same"));
    }
}

std::string state_hash(const Checkpoint& run) {
  Hash64 hash;
  const auto add = [&](std::span<const real> x) {
    hash.add({reinterpret_cast<const char*>(x.data()), x.size_bytes()});
  };
  add(run.model->params().data());
  if (run.optimizer) {
    add(run.optimizer->m);
    add(run.optimizer->v);
  }
  hash.add(std::to_string(run.step));
  return hash.hex();
}

std::string workers(const Comm& ranks, int threads) {
  const std::string each = text(threads, threads == 1 ? " thread" : " threads");
  return ranks.ranks() == 1 ? each : text(ranks.ranks(), " ranks of ", each);
}

void note_idle(Console& console, const Comm& ranks, int64_t shards) {
  if (ranks.ranks() > shards)
    console.note(text("note: the run has ", shards, shards == 1 ? " shard" : " shards", ", so ", ranks.ranks() - shards,
                      " of ", ranks.ranks(), " ranks have nothing to do; a new run can have more --shards"));
}

}  // namespace gradus
