#!/bin/sh
# sh tests/fuzz/run.sh SECONDS [TARGET ...]: each target (all of tests/fuzz/targets.cpp if none is named) for so many
# seconds under clang's fuzzer, with the address and undefined-behaviour sanitizers. Begins from the regressions, the
# grammars and tables of the repository and small checkpoints made here; what it finds of interest stays in
# build/fuzz/TARGET for the next time. An input that crashes, takes 25 s or 2 GB is left in build/fuzz/found: mend the
# cause, and put the input into tests/fuzz/regressions/TARGET under a name that says what is wrong with it.
cd "$(dirname "$0")/../.." || exit 1
fuzzer=build/clang-fuzz-f64/fuzz gradus=build/gradus
seconds=$1 && shift
targets=${*:-checkpoint metadata json corpus lines grammar reward kl log}
mkdir -p build/fuzz/found build/fuzz/seeds/checkpoint build/fuzz/seeds/metadata build/fuzz/seeds/log
seed() { mkdir -p "build/fuzz/seeds/$1" && cp "$2" "build/fuzz/seeds/$1/$(echo "$2" | tr / _)"; }

for grammar in data/*.grammar; do seed grammar "$grammar" && seed reward "$grammar"; done
for text in data/*.txt; do head -c 2000 "$text" >"build/fuzz/seeds/text" && seed corpus build/fuzz/seeds/text; done
for model in transformer lstm rnn nnlm ngram tabular; do
  run=build/fuzz/seeds/run_$model
  [ -e $run/checkpoint.safetensors ] || $gradus train data/two_words.txt --lines --tokenizer word --model $model \
    --steps 2 --layers 1 --heads 1 --embd 4 --hidden 4 --context 8 --batch 2 --out $run --quiet || exit 1
  cp $run/checkpoint.safetensors build/fuzz/seeds/checkpoint/$model
  cp $run/log.jsonl build/fuzz/seeds/log/$model
  length=$(od -An -tu8 -N8 $run/checkpoint.safetensors | tr -d ' ')
  tail -c +9 $run/checkpoint.safetensors | head -c "$length" >build/fuzz/seeds/metadata/$model
done
# A tuned run, with a value network and a batch to replay.
tuned=build/fuzz/seeds/run_tuned
[ -e $tuned/checkpoint.safetensors ] || $gradus tune build/fuzz/seeds/run_rnn --out $tuned --reward contains:cat --batch 4 \
  --max-tokens 3 --steps 2 --stop-after 1 --baseline value --replay 1 --exact never --quiet || [ $? = 130 ] || exit 1
cp $tuned/checkpoint.safetensors build/fuzz/seeds/checkpoint/tuned
cp $tuned/log.jsonl build/fuzz/seeds/log/tuned
FUZZ_SECTIONS=build/fuzz/seeds/metadata $fuzzer || exit 1  # each section of a checkpoint as an input
mkdir -p build/fuzz/seeds/lines
printf 'the cat\na dog\n' >build/fuzz/seeds/lines/words
printf 'the\r\n\r\na\r\n' >build/fuzz/seeds/lines/crlf
mkdir -p build/fuzz/seeds/kl build/fuzz/seeds/json
echo '{"p":{"a":0.25,"b":0.75},"q":{"a":0.5,"b":0.5}}' | tee build/fuzz/seeds/kl/pair >build/fuzz/seeds/json/pair
echo '{"rewards":{"the cat":1.0},"default":0}' >build/fuzz/seeds/reward/table
printf 'cat\t1\ndog\t-0.5\n' >build/fuzz/seeds/reward/lexicon

failed=0
for target in $targets; do
  mkdir -p "build/fuzz/$target"
  if FUZZ=$target $fuzzer -max_total_time="$seconds" -timeout=25 -rss_limit_mb=2048 -artifact_prefix=build/fuzz/found/$target- \
    "build/fuzz/$target" "build/fuzz/seeds/$target" "tests/fuzz/regressions/$target" >"build/fuzz/$target.log" 2>&1; then
    result='no crash, no hang'
  else
    result=FAILED failed=1
    grep -E 'ERROR|what\(\)|runtime error|terminate|Test unit' "build/fuzz/$target.log" | head -n 5
  fi
  printf '%-12s %10s executions in %s s: %s\n' "$target" \
    "$(sed -nE 's/^(#|Done )([0-9]+).*/\2/p' "build/fuzz/$target.log" | tail -n 1)" "$seconds" "$result"
done
exit $failed
