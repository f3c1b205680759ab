#!/bin/sh
# make coverage: the lines that the tests reach, in both precisions, by gcovr. Fails below 97 % in all or 90 % in one
# file; a line that no test can reach is marked in the source with its reason (// GCOVR_EXCL_LINE: why).
# The page with every line is build/coverage/index.html.
cd "$(dirname "$0")/.." || exit 1
command -v gcovr >/dev/null || { echo "coverage needs gcovr: apt-get install gcovr"; exit 1; }
b=build/coverage
find build -path "$b*" -name '*.gcda' -delete
mkdir -p $b
for real in f64 f32; do $b-$real/tests/all >$b/tests-$real.log 2>&1 || echo "tests of $real fail: $b/tests-$real.log"; done
GRADUS=$b-f32/gradus GRADUS_F64=$b-f64/gradus build/release/tests/program/all >$b/tests-program.log 2>&1 ||
  echo "tests of the program fail: $b/tests-program.log"
gcovr --root . --filter '(engine|models|rl|apps)/' --exclude-unreachable-branches --csv $b/files.csv \
  --html-details $b/index.html $b $b-f32 $b-f64 || exit 1
tail -n +2 $b/files.csv | awk -F, '
  { lines += $2; reached += $3; if ($2 > 0 && $3 < 0.9 * $2) { printf "%s: %d of %d lines\n", $1, $3, $2; below = 1 } }
  END {
    printf "%.1f %% of %d lines\n", 100 * reached / lines, lines
    exit below || reached < 0.97 * lines
  }'
