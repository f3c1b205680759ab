#!/bin/sh
# The floors of the house (see README.md): a file may include files that stand before it in this list, and nothing that
# stands after it, so that there is no upward include and no circle. Prints each offence; exit 1 if there is one.
cd "$(dirname "$0")/.." || exit 1
order='
0 engine/version engine/real engine/shape engine/error
1 engine/arena engine/rng engine/vmath
2 engine/blas engine/kernels
3 engine/tensor engine/tape
4 engine/checks engine/ops engine/ops_* engine/composed
5 engine/params engine/optim engine/parallel engine/gradcheck engine/inspect engine/io/file engine/io/json engine/io/safetensors*
6 models/table models/model_options models/text/shell_word models/text/tokenizer models/text/words models/text/corpus models/text/line_corpus models/text/batch models/grammar/* models/counted/count_trie models/language_model models/layers models/recurrent_lm models/lstm_lm models/rnn_lm models/nnlm models/transformer_lm models/counted/ngram_lm models/counted/tabular_lm models/families models/sampler models/loss models/run/options models/run/config models/run/checkpoint
7 rl/tables/* rl/sequences rl/experience rl/rollout rl/value rl/scores rl/teacher_forcing rl/worlds/enumerate rl/worlds/exact rl/worlds/known_worlds rl/rewards/terms rl/rewards/files rl/rewards/child rl/rewards/command rl/rewards/fluency rl/rewards/reward rl/tune_values rl/methods/returns rl/methods/baselines rl/methods/method rl/methods/* rl/tune_config rl/controller rl/source rl/learner rl/exact_gradient
8 apps/commands apps/console apps/run_folder apps/* tests/*'
grep -n '^#include "' $(git ls-files 'engine/*.h' 'engine/*.cpp' 'models/*.h' 'models/*.cpp' 'rl/*.h' 'rl/*.cpp' 'apps/*.h' 'apps/*.cpp') tests/*.h tests/*.cpp tests/exercises/*.h tests/exercises/*/*.h tests/exercises/*/*.cpp 2>/dev/null |
  awk -F'[:"]' -v order="$order" '
    BEGIN {
      n = split(order, word, /[ \n]+/)
      for (i = 1; i <= n; ++i) if (word[i] ~ /\//) { place[word[i]] = i; names[++count] = word[i] }
    }
    function find(file,   i, stem) {
      sub(/\.(h|cpp)$/, "", file)
      if (file in place) return place[file]
      for (i = 1; i <= count; ++i)
        if (names[i] ~ /\*$/) { stem = substr(names[i], 1, length(names[i]) - 1); if (index(file, stem) == 1) return place[names[i]] }
      print file ": stands on no floor; give it a place in tests/check_floors.sh"; bad = 1
      return 0
    }
    { a = $1; b = $4; at = find(a); to = find(b)
      if (at && to && to > at) { print a ":" $2 ": includes " b ", which stands above it"; bad = 1 }
      includes++ }
    END { if (bad) exit 1; print includes " includes, none upward" }'
