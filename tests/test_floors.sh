#!/bin/sh
# tests/check_floors.sh against violations planted in a copy of the house.
. tests/shell.sh
cp -r "$root/engine" "$root/models" "$root/rl" "$root/apps" . && mkdir tests || exit 1
floors() { sh "$root/tests/check_floors.sh" "$tmp" >found 2>&1; }

# planted NAME FILE LINE SENTENCE: with LINE at the end of FILE the check fails and says SENTENCE, and nothing else.
planted() {
  existed=$([ -f "$2" ] && echo yes)
  [ -z "$existed" ] || cp "$2" kept
  printf '%s\n' "$3" >>"$2"
  if floors; then fail "floors: $1" 'it was let pass'
  elif ! grep -qF -e "$4" found; then fail "floors: $1" "it says: $(cat found)"
  elif [ "$(wc -l <found)" != "${5:-1}" ]; then fail "floors: $1" "it says more: $(cat found)"
  else ok "floors: $1"; fi
  if [ -n "$existed" ]; then cp kept "$2"; else rm "$2"; fi
}

test_floors() {
  check 'floors: the house as it is' "" floors
  planted 'an include of a higher floor' engine/tape.cpp '#include "engine/ops.h"' 'engine/ops.h, which stands above it'
  planted 'a model that includes a method' models/sampler.cpp '#include "rl/methods/method.h"' 'rl/methods/method.h, which stands above it'
  planted 'a table that includes a world' rl/tables/posterior.cpp '#include "rl/worlds/enumerate.h"' 'rl/worlds/enumerate.h, which stands above it'
  planted 'a text that includes a run' models/text/corpus.cpp '#include "models/run/config.h"' 'models/run/config.h, which stands above it'
  planted 'a library that includes the program' rl/learner.cpp '#include "apps/console.h"' 'apps/console.h, which stands above it'
  planted 'an exhibit that includes another' apps/kl/kl.cpp '#include "apps/report/page.h"' 'of a wing that it may not know'
  planted 'a report that includes the stepper' apps/report/report.cpp '#include "apps/step/train_trace.h"' 'of a wing that it may not know' 2
  planted 'a method that includes a reward' rl/methods/reinforce.cpp '#include "rl/rewards/reward.h"' 'of a wing that it may not know'
  planted 'a reward that includes a world' rl/rewards/reward.cpp '#include "rl/worlds/enumerate.h"' 'of a wing that it may not know'
  planted 'a circle within a room' models/text/tokenizer.h '#include "models/text/words.h"' 'is part of a circle of includes'
  planted 'a file without a room' engine/attic.h '' 'stands in no room'
  cp engine/error.h below || exit 1
  echo 'void shout(const std::string& message);' >>engine/error.h
  planted 'a function that is declared on a lower floor than it is defined' rl/value.cpp 'void shout(const std::string& message) {}' \
    'defines shout, which engine/error.h below it declares'
  cp below engine/error.h
  printf 'struct Attic {\n  void fill();\n};\n' >>engine/error.h
  planted 'a class whose members are defined on a higher floor' rl/value.cpp 'void Attic::fill() {}' \
    'defines Attic::fill, which engine/error.h below it declares'
  cp below engine/error.h
  check 'floors: the house as it was' "$(cat found)" floors
}

groups floors -- "$@"
finish
