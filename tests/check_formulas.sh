#!/bin/sh
# The formulas that `gradus step` shows (apps/step/math.cpp) are those that stand above the ops in engine/ops_*.cpp, in
# the comments that begin with ///; every op has them. One line on each op where that fails.
cd "$(dirname "$0")/.." || exit 1
bad=0
# The comments, with single blanks, each between bars.
comments=$(sed -n 's|^/// *||p' engine/ops_*.cpp | sed -E 's/  +/ /g; s/$/ /')
for op in $(sed -n 's/^void \([a-z_0-9]*\)_backward(Op& *[a-z]*).*/\1/p' engine/ops_*.cpp | sort -u); do
  # {"op", {"forward", "backward", "letters"}} of the table, which may go over several lines
  entry=$(tr '\n' ' ' <apps/step/math.cpp | grep -o "{\"$op\", *{\"[^\"]*\", *\"[^\"]*\"" | head -n 1)
  [ -n "$entry" ] || { echo "$op: apps/step/math.cpp has no formula for it"; bad=1; continue; }
  for which in 2 4; do
    formula=$(printf '%s' "${entry#*\{\"*\{}" | cut -d'"' -f$which | sed -E 's/  +/ /g')
    printf '%s\n' "$comments" | grep -qF -e "$formula" || { echo "$op: no comment in engine/ops_*.cpp says \"$formula\""; bad=1; }
  done
done
[ $bad = 0 ] && echo "every op's formulas are those of its comments"
exit $bad
