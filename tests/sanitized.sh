#!/bin/sh
# make asan, make tsan: the tests of both precisions and those of the program, built with a sanitizer.
# Tests that limit a program's memory are skipped: a sanitizer reserves terabytes of addresses.
cd "$(dirname "$0")/.." || exit 1
. tests/parts.sh
export UBSAN_OPTIONS=print_stacktrace=1 TSAN_OPTIONS=halt_on_error=1:exitcode=66
for real in f64 f32; do doctest "$1" "engine, models, rl, $real" "build/$1-$real/tests/all"; done
export GRADUS="build/$1-f32/gradus" GRADUS_F64="build/$1-f64/gradus"
doctest "$1" 'the program, both precisions' build/release/tests/program/all
summary 'No report.'
