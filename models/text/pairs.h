// Pairs: a text that belongs to a prompt. As tokens it is the sequence
//
//   mark  prompt  mark  reply  mark
//
// with one id, the end mark, in all three places. The model sees the prompt and its mark, and what it is to predict is
// the reply and its end. Whoever learns from pairs, scores or answers them begins with answer_to() or example_of().
#pragma once

#include "engine/target.h"
#include "models/text/tokenizer.h"

namespace gradus {

struct Pair {
  std::string prompt, reply;
  int64_t line = 0;  // in its file, from 1
};

// A line PROMPT, a tab, REPLY. DataError for one of another form and for an empty prompt; a reply may be empty, and is
// then its end alone.
Pair pair_of(std::string_view line);
// All lines of a text. DataError as pair_of(), with `name` and the line.
std::vector<Pair> pairs_of(std::string_view content, const std::string& name);

// A prompt, for those who draw texts for it and judge them.
struct Prompt {
  std::string text;
  std::vector<std::string> references = {};  // the texts that are wanted, each as good as the others
  bool is_replied_to = false;                // by a text of its own (--pairs); else the text goes on from the prompt
  Prompt(std::string prompt) : text(std::move(prompt)) {}
  Prompt(const char* prompt) : text(prompt) {}
};
// Each prompt once, in the order of its first pair, with all replies to it.
std::vector<Prompt> prompts_of(std::span<const Pair> pairs);

// One sequence that a model learns from, without the marks at its two ends. Its first `given` tokens are there to be
// seen and not to be predicted: of a pair the prompt and the mark behind it, of a line none.
struct Example {
  std::vector<int32_t> tokens;
  int64_t given = 0;
  int32_t label = kNoTarget;  // of a text with a label, which is then all that is to be predicted
};

// DataError for a token that is not in the vocabulary, which says whether it stands in the prompt or the reply.
Example example_of(const Tokenizer& tokenizer, const Pair& pair);
// What is read before the first token of a reply: mark, prompt, mark. DataError as Tokenizer::encode.
std::vector<int32_t> answer_to(const Tokenizer& tokenizer, std::string_view prompt);

}  // namespace gradus
