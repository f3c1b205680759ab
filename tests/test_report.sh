#!/bin/sh
# The report of a run: written by train and by gradus report, for killed, resumed, tiny and long runs; what it refuses.
# sh tests/test_report.sh [GROUP...]; see tests/shell.sh.
cd "$(dirname "$0")/.." || exit 1
. tests/shell.sh

head -c 4000 "$root/data/fables.txt" >text.txt
tiny="--embd 16 --heads 2 --layers 1 --context 16 --batch 4 --shards 2 --eval-batches 2 --quiet"

has() { grep -qF -e "$2" "$1/report.html"; }
# The steps of the evaluations that are marked in the loss plot.
marks() { grep -o '<title>validation, evaluated, [0-9]*:' "$1/report.html" | grep -o '[0-9]*' | tr '\n' ' '; }
# A page stands alone: nothing to fetch, no address at all but that of SVG, and it is whole.
stands_alone() {
  ! sed 's|http://www.w3.org/2000/svg||g' "$1/report.html" | grep -iE 'https?:|src=|href=|url\(|@import|<script' &&
    [ "$(head -n 1 "$1/report.html")" = '<!DOCTYPE html>' ] && [ "$(tail -n 1 "$1/report.html")" = '</html>' ]
}
# NAME RUN
valid() { valid_html "$1" "$2/report.html"; }

test_train() {
  must "train: a run" 0 "$f32" train text.txt --out a $tiny --steps 8 --eval-every 4 --entropy-rate 1.25
  check "train: leaves its report" "$(ls a)" test -s a/report.html
  for part in 'uniform 3.' 'unigram ' 'bigram ' 'entropy rate 1.25' 'Learning rate' 'Gradient norm' 'Tokens a second' \
    'training, each step' 'validation, evaluated' '8 steps, finished' '>step 0<' 'text.txt' '>val-fraction<'; do
    check "train: the report has '$part'" "" has a "$part"
  done
  check "train: evaluations of the report are those of the log" "$(marks a)" [ "$(marks a)" = '4 8 ' ]
  check "train: the page stands alone" "" stands_alone a
  valid "train: the page is valid HTML" a
  before=$(cat a/report.html)
  must "train: gradus report writes it again" 0 "$f32" report a
  check "train: the same bytes" "" [ "$before" = "$(cat a/report.html)" ]
  must "train: --json" 0 "$f32" report a --json
  check "train: its object" "$(cat out)" grep -qE '^\{"report":"a/report.html","bytes":[0-9]+\}$' out
  # The command of the report makes the same run.
  command_=$(sed -n 's|.*<code>gradus train \(.*\)</code>.*|\1|p' a/report.html)
  must "train: the command of the report" 0 "$f32" train $command_ --quiet
  check "train: makes the same weights" "$command_" same_weights a a-again
  check "train: and the same steps" "" same_steps a a-again
  # A report that cannot be written does not end a run.
  mkdir -p b/report.html/x
  must "train: where report.html cannot be written, the run goes well" 0 \
    "$f32" train text.txt --out b $(echo "$tiny" | sed 's/--quiet//') --steps 2
  check "train: with a warning" "$(cat out)" grep -q '^warning: no report: ' out
  rm -rf a a-again b
}

test_resume() {
  o="$tiny --steps 12 --eval-every 3"
  "$f32" train text.txt --out whole $o
  "$f32" train text.txt --out part $o --stop-after 7
  check "resume: a stopped run has its report" "" has part 'after step 7 of 12'
  "$f32" train --out part --resume --quiet
  check "resume: every evaluation once" "$(marks part)" [ "$(marks part)" = '3 6 9 12 ' ]
  for run_ in whole part; do  # but for the name and the clock nothing differs
    sed -E "s/$run_/RUN/g; /aria-label=\"Tokens a second\"/,/<section>/d; s/<dt>speed.*//" $run_/report.html >$run_.html
  done
  check "resume: the report of a run that was never stopped" "" cmp whole.html part.html
  "$f32" train --out part --resume --steps 14 --quiet
  check "resume: raised steps are the checkpoint's" "" has part '14 steps, finished'
  check "resume: and in the command" "" has part '--steps 14 --decay-steps 12'
  rm -rf whole part
}

test_killed() {
  "$f32" train text.txt --out run $tiny --steps 1000000 --eval-every 10 --save-every 20 &
  child=$!
  wait_until has_steps run 45
  kill -9 $child
  wait $child 2>/dev/null
  child=
  printf '{"type":"step","step":12345678,"lo' >>run/log.jsonl
  cp run/log.jsonl before
  must "killed: a log that was cut in the middle of a line" 0 "$f32" report run
  check "killed: says that the run is not at its end" "" has run 'stopped or still running after step'
  check "killed: and where it was saved" "" has run ", saved at step $(steps_of run)"
  check "killed: the cut line is not in it" "" not has run 12345678
  check "killed: the log is as it was" "" cmp before run/log.jsonl
  valid "killed: the page is valid HTML" run
  rm run/checkpoint.safetensors
  must "killed: before the first checkpoint" 0 "$f32" report run
  check "killed: says so" "" has run 'no checkpoint in the folder'
  rm -rf run
}

test_kinds() {
  must "kinds: no step at all" 0 "$f32" train text.txt --out none $tiny --steps 0
  must "kinds: one step, no validation" 0 "$f32" train text.txt --out one $tiny --steps 1 --val-fraction 0
  check "kinds: then no validation curve" "" not has one 'validation, evaluated'
  printf '山中有一只鹿。<b>鹿</b>走到水边，&喝水。"看"见月亮。' >zh.txt
  i=0; while [ $i -lt 6 ]; do cat zh.txt zh.txt >zh2.txt; mv zh2.txt zh.txt; i=$((i + 1)); done
  must "kinds: Chinese text with HTML in it" 0 "$f64" train zh.txt --out "it's & <b>" $tiny --steps 30 --lr 0.03 --eval-every 10 --model lstm --hidden 16
  check "kinds: samples are escaped" "" not grep -q '<b>' "it's & <b>/report.html"
  check "kinds: and are Chinese" "" has "it's & <b>" 鹿
  check "kinds: the command is quoted for a shell" "" has "it's & <b>" "gradus-f64 train"
  for run_ in none one "it's & <b>"; do
    valid "kinds: $run_, the page is valid HTML" "$run_"
    check "kinds: $run_, the page stands alone" "" stands_alone "$run_"
  done
  printf 'the cat\nthe dog\na cat\nthe cat\na <b>\nthe dog\n' >lines.txt
  must "kinds: an LSTM of lines" 0 "$f64" train lines.txt --out lines $tiny --steps 6 --eval-every 3 --model lstm --hidden 16 --lines --tokenizer word
  check "kinds: of lines, it says what it is" "" grep -qE 'An LSTM of [0-9,]+ parameters on lines.txt' lines/report.html
  check "kinds: of lines, losses are those of a word" "" has lines word
  check "kinds: of lines, its evaluations" "$(marks lines)" [ "$(marks lines)" = '3 6 ' ]
  command_=$(sed -n 's|.*<code>gradus-f64 train \(.*\)</code>.*|\1|p' lines/report.html)
  must "kinds: of lines, the command of the report" 0 "$f64" train $command_ --quiet
  check "kinds: of lines, makes the same weights" "$command_" same_weights lines lines-again
  must "kinds: a model that is counted" 0 "$f64" train lines.txt --out counted --model ngram --order 2 --smoothing add --lines --quiet
  check "kinds: counted, it says what it is" "" grep -qE 'An n-gram model of 0 parameters on lines.txt' counted/report.html
  check "kinds: counted, no learning rate" "" not has counted 'Learning rate'
  command_=$(sed -n 's|.*<code>gradus-f64 train \(.*\)</code>.*|\1|p' counted/report.html)
  must "kinds: counted, the command of the report" 0 "$f64" train $command_ --quiet
  "$f64" eval counted lines.txt --json >once
  "$f64" eval counted-again lines.txt --json >again
  check "kinds: counted, makes the same model" "$command_" cmp once again
  for run_ in lines counted; do
    valid "kinds: $run_, the page is valid HTML" "$run_"
    check "kinds: $run_, the page stands alone" "" stands_alone "$run_"
  done
  rm -rf lines counted lines-again counted-again
  # 10^5 steps.
  head -n 1 one/log.jsonl | sed 's/"steps":1,/"steps":100000,/' >head
  mkdir long
  awk 'BEGIN { srand(1); while ((getline line < "head") > 0) print line
    for (i = 1; i <= 100000; ++i) {
      printf "{\"type\":\"step\",\"step\":%d,\"loss\":%.15g,\"lr\":%.15g,\"grad_norm\":%.15g,\"tokens_per_second\":%.15g}\n", i, 3 * rand(), rand(), rand(), 1e5 * rand()
      if (i % 100 == 0) {
        printf "{\"type\":\"eval\",\"step\":%d,\"train_loss\":%.15g,\"val_loss\":%.15g}\n{\"type\":\"sample\",\"step\":%d,\"text\":\"%0240d\"}\n", i, rand(), rand(), i, i } } }' >long/log.jsonl
  must "kinds: 100000 steps" 0 "$f32" report long
  check "kinds: 100000 steps, less than 400 kB" "$(wc -c <long/report.html) bytes" [ "$(wc -c <long/report.html)" -lt 400000 ]
  rm -rf none one long "it's & <b>"
}

test_refused() {
  mkdir new
  refuses "refused: no such folder" 4 "is not the folder of a run" "$f32" report nowhere
  refuses "refused: a file" 4 "is not the folder of a run" "$f32" report text.txt
  mkdir bare
  refuses "refused: a folder without a log" 4 "bare/log.jsonl" "$f32" report bare
  "$f32" train text.txt --out run $tiny --steps 2
  rm run/report.html
  bad() { refuses "refused: $1" 4 "$2" "$f32" report run; check "refused: $1, no report" "" not test -e run/report.html; }
  cp run/log.jsonl good
  : >run/log.jsonl; bad "an empty log" "log.jsonl"
  cp text.txt run/log.jsonl; bad "a log that is a text" "is not the log of a run"
  echo '{"type":"run","config":{"model":"cat"}}' >run/log.jsonl; bad "a configuration of something else" "log.jsonl: "
  sed '3s/.*/{"type":"step","step":/' good >run/log.jsonl; bad "a broken line in the middle" "line 3"
  sed '2s/.*/\xff\xfe/' good >run/log.jsonl; bad "a line that is not UTF-8" "line 2"
  head -c 3000 /dev/urandom >run/log.jsonl; bad "noise" "is not the log of a run"
  cp good run/log.jsonl
  head -c 900 run/checkpoint.safetensors >half; mv half run/checkpoint.safetensors
  bad "half a checkpoint" "checkpoint.safetensors"
  refuses "refused: no run is named" 2 "RUN" "$f32" report
  rm run/checkpoint.safetensors
  mkdir -p run/report.html/in_the_way
  refuses "refused: a report that cannot be written" 3 "report.html" "$f32" report run
  rm -rf run bare good
}

groups train resume killed kinds refused -- "$@"
finish
