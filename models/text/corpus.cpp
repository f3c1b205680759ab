#include "models/text/corpus.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <system_error>

#include "engine/io/file.h"
#include "models/text/tokenizer.h"

namespace gradus {
namespace {

[[noreturn]] void cannot_read(const std::string& path, int code) {
  throw DataError(text(path, ": cannot be read: ", std::generic_category().message(code)));
}

std::string tokens_of(int64_t n) { return text(n, n == 1 ? " token" : " tokens"); }

}  // namespace

std::string read_bytes(const std::string& path) {
  if (path == "-") throw DataError("-: standard input is not read under this name; name a file, or /dev/stdin");
  Descriptor fd;
  do fd = Descriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  while (!fd && errno == EINTR);
  if (!fd) cannot_read(path, errno);
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) cannot_read(path, errno);
  if (S_ISDIR(status.st_mode)) throw DataError(text(path, ": is a folder; name a text file in it"));

  std::string bytes;
  size_t size = 0;
  // One byte more than a regular file should have, so that its end is seen without growing.
  bytes.resize(std::max<size_t>(S_ISREG(status.st_mode) ? size_t(status.st_size) + 1 : 0, 65536));
  for (;;) {
    if (size == bytes.size()) bytes.resize(2 * size);
    const ssize_t got = ::read(fd.get(), bytes.data() + size, bytes.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) cannot_read(path, errno);
    if (got == 0) break;
    size += size_t(got);
  }
  if (size == 0) throw DataError(text(path, ": is empty; there is nothing to learn from"));
  bytes.resize(size);
  return bytes;
}

std::string read_text(const std::string& path) {
  std::string bytes = read_bytes(path);
  require_utf8(bytes, path);
  if (bytes.starts_with("\xEF\xBB\xBF")) bytes.erase(0, 3);
  if (bytes.empty()) throw DataError(text(path, ": holds a byte order mark and nothing else"));
  return bytes;
}

StreamCorpus::StreamCorpus(std::vector<int32_t> tokens, double val_fraction, int64_t context, const std::string& name,
                           Loc where)
    : tokens_(std::move(tokens)), context_(context) {
  require(context >= 1, "StreamCorpus", where, "context is ", context, ", at least 1 is wanted");
  require(val_fraction >= 0 && val_fraction < 1, "StreamCorpus", where, "val_fraction is ", val_fraction,
          ", at least 0 and below 1 is wanted");
  const int64_t N = int64_t(tokens_.size());
  if (N < 2)
    throw DataError(text(name, " has ", tokens_of(N), "; at least 2 are needed, one to read and one to predict"));
  if (N <= context)
    throw DataError(text(name, " has ", tokens_of(N), "; --context ", context, " needs at least ", context + 1,
                         "; use --context ", N - 1, " or a longer text"));

  const int64_t asked = std::llround(val_fraction * double(N));
  int64_t validation = std::min(asked, N - (context + 1));
  if (validation == 1) validation = 0;
  train_ = N - validation;
  if (validation == asked && (validation > 0 || val_fraction == 0)) return;
  note_ = text(name, " has ", tokens_of(N), ": ", train_, " train and ");
  note_ += validation == 0 ? std::string("none validate") : text(validation, " validate instead of ", asked);
  note_ += asked > 1 ? text(", so that training keeps one window of --context ", context)
                     : text(", for --val-fraction ", val_fraction, " of them is less than 2");
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

Yardsticks yardsticks(std::span<const int32_t> train, int64_t V, int64_t first, Loc where) {
  const int64_t N = int64_t(train.size());
  require(N > first, "yardsticks", where, "the training split is empty");
  std::vector<int64_t> count(size_t(V), 0);
  for (int32_t a : train) {
    require(a >= 0 && a < V, "yardsticks", where, "id ", a, " is outside the vocabulary of ", V, " tokens");
    ++count[size_t(a)];
  }
  // Each term is n/total ln(total/n): exactly 0 for what is certain.
  const auto term = [](int64_t n, int64_t among, int64_t total) {
    return double(n) / double(total) * std::log(double(among) / double(n));
  };
  Yardsticks y{std::log(double(V)), 0, 0};
  for (int64_t i = 0; i < first; ++i) --count[size_t(train[size_t(i)])];
  for (int64_t n : count)
    if (n > 0) y.unigram += term(n, N - first, N - first);
  for (int64_t i = 0; i < first; ++i) ++count[size_t(train[size_t(i)])];

  // Successors grouped by the token before them (a counting sort), then counted group by group: O(N + V) for any V.
  --count[size_t(train.back())];  // the last token begins no pair
  std::vector<int64_t> end(size_t(V), 0);
  for (int64_t a = 1; a < V; ++a) end[size_t(a)] = end[size_t(a - 1)] + count[size_t(a - 1)];
  std::vector<int32_t> successor(size_t(N - 1));
  for (int64_t i = 0; i + 1 < N; ++i) successor[size_t(end[size_t(train[size_t(i)])]++)] = train[size_t(i + 1)];
  std::vector<int64_t> after(size_t(V), 0);
  int64_t begin = 0;
  for (int64_t a = 0; a < V; ++a) {
    const auto group = std::span(successor).subspan(size_t(begin), size_t(count[size_t(a)]));
    for (int32_t b : group) ++after[size_t(b)];
    for (int32_t b : group)
      if (int64_t& n = after[size_t(b)]; n > 0) y.bigram += term(n, count[size_t(a)], N - 1), n = 0;
    begin += count[size_t(a)];
  }
  return y;
}

}  // namespace gradus
