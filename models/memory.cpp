#include "models/memory.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <new>
#include <vector>

#include "engine/gemm.h"
#include "engine/io/free_memory.h"
#include "engine/rng.h"
#include "models/loss.h"
#include "models/vae.h"

namespace gradus {
namespace {

double bytes_of_tape(int64_t rows, const std::function<void(int64_t)>& record, bool training) {
  Tape tape;
  tape.only_measure();
  const Tape::Use use(tape);
  tape.new_step({.training = training, .sequences = rows});
  record(rows);
  return double(tape.bytes());
}

// The losses of `rows` sequences of T tokens, recorded on the current tape.
Tensor losses_of(const LanguageModel& model, int64_t rows, int64_t T) {
  const std::vector<int32_t> ids(size_t(rows * T), 0);
  return model.losses(ids, ids, rows, T);
}

constexpr double kReal = sizeof(real), kId = sizeof(int32_t);

std::string amount(double bytes) {
  char digits[64];
  std::snprintf(digits, sizeof digits, "%.*f %s", bytes < 1e9 ? 0 : 1, bytes < 1e9 ? bytes / 1e6 : bytes / 1e9,
                bytes < 1e9 ? "MB" : "GB");
  return digits;
}

// For its first product OpenBLAS takes address space that no estimate knows of. Where that is limited it takes it now,
// so that what is left afterwards is left for us.
void take_buffer_of_products(const std::string& what) {
  if (!std::isfinite(free_address_space())) return;
  real one = 1, product = 0;
  try {
    gemm(kNo, kNo, 1, 1, 1, 1, &one, 1, &one, 1, 0, &product, 1);
  } catch (const std::bad_alloc&) {
    throw UsageError(text(what, " needs 128 MB for its products, ", amount(free_address_space()),
                          " is left of the limit of address space (ulimit -v); use a larger limit"));
  }
}

}  // namespace

void require_memory(double bytes, const std::string& what, const std::string& remedy, int processes) {
  take_buffer_of_products(what);
  // To read what is free takes some ten files and up to a millisecond, too long for each line of a text.
  constexpr double kWorthAsking = 1e6;
  if (bytes < kWorthAsking) return;
  const FreeMemory left = free_memory("", processes);
  if (bytes > left.bytes)
    throw UsageError(
        text(what, " needs about ", amount(bytes), " of memory, ", amount(left.bytes), " ", left.limit, "; ", remedy));
}

double OwnShards::sum_bytes(double numbers) const {
  return ranks > 1 ? kReal * numbers * (1 + double(all) / double(ranks)) : 0;
}

double bytes_of_shards(int64_t sequences, int64_t T, const OwnShards& shards,
                       const std::function<void(int64_t)>& record, bool training) {
  constexpr int64_t kTokens = int64_t(1) << 16;
  const int64_t own = shards.last - shards.first, least = sequences / shards.all,
                fuller = shards.sequences(sequences) - own * least;  // shards with one row more
  if (shards.sequences(sequences) == 0) return 0;
  const int64_t most = std::min(least + (fuller > 0), std::max<int64_t>(2, kTokens / T));
  const double at_most = bytes_of_tape(most, record, training);
  const int64_t some = (most + 1) / 2;
  const double of_row = some < most ? (at_most - bytes_of_tape(some, record, training)) / double(most - some) : 0;
  const auto bytes = [&](int64_t rows) { return rows == 0 ? 0 : at_most + double(rows - most) * of_row; };
  return double(fuller) * bytes(least + 1) + double(own - fuller) * bytes(least);
}

double training_bytes(const LanguageModel& model, int64_t B, int64_t T, const OwnShards& shards) {
  const double parameters = double(model.params().declared_size());
  const double step = bytes_of_shards(
      B, T, shards, [&](int64_t rows) { backward_from(losses_of(model, rows, T), 1, Keep::kParameters); }, true);
  // Values and two moments, and the batch, which every rank has whole.
  return step + 3 * kReal * parameters + shards.sum_bytes(parameters) + 2 * kId * double(B) * double(T);
}

double evaluation_bytes(const LanguageModel& model, int64_t B, int64_t T, int64_t shards) {
  return 2 * kId * double(B) * double(T) + bytes_of_shards(B, T, shards, [&](int64_t rows) {
           const NoGrad no_grad;
           losses_of(model, rows, T);
         });
}

double sampling_bytes(const LanguageModel& model, int64_t B, bool end_apart) {
  const State none = model.begin(0, Rng(0, Stream::kSample), 0);
  const double state = double(B) * (double(none.width) * kReal + double(none.window) * kId + sizeof(int64_t));
  const double step = bytes_of_shards(B, 1, 1, [&](int64_t rows) {
    const NoGrad no_grad;
    const std::vector<int32_t> ids(size_t(rows), 0);
    model.measure_prepared();
    if (const Vae* vae = vae_in(model))  // whose logits() reads a text before it writes one; drawing one only writes
      vae->head(vae->decode(ids, constant({rows, vae->latent()}, 0), rows, 1));
    else
      model.logits(ids, rows, 1);
  });
  // A Transformer's full window is read again, half of it, one row after the other.
  const double again = none.window < 2 ? 0 : bytes_of_shards(1, none.window / 2, 1, [&](int64_t) {
    const NoGrad no_grad;
    const std::vector<int32_t> ids(size_t(none.window / 2), 0);
    model.features(ids, 1, none.window / 2);
  });
  // The copy holds at most three quarters of the rows (Sampler::close_up).
  return state * (end_apart ? 1.75 : 1) + std::max(step, again) +
         double(model.vocabulary()) * (2 * sizeof(double) + kId);
}

}  // namespace gradus
