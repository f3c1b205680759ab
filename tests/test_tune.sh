#!/bin/sh
# gradus tune as a person meets it: the truth in its log and JSON, determinism, resume to the byte, what it refuses.
cd "$(dirname "$0")/.." || exit 1
. tests/shell.sh

# A table over four sentences, and a small LSTM and Transformer on lines, all to be tuned.
priors() {
  [ ! -e table ] || return
  for i_ in 1 2 3 4; do echo the cat; done >q.txt
  for i_ in 1 2 3; do echo the dog; done >>q.txt
  printf 'a cat\na cat\na dog\n' >>q.txt
  "$f64" train q.txt --out table --lines --model tabular --tokenizer word --quiet
  "$f64" train q.txt --out bigram --lines --model ngram --order 2 --tokenizer word --quiet
  "$f64" train q.txt --out lstm --lines --model lstm --tokenizer word --embd 8 --hidden 8 --context 8 --steps 60 --lr 0.03 --dropout 0.3 --quiet
  "$f64" train q.txt --out tf --lines --layers 1 --heads 2 --embd 8 --tokenizer word --context 8 --steps 60 --lr 0.03 --quiet
}
value_of() { grep -o "\"$1\":[-0-9.e+]*" "${2:-out}" | tail -n 1 | cut -d: -f2; }  # FIELD [FILE]: its last number
between() { check "$1" "$2 is not between $3 and $4" awk "BEGIN { x = ($2); exit !(x >= ($3) && x <= ($4)) }"; }
without_seconds() { sed -E 's/,"seconds":[-0-9.e+]*//' "$1/log.jsonl"; }
same_log() { without_seconds "$1" >log.a && without_seconds "$2" >log.b && cmp log.a log.b; }
same_weights() { cmp "$1/checkpoint.safetensors" "$2/checkpoint.safetensors"; }

test_truth() {
  priors
  must "truth: a table" 0 "$f64" tune table --out t --reward contains:cat --kl-coef 0.5 --max-tokens 3 --lr 0.1 --steps 120 --json
  check "truth: one JSON object" "" json_lines out
  for f in steps reward kl kl_stderr entropy objective distinct_2 seconds kl_exact objective_exact j_star kl_to_posterior; do
    check "truth: its field $f" "$(cat out)" grep -q "\"$f\":" out
  done
  between "truth: J*" "$(value_of j_star)" 0.787778558825812 0.787778558825814
  between "truth: KL to the posterior" "$(value_of kl_to_posterior)" 0 1e-3
  between "truth: J" "$(value_of objective_exact)" 0.7868 0.787778558825814
  between "truth: KL to the prior" "$(value_of kl_exact)" 0.24 0.28
  first() { sed -n '/"type":"step"/{p;q}' t/log.jsonl; }
  check "truth: at step 1 KL is 0, sampled and exact" "$(first)" eval 'first | grep -q "\"kl\":0.0,\"kl_stderr\":0.0," && first | grep -q "\"kl_exact\":0.0,"'
  check "truth: a record for each step" "" [ "$(grep -c '"type":"step"' t/log.jsonl)" = 120 ]
  check "truth: samples before and after" "$(grep -c sample t/log.jsonl)" [ "$(grep -c '"type":"sample"' t/log.jsonl)" = 2 ]
  check "truth: a report" "" grep -q 'KL(policy, posterior)' t/report.html
  valid_html "truth: the report is valid HTML" t/report.html
  check "truth: bars of policy, prior and posterior" "" grep -q '"type":"posterior".*"bars":\[{"text":"the cat","policy":0.[56][0-9]*,"prior":0.[34][0-9]*,"posterior":0.61' t/log.jsonl
  must "truth: it can be compared" 0 "$f64" exact compare t table --max-tokens 3 --json
  between "truth: exact compare agrees on the KL" "$(value_of kl_ab)" 0.24 0.28
  must "truth: never" 0 "$f64" tune table --out n --reward end --max-tokens 3 --steps 2 --exact never --json
  check "truth: never says none" "$(cat out)" not grep -q j_star out
}

test_resume() {
  priors
  cp lstm/checkpoint.safetensors prior.bytes
  for o in '--baseline value --replay 2 --kl-target 0.2' '--baseline moving --reward-to-go' '--entropy-coef 0.1 --temperature 0.7'; do
    rm -rf whole part other
    o="--reward contains:cat --reward 0.1*length:3 --max-tokens 5 --batch 9 --shards 2 --steps 9 --save-every 4 $o"
    must "resume: $o" 0 "$f64" tune lstm --out whole $o --threads 1 --quiet
    must "resume: stop" 130 "$f64" tune lstm --out part $o --threads 2 --stop-after 5
    check "resume: it says how to go on" "$(tail -n 1 out)" grep -q 'gradus tune --out part --resume$' out
    must "resume: to the end" 0 "$f64" tune --out part --resume --threads 2 --quiet
    check "resume: the same bytes, on any threads: $o" "" same_weights whole part
    check "resume: the same log" "" same_log whole part
    must "resume: another seed" 0 "$f64" tune lstm --out other $o --seed 2 --quiet
    check "resume: is another run" "" not same_weights whole other
  done
  check "resume: the prior's bytes are as they were" "" cmp lstm/checkpoint.safetensors prior.bytes
  rm -rf before
  cp -r part before
  must "resume: a finished run" 0 "$f64" tune --out part --resume --quiet
  check "resume: a finished run, its files stay" "" diff -r before part
  must "resume: raise the steps" 0 "$f64" tune --out part --resume --steps 12 --quiet
  refuses "resume: an option beside it" 2 '--lr cannot be given' "$f64" tune --out part --resume --lr 1
  refuses "resume: fewer steps than done" 2 'already done 12' "$f64" tune --out part --resume --steps 3
  refuses "resume: nothing there" 4 'no checkpoint' "$f64" tune --out new --resume
  refuses "resume: no tuned run" 4 'no fine-tuned run' "$f64" tune --out lstm --resume
  refuses "resume: by train" 2 'gradus tune' "$f64" train --out part --resume
  refuses "resume: another prior" 4 'is not the prior' "$f64" tune tf --out part --resume
  refuses "resume: a run is there" 2 'already holds a run' "$f64" tune lstm --out part --reward end
}

# A run that Ctrl-C stops, at no step that anybody chose; meanwhile nobody else may go on with it.
test_signals() {
  priors
  o='--reward contains:cat --baseline value --max-tokens 5 --batch 9 --shards 2 --steps 1000000 --save-every 5 --exact never'
  "$f64" tune lstm --out caught $o >said 2>&1 &
  child=$!
  wait_until has_steps caught 12 || fail "signals" "no steps after 20 s"
  wait_until test -e caught/checkpoint.safetensors
  cp caught/checkpoint.safetensors whole.bytes
  refuses "signals: a run that goes on is locked" 2 "process $child is training" "$f64" tune --out caught --resume
  kill -INT $child
  wait $child 2>/dev/null
  code=$?
  child=
  done=$(steps_of caught)
  check "signals: SIGINT, exit code 130" "exit code $code" [ $code = 130 ]
  check "signals: one sentence says how to go on" "$(tail -n 1 said)" \
    grep -q "^Stopped after step $done and saved; go on with: gradus tune --out caught --resume\$" said
  check "signals: log and weights agree" "$done saved" steps_once caught "$done"
  must "signals: go on" 130 "$f64" tune --out caught --resume --stop-after $((done + 3)) --quiet
  must "signals: never disturbed" 130 "$f64" tune lstm --out calm $o --stop-after $((done + 3)) --quiet
  check "signals: the same weights" "" same_weights caught calm
  check "signals: the same log" "" same_log caught calm

  # Who holds the lock may be writing: the checkpoint is read by its owner alone.
  "$f64" tune lstm --out locked $o >said 2>&1 &
  child=$!
  wait_until has_steps locked 1
  echo half a file >locked/checkpoint.safetensors
  refuses "signals: the lock comes before the checkpoint is read" 2 "process $child is training" "$f64" tune --out locked --resume
  kill -9 $child
  wait $child 2>/dev/null
  child=
}

# A reward program that ends after 40 texts, while the file `fragile` is there.
test_dying_reward() {
  priors
  cat >reward.sh <<'END'
n=0
while IFS= read -r line; do
  n=$((n + 1))
  [ ! -e fragile ] || [ $n -le 40 ] || exit 7
  echo ${#line}
done
END
  o='--max-tokens 5 --batch 9 --shards 2 --steps 8'
  touch fragile
  rm -rf died
  run "$f64" tune lstm --out died --reward 'command:sh reward.sh' --exact never $o --quiet
  check "dying reward: exit code 4" "exit code $code" [ $code = 4 ]
  check "dying reward: one sentence" "$(cat err)" [ "$(wc -l <err)" = 1 ]
  check "dying reward: it names the program, its end and the way on" "$(cat err)" \
    grep -q "^gradus: .*command:sh reward.sh.*exit status 7.* after 4 of 9 .*saved after step 4, go on with: gradus tune --out died --resume\$" err
  refuses "dying reward: in the enumeration before the first step" 4 'exit status 7' \
    "$f64" tune lstm --out new --reward 'command:sh reward.sh' $o
  rm fragile
  must "dying reward: resumed" 0 "$f64" tune --out died --resume --quiet
  must "dying reward: never dead" 0 "$f64" tune lstm --out lived --reward 'command:sh reward.sh' --exact never $o --quiet
  check "dying reward: the same weights" "" same_weights died lived
  check "dying reward: the same log" "" same_log died lived
}

# The page shows what the log has, and its command makes the same run.
test_report() {
  priors
  must "report: a run" 0 "$f64" tune lstm --out r --reward contains:cat --reward "0.5*count:'" --entropy-coef 0.1 --max-tokens 4 --steps 3 --shards 2 --quiet
  for what in 'Sequences cut at the limit' 'Length, tokens' 'reward - beta KL + alpha entropy' 'Different n-grams'; do
    check "report: $what" "" grep -q "$what" r/report.html
  done
  check "report: no curve of a coefficient that stays" "" not grep -q 'KL coefficient beta' r/report.html
  sed -nE '/gradus tune /{s/.*(gradus tune [^<]*).*/\1/;s/&#39;/'"'"'/g;s/&quot;/"/g;s/&amp;/\&/g;s/&gt;/>/g;s/&lt;/</g;p}' r/report.html | sed "s#^gradus#'$f64'#" >again.sh
  must "report: its command runs" 0 sh again.sh
  check "report: and has no note" "$(cat err)" not grep -q note err
  check "report: and makes the same run" "$(cat again.sh)" same_log r r-again
  must "report: a run with a target" 0 "$f64" tune lstm --out r2 --reward end --kl-target 0.2 --max-tokens 4 --steps 3 --quiet
  check "report: the coefficient that is steered" "" grep -q 'KL coefficient beta' r2/report.html
}

test_refusals() {
  priors
  t="$f64 tune lstm --out new --max-tokens 4 --steps 1"
  refuses "refusals: no reward" 2 'needs a --reward' $t
  refuses "refusals: an unknown reward" 2 'bliss' $t --reward bliss
  refuses "refusals: a reward without a number" 2 'not a finite number' $t --reward x*end
  refuses "refusals: a file that is not there" 4 'nowhere' $t --reward blocklist:nowhere
  refuses "refusals: KL target 0" 2 '--kl-target' $t --reward end --kl-target 0
  refuses "refusals: KL horizon 0" 2 '--kl-horizon' $t --reward end --kl-target 1 --kl-horizon 0
  refuses "refusals: a KL target that one step may overshoot to 0" 2 'must be above 12.8' $t --reward end --kl-target 1 --kl-horizon 12.8
  refuses "refusals: a KL target without a coefficient" 2 '--kl-coef' $t --reward end --kl-target 1 --kl-coef 0
  refuses "refusals: a negative KL coefficient" 2 '--kl-coef' $t --reward end --kl-coef -1
  refuses "refusals: leave-one-out of one" 2 'at least 2' $t --reward end --batch 1
  refuses "refusals: an unknown baseline" 2 'leave-one-out' $t --reward end --baseline best
  refuses "refusals: prompt and prompts" 2 'both' $t --reward end --prompt a --prompts q.txt
  refuses "refusals: a prompt of foreign words" 4 'cow' $t --reward end --prompt cow
  refuses "refusals: an n-gram model" 4 'no parameters' "$f64" tune bigram --out new --reward end
  refuses "refusals: beyond the context" 2 'the context of 8' "$f64" tune tf --out new --reward end --max-tokens 8 --prompt 'the cat'
  refuses "refusals: too large to enumerate always" 4 'too many to enumerate' "$f64" tune lstm --out new --reward end --exact always --max-tokens 30
  refuses "refusals: no run" 4 'nowhere' "$f64" tune nowhere --out new --reward end
  check "refusals: leave no folder behind" "" not test -e new
  must "refusals: an option without meaning" 0 "$f64" tune lstm --out noted --reward end --max-tokens 4 --steps 1 --value-lr 1
  check "refusals: is named in a note" "$(cat err)" grep -q 'note: --value-lr' err
}

test_prompts() {
  priors
  printf 'the\na\n\nthe\n' >prompts.txt
  must "prompts: a file" 0 "$f64" tune tf --out p --reward contains:cat --prompts prompts.txt --max-tokens 3 --steps 3 --batch 12 --json
  check "prompts: empty lines are none" "" grep -q '"prompts":\["the","a","the"\]' p/log.jsonl
  check "prompts: the truth over all of them" "$(cat out)" grep -q j_star out
  must "prompts: relevance sees them" 0 "$f64" tune tf --out relevant --reward relevance --prompt the --max-tokens 3 --steps 1 --quiet
}

groups truth resume signals dying_reward report refusals prompts -- "$@"
finish
