#!/bin/sh
# make test-slow: sanitizers, other compilers, long fault loops. CI=1 leaves out what takes longest.
# The last line is `N passed, N failed`, with `, N skipped` where something was.
cd "$(dirname "$0")/.." || exit 1
. tests/parts.sh
build() { make --no-print-directory -j"$(nproc)" "$@"; }

checks flags 'flags of every compile line' sh tests/check_flags.sh

# All that follows runs beside the sanitized tests. The short form sanitizes one precision, by the other compiler, and
# leaves out what draws many samples or measures memory: other cases run the same code.
export UBSAN_OPTIONS=print_stacktrace=1
real=f64 cxx=g++ clang=
if [ -n "${CI:-}" ]; then
  real=f32
  if command -v clang++ >/dev/null; then cxx=clang++ clang=clang-; fi
fi
sanitized=build/${clang}asan-$real some=${CI:+'--test-case-exclude=sampled*,*takes?what?was?promised'}
one asan "address and UB sanitizers, $real, build" \
  build MODE=asan CXX=$cxx $sanitized/tests/all ${CI:+$sanitized/gradus}
ahead timeout 1800 $sanitized/tests/all --no-colors=true $some

one lessons 'the exercises, build' build exercises
checks lessons 'blank exercises ask, hints come in stages, solutions pass' sh tests/test_exercises.sh

checks headers 'each installed header compiles alone' sh tests/test_install.sh headers

# Another compiler and no optimisation: in the short form the sanitized program, which differs in both, otherwise one for
# each.
same_bits() {  # WHAT MODE CXX PROGRAM
  one bits "$1, build" build MODE="$2" CXX="$3" "$4"
  checks bits "$1" sh tests/test_bits.sh "$4"
}
if [ -n "${CI:-}" ]; then
  checks bits "release of g++ = sanitized, of $cxx" sh tests/test_bits.sh $sanitized/gradus
else
  same_bits 'debug = release' debug g++ build/debug-f32/gradus
  if command -v clang++ >/dev/null; then same_bits 'g++ = clang++' release clang++ build/clang-release-f32/gradus; fi
fi
command -v clang++ >/dev/null || left_out bits 'g++ = clang++' 'there is no clang++ on this machine'

if command -v mpirun >/dev/null && pkg-config --exists ompi-c; then
  one ranks 'programs with MPI, build' build MODE=release MPI=1 build/release-f32/gradus-mpi build/release-f64/gradus-mpi
  checks ranks 'one run on ranks: bytes, resume, signals, kills' env GRADUS=build/release-f32/gradus-mpi \
    GRADUS_F64=build/release-f64/gradus-mpi sh tests/test_mpi.sh
else
  left_out ranks 'one run on ranks' 'Open MPI is not installed: apt-get install libopenmpi-dev openmpi-bin'
fi
doctest asan "address and UB sanitizers, $real" $sanitized/tests/all $some

if [ -z "${CI:-}" ]; then
  one asan 'address and UB sanitizers, f32, build' build MODE=asan build/asan-f32/tests/all
  doctest asan 'address and UB sanitizers, f32' build/asan-f32/tests/all
  one gdb 'debug build' build MODE=debug stepper build/debug-f64/gradus build/debug-f64/tests/all
  checks gdb 'the gdb commands on a debug build' env GRADUS=build/debug-f32/gradus GRADUS_F64=build/debug-f64/gradus \
    TESTS_F64=build/debug-f64/tests/all sh tests/test_gdb.sh
  one tuning 'build' build build/release-f64/tests/all
  one tuning 'ten worlds, ten seeds' env GRADUS_SLOW=1 build/release-f64/tests/all --test-suite=tuning
  checks files 'every failing call and allocation, kill -9 200 times each' sh tests/test_faults.sh long
  one threads 'thread sanitizer, build' build MODE=tsan build/tsan-f32/gradus
  checks threads 'two threads under the thread sanitizer' sh tests/test_threads.sh build/tsan-f32/gradus
else
  left_out asan 'address and UB sanitizers, f64' 'the short form runs f32 only'
  left_out threads 'thread sanitizer, gdb on a debug build, long fault loops, ten worlds' 'not in the short form'
fi
summary 'All slow tests passed.'
