#include "models/text/batch.h"

#include <algorithm>

#include "engine/ops.h"

namespace gradus {

static std::variant<StreamCorpus, LineCorpus> make_text(const CorpusOptions& options, const Tokenizer& tokenizer,
                                                        std::string_view text_, const std::string& name) {
  if (!options.lines) return StreamCorpus(tokenizer.encode(text_), options.val_fraction, options.context, name);
  std::vector<std::vector<int32_t>> lines;
  for (const std::string_view line : split_lines(text_)) try {
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

void Batch::draw(const Corpus& corpus, Split split, const Rng& rng, int64_t first, int64_t sequences) {
  windows.clear();
  for (int64_t b = 0; b < sequences; ++b) windows.push_back(corpus.draw(split, rng, first + b));
  pack();
}

void Batch::take(const Corpus& corpus, Split split, int64_t first, int64_t most, int64_t stride) {
  windows.clear();
  const int64_t end = std::min(first + most, corpus.windows(split, stride));
  for (int64_t i = first; i < end; ++i) windows.push_back(corpus.window(split, i, stride));
  pack();
}

void Batch::pack() {
  B = int64_t(windows.size()), T = 0, scored = 0;
  for (const Window& w : windows) T = std::max(T, int64_t(w.inputs.size()));
  inputs.resize(size_t(B * T));
  targets.resize(size_t(B * T));
  for (int64_t b = 0; b < B; ++b) {
    const Window& w = windows[size_t(b)];
    const std::span<int32_t> in = inputs_of(b, 1), out = targets_of(b, 1);
    std::fill(std::copy(w.inputs.begin(), w.inputs.end(), in.begin()), in.end(), w.inputs[0]);
    std::fill(std::copy(w.targets.begin(), w.targets.end(), out.begin()), out.end(), kNoTarget);
    std::fill_n(out.begin(), w.first_scored, kNoTarget);
    scored += int64_t(w.targets.size()) - w.first_scored;
  }
}
std::span<int32_t> Batch::inputs_of(int64_t first, int64_t count) {
  return std::span(inputs).subspan(size_t(first * T), size_t(count * T));
}
std::span<int32_t> Batch::targets_of(int64_t first, int64_t count) {
  return std::span(targets).subspan(size_t(first * T), size_t(count * T));
}

}  // namespace gradus
