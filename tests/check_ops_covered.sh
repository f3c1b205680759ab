#!/bin/sh
# Every op of engine/ops.h has foo_forward(Op&) and, as the next function of the same file, foo_backward(Op&); every
# foo_backward of engine/*.cpp has a row("foo", ...) in tests/test_gradients.cpp. One line on each op where that fails.
cd "$(dirname "$0")/.." || exit 1
table=tests/test_gradients.cpp
bad=0

# "file op", for each op declared under a heading of ops.h that names the file: // --- what they are (ops_x.cpp) ---
declared=$(awk '
  /^\/\/ ---/ { file = match($0, /\(ops_[a-z_]*\.cpp\)/) ? substr($0, RSTART + 1, RLENGTH - 2) : "" }
  file != "" && /^[A-Z][A-Za-z]* [a-z_0-9]*\(/ { sub(/^[A-Za-z]* /, ""); sub(/\(.*/, ""); print file, $0 }
' engine/ops.h | sort -u)
# "file op", for each op whose forward is followed by its backward: no other function begins between the two.
pairs=$(awk '
  FNR == 1 { forward = "" }
  /^[A-Za-z].*\) *\{/ && !/^(namespace|struct|class|enum)/ {
    name = $0; sub(/\(.*/, "", name); sub(/.*[ *&]/, "", name)
    if ($0 ~ /^void [a-z_0-9]*_backward\(Op& op\)/ && name == forward "_backward") {
      file = FILENAME; sub(/.*\//, "", file); print file, forward
    }
    forward = ""
    if ($0 ~ /^void [a-z_0-9]*_forward\(Op& op\)/) { forward = name; sub(/_forward$/, "", forward) }
  }
' engine/ops_*.cpp)
# The first argument of each row( of the table, which may stand on the line below.
rows=$(awk '
  !/^ *\/\// { all = all " " $0 }
  END { n = split(all, part, /row\( *"/); for (i = 2; i <= n; ++i) { sub(/".*/, "", part[i]); print part[i] } }
' "$table")
backward=$(sed -n 's/^void \([a-z_0-9]*\)_backward(Op& *[a-z]*).*/\1/p' engine/*.cpp | sort -u)

[ -n "$declared" ] || { echo "check_ops_covered: found no op in engine/ops.h"; exit 1; }
while read -r file op; do
  printf '%s\n' "$pairs" | grep -qx "$file $op" ||
    { echo "$op: engine/$file must hold ${op}_forward(Op& op) and, next, ${op}_backward(Op& op)"; bad=1; }
done <<END
$declared
END
for op in $backward; do
  printf '%s\n' "$rows" | grep -qx "$op" ||
    { echo "$op: no row(\"$op\", ...) in $table checks ${op}_backward"; bad=1; }
done
[ $bad = 0 ] && echo "$(printf '%s\n' "$backward" | wc -l | tr -d ' ') ops, each with a gradient test"
exit $bad
