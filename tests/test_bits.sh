#!/bin/sh
# The same bits from other compilers: a checkpoint holds no trace of the compiler, so `cmp` decides.
# sh tests/test_bits.sh OTHER_PROGRAM: 20 training steps of both families, compared with build/gradus. See tests/shell.sh.
cd "$(dirname "$0")/.." || exit 1
. tests/shell.sh
other=$(absolute "$1")
head -c 4000 "$root/data/fables.txt" >text.txt
for ops in fused composed; do
  for model in transformer lstm; do
    o="--model $model --embd 32 --context 32 --batch 6 --shards 2 --dropout 0.2 --steps 20 --warmup 5 --ops $ops --eval-every 10 --quiet"
    "$f32" train text.txt --out a $o
    timeout 300 "$other" train text.txt --out b $o
    check "bits: $model, $ops, 20 steps, weights" "" same_weights a b
    check "bits: $model, $ops, 20 steps, log" "" same_logs a b
    "$f32" sample a --tokens 40 >a.txt
    timeout 60 "$other" sample a --tokens 40 >b.txt
    check "bits: $model, $ops, sample" "" cmp a.txt b.txt
    rm -rf a b
  done
done
finish
