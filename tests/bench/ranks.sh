#!/bin/sh
# The same training on 2 ranks of 1 thread and in 1 process of 2 threads, in turn: seconds of all steps of each pair, and
# the median of the ratios. It needs a quiet machine and programs with MPI (make MPI=1).
# sh tests/bench/ranks.sh [PAIRS [OPTION OF TRAIN...]]: 5 pairs of 400 steps of the default Transformer.
cd "$(dirname "$0")/../.." || exit 1
pairs=${1:-5}
[ $# = 0 ] || shift
program=$(pwd)/build/gradus
text=$(pwd)/data/fables.txt
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
cd "$tmp" || exit 1
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
options=$*
# train STEPS THREADS [MPIRUN...]: microseconds of a run.
train() {
  steps=$1 threads=$2
  shift 2
  begun=$(date +%s%N)
  "$@" "$program" train "$text" --out run --shards 2 --eval-every 0 --save-every 0 --val-fraction 0.01 --steps "$steps" \
    --threads "$threads" --quiet $options >errors 2>&1 || { cat errors >&2; exit 1; }
  echo $((($(date +%s%N) - begun) / 1000))
  rm -rf run
}
on_threads() { train "$1" 2; }
on_ranks() { train "$1" 1 mpirun -n 2; }
pair=0
while [ $((pair += 1)) -le "$pairs" ]; do
  # A run of no step is taken off: what is done once, the start of mpirun too.
  t=$(($(on_threads 400) - $(on_threads 0)))
  r=$(($(on_ranks 400) - $(on_ranks 0)))
  awk "BEGIN { printf \"pair $pair: 2 threads %.2f s, 2 ranks %.2f s, ratio %.3f\n\", $t / 1e6, $r / 1e6, $r / $t }" | tee -a pairs
done
sed 's/.*ratio //' pairs | sort -n | awk '{ x[NR] = $1 } END { printf "ranks take %.3f of the time of threads (%.3f to %.3f)\n", x[int((NR + 1) / 2)], x[1], x[NR] }'
