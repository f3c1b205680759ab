// Memory before it is taken: bytes that training, evaluation or sampling will need beside the parameters that are
// there already, found from shapes alone. The graph of a step is recorded on a tape that only measures
// (Tape::only_measure), so a family or an op needs no formula for it.
#pragma once

#include <functional>
#include <string>

#include "models/language_model.h"

namespace gradus {

// UsageError where fewer than `bytes` are free: "WHAT needs about 11.3 GB of memory, 7.9 GB is free on this machine;
// REMEDY".
void require_memory(double bytes, const std::string& what, const std::string& remedy);

// What `record(rows)` puts on a tape, of all shards of a batch of `sequences` of T tokens each. It is called on tapes
// that only measure, for as few rows as will do: beyond some thousand tokens memory grows evenly with the rows.
double bytes_of_shards(int64_t sequences, int64_t T, int64_t shards, const std::function<void(int64_t rows)>& record,
                       bool training = false);

// Of a model that is only declared: its parameters, their moments and gradients, and a step on a batch of B sequences
// of T tokens.
double training_bytes(const LanguageModel& model, int64_t B, int64_t T, int64_t shards);
// Of losses without gradients.
double evaluation_bytes(const LanguageModel& model, int64_t B, int64_t T, int64_t shards);
// Of B sequences that grow side by side. Where they end apart, the state is copied to leave some out.
double sampling_bytes(const LanguageModel& model, int64_t B, bool end_apart);

}  // namespace gradus
