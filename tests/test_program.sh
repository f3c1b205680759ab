#!/bin/sh
# The gradus program as a person meets it: determinism, resume, signals, JSON, sampling, bad input, exit codes.
# sh tests/test_program.sh [GROUP...]; see tests/shell.sh. Long, because it is a list: a group for each promise.
cd "$(dirname "$0")/.." || exit 1
. tests/shell.sh

head -c 4000 "$root/data/fables.txt" >text.txt
tiny() {  # FAMILY: options of a model that trains in no time
  case $1 in
  lstm) echo --model lstm --embd 16 --hidden 16 --context 16 --batch 4 --shards 2 ;;
  *) echo --model transformer --embd 16 --heads 2 --layers 1 --context 16 --batch 4 --shards 2 ;;
  esac
}
each_program() {  # FUNCTION: for both families and both precisions: FUNCTION NAME PROGRAM OPTIONS, from an empty folder
  for model in transformer lstm; do
    for real in f32 f64; do
      mkdir here && cd here
      if [ $real = f32 ]; then program=$f32; else program=$f64; fi
      "$1" "$model $real" "$program" "$(tiny $model)"
      cd .. && rm -rf here
    done
  done
}

# ------------------------------------------------------------------------------------------ determinism and resume

determinism() {
  p=$2 o="$3 --dropout 0.2 --steps 12 --eval-every 5 --quiet"
  "$p" train ../text.txt --out a $o --seed 7 --threads 1
  "$p" train ../text.txt --out b $o --seed 7 --threads 2
  "$p" train ../text.txt --out c $o --seed 8
  "$p" train ../text.txt --out e $3 --steps 12 --eval-every 5 --quiet --seed 7
  check "determinism: $1, one thread = two threads, weights" "" same_weights a b
  check "determinism: $1, one thread = two threads, log" "" same_logs a b
  check "determinism: $1, another seed is another run" "seeds 7 and 8 gave the same log" not same_steps a c
  check "determinism: $1, --dropout changes the losses" "with and without gave the same log" not same_steps a e
}
test_determinism() {
  each_program determinism
  must "determinism: as many shards as there may be" 0 "$f32" train text.txt --out many --model transformer --embd 16 --heads 2 --layers 1 --context 16 --batch 256 --shards 256 --steps 1 --quiet
}

resume() {
  p=$2 o="$3 --dropout 0.2 --warmup 4 --eval-every 4 --eval-batches 2 --save-every 6"
  run "$p" train ../text.txt --out whole $o --steps 20 --json
  mv out whole.json
  must "resume: $1, --stop-after exits 130" 130 "$p" train ../text.txt --out part $o --steps 20 --stop-after 9 --threads 1
  check "resume: $1, it says how to go on" "$(tail -n 1 out)" grep -q 'gradus train --out part --resume$' out
  must "resume: $1, a second stop" 130 "$p" train --out part --resume --stop-after 13 --quiet --threads 2
  must "resume: $1, to the end" 0 "$p" train --out part --resume --json ../text.txt
  check "resume: $1, weights, optimiser and metadata" "" same_weights whole part
  check "resume: $1, log" "" same_logs whole part
  for f in steps train_loss val_loss best_val_loss parameters; do
    check "resume: $1, $f in JSON" "$(field out $f), at once $(field whole.json $f)" [ "$(field out $f)" = "$(field whole.json $f)" ]
  done
  o="$3 --warmup 4 --decay-steps 20 --eval-every 4 --eval-batches 2 --quiet"
  "$p" train ../text.txt --out long $o --steps 20
  "$p" train ../text.txt --out raised $o --steps 10
  must "resume: $1, with --steps raised" 0 "$p" train --out raised --resume --steps 20 --quiet
  check "resume: $1, raised = at once, weights" "" same_weights long raised
  check "resume: $1, raised = at once, steps in the log" "" same_steps long raised
  must "resume: $1, nothing but the beginning" 0 "$p" train ../text.txt --out zero $3 --warmup 4 --eval-every 4 --eval-batches 2 --quiet --steps 0
  must "resume: $1, from the beginning" 0 "$p" train --out zero --resume --steps 20 --quiet
  check "resume: $1, from the beginning = at once" "" same_steps long zero
  refuses "resume: $1, --stop-after a step that is done" 2 'has already done 20' "$p" train --out zero --resume --stop-after 20
  run "$p" train ../text.txt --out done $o --steps 5 --json
  mv out first.json
  cp -r done before
  must "resume: $1, a finished run" 0 "$p" train --out done --resume --json --quiet
  check "resume: $1, a finished run, its files stay" "" diff -r before done
  check "resume: $1, a finished run, the best loss" "$(cat out) $(cat first.json)" \
    [ "$(field out best_val_loss)" = "$(field first.json best_val_loss)" ]
}
test_resume() { each_program resume; }

# Runs until step $4 at least, is sent signal $5, goes on for 7 steps; must equal a run that was never disturbed.
disturbed() {
  name=$1 p=$2 o=$3 least=$4 signal=$5
  "$p" train ../text.txt --out run $o --steps 1000000 --save-every 40 --eval-every 100 --eval-batches 2 >said 2>&1 &
  child=$!
  wait_until has_steps run "$least" || fail "$name" "no steps after 20 s"
  [ "$signal" = KILL ] && wait_until test -e run/checkpoint.safetensors
  kill -$signal $child
  wait $child 2>/dev/null
  code=$?
  child=
  done=$(steps_of run)
  if [ $signal = KILL ]; then
    check "$name, what is there is whole" "exit code $code, '$done' steps" [ "${done:-0}" -ge 40 ]
    printf '{"type":"step","step":12345678,"lo' >>run/log.jsonl
  else
    check "$name, exit code 130" "exit code $code" [ $code = 130 ]
    check "$name, one sentence says how to go on" "$(tail -n 1 said)" \
      grep -q "^Stopped after step $done and saved; go on with: gradus train --out run --resume\$" said
    check "$name, log and weights agree" "$(logged_steps run) in the log, $done saved" steps_once run "${done:-0}"
  fi
  last=$((${done:-0} + 7))
  run "$p" train --out run --resume --stop-after $last --quiet
  "$p" train ../text.txt --out calm $o --steps 1000000 --save-every 40 --eval-every 100 --eval-batches 2 --stop-after $last --quiet
  check "$name, then 7 steps: weights" "" same_weights run calm
  check "$name, then 7 steps: log" "" same_logs run calm
  check "$name, every step once and no half line" "" steps_once run $last
}
signals() {
  case $1 in
  'transformer f32') disturbed "signals: $1, SIGINT" "$2" "$3" 130 INT ;;
  'lstm f64') disturbed "signals: $1, SIGINT" "$2" "$3" 57 INT ;;
  *) disturbed "signals: $1, SIGTERM" "$2" "$3" 81 TERM ;;
  esac
}
# For the end of $child, which is killed after ten seconds; its exit code in $code.
wait_at_most_ten() {
  (sleep 10; kill -9 $child 2>/dev/null) >/dev/null 2>&1 &
  watch=$!
  wait $child 2>/dev/null
  code=$?
  child=
  kill $watch 2>/dev/null
}
# Ctrl-C in an evaluation that would take hours: it ends at once. One that takes a second is done again, whole, when the
# run goes on.
interrupted_evaluation() {
  "$f32" train text.txt --out asked $(tiny transformer) --eval-every 1 --eval-batches 1000000 --quiet &
  child=$!
  wait_until has_steps asked 1
  sleep 0.2
  kill -INT $child
  wait_at_most_ten
  check "signals: SIGINT in an evaluation, exit code 130" "exit code $code" [ $code = 130 ]
  check "signals: SIGINT in an evaluation, the step is saved" "" steps_once asked "$(steps_of asked)"
  check "signals: SIGINT in an evaluation, which is thrown away" "" not grep -q '"type":"eval"' asked/log.jsonl
  rm -rf asked
  o="$(tiny lstm) --eval-every 1 --eval-batches 2000 --quiet"
  "$f32" train text.txt --out asked $o &
  child=$!
  wait_until has_steps asked 1
  kill -INT $child
  wait $child
  child=
  last=$(($(steps_of asked) + 1))
  must "signals: after an interrupted evaluation, go on" 130 "$f32" train --out asked --resume --stop-after $last --quiet
  must "signals: never interrupted" 130 "$f32" train text.txt --out calm $o --stop-after $last
  check "signals: after an interrupted evaluation, the same weights and best loss" "" same_weights asked calm
  check "signals: after an interrupted evaluation, the same log" "" same_logs asked calm
  rm -rf asked calm
}
test_signals() {
  each_program signals
  interrupted_evaluation
  # Twice: a step of fine-tuning waits for its reward.
  "$f32" train text.txt --out prior $(tiny lstm) --steps 0 --quiet
  "$f32" tune prior --out twice --reward 'command:read line; : >waiting; exec sleep 20' --exact never --quiet 2>said &
  child=$!
  wait_until test -e waiting
  kill -INT $child
  sleep 0.2
  check "signals: SIGINT once waits for the step" "" kill -INT $child
  wait_at_most_ten
  check "signals: SIGINT twice ends at once with 130" "exit code $code" [ $code = 130 ]
  check "signals: SIGINT twice leaves whole lines" "" json_lines twice/log.jsonl
  rm -rf prior twice waiting
}

kill9() {
  case $1 in *f32) disturbed "kill: $1, -9" "$2" "$3" 97 KILL ;; esac
}
test_kill() {
  each_program kill9
  "$f32" train text.txt --out run $(tiny lstm) --steps 1000000 --eval-every 0 --save-every 20 --quiet &
  child=$!
  wait_until test -e run/checkpoint.safetensors
  refuses "kill: a second process in the same run is refused and told by whom" 2 "process $child " \
    "$f32" train --out run --resume --quiet
  kill -9 $child
  wait $child 2>/dev/null
  child=
  must "kill: the lock dies with its process" 130 "$f32" train --out run --resume --quiet --stop-after $(($(steps_of run) + 1))
  rm -rf run
}

# ------------------------------------------------------------------------------------------ JSON, log, quiet

json() {
  p=$2 n=-?[0-9]+'(\.[0-9]+)?(e[-+]?[0-9]+)?'
  must "json: $1, train" 0 "$p" train ../text.txt --out r $3 --steps 6 --eval-every 2 --eval-batches 2 --json
  check "json: $1, one line" "$(wc -l <out) lines" [ "$(wc -l <out)" -eq 1 ]
  check "json: $1, one object" "" json_lines out
  wanted='steps train_loss val_loss best_val_loss parameters tokens_per_second seconds'
  check "json: $1, its fields" "$(fields out)" [ "$(fields out)" = "$wanted" ]
  check "json: $1, progress goes to stderr" "stderr: $(cat err)" grep -q '^step 4/6 ' err
  for f in $wanted; do
    check "json: $1, $f is a number" "$(field out $f)" expr "$(field out $f)" : '-\{0,1\}[0-9][0-9.e+-]*$'
  done
  check "json: $1, losses are those of the log's last line" "$(tail -n 1 r/log.jsonl)" grep -qF \
    "{\"type\":\"eval\",\"step\":6,\"train_loss\":$(field out train_loss),\"val_loss\":$(field out val_loss)}" r/log.jsonl
  head -n 1 r/log.jsonl >first
  check "json: $1, log begins with the run" "$(cat first)" grep -q '^{"type":"run",.*"config":{"model":' first
  check "json: $1, the run's parameters" "" [ "$(field first parameters)" = "$(field out parameters)" ]
  check "json: $1, steps 1 to 6 once each" "" steps_once r 6
  sed 1d r/log.jsonl | grep -vE "^\{\"type\":\"step\",\"step\":[1-6],\"loss\":$n,\"lr\":$n,\"grad_norm\":$n,\"tokens_per_second\":$n\}\$" |
    grep -vE "^\{\"type\":\"eval\",\"step\":[246],\"train_loss\":$n,\"val_loss\":$n\}\$" |
    grep -vE '^\{"type":"sample","step":[0246],"text":"([^"\\]|\\.)*"\}$' >strange
  check "json: $1, samples at 0 and at every evaluation" "" [ "$(grep -c '"type":"sample"' r/log.jsonl)" = 4 ]
  check "json: $1, fields of steps, evaluations and samples" "$(head -n 1 strange)" not test -s strange
  check "json: $1, evaluations after 2, 4 and at the end" "" [ "$(grep -c '"type":"eval"' r/log.jsonl)" = 3 ]

  must "json: $1, sample" 0 "$p" sample r --json --tokens 7 --count 3
  check "json: $1, sample's object" "" json_lines out
  check "json: $1, sample's fields" "$(cat out)" grep -qE \
    '^\{"samples":\[(\{"text":"([^"\\]|\\.)+","tokens":\[[0-9]+(,[0-9]+){6}\],"log_probs":\[-[0-9.e-]+(,-[0-9.e-]+){6}\],"ended":false\},?){3}\]\}$' out
  check "json: $1, sample is silent on stderr" "$(cat err)" not test -s err

  must "json: $1, inspect" 0 "$p" inspect r --json
  check "json: $1, inspect's object" "" json_lines out
  check "json: $1, inspect's tensors" "$(cut -c1-200 out)" grep -qE \
    '^\{"tensors":\[(\{"name":"[^"]+","dtype":"F(32|64)","shape":\[[0-9,]+\],"norm":[0-9.e+-]+\},?)+\],"metadata":\{.*\}\}$' out
  for key in format version config vocab step hash; do
    check "json: $1, metadata $key" "" grep -q "\"$key\":\"" out
  done

  must "json: $1, without validation" 0 "$p" train ../text.txt --out v $3 --steps 2 --val-fraction 0 --eval-every 1 --json --quiet
  check "json: $1, then val_loss is null" "$(cat out)" grep -q '"val_loss":null,"best_val_loss":null' out
  check "json: $1, in the log too" "" [ "$(grep -c '"val_loss":null}$' v/log.jsonl)" = 2 ]
  check "json: $1, --quiet --json is silent on stderr" "$(cat err)" not test -s err
}
test_json() {
  each_program json
  must "json: --quiet" 0 "$f32" train text.txt --out q $(tiny transformer) --steps 4 --eval-every 2 --quiet
  check "json: --quiet prints nothing" "$(cat out err)" not test -s out -o -s err
  must "json: for a person" 0 "$f32" train text.txt --out q2 $(tiny transformer) --steps 4 --eval-every 2
  check "json: for a person progress is on stdout, in plain lines" "$(cat err)" [ -s out -a ! -s err ]
  check "json: no escape sequences in a pipe" "" not grep -q "$(printf '[\033\r]')" out
  must "json: --steps 0" 0 "$f32" train text.txt --out zero $(tiny transformer) --steps 0 --json --quiet
  check "json: --steps 0 writes the initial weights" "$(cat out)" [ "$(field out steps)$(steps_of zero)" = 00 ]
  must "json: --help" 0 "$f32" train --help
  check "json: --help lists every option of the contract" "$(grep -c -- -- out) lines" sh -c 'for o in model tokenizer layers heads \
    embd hidden context dropout no-bias batch steps lr min-lr warmup decay-steps beta1 beta2 weight-decay clip val-fraction \
    eval-every eval-batches save-every shards ops stop-after resume out seed threads json quiet; do
    grep -q -- "--$o[ ,]" out || { echo "--$o is missing"; exit 1; }; done'
  rm -rf q q2 zero
}

# ------------------------------------------------------------------------------------------ sample

sample() {
  p=$2
  "$p" train ../text.txt --out r $3 --steps 40 --lr 1e-2 --warmup 0 --quiet
  must "sample: $1" 0 "$p" sample r --tokens 60 --seed 5
  mv out once
  run "$p" sample r --tokens 60 --seed 5 --threads 1
  check "sample: $1, same seed, same text" "" cmp once out
  check "sample: $1, tokens asked for are tokens written" "$(wc -m <out)" [ "$(wc -m <out)" -eq 61 ]
  run "$p" sample r --tokens 60 --seed 6
  check "sample: $1, another seed, another text" "" not cmp -s once out
  run "$p" sample r --tokens 20 --temperature 0 --seed 5 --json
  mv out greedy
  run "$p" sample r --tokens 20 --temperature 0 --seed 99 --json
  check "sample: $1, --temperature 0 does not depend on the seed" "" cmp greedy out
  check "sample: $1, and is certain" "$(cut -c1-200 out)" grep -qE '"log_probs":\[0\.0(,0\.0){19}\]' out
  run "$p" sample r --tokens 20 --top-k 1 --seed 5 --json
  check "sample: $1, and is the most probable token" "$(cut -c1-200 out)" \
    [ "$(sed 's/,"log_probs".*//' out)" = "$(sed 's/,"log_probs".*//' greedy)" ]
  run "$p" sample r --tokens 12 --count 3 --json
  sed 's/"text"/\n"text"/g' out | grep '"text"' | sed 's/,"tokens".*//' | sort -u >texts
  check "sample: $1, --count 3 gives three texts" "$(cat texts)" [ "$(wc -l <texts)" -eq 3 ]
  run "$p" sample r --tokens 12 --count 1 --json
  check "sample: $1, the first does not depend on --count" "" grep -qF "$(field out text)" texts
  run "$p" sample r --prompt 'The miller' --tokens 5
  check "sample: $1, the text begins with the prompt" "$(cat out)" grep -q '^The miller' out
  must "sample: $1, a prompt longer than the context" 0 "$p" sample r --tokens 3 --prompt "$(head -c 50 ../text.txt)"
  refuses "sample: $1, unknown character" 4 "'é' (U+00E9)" "$p" sample r --prompt 'The é'
  (timeout 20 "$p" sample r --tokens 2000000 2>err; echo $? >status) | head -c 5 >out
  check "sample: $1, a closed pipe ends it quietly" "status $(cat status): $(cat err)" [ ! -s err -a "$(wc -c <out)" -eq 5 -a "$(cat status)" = 141 ]
}
test_sample() {
  each_program sample
  for i in 1 2 3 4 5 6; do echo 床前明月光，疑是地上霜。举头望明月，低头思故乡。; done >poem.txt
  must "sample: Chinese, train" 0 "$f32" train poem.txt --out poem $(tiny transformer) --steps 150 --lr 1e-2 --warmup 10 --json --quiet
  must "sample: Chinese, prompt" 0 "$f32" sample poem --prompt 床前明月 --tokens 20 --temperature 0
  check "sample: Chinese, learnt by heart" "$(cat out)" grep -q '^床前明月光，疑是地上霜' out
  refuses "sample: Chinese, a character it never saw" 4 "'李' (U+674E)" "$f32" sample poem --prompt 床李
  refuses "sample: empty prompt" 2 --prompt "$f32" sample poem --prompt ''
  refuses "sample: no run" 4 nothing-here "$f32" sample nothing-here
  refuses "sample: --temperature -1" 2 'from 0' "$f32" sample poem --temperature -1
  must "sample: a tiny temperature is that of the most probable" 0 "$f32" sample poem --temperature 1e-310 --tokens 20
  mv out cold
  must "sample: the most probable" 0 "$f32" sample poem --temperature 0 --tokens 20
  check "sample: both are the same" "" cmp cold out
  refuses "sample: --temperature nan" 2 'from 0' "$f32" sample poem --temperature nan
  refuses "sample: --top-p 0" 2 'from 1e-09 to 1' "$f32" sample poem --top-p 0
  refuses "sample: --count 0" 2 'from 1' "$f32" sample poem --count 0
  rm -rf poem
}

# ------------------------------------------------------------------------------------------ bad input

test_input() {
  : >empty
  printf a >one
  printf 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa' >ones
  printf 'abcdefghijklmnopq' >exact
  printf 'abcdefghijklmnop' >short
  printf 'ab\ncd\351fghijklmnopqrstuvwxyz' >latin
  printf 'abc\000defghijklmnopqrstuvwxyz' >nul
  printf 'abcdefghijklmnopqrstuvwxyz\n\342\202' >cut-short
  printf '\303\050abcdefghijklmnopqrstuvwxyz' >broken
  printf '\355\240\200abcdefghijklmnopqrstuvwxyz' >surrogate
  printf '\300\257abcdefghijklmnopqrstuvwxyz' >overlong
  printf '\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n' >newlines
  printf 'ab\r\ncd\r\nab\r\ncd\r\nab\r\ncd\r\n' >crlf
  mkdir folder
  o="--out new --steps 2 --quiet $(tiny transformer)"
  refuses "input: empty file" 4 empty "$f32" train empty $o
  refuses "input: missing file" 4 'No such file' "$f32" train nothing-here $o
  refuses "input: a folder" 4 folder "$f32" train folder $o
  refuses "input: one character" 4 'at least 2' "$f32" train one $o
  refuses "input: shorter than the context names the remedy" 4 '--context 15' "$f32" train short $o
  refuses "input: Latin-1, line, column and byte" 4 'line 2, column 3 (byte offset 5) is the byte 0xE9' "$f32" train latin $o
  refuses "input: Latin-1, the remedy" 4 'iconv -f ISO-8859-1' "$f32" train latin $o
  refuses "input: NUL byte" 4 'line 1, column 4 (byte offset 3) is the byte 0x00' "$f32" train nul $o
  refuses "input: cut in a character" 4 'line 2, column 1' "$f32" train cut-short $o
  refuses "input: continuation missing" 4 'byte 0xC3' "$f32" train broken $o
  refuses "input: surrogate" 4 surrogate "$f32" train surrogate $o
  refuses "input: overlong form" 4 'byte 0xC0' "$f32" train overlong $o
  name=$(printf 'b\351.txt')
  cp text.txt "$name"
  refuses "input: a name that is not UTF-8" 4 'must be UTF-8 itself' "$f32" train "$name" $o
  rm "$name"
  refuses "input: the second of two files" 4 latin "$f32" train text.txt latin $o
  for model in transformer lstm; do
    for f in exact ones newlines crlf; do
      rm -rf new
      must "input: $model, $f trains" 0 "$f32" train $f --out new --steps 3 --json --quiet $(tiny $model)
    done
    rm -rf new
    run "$f32" train exact --out new --steps 3 --json --quiet $(tiny $model)
    check "input: $model, context + 1 characters, val_loss null" "$(cat out)" grep -q '"val_loss":null' out
    run "$f32" train ones --out new1 --steps 3 --json --quiet --val-fraction 0 $(tiny $model)
    check "input: $model, one distinct character, loss 0" "$(cat out)" grep -qE '"train_loss":-?0\.0,' out
    rm -rf new new1
  done
  must "input: two files" 0 "$f32" train exact ones --out two --steps 2 --json --quiet $(tiny lstm)
  rm -rf two folder
}

# Option values, one line each: the words given, what the message must contain.
test_options() {
  o="--out new --quiet --steps 2"
  while IFS='|' read -r given word; do
    [ -n "$given" ] || continue
    refuses "options: $given" 2 "$word" "$f32" train text.txt --out new --quiet $given
  done <<TABLE
--lr nan|--lr nan: must be a number from 0 to 1000
--lr -nan|from 0 to 1000
--lr inf|from 0 to 1000
--lr -1|from 0 to 1000
--lr 1e999|from 0 to 1000
--lr abc|from 0 to 1000
--lr 1,5|from 0 to 1000
--steps 1e18|must be a whole number from 0
--steps 10x|must be a whole number from 0
--steps 2.5|must be a whole number from 0
--steps -1|must be a whole number from 0
--steps 99999999999999999999|must be a whole number from 0
--hidden 100000000 --model lstm|must be a whole number from 1 to 1048576
--embd 1000000 --layers 1000|parameters
--hidden 1000000 --model lstm|parameters
--context 2147483647|must be a whole number from 1 to 1048576
--batch 1048576 --context 1024|GB, this machine has
--batch 0|must be a whole number from 1
--threads -1|must be a whole number from 0 to 1024
--threads 100000|must be a whole number from 0 to 1024
--seed -1|must be a whole number from 0
--shards 1000|must be a whole number from 0 to 256
--dropout 1|must be a number from 0 to 0.99
--dropout nan|must be a number from 0 to 0.99
--beta1 1|must be a number from 0
--val-fraction 1|must be a number from 0
--clip inf|must be a number from 0
--stop-after 0|must be a whole number from 1
--heads 3 --embd 16|--heads 3
--min-lr 1|--min-lr 1 is above --lr
--model foo|must be one of transformer
--tokenizer foo|must be one of char
--ops foo|must be one of fused | composed
--stpes 5|--stpes
--steps 3 --steps 4|--steps is given more than once
--layers|--layers wants a value
TABLE
  refuses "options: no command" 2 'train | tune | sample' "$f32"
  refuses "options: unknown command" 2 'trian is not a command' "$f32" trian text.txt --out new
  refuses "options: train without --out" 2 --out "$f32" train text.txt
  refuses "options: train with an empty --out" 2 --out "$f32" train text.txt --out ''
  refuses "options: train without a text" 2 FILE "$f32" train --out new
  refuses "options: sample without a run" 2 RUN "$f32" sample
  refuses "options: one file too many" 2 other "$f32" inspect run other
  for pair in 'transformer --hidden 5' 'lstm --heads 2'; do
    set -- $pair
    must "options: $2 with $1 is accepted" 0 "$f32" train text.txt --out foreign $(tiny "$1" | sed 's/--heads 2//') $2 $3 --steps 1 --json
    check "options: and named in one note" "$(cat err)" [ "$(grep -cF "note: $2 has no meaning for --model $1" err)" = 1 ]
    rm -rf foreign
  done
}

# An existing run: both ways on, and what --resume refuses.
test_existing() {
  "$f32" train text.txt --out run $(tiny lstm) --steps 5 --quiet
  cp -r run before
  refuses "existing: without --resume" 2 --resume "$f32" train text.txt --out run --quiet
  check "existing: the other way on is named too" "$(cat err)" grep -q 'another --out' err
  refuses "existing: --resume where there is no run" 4 'no checkpoint' "$f32" train text.txt --out new --resume --quiet
  printf 'something else altogether, and long enough' >other.txt
  refuses "existing: another corpus" 4 'other.txt' "$f32" train other.txt --out run --resume --quiet
  refuses "existing: --steps below what is done" 2 'already done 5' "$f32" train --out run --resume --steps 4 --quiet
  refuses "existing: --lr with --resume" 2 '--lr cannot be given' "$f32" train --out run --resume --lr 1 --quiet
  mv text.txt away.txt
  refuses "existing: the corpus is gone" 4 text.txt "$f32" train --out run --resume --quiet --steps 9
  printf 'changed since then, and long enough to be read' >text.txt
  refuses "existing: the corpus has changed" 4 'is not the text' "$f32" train --out run --resume --quiet --steps 9
  mv away.txt text.txt
  check "existing: none of these changed the run" "" diff -r run before
  must "existing: --resume of what is done" 0 "$f32" train --out run --resume --quiet
  check "existing: it changes no weights" "" same_weights run before
  rm -rf run before
}

# Writes the header length, 8 bytes little-endian, then the header and zeros.
safetensors_of() {  # HEADER ZEROS
  printf "\\$(printf %o $((${#1} % 256)))\\$(printf %o $((${#1} / 256)))\\000\\000\\000\\000\\000\\000%s" "$1"
  head -c "$2" /dev/zero
}
flip() {  # FILE OFFSET: one bit
  byte=$(od -An -tu1 -j "$2" -N 1 "$1" | tr -d ' ')
  printf "\\$(printf %o $((byte ^ 4)))" | dd of="$1" bs=1 seek="$2" conv=notrunc 2>/dev/null
}
test_checkpoints() {
  for model in transformer lstm; do
    "$f32" train text.txt --out good $(tiny $model) --steps 3 --quiet
    size=$(wc -c <good/checkpoint.safetensors)
    header=$(($(od -An -tu2 -N 2 good/checkpoint.safetensors)))
    for length in 0 7 8 100 $((header + 8)) $((size / 2)) $((size - 1)); do
      mkdir cut
      cp good/log.jsonl cut
      head -c $length good/checkpoint.safetensors >cut/checkpoint.safetensors
      cp -r cut before
      refuses "checkpoints: $model, cut to $length of $size bytes, sample" 4 cut/checkpoint "$f32" sample cut
      refuses "checkpoints: $model, cut to $length of $size bytes, resume" 4 cut/checkpoint "$f32" train --out cut --resume --quiet
      check "checkpoints: $model, cut to $length of $size bytes, left alone" "" diff -r cut before
      rm -rf cut before
    done
    for offset in 3 20 $((header / 2)) $((header + 20)) $((size / 2)) $((size - 2)); do
      cp good/checkpoint.safetensors flipped
      flip flipped $offset
      refuses "checkpoints: $model, bit flipped in byte $offset of $size" 4 flipped "$f32" sample flipped
    done
    cp good/checkpoint.safetensors longer
    printf x >>longer
    refuses "checkpoints: $model, a byte too many" 4 longer "$f32" inspect longer
    rm -rf good
  done
  safetensors_of '{"wte.weight":{"dtype":"F32","shape":[4,2],"data_offsets":[0,32]},"h.0.attn.c_attn.bias":{"dtype":"F32","shape":[6],"data_offsets":[32,56]}}' 56 >gpt2.safetensors
  must "checkpoints: another program's file, inspect" 0 "$f32" inspect gpt2.safetensors --json
  check "checkpoints: another program's file, its tensors" "$(cat out)" grep -q '"name":"wte.weight","dtype":"F32","shape":\[4,2\],"norm":0.0' out
  refuses "checkpoints: another program's file, sample" 4 'not a gradus checkpoint' "$f32" sample gpt2.safetensors
  refuses "checkpoints: a text" 4 text.txt "$f32" inspect text.txt
  refuses "checkpoints: a program" 4 gradus "$f32" inspect "$f32"
  tail -c +5001 "$f32" | head -c 5000 >noise
  refuses "checkpoints: noise" 4 noise "$f32" sample noise
  mkdir empty-folder
  refuses "checkpoints: an empty folder" 4 empty-folder "$f32" sample empty-folder
  rm -rf empty-folder
}

# ------------------------------------------------------------------------------------------ writing, divergence, machines

test_write() {
  o="--steps 2 --quiet $(tiny lstm)"
  refuses "write: below a regular file" 3 text.txt/run "$f32" train text.txt --out text.txt/run $o
  refuses "write: /dev/full" 3 /dev/full "$f32" train text.txt --out /dev/full $o
  must "write: a folder in a folder that is not there yet" 0 "$f32" train text.txt --out deep/er/run $o
  timeout 20 "$f32" sample deep/er/run --json >/dev/full 2>err
  code=$?
  check "write: stdout is full, exit code" "$code" [ $code = 3 ]
  check "write: stdout is full, one sentence" "$(cat err)" [ "$(grep -c '^gradus: standard output' err)-$(wc -l <err | tr -d ' ')" = 1-1 ]
  mkdir locked && chmod 555 locked
  if touch locked/x 2>/dev/null; then skip "write: a folder without permission" "root writes everywhere"
  else refuses "write: a folder without permission" 3 locked "$f32" train text.txt --out locked/run $o; fi
  chmod 755 locked
  (ulimit -v 1500000 && OPENBLAS_NUM_THREADS=1 timeout 60 "$f32" train text.txt --out big --threads 1 --steps 2 --quiet \
    --embd 16 --heads 2 --layers 1 --context 16 --shards 1 --batch 100000) >out 2>err
  code=$?
  check "write: out of memory is a sentence" "exit code $code, $(cat err)" [ "$code-$(grep -c '^gradus: out of memory' err)" = 1-1 ]
  rm -rf deep locked big
}

diverge() {
  p=$2
  refuses "diverge: $1, exit code 5" 5 'keeps the last good state' "$p" train ../text.txt --out hot $3 --steps 5000 \
    --lr 1000 --min-lr 1000 --warmup 0 --weight-decay 1000 --save-every 1 --eval-every 0 --quiet
  check "diverge: $1, it names the step and the remedy" "$(cat err)" grep -q '^gradus: step [0-9]*: .*try a smaller --lr' err
  must "diverge: $1, the checkpoint can be read" 0 "$p" inspect hot --json
  case $1 in *f32) check "diverge: $1, its numbers are finite" "" not grep -q '"norm":null' out ;; esac
  must "diverge: $1, the run goes on from it, into the same wall" 5 "$p" train --out hot --resume --quiet
  run "$p" train ../text.txt --out hot2 $3 --steps 5000 --lr 1000 --min-lr 1000 --warmup 0 --weight-decay 1000 --save-every 0 --eval-every 0 --quiet
  check "diverge: $1, before the first save it says that nothing was written" "$(cat err)" grep -q 'hot2/checkpoint.safetensors was not written' err
  refuses "diverge: $1, an evaluation on the way" 5 'evaluation is not finite' "$p" train ../text.txt --out hot3 $3 --steps 5000 \
    --lr 1000 --min-lr 1000 --warmup 0 --weight-decay 1000 --save-every 1 --eval-every 1 --quiet
  must "diverge: $1, what it keeps can be read" 0 "$p" sample hot3 --tokens 1
}
test_diverge() { each_program diverge; }

test_precision() {
  for model in transformer lstm; do
    o="$(tiny $model) --steps 10 --dropout 0.1 --json --quiet"
    "$f32" train text.txt --out s $o >s.json
    "$f64" train text.txt --out d $o >d.json
    a=$(field s.json train_loss | cut -c1-5) b=$(field d.json train_loss | cut -c1-5)
    check "precision: $model, both builds reach the same loss" "$a and $b" [ "$a" = "$b" ]
    for run_ in s d; do
      "$f32" sample $run_ --tokens 40 --temperature 0 >a.txt
      "$f64" sample $run_ --tokens 40 --temperature 0 >b.txt
      check "precision: $model, both builds read $run_ and write the same text" "" cmp a.txt b.txt
    done
    "$f64" inspect d --json >out
    check "precision: $model, double checkpoints hold F64" "" not grep -q '"dtype":"F32"' out
    must "precision: $model, float goes on with a double run" 0 "$f32" train --out d --resume --steps 12 --quiet
    "$f32" inspect d --json >out
    check "precision: $model, and writes F32" "" not grep -q '"dtype":"F64"' out
    must "precision: $model, double goes on with a float run" 0 "$f64" train --out s --resume --steps 12 --quiet
    check "precision: $model, steps after that" "" [ "$(steps_of s) $(steps_of d)" = '12 12' ]
    rm -rf s d
  done
}

test_locale() {
  german=$(locale -a 2>/dev/null | grep -i '^de_DE\.utf' | head -n 1)
  if [ -z "$german" ]; then
    skip "locale: decimal commas change nothing" "no de_DE.UTF-8 on this machine"
    return
  fi
  o="--steps 4 --lr 0.002 --dropout 0.1 --quiet $(tiny lstm)"
  "$f32" train text.txt --out a $o
  LC_ALL=$german "$f32" train text.txt --out b $o
  check "locale: decimal commas change no checkpoint" "" same_weights a b
  check "locale: decimal commas change no log" "" same_logs a b
  rm -rf a b
}

groups determinism resume signals kill json sample input options existing checkpoints write diverge precision locale -- "$@"
finish
