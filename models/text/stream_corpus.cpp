#include "models/text/stream_corpus.h"

#include <algorithm>
#include <cmath>

namespace gradus {

static std::string tokens_of(int64_t n) { return text(n, n == 1 ? " token" : " tokens"); }

StreamCorpus::StreamCorpus(std::vector<int32_t> tokens, double val_fraction, int64_t context, const std::string& name,
                           Loc where)
    : tokens_(std::move(tokens)), context_(context) {
  require(context >= 1, "StreamCorpus", where, "context is ", context, ", it must be at least 1");
  require(val_fraction >= 0 && val_fraction < 1, "StreamCorpus", where, "val_fraction is ", val_fraction,
          ", it must be in [0, 1)");
  const int64_t N = int64_t(tokens_.size());
  if (N < 2)
    throw DataError(text(name, " has ", tokens_of(N), "; at least 2 are needed, one to read and one to predict"));
  if (N <= context)
    throw DataError(text(name, " has ", tokens_of(N), "; a context of ", context, " needs at least ", context + 1,
                         "; use a context of ", N - 1, " or a longer text"));

  const int64_t asked = std::llround(val_fraction * double(N));
  int64_t validation = std::min(asked, N - (context + 1));
  if (validation == 1) validation = 0;
  train_ = N - validation;
  if (validation == asked && (validation > 0 || val_fraction == 0)) return;
  note_ = text(name, " has ", tokens_of(N), ": ", train_, " train and ");
  note_ += validation == 0 ? std::string("none validate") : text(validation, " validate instead of ", asked);
  note_ += asked > 1 ? text(", so that training keeps one window of ", tokens_of(context))
                     : text(", for ", val_fraction, " of them is less than 2");
}

std::span<const int32_t> StreamCorpus::tokens(Split split) const {
  const std::span<const int32_t> all(tokens_);
  switch (split) {
    case Split::kTrain:
      return all.first(size_t(train_));
    case Split::kValidation:
      return all.subspan(size_t(train_));
    case Split::kAll:
      break;
  }
  return all;
}

int64_t StreamCorpus::length(Split split) const { return std::clamp<int64_t>(size(split) - 1, 0, context_); }

Window StreamCorpus::draw(Split split, const Rng& rng, int64_t sequence, int64_t T, Loc where) const {
  const std::span<const int32_t> from = tokens(split);
  const int64_t starts = int64_t(from.size()) - T;  // a window needs T + 1 tokens
  require(T >= 1 && starts >= 1, "draw", where, "windows of ", T, " do not fit into a split of ",
          tokens_of(int64_t(from.size())));
  const size_t start = size_t(rng.at(sequence, 0, where).below(0, starts)), n = size_t(T);
  return {from.subspan(start, n), from.subspan(start + 1, n)};
}

int64_t StreamCorpus::windows(Split split, int64_t T, int64_t stride, Loc where) const {
  const int64_t apart = stride == 0 ? T : stride;
  require(T >= 1 && apart >= 1 && apart <= T, "windows", where, "T is ", T, " and the stride ", apart,
          "; both must be at least 1, and the stride at most T");
  const int64_t targets = std::max<int64_t>(size(split) - 1, 0);
  if (targets <= T) return targets > 0;
  return 1 + (targets - T + apart - 1) / apart;
}

Window StreamCorpus::window(Split split, int64_t T, int64_t i, int64_t stride, Loc where) const {
  const int64_t count = windows(split, T, stride, where), apart = stride == 0 ? T : stride;
  require(i >= 0 && i < count, "window", where, "window ", i, " of ", count);
  const std::span<const int32_t> from = tokens(split).subspan(size_t(i * apart));
  const size_t n = size_t(std::min(T, int64_t(from.size()) - 1));
  return {from.first(n), from.subspan(1, n), i == 0 ? 0 : T - apart};
}

}  // namespace gradus
