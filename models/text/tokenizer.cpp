#include "models/text/tokenizer.h"

#include <algorithm>
#include <unordered_set>

#include "engine/long_loop.h"
#include "models/text/utf8.h"

namespace gradus {

static constexpr int64_t kOften = 1 << 16;  // tokens from one word of the progress to the next

// What the vocabulary shows of the tokens that occur, each once and sorted.
static std::vector<std::string> tokens_of(const Cutter& cutter, std::span<const std::string_view> texts) {
  std::unordered_set<std::string_view> tokens;
  const LongLoop loop("collecting the vocabulary, tokens");
  int64_t read = 0;
  for (std::string_view rest : texts) {
    if (!cutter.any_bytes) require_utf8(rest);
    for (std::string_view token; !(token = cutter.take(rest)).empty(); tokens.insert(token))
      if (++read % kOften == 0) loop.at(read);
  }
  if (tokens.empty())
    throw DataError("the text is empty but for white space: there is nothing to make a vocabulary from");
  std::vector<std::string_view> sorted(tokens.begin(), tokens.end());
  std::sort(sorted.begin(), sorted.end());  // by bytes, which for UTF-8 is the order of code points
  std::vector<std::string> vocab;
  vocab.reserve(sorted.size());
  for (std::string_view token : sorted) vocab.push_back(cutter.show(token));
  return vocab;
}

Tokenizer::Tokenizer(const Cutter& cutter, std::vector<std::string> vocab)
    : cutter_(&cutter), vocab_(std::move(vocab)) {
  if (vocab_.back() == kEndMark) end_id_ = size() - 1;
  for (int32_t id = 0; id < size(); ++id) {
    pieces_.push_back(id == end_id_ ? std::string() : cutter.meant(vocab_[size_t(id)]));
    if (id != end_id_) ids_.emplace(pieces_.back(), id);
  }
}

Tokenizer Tokenizer::from_text(std::string_view cutter, std::string_view text) {
  const Cutter& c = find_cutter(cutter);
  return Tokenizer(c, tokens_of(c, {&text, 1}));
}

Tokenizer Tokenizer::from_lines(std::string_view cutter, std::span<const std::string_view> lines) {
  const Cutter& c = find_cutter(cutter);
  std::vector<std::string> vocab = tokens_of(c, lines);
  if (std::find(vocab.begin(), vocab.end(), kEndMark) != vocab.end())
    throw DataError(text("the text holds the word ", kEndMark, ", which ends a line in the vocabulary"));
  vocab.push_back(kEndMark);
  return Tokenizer(c, std::move(vocab));
}

Tokenizer Tokenizer::from_vocab(std::string_view cutter, std::vector<std::string> vocab) {
  const Cutter& c = find_cutter(cutter);
  if (vocab.empty()) throw DataError("the vocabulary is empty");
  std::unordered_map<std::string_view, size_t> seen;
  for (size_t id = 0; id < vocab.size(); ++id) {
    const std::string& token = vocab[id];
    if (const auto bad = find_bad_byte(token); bad && !(c.any_bytes && token == std::string(1, '\0')))
      throw DataError(
          text("token ", id, " of the vocabulary is not text in UTF-8: its byte ", bad->at, " is ", bad->what));
    const bool end = id + 1 == vocab.size() && token == kEndMark;
    if (!end && (c.meant(token).empty() || token == kEndMark))
      throw DataError(text("token ", id, " of the vocabulary is \"", one_line(token, 60),
                           "\"; a token of this vocabulary is one ", c.unit, "; only the last may be ", kEndMark));
    if (const auto [first, fresh] = seen.emplace(token, id); !fresh)
      throw DataError(text("tokens ", first->second, " and ", id,
                           " of the vocabulary are the same: ", end ? kEndMark : c.named(c.meant(token))));
  }
  return Tokenizer(c, std::move(vocab));
}

std::vector<int32_t> Tokenizer::encode(std::string_view rest) const {
  if (!cutter_->any_bytes) require_utf8(rest);
  std::vector<int32_t> ids;
  if (cutter_->keeps_white) ids.reserve(rest.size());  // at least the number of tokens
  const LongLoop loop("reading tokens");
  for (std::string_view token; !(token = cutter_->take(rest)).empty();) {
    const auto found = ids_.find(token);
    if (found == ids_.end())
      throw DataError(text("the ", cutter_->unit, " ", cutter_->named(token), " at position ", ids.size() + 1,
                           " is not in the vocabulary of ", ids_.size(), " ", cutter_->unit,
                           ids_.size() == 1 ? "" : "s"));
    ids.push_back(found->second);
    if (int64_t(ids.size()) % kOften == 0) loop.at(int64_t(ids.size()));
  }
  return ids;
}

size_t Tokenizer::bytes_of(std::string_view text, int64_t n) const {
  std::string_view rest = text;
  for (int64_t i = 0; i < n; ++i) cutter_->take(rest);
  return text.size() - rest.size();
}

std::string Tokenizer::decode(std::span<const int32_t> ids, Loc where) const {
  std::string out;
  for (int32_t id : ids) {
    token(id, where);  // or it throws
    if (id == end_id_) continue;
    if (!out.empty()) out += separator();
    out += pieces_[size_t(id)];
  }
  return out;
}

const std::string& Tokenizer::token(int32_t id, Loc where) const {
  require(id >= 0 && id < size(), "token", where, "id ", id, " is outside the vocabulary of ", size(), " tokens");
  return vocab_[size_t(id)];
}

}  // namespace gradus
