#include "models/text/corpus.h"

#include <algorithm>
#include <cmath>

#include "engine/io/json_reader.h"
#include "engine/long_loop.h"
#include "engine/rng.h"
#include "engine/target.h"
#include "models/table.h"
#include "models/text/labels.h"
#include "models/text/read_text.h"

namespace gradus {

static std::string counted(int64_t n, const char* what) { return text(n, " ", what, n == 1 ? "" : "s"); }

static std::vector<Example> encode_lines(const Tokenizer& tokenizer, std::string_view content,
                                         const std::string& name) {
  std::vector<Example> lines;
  const std::vector<std::string_view> texts = split_lines(content);
  const LongLoop loop("reading lines", int64_t(texts.size()));
  for (const std::string_view line : texts) try {
      loop.at(int64_t(lines.size()));
      lines.push_back({.tokens = tokenizer.encode(line)});
    } catch (const DataError& error) {
      throw DataError(text(name, ", line ", lines.size() + 1, ": ", error.what()));
    }
  return lines;
}

static std::vector<Example> encode_pairs(const Tokenizer& tokenizer, std::string_view content,
                                         const std::string& name) {
  std::vector<Example> examples;
  for (const Pair& pair : pairs_of(content, name)) try {
      examples.push_back(example_of(tokenizer, pair));
    } catch (const DataError& error) {
      throw DataError(text(name, ", line ", pair.line, ": ", error.what()));
    }
  return examples;
}

static std::vector<Example> encode_labelled(const Tokenizer& tokenizer, const std::vector<std::string>& labels,
                                            std::string_view content, const std::string& name) {
  std::vector<Example> examples;
  for (const Labelled& row : labelled_of(content, name)) try {
      const auto label = std::ranges::find(labels, row.label);
      if (label == labels.end())
        throw DataError(text("the label ", in_quotes(row.label), " is not one of ", joined(labels)));
      examples.push_back({.tokens = tokenizer.encode(row.text), .label = int32_t(label - labels.begin())});
    } catch (const DataError& error) {
      throw DataError(text(name, ", line ", row.line, ": ", error.what()));
    }
  return examples;
}

// How many of L lines validate.
static int64_t validating(double val_fraction, int64_t L) { return std::llround(val_fraction * double(L)); }

// The places of L lines with those that validate behind the others; empty where they are the last ones anyway. Line i
// has a random number of its own, and the smallest numbers validate. Training begins with step 1, so the numbers of
// step 0 are free.
static std::vector<int64_t> drawn_to_the_end(double val_fraction, int64_t L) {
  const int64_t n = validating(val_fraction, L);
  if (n == 0) return {};
  const Rng rng(0, Stream::kBatch, 0);
  std::vector<std::pair<double, int64_t>> by_number;
  for (int64_t i = 0; i < L; ++i) by_number.emplace_back(rng.uniform(i), i);
  std::nth_element(by_number.begin(), by_number.begin() + n - 1, by_number.end());
  std::vector<int64_t> places;
  for (auto i = by_number.begin(); i != by_number.end(); ++i) places.push_back(i->second);
  std::sort(places.begin(), places.begin() + n);
  std::sort(places.begin() + n, places.end());
  std::rotate(places.begin(), places.begin() + n, places.end());
  return places;
}

Corpus::Corpus(const CorpusOptions& options, const Tokenizer& tokenizer, std::string_view text, const std::string& name)
    : context_(options.context) {
  if (!options.lines) {
    *this = of_stream(tokenizer.encode(text), options.val_fraction, options.context, name);
    return;
  }
  std::vector<Example> lines = options.pairs             ? encode_pairs(tokenizer, text, name)
                               : !options.labels.empty() ? encode_labelled(tokenizer, options.labels, text, name)
                                                         : encode_lines(tokenizer, text, name);
  std::vector<int64_t> source;
  if (options.random_lines) source = drawn_to_the_end(options.val_fraction, int64_t(lines.size()));
  if (!source.empty()) {
    std::vector<Example> in_order;
    in_order.reserve(lines.size());
    for (const int64_t i : source) in_order.push_back(std::move(lines[size_t(i)]));
    lines = std::move(in_order);
  }
  *this = of_examples(lines, tokenizer.end_id(), options.val_fraction,
                      options.whole_lines ? INT64_MAX : options.context, name);
  source_ = std::move(source);
}

Corpus::Corpus(double val_fraction, int64_t context, Loc where) : context_(context) {
  require(context >= 1, "Corpus", where, "the context is ", context, ", it must be at least 1");
  require(val_fraction >= 0 && val_fraction < 1, "Corpus", where, "val_fraction is ", val_fraction,
          ", it must be in [0, 1)");
}

Corpus Corpus::of_stream(std::vector<int32_t> tokens, double val_fraction, int64_t context, const std::string& name,
                         Loc where) {
  Corpus corpus(val_fraction, context, where);
  const int64_t N = int64_t(tokens.size());
  if (N < 2)
    throw DataError(
        text(name, " has ", counted(N, "token"), "; at least 2 are needed, one to read and one to predict"));
  if (N <= context)
    throw DataError(text(name, " has ", counted(N, "token"), "; a context of ", context, " needs at least ",
                         context + 1, "; use a context of ", N - 1, " or a longer text"));
  corpus.tokens_ = std::move(tokens);
  const int64_t asked = std::llround(val_fraction * double(N));
  int64_t validation = std::min(asked, N - (context + 1));
  if (validation == 1) validation = 0;
  corpus.train_ = N - validation;
  if (validation == asked && (validation > 0 || val_fraction == 0)) return corpus;
  corpus.note_ = text(name, " has ", counted(N, "token"), ": ", corpus.train_, " train and ");
  corpus.note_ += validation == 0 ? std::string("none validate") : text(validation, " validate instead of ", asked);
  corpus.note_ += asked > 1 ? text(", so that training keeps one window of ", counted(context, "token"))
                            : text(", for ", val_fraction, " of them is less than 2");
  return corpus;
}

Corpus Corpus::of_lines(std::span<const std::vector<int32_t>> lines, int32_t end_id, double val_fraction,
                        int64_t context, const std::string& name, Loc where) {
  std::vector<Example> examples;
  for (const std::vector<int32_t>& line : lines) examples.push_back({.tokens = line});
  return of_examples(examples, end_id, val_fraction, context, name, where);
}

Corpus Corpus::of_examples(std::span<const Example> lines, int32_t end_id, double val_fraction, int64_t context,
                           const std::string& name, Loc where) {
  Corpus corpus(val_fraction, context, where);
  if (lines.empty()) throw DataError(name + " has no line");
  corpus.tokens_ = {end_id};
  corpus.mark_ = {0};
  int64_t cut = 0;
  for (const auto& [tokens, given, label] : lines) {
    if (given >= context)
      throw DataError(text(name, ": a prompt has ", counted(given - 1, "token"), "; with its mark it leaves no room ",
                           "for a reply in a context of ", context));
    corpus.tokens_.insert(corpus.tokens_.end(), tokens.begin(), tokens.end());
    corpus.mark_.push_back(int64_t(corpus.tokens_.size()));
    corpus.given_.push_back(given);
    corpus.label_.push_back(label);
    corpus.tokens_.push_back(end_id);
    cut += int64_t(tokens.size()) >= context;
  }
  const int64_t L = int64_t(lines.size()), asked = validating(val_fraction, L);
  corpus.train_ = std::max<int64_t>(L - asked, 1);
  std::string& note = corpus.note_;
  if (cut > 0)
    note = text(name, ": ", cut, " of ", counted(L, "line"), " cut to the context of ", context,
                " tokens, without an end mark");
  if (L - corpus.train_ < asked || (asked == 0 && val_fraction > 0))
    note += text(note.empty() ? name + " has " : "; it has ", counted(L, "line"), ": ", corpus.train_, " train and ",
                 L == corpus.train_ ? std::string("none") : text(L - corpus.train_), " validate");
  return corpus;
}

std::span<const int32_t> Corpus::tokens(Split split) const {
  size_t from = size_t(first(split)), to = size_t(last(split));
  if (has_marks()) from = size_t(mark_[from]), to = size_t(mark_[to]) + 1;
  return std::span(tokens_).subspan(from, to - from);
}

int64_t Corpus::length(Split split) const {
  return std::clamp<int64_t>(int64_t(tokens(split).size()) - 1, 0, context_);
}

Window Corpus::draw(Split split, const Rng& rng, int64_t sequence, Loc where) const {
  const int64_t T = length(split), choices = has_marks() ? lines(split) : int64_t(tokens(split).size()) - T;
  require(choices >= 1 && (has_marks() || T >= 1), "draw", where, "the split has nothing to draw");
  const int64_t i = rng.at(sequence, 0, where).below(0, choices);
  if (has_marks()) return window(split, i, 0, where);
  const std::span<const int32_t> from = tokens(split).subspan(size_t(i));
  return {from.first(size_t(T)), from.subspan(1, size_t(T))};
}

int64_t Corpus::windows(Split split, int64_t stride, Loc where) const {
  if (has_marks()) return lines(split);
  const int64_t apart = stride == 0 ? context_ : stride;
  require(apart >= 1 && apart <= context_, "windows", where, "the stride is ", apart,
          "; it must be from 1 to the context of ", context_);
  const int64_t targets = std::max<int64_t>(int64_t(tokens(split).size()) - 1, 0);
  if (targets <= context_) return targets > 0;
  return 1 + (targets - context_ + apart - 1) / apart;
}

Window Corpus::window(Split split, int64_t i, int64_t stride, Loc where) const {
  const int64_t count = windows(split, stride, where);
  require(i >= 0 && i < count, "window", where, "window ", i, " of ", count);
  if (has_marks()) {
    const std::span<const int32_t> from = std::span(tokens_).subspan(size_t(mark_[size_t(first(split) + i)]));
    const size_t n = size_t(std::min(mark_[size_t(first(split) + i + 1)] - mark_[size_t(first(split) + i)], context_));
    const auto line = size_t(first(split) + i);
    return {from.first(n), from.subspan(1, n), given_[line], label_[line]};
  }
  const int64_t apart = stride == 0 ? context_ : stride;
  const std::span<const int32_t> from = tokens(split).subspan(size_t(i * apart));
  const size_t n = size_t(std::min(context_, int64_t(from.size()) - 1));
  return {from.first(n), from.subspan(1, n), i == 0 ? 0 : context_ - apart};
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
    const bool labelled = w.label != kNoTarget;
    std::fill_n(out.begin(), labelled ? int64_t(w.targets.size()) : w.first_scored, kNoTarget);
    if (labelled) out[w.targets.size() - 1] = w.label;
    scored += labelled ? 1 : int64_t(w.targets.size()) - w.first_scored;
  }
}

std::span<int32_t> Batch::inputs_of(int64_t first, int64_t count) {
  return std::span(inputs).subspan(size_t(first * T), size_t(count * T));
}
std::span<int32_t> Batch::targets_of(int64_t first, int64_t count) {
  return std::span(targets).subspan(size_t(first * T), size_t(count * T));
}

}  // namespace gradus
