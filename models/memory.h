// Memory before it is taken: bytes that training, evaluation or sampling will need beside the parameters that are
// there already, found from shapes alone. The graph of a step is recorded on a tape that only measures
// (Tape::only_measure), so a family or an op needs no formula for it.
#pragma once

#include <functional>
#include <string>

#include "engine/comm.h"
#include "models/language_model.h"

namespace gradus {

// UsageError where fewer than `bytes` are free, and these are a megabyte or more: "WHAT needs about 11.3 GB of memory,
// 7.9 GB is free on this machine; REMEDY". So many processes of this machine are about to take as much each, and share
// what is free.
void require_memory(double bytes, const std::string& what, const std::string& remedy, int processes = 1);

// The shards of a step that a rank computes, first .. last - 1 of `all` (engine/parallel.h); a process that runs alone
// has them all.
struct OwnShards {
  OwnShards(int64_t shards, const Comm& of = one_rank())
      : all(shards),
        first(shards * of.rank() / of.ranks()),
        last(shards * (of.rank() + 1) / of.ranks()),
        ranks(of.ranks()) {}
  int64_t sequences(int64_t batch) const { return batch * last / all - batch * first / all; }
  // Bytes beside the tapes, which hold the gradients of its own shards: on several ranks the sum of all shards, and its
  // range of the gradient of each. `numbers`: parameters.
  double sum_bytes(double numbers) const;
  int64_t all, first, last, ranks;
};

// What `record(rows)` puts on the tapes of these shards, of a batch that in all has `sequences` of T tokens each. It is
// called on tapes that only measure, for as few rows as will do: beyond some thousand tokens memory grows evenly with
// the rows.
double bytes_of_shards(int64_t sequences, int64_t T, const OwnShards& shards,
                       const std::function<void(int64_t rows)>& record, bool training = false);

// Of a model that is only declared: its parameters, their moments and gradients, and a step on a batch of B sequences
// of T tokens.
double training_bytes(const LanguageModel& model, int64_t B, int64_t T, const OwnShards& shards);
// Of losses without gradients.
double evaluation_bytes(const LanguageModel& model, int64_t B, int64_t T, int64_t shards);
// Of B sequences that grow side by side. Where they end apart, the state is copied to leave some out.
double sampling_bytes(const LanguageModel& model, int64_t B, bool end_apart);

}  // namespace gradus
