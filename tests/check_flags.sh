#!/bin/sh
# The flags that the arithmetic depends on, in every compile line of every mode: -ffp-contract=off, no fast mathematics.
cd "$(dirname "$0")/.." || exit 1
for mode in release debug asan; do
  for cxx in g++ clang++; do
    c=$([ $cxx = g++ ] || echo clang-)
    b=build/$c$mode
    MAKEFLAGS= make -n -B V=1 MODE=$mode CXX=$cxx $b-f32/gradus $b-f64/gradus $b-f32/tests/all $b-f64/tests/all 2>/dev/null |
      grep -E -- ' -c [a-z_0-9/]+\.cpp' >"${TMPDIR:-/tmp}/flags.$$"
    n=$(wc -l <"${TMPDIR:-/tmp}/flags.$$")
    name="flags: $mode, $cxx, $((n)) compile lines"
    bad=$(grep -E -- '-ffast-math|-Ofast|-funsafe-math|-fassociative-math|-freciprocal-math|-ffp-contract=(fast|on)|-mrecip' \
      "${TMPDIR:-/tmp}/flags.$$"; grep -v -e '-ffp-contract=off' "${TMPDIR:-/tmp}/flags.$$")
    rm -f "${TMPDIR:-/tmp}/flags.$$"
    if [ "$n" -lt 60 ]; then echo "FAIL $name: too few, is this script looking at the right thing?"; code=1
    elif [ -n "$bad" ]; then echo "FAIL $name: $(echo "$bad" | head -n 1 | cut -c1-300)"; code=1
    else echo "ok $name"; fi
  done
done
pragmas=$(grep -nE '#pragma (GCC optimize|STDC FP_CONTRACT|omp|clang fp)|__attribute__.*optimize' -r engine models rl apps 2>/dev/null)
if [ -n "$pragmas" ]; then echo "FAIL flags: no pragma changes the arithmetic: $pragmas"; code=1
else echo "ok flags: no pragma changes the arithmetic"; fi
exit ${code:-0}
