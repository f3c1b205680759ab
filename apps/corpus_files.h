// The text that train and eval read: files joined to one text, in the form that the tokenizer of the run needs.
#pragma once

#include <string>
#include <vector>

#include "engine/error.h"
#include "models/run/config.h"
#include "models/text/tokenizer.h"

namespace gradus {

struct CorpusFiles {
  std::vector<std::string> paths;  // absolute
  std::string content, hash;       // of all of them, one after the other
  std::vector<size_t> begin;       // of each in the content
  bool pairs = false;              // each line is a prompt and its reply
  std::string drop;                // absolute path of the list of words whose lines are left out; empty: there is none
  int64_t dropped = 0;             // lines that were left out
  std::vector<int64_t> lines;      // where some were, the number that each line has in its file, from 1
  const std::string& name() const { return paths[0]; }
};

// UTF-8, or where the tokenizer takes any bytes whatever the files hold. With config.lines no line runs from one file
// into the next. DataError as read_text, for a path that is not UTF-8 itself, and where lines are asked for, for a file
// whose lines end with carriage returns alone, and for one with the end mark as a word; with config.pairs also for a
// line that is no pair. Lines, also those of one long text, in which a word of the file `drop` occurs
// (models/text/word_list.h) are left out; DataError if that leaves nothing.
CorpusFiles read_corpus_files(const std::vector<std::string>& paths, const Config& config,
                              const std::string& drop = {});

// "Dropped 12 of 400 lines: a word of LIST occurs in them."
std::string dropped_lines(const CorpusFiles& files);

// What `work`, which cuts the text into tokens, returns; a DataError says in which file and line the first token stands
// that is not in the vocabulary.
[[noreturn]] void throw_placed(const CorpusFiles& files, const Tokenizer& tokenizer);  // within a handler
template <class Work>
auto placed(const CorpusFiles& files, const Tokenizer& tokenizer, Work work) {
  try {
    return work();
  } catch (const DataError&) {
    throw_placed(files, tokenizer);
  }
}

}  // namespace gradus
