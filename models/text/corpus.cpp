#include "models/text/corpus.h"

#include <cmath>

namespace gradus {

static std::variant<StreamCorpus, LineCorpus> make_text(const CorpusOptions& options, const Tokenizer& tokenizer,
                                                        std::string_view content, const std::string& name) {
  if (!options.lines) return StreamCorpus(tokenizer.encode(content), options.val_fraction, options.context, name);
  std::vector<std::vector<int32_t>> lines;
  for (const std::string_view line : split_lines(content)) try {
      lines.push_back(tokenizer.encode(line));
    } catch (const DataError& error) {
      throw DataError(text(name, ", line ", lines.size() + 1, ": ", error.what()));
    }
  const int64_t context = options.whole_lines ? INT64_MAX : options.context;
  return LineCorpus(lines, tokenizer.end_id(), options.val_fraction, context, name);
}

Corpus::Corpus(const CorpusOptions& options, const Tokenizer& tokenizer, std::string_view text, const std::string& name)
    : context_(options.context), text_(make_text(options, tokenizer, text, name)) {}

bool Corpus::has_validation() const {
  return std::visit([](const auto& t) { return t.has_validation(); }, text_);
}
const std::string& Corpus::note() const {
  return std::visit([](const auto& t) -> const std::string& { return t.note(); }, text_);
}
std::span<const int32_t> Corpus::tokens(Split split) const {
  return std::visit([&](const auto& t) { return t.tokens(split); }, text_);
}
int64_t Corpus::lines(Split split) const {
  const LineCorpus* t = std::get_if<LineCorpus>(&text_);
  return t ? t->lines(split) : 0;
}
Yardsticks Corpus::yardsticks(int64_t V) const {
  return gradus::yardsticks(tokens(Split::kTrain), V, std::holds_alternative<LineCorpus>(text_));
}

Window Corpus::draw(Split split, const Rng& rng, int64_t sequence) const {
  if (const LineCorpus* t = std::get_if<LineCorpus>(&text_)) return t->draw(split, rng, sequence);
  const StreamCorpus& t = std::get<StreamCorpus>(text_);
  return t.draw(split, rng, sequence, t.length(split));
}
int64_t Corpus::windows(Split split, int64_t stride) const {
  if (const LineCorpus* t = std::get_if<LineCorpus>(&text_)) return t->lines(split);
  return std::get<StreamCorpus>(text_).windows(split, context_, stride);
}
Window Corpus::window(Split split, int64_t i, int64_t stride) const {
  if (const LineCorpus* t = std::get_if<LineCorpus>(&text_)) return t->line(split, i);
  return std::get<StreamCorpus>(text_).window(split, context_, i, stride);
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
