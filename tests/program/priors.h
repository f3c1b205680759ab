// What the tests of gradus tune begin from: runs on four sentences, made from q.txt.
#pragma once

#include "tests/program/program.h"

namespace gradus::testing {

inline void prior(const Scratch& dir, const std::string& options) {
  dir.write("q.txt", four_sentences());
  dir.must(f64, "train q.txt --lines --tokenizer word --quiet " + options);
}
inline void table_prior(const Scratch& dir) { prior(dir, "--out table --model tabular"); }
inline void lstm_prior(const Scratch& dir) {
  prior(dir, "--out lstm --model lstm --embd 8 --hidden 8 --context 8 --steps 60 --lr 0.03 --dropout 0.3");
}
inline void transformer_prior(const Scratch& dir) {
  prior(dir, "--out tf --layers 1 --heads 2 --embd 8 --context 8 --steps 60 --lr 0.03");
}

}  // namespace gradus::testing
