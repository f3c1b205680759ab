#!/bin/sh
# The exercises of tests/exercises: each has the form that their README asks for, its blank version fails and asks, its
# solution passes.
# sh tests/test_exercises.sh [GROUP...]; see tests/shell.sh. `make exercises` has built them.
cd "$(dirname "$0")/.." || exit 1
. tests/shell.sh
unset MAKEFLAGS MFLAGS MAKEOVERRIDES N HINT SOLUTION GDB MODE
lessons=$(cd "$root/tests/exercises" && ls -d [0-9]*_*)
# The exercises read data/ from the root. Output to $tmp/out, exit code to $code.
run_lesson() {
  (cd "$root" && timeout 60 "build/release-f64/tests/exercises/$1/$2" --no-colors=true ${3:+"$3"}) >out 2>err
  code=$?
}
# Someone who has solved an exercise still passes the tests.
edited() { git -C "$root" rev-parse HEAD >/dev/null 2>&1 && ! git -C "$root" diff --quiet HEAD -- "tests/exercises/$1/exercise.cpp"; }

# The parts of the formula that a solution has in its /// lines, one a line.
formula_of() {
  sed -n 's|^/// *||p' "$root/tests/exercises/$1/solution.cpp" | sed -E 's/[,;.]  +/\n/g' | sed -E 's/[,;.]? *$//; /^$/d'
}
# told LESSON FILE: whether FILE has one of these parts.
told() { formula_of "$1" >formula && [ -s formula ] && grep -qFf formula "$2"; }
stage() { awk -v k="$2" '/^## Hint /{on = ($3 == k); next} on' "$root/tests/exercises/$1/hint.md"; }

test_whole() {
  n=0
  for lesson in $lessons; do
    n=$((n + 1))
    number=$(printf %02d $n)
    check "whole: $lesson" 'number, files or its line in the README are missing:' sh -c '
      cd "$1/tests/exercises" && case $2 in "$3"_*) ;; *) exit 1 ;; esac &&
      ls $2/exercise.h $2/exercise.cpp $2/solution.cpp $2/test.cpp $2/hint.md && grep -q "($2/exercise.cpp)" README.md &&
      head -n 1 $2/exercise.cpp | grep -q "^// Exercise $4: .*[.]$" && grep -q "Write here\|mend it" $2/exercise.cpp' \
      sh "$root" "$lesson" "$number" $n
    hint=$root/tests/exercises/$lesson/hint.md
    stages=$(grep -c '^## Hint ' "$hint")
    stage "$lesson" 1 >first
    if ! head -n 1 "$hint" | grep -q "^# $n[.] "; then fail "hints: $lesson" "hint.md does not begin with # $n. "
    elif [ "$stages" -lt 2 ] || [ "$stages" -gt 4 ]; then fail "hints: $lesson" "$stages stages instead of 2 to 4"
    elif [ "$(sed -n 's/^## Hint //p' "$hint" | tr '\n' ' ')" != "$(seq -s ' ' "$stages") " ]; then
      fail "hints: $lesson" "the stages are not headed ## Hint 1 to $stages"
    elif [ ! -s first ] || ! stage "$lesson" "$stages" | grep -q .; then fail "hints: $lesson" 'a stage is empty'
    elif [ "$(LC_ALL=C.UTF-8 wc -L <"$hint")" -gt 80 ]; then fail "hints: $lesson" 'a line has over 80 columns'
    elif told "$lesson" first; then fail "hints: $lesson" 'the first stage has a part of the formula'
    elif told "$lesson" "$root/tests/exercises/$lesson/test.cpp"; then fail "hints: $lesson" 'test.cpp has a part of the formula'
    else ok "hints: $lesson"; fi
  done
  check 'whole: the README counts them' "there are $n" \
    grep -q "^$(echo 'Twelve Thirteen Fourteen Fifteen Sixteen' | cut -d' ' -f$((n - 11))) exercises," "$root/tests/exercises/README.md"
}

# Every comparison of a blank version that fails asks; none tells.
test_blank() {
  for lesson in $lessons; do
    run_lesson "$lesson" yours
    grep -E '^  Question: ' out >questions
    failures=$(grep -cE "^tests/exercises/$lesson/test.cpp:[0-9]+: ERROR: .+: expected .+, got .+" out)
    if edited "$lesson"; then skip "blank: $lesson" 'its exercise.cpp has been edited'
    elif [ $code != 1 ]; then fail "blank: $lesson" "exit code $code instead of 1: $(tail -n 5 out)"
    elif [ "$failures" = 0 ]; then fail "blank: $lesson" "it does not say what was expected and what came: $(cat out)"
    elif [ "$(wc -l <questions)" != "$failures" ]; then fail "blank: $lesson" "it does not ask after each failure: $(cat out)"
    elif grep -vq '?' questions; then fail "blank: $lesson" "this is no question: $(grep -v '?' questions)"
    elif told "$lesson" out; then fail "blank: $lesson" "it gives the formula away: $(cat out)"
    else ok "blank: $lesson"; fi
  done
}

test_solution() {
  for lesson in $lessons; do
    run_lesson "$lesson" solved
    if [ $code != 0 ]; then fail "solution: $lesson" "$(cat out)"
    elif ! grep -qE 'assertions: +[1-9][0-9]* +\|.* 0 failed' out; then fail "solution: $lesson" "nothing was compared: $(cat out)"
    else ok "solution: $lesson"; fi
  done
}

test_command() {
  make_="make --no-print-directory -C $root"
  must 'command: the list' 0 $make_ exercise
  check 'command: it has them all' "$(cat out)" [ "$(grep -cE '^ +[0-9]+  [^ ]' out)" = "$(echo "$lessons" | wc -l)" ]
  check 'command: it says how to begin' "$(cat out)" grep -qF 'make exercise N=1' out
  must 'command: the solution of 3' 0 $make_ exercise N=3 SOLUTION=1
  must 'command: N with a zero' 0 $make_ exercise N=03 SOLUTION=1
  must 'command: no such exercise' 2 $make_ exercise N=99
  check 'command: it says which there are' "$(cat err)" grep -qF "N is a number from 1 to $(echo "$lessons" | wc -l)" err
  must 'command: a hint' 0 $make_ exercise N=1 HINT=1
  check 'command: the first only' "$(cat out)" sh -c 'grep -q "grow to 3.01" out && ! grep -q "make the .2a." out'
  check 'command: and where the next one is' "$(cat out)" grep -qF 'make exercise N=1 HINT=2' out
  must 'command: the last hint' 0 $make_ exercise N=1 HINT=3
  check 'command: it is the last' "$(cat out)" sh -c 'grep -q "make the .2a." out && grep -qF "the last hint" out'
  must 'command: no such hint' 2 $make_ exercise N=1 HINT=4
  check 'command: it says which hints there are' "$(cat err)" grep -qF 'has hints 1 to 3' err
  if edited 01_product_rule; then skip 'command: a blank one' 'its exercise.cpp has been edited'
  else
    must 'command: a blank one fails' 2 $make_ exercise N=1
    check 'command: what was expected and what came' "$(cat out)" grep -qF 'dL/da: expected 5, got 0' out
    check 'command: where to write, and the hint' "$(cat out)" grep -qF 'A hint: make exercise N=1 HINT=1' out
  fi
}

# as_yours LESSON PROGRAM: make exercise, as if the program had been built from exercise.cpp. LIMIT: seconds.
as_yours() {
  mkdir -p "$tmp/at/tests/exercises/$1"
  ln -sf "$2" "$tmp/at/tests/exercises/$1/yours"
  number=${1%%_*}
  (cd "$root" && N=${number#0} AT="$tmp/at" BUILD=true sh tests/exercises/exercise.sh) >out 2>err
  code=$?
}

test_solved() {
  before=
  for lesson in $lessons; do
    [ -z "$before" ] || check "solved: $before names $lesson" "$(cat out)" \
      grep -qF "make exercise N=$(echo "${lesson%%_*}" | sed 's/^0//')  (" out
    as_yours "$lesson" "$root/build/release-f64/tests/exercises/$lesson/solved"
    check "solved: $lesson" "exit code $code: $(cat out err)" sh -c "[ $code = 0 ] && grep -q 'is solved' out"
    before=$lesson
  done
  check 'solved: the last one' "$(cat out)" grep -qF 'It was the last one' out
}

# Solutions of the first exercise that crash in the way that WRONG names.
test_crash() {
  cat >wrong.cpp <<'END'
#include <cstdlib>
#include <string>
#include "tests/exercises/01_product_rule/exercise.h"
static int deep(volatile int n) { return n > 0 ? deep(n + 1) + n : 0; }
namespace gradus::lesson {
void product_backward(Op& op) {
  const std::string wrong = std::getenv("WRONG");
  if (wrong == "stack") op.dy()[deep(1)];
  if (wrong == "abort") std::abort();
  if (wrong == "far") op.dx(1)[1L << 40] = 1;
  for (volatile bool forever = wrong == "loop"; forever;) {}
  for (int i = 0; i < op.shape(0).numel(); ++i) op.dx(0)[i] += op.dy()[i] * op.x(1)[i], op.dx(1)[i] += op.dy()[i] * op.x(0)[i];
}
}  // namespace gradus::lesson
END
  built=$root/build/release-f64
  check 'crash: build' '' "${CXX:-g++}" -std=c++20 -O0 -DGRADUS_REAL=double -I"$root" -Wno-unused-value wrong.cpp \
    "$built"/tests/exercises/01_product_rule/test.o "$built"/tests/exercises/main.o "$built"/engine/*.o \
    $(ls "$root"/build/release/engine/io/*.o | grep -v mpi-mpi) $(pkg-config --libs openblas) -pthread -o wrong
  crash() {
    export WRONG=$1
    as_yours 01_product_rule "$tmp/wrong"
    check "crash: $1" "exit code $code: $(cat out err)" sh -c "[ $code = 1 ] && grep -qF '$2' out && grep -q '  Question: .*?$' out &&
      grep -qF 'make exercise N=1 HINT=1' out"
  }
  crash null 'ERROR: in the test "a constant wants no gradient" your function used a null pointer'
  crash stack 'in the test "y = a b at a = 3, b = 5" your function ran out of stack'
  crash abort 'your function stopped the program (abort)'
  crash far 'your function used memory that is not its own'
  export LIMIT=2
  WRONG=loop as_yours 01_product_rule "$tmp/wrong"
  check 'crash: a loop without end' "exit code $code: $(cat out)" grep -q 'It ran for 2 s and was stopped. Question: .*?$' out
  unset WRONG LIMIT
}

groups whole blank solution command solved crash -- "$@"
finish
