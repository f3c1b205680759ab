#!/bin/sh
# `make exercise`: lists the exercises; with N=3 builds and runs one, with HINT=1 prints one of its hints. From the root.
# In the environment: N, HINT, SOLUTION, GDB as the user gave them; BUILD, the command that builds a target; AT, the
# folder of what is built; LIMIT, the seconds that it may run (60).
first_lines() { sed -n '1s|^// Exercise \([0-9]*\): \(.*\)\.$|\1 \2|p' "$@"; }
all=$(ls -d tests/exercises/[0-9]*_*)
count=$(echo "$all" | wc -l)

if [ -z "$N" ]; then
  echo 'Each exercise asks for one small function:'
  for lesson in $all; do first_lines "$lesson/exercise.cpp"; done | awk '{n = $1; $1 = ""; printf "%4d %s\n", n, $0}'
  echo 'Begin: make exercise N=1. Hints: make exercise N=1 HINT=1. More: tests/exercises/README.md'
  exit 0
fi
lesson=$(echo "$all" | grep -E "/0?${N#0}_")
case $N in *[!0-9]*) lesson= ;; esac
[ -n "$lesson" ] || { echo "There is no exercise $N: N is a number from 1 to $count (make exercise lists them)" >&2; exit 2; }
number=$(first_lines "$lesson/exercise.cpp" | cut -d' ' -f1)

if [ -n "$HINT" ]; then
  hints=$(grep -c '^## Hint [0-9]*$' "$lesson/hint.md")
  case $HINT in *[!0-9]*) HINT=0 ;; esac
  if [ "$HINT" -lt 1 ] || [ "$HINT" -gt "$hints" ]; then
    echo "Exercise $number has hints 1 to $hints: make exercise N=$number HINT=1" >&2
    exit 2
  fi
  sed -n '1s/^# *//p' "$lesson/hint.md"; echo
  awk -v k="$HINT" '/^## Hint /{on = ($3 == k); next} on' "$lesson/hint.md" | sed -e '1{/^$/d;}' -e '${/^$/d;}'
  echo
  if [ "$HINT" -lt "$hints" ]; then
    echo "That was hint $HINT of $hints. The next one: make exercise N=$number HINT=$((HINT + 1))"
  else
    echo "That was the last hint. One solution is in $lesson/solution.cpp"
  fi
  exit 0
fi

if [ -n "$SOLUTION" ]; then whose=solved; else whose=yours; fi
program=$AT/$lesson/$whose
$BUILD "$program" || exit 1
if [ -n "$GDB" ]; then
  exec gdb -q -iex 'set debuginfod enabled off' -x engine/gdb/gradus.py --args "$program" --no-intro --no-version
fi
timeout "${LIMIT:-60}" "$program" --no-intro --no-version --abort-after=1
code=$?
[ $code != 124 ] || echo "It ran for ${LIMIT:-60} s and was stopped. Question: which loop in your function has no end?"
if [ $code != 0 ]; then
  [ "$whose" = solved ] || echo "To write: $lesson/exercise.cpp. A hint: make exercise N=$number HINT=1"
  exit 1
fi
[ "$whose" = yours ] || { echo "The solution of exercise $number passes."; exit 0; }
next=$(echo "$all" | sed -n "$((number + 1))p")
if [ -n "$next" ]; then
  echo "Exercise $number is solved. The next one: make exercise N=$(first_lines "$next/exercise.cpp" | sed 's/ /  (/'))"
else
  echo "Exercise $number is solved. It was the last one."
fi
