#include "models/text/line_corpus.h"

#include <algorithm>
#include <cmath>

namespace gradus {

std::vector<std::string_view> split_lines(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    if (end != std::string_view::npos && line.ends_with('\r')) line.remove_suffix(1);
    lines.push_back(line);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return lines;
}

LineCorpus::LineCorpus(std::span<const std::vector<int32_t>> lines, int32_t end_id, double val_fraction,
                       int64_t context, const std::string& name, Loc where)
    : context_(context) {
  require(context >= 1, "LineCorpus", where, "context is ", context, ", it must be at least 1");
  require(val_fraction >= 0 && val_fraction < 1, "LineCorpus", where, "val_fraction is ", val_fraction,
          ", it must be in [0, 1)");
  if (lines.empty()) throw DataError(name + " has no line");
  tokens_.push_back(end_id);
  begin_.push_back(0);
  int64_t cut = 0;
  for (const std::vector<int32_t>& line : lines) {
    tokens_.insert(tokens_.end(), line.begin(), line.end());
    begin_.push_back(int64_t(tokens_.size()));
    tokens_.push_back(end_id);
    cut += int64_t(line.size()) >= context;
  }
  const int64_t L = int64_t(lines.size()), asked = std::llround(val_fraction * double(L));
  train_ = std::max<int64_t>(L - asked, 1);
  if (cut > 0)
    note_ = text(name, ": ", cut, " of ", L, L == 1 ? " line" : " lines", " cut to the context of ", context,
                 " tokens, without an end mark");
  if (L - train_ < asked || (asked == 0 && val_fraction > 0))
    note_ += text(note_.empty() ? name + " has " : "; it has ", L, L == 1 ? " line: " : " lines: ", train_,
                  " train and ", L == train_ ? std::string("none") : text(L - train_), " validate");
}

std::span<const int32_t> LineCorpus::tokens(Split split) const {
  const size_t from = size_t(begin_[size_t(first(split))]), to = size_t(begin_[size_t(last(split))]);
  return std::span(tokens_).subspan(from, to + 1 - from);
}

Window LineCorpus::line(Split split, int64_t i, Loc where) const {
  require(i >= 0 && i < lines(split), "line", where, "line ", i, " of ", lines(split));
  const size_t at = size_t(first(split) + i), from = size_t(begin_[at]);
  const size_t n = std::min(size_t(begin_[at + 1]) - from, size_t(context_));
  const std::span<const int32_t> all(tokens_);
  return {all.subspan(from, n), all.subspan(from + 1, n)};
}

Window LineCorpus::draw(Split split, const Rng& rng, int64_t sequence, Loc where) const {
  require(lines(split) >= 1, "draw", where, "the split has no line");
  return line(split, rng.at(sequence, 0, where).below(0, lines(split)), where);
}

}  // namespace gradus
