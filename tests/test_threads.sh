#!/bin/sh
# Training, evaluation and sampling on two threads under the thread sanitizer: sh tests/test_threads.sh PROGRAM
cd "$(dirname "$0")/.." || exit 1
. tests/shell.sh
tsan=$(absolute "$1")
head -c 4000 "$root/data/fables.txt" >text.txt
for model in transformer lstm; do
  o="--model $model --embd 16 --hidden 16 --heads 2 --layers 1 --context 16 --batch 4 --shards 4 --dropout 0.1"
  TSAN_OPTIONS='exitcode=66' run "$tsan" train text.txt --out run $o --steps 30 --eval-every 10 --save-every 10 --threads 2
  check "threads: $model, training on two threads" "exit code $code: $(grep -A 12 WARNING err | tr '\n' ' ' | cut -c1-1500)" [ $code = 0 ]
  check "threads: $model, no report" "$(head -n 20 err)" not grep -q ThreadSanitizer err
  rm -rf run
done
finish
