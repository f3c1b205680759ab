#!/bin/sh
# The exercises of tests/exercises: each is whole, its blank version fails and explains itself, its solution passes.
# sh tests/test_exercises.sh [GROUP...]; see tests/shell.sh. `make exercises` has built them.
cd "$(dirname "$0")/.." || exit 1
. tests/shell.sh
unset MAKEFLAGS MFLAGS MAKEOVERRIDES N SOLUTION GDB MODE
lessons=$(cd "$root/tests/exercises" && ls -d [0-9]*_*)
# The exercises read data/ from the root. Output to $tmp/out, exit code to $code.
run_lesson() {
  (cd "$root" && timeout 60 "build/release-f64/tests/exercises/$1/$2" --no-colors=true ${3:+"$3"}) >out 2>err
  code=$?
}
# Someone who has solved an exercise still passes the tests.
edited() { git -C "$root" rev-parse HEAD >/dev/null 2>&1 && ! git -C "$root" diff --quiet HEAD -- "tests/exercises/$1/exercise.cpp"; }

test_whole() {
  n=0
  for lesson in $lessons; do
    n=$((n + 1))
    number=$(printf %02d $n)
    check "whole: $lesson" 'number, files or its line in the README are missing:' sh -c '
      cd "$1/tests/exercises" && case $2 in "$3"_*) ;; *) exit 1 ;; esac &&
      ls $2/exercise.h $2/exercise.cpp $2/solution.cpp $2/test.cpp $2/hint.md && grep -q "($2/exercise.cpp)" README.md &&
      grep -q "Write here\|mend it" $2/exercise.cpp' sh "$root" "$lesson" "$number"
  done
  check 'whole: there are fifteen' "there are $n" [ $n = 15 ]
}

test_blank() {
  for lesson in $lessons; do
    run_lesson "$lesson" yours --abort-after=1
    if edited "$lesson"; then skip "blank: $lesson" 'its exercise.cpp has been edited'
    elif [ $code != 1 ]; then fail "blank: $lesson" "exit code $code instead of 1: $(tail -n 5 out)"
    elif ! grep -qE "^tests/exercises/$lesson/test.cpp:[0-9]+: ERROR: .+: expected .+, got .+" out; then
      fail "blank: $lesson" "it does not say what was expected and what came: $(cat out)"
    elif ! grep -qE '^  Look at: .{10}' out; then fail "blank: $lesson" "it does not say where to look: $(cat out)"
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
  must 'command: the solution of 3' 0 $make_ exercise N=3 SOLUTION=1
  must 'command: N with a zero' 0 $make_ exercise N=03 SOLUTION=1
  must 'command: no such exercise' 2 $make_ exercise N=16
  check 'command: it says which there are' '' grep -qF 'make exercise N=1 ... N=15' out
  must 'command: without N' 2 $make_ exercise
  if edited 01_product_rule; then skip 'command: a blank one' 'its exercise.cpp has been edited'
  else
    must 'command: a blank one fails' 2 $make_ exercise N=1
    check 'command: what was expected and what came' '' grep -qF 'dL/da: expected 5, got 0' out
    check 'command: where to write, and the hint' '' grep -qF 'A hint: tests/exercises/01_product_rule/hint.md' out
  fi
}

groups whole blank solution command -- "$@"
finish
