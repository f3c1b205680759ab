#!/bin/sh
# gradus step: its keys in a terminal, its page in a browser; the pages of gradus train --trace and tune --trace. See tests/shell.sh.
# The terminal is made by `script`, the browser is driven by node (tests/step_page.js). What is missing is skipped by name.
# SCREENSHOTS=FOLDER: pictures for a person go there.
cd "$(dirname "$0")/.." || exit 1
. tests/shell.sh
chromium=${CHROMIUM:-$(command -v chromium || command -v chromium-browser || command -v google-chrome)}
screenshots=${SCREENSHOTS:-}
examples='scalar neuron lstm attention kl elbo reinforce ppo'

# typed NAME KEYS COMMAND: `screen` is what a terminal showed.
typed() {
  { sleep "${wait_:-0}" && printf "$2"; } | timeout 20 script -qec "$3" /dev/null >screen 2>&1
}
test_keys() {
  if ! command -v script >/dev/null; then skip keys 'script (util-linux) is not installed'; return; fi
  seen() { check "keys: $1" "$(tail -c 300 screen)" grep -qF -e "$2" screen; }
  typed next 'nnq' "$f64 step scalar"
  seen 'it begins with the pass' 'Backward begins. The loss is 3.6.'
  seen 'n runs one op' 'backward 1/5, op 4: loss = add(0.1 d², a)'
  seen 'n again' 'backward 2/5'
  check 'keys: q ends before the third' "" not grep -q 'backward 3/5' screen
  typed back 'nnpq' "$f64 step scalar"
  check 'keys: p shows the step before again' "" [ "$(grep -c 'backward 1/5' screen)" = 2 ]
  typed arrows '\033[C\033[C\033[Dq' "$f64 step scalar"
  check 'keys: arrows do the same' "" [ "$(grep -c 'backward 1/5' screen)" = 2 ]
  typed forward 'fq' "$f64 step scalar"
  seen 'f goes to the forward part' 'forward 1/5, op 0: ab = mul(a, b)'
  typed go 'g1\nq' "$f64 step scalar"
  seen 'g goes to an op' 'backward 4/5, op 1: d = add(ab, c)'
  typed nowhere 'g77\nq' "$f64 step scalar"
  seen 'g says which ops there are' 'There is no op 77; they are 0 to 4.'
  typed jump 'jd\nq' "$f64 step scalar"
  seen 'j jumps to a name' 'backward 3/5, op 2: d² = mul(d, d)'
  typed worked 'jd\nwfwq' "$f64 step scalar"
  seen 'w puts the numbers in' '∂d: ∂y v = 0.1·4 = 0.4'
  seen 'w does in the forward part too' 'ab: u v = 2·(-3) = -6'
  typed verify 'jd\nvq' "$f64 step scalar"
  seen 'v verifies' '∂d is complete. It matches finite differences of the loss'
  typed ends 'eq' "$f64 step scalar"
  seen 'e shows the end' '∂a [] '
  typed end 'nnnnnnq' "$f64 step scalar"
  seen 'the last step shows the gradients' 'That was the last step.'
  wait_=2  # Ctrl-C before the program has the terminal would end the shell around it
  for how in 'q' '\003' '\004'; do
    typed restored "$how" "sh -c 'trap : INT; $f64 step scalar; stty -a'"
    [ "$how" != '\004' ] || typed restored 'q' "sh -c '(sleep 1; kill -TERM \$\$) & exec $f64 step scalar'; stty -a"
    check "keys: the terminal is as before, after $how" "$(tail -c 300 screen)" grep -q ' icanon.* echo ' screen
  done
  wait_=0
}

# Pages with a larger number of bytes than this are too slow to open.
most_bytes=1500000
in_browser() {  # GROUP PAGE TRACE
  if [ -z "$chromium" ] || ! command -v node >/dev/null; then skip "$1, in a browser" 'chromium or node is not installed'; return; fi
  timeout 300 node "$root/tests/step_page.js" "$chromium" "$2" "$3" $screenshots >shown 2>&1
  ended=$?
  [ $ended = 0 ] || grep -q '^FAIL ' shown || echo "FAIL page: , ended with exit code $ended: $(tail -n 3 shown | tr '\n' ' ')" >>shown
  ! grep -q '^FAIL ' shown || failed=1
  sed "s/^\(ok\|FAIL\) page: [^,]*/\1 $1/" shown | grep -E '^(ok|FAIL|#) ' || fail "$1, in a browser" "$(tail -n 3 shown)"
}
test_page() {
  for example in $examples; do
    must "page: $example" 0 "$f64" step $example --html $example.html --json
    cp out $example.json
    check "page: $example, under 400 kB" "$(wc -c <$example.html)" test "$(wc -c <$example.html)" -lt 400000
    check "page: $example, no address in it" "" not sh -c \
      "sed 's|http://www.w3.org/2000/svg||g' $example.html | grep -iE 'https?:|src=|href=|url\(|@import|fetch\(|XMLHttp|import\('"
    valid_html "page: $example, valid HTML" $example.html
    in_browser "page: $example" $example.html $example.json
  done
}

test_script() {
  if ! command -v node >/dev/null; then skip script 'node is not installed'; return; fi
  for script in engine/step/page.js tests/step_page.js; do
    must "script: node can read $script" 0 node --check "$root/$script"
  done
  echo 'const a = ;' >wrong.js
  must 'script: and refuses one that is wrong' 1 node --check wrong.js
}

# The check of HTML itself: pages that are broken fail.
test_validator() {
  "$f64" step kl --html whole.html >made
  valid_html 'validator: a whole page passes' whole.html
  n=0
  for break_ in 's|</h1>||' 's|<main>|<mian>|' 's|id="next"|id="back"|' 's|</button>||' \
    's|<title>.*</title>||' 's|<span id="count"></span>|<li></span>|'; do
    n=$((n + 1))
    sed "$break_" whole.html >broken.html
    cmp -s whole.html broken.html && fail "validator: break $n" 'it changes nothing'
    (valid_html "validator: $break_" broken.html) >verdict
    case $(cat verdict) in
    FAIL*) ok "validator: broken page $n fails" ;;
    SKIP*) cat verdict ;;
    *) fail "validator: broken page $n" "$break_ is not seen" ;;
    esac
  done
}

# The page of a training step: its loss is that of the log, and training goes on as without it.
traced() {  # NAME OPTIONS
  name=$1
  shift
  must "trace: $name" 0 "$f64" train few.txt --out traced "$@" --steps 4 --eval-every 0 --quiet --trace 3 step.html
  must "trace: $name, without" 0 "$f64" train few.txt --out plain "$@" --steps 4 --eval-every 0 --quiet
  check "trace: $name, training is not disturbed" "" same_weights traced plain
  sed -n 's|.*<script type="application/json" id="trace">\(.*\)</script>.*|\1|p' step.html >step.json
  loss=$(sed -nE 's/.*"step":3,"loss":([^,]*),.*/\1/p' traced/log.jsonl)
  check "trace: $name, the loss of the log" "$loss" grep -qF "\"loss\":$loss,\"values\"" step.json
  valid_html "trace: $name, valid HTML" step.html
  check "trace: $name, not too large" "$(wc -c <step.html)" test "$(wc -c <step.html)" -lt $most_bytes
  in_browser "trace: $name" step.html step.json
  rm -rf traced plain
}
test_trace() {
  printf 'abab cabba bacab abba cab %.0s' 1 2 3 4 5 6 >few.txt
  for shards in 1 2; do
    traced "transformer of $shards shards" --layers 1 --embd 4 --heads 2 --context 4 --batch 2 --shards $shards --dropout 0.1
  done
  check 'trace: what is seen of attention' '' grep -q '"name":"h.0.attn.sequence.1.head.1.P"' step.json
  traced lstm --model lstm --embd 4 --hidden 3 --context 3 --batch 2 --shards 2 --ops composed
}
# The page of a step of fine-tuning: the run goes on as without it, which tests/program/test_step.cpp sees.
tuned() {  # NAME PRIOR OPTIONS
  name=$1 prior=$2
  shift 2
  must "tune: $name" 0 "$f64" tune $prior --out tuned --reward contains:a --steps 3 --quiet --trace 3 step.html "$@"
  sed -n 's|.*<script type="application/json" id="trace">\(.*\)</script>.*|\1|p' step.html >step.json
  valid_html "tune: $name, valid HTML" step.html
  check "tune: $name, not too large" "$(wc -c <step.html)" test "$(wc -c <step.html)" -lt $most_bytes
  in_browser "tune: $name" step.html step.json
  rm -rf tuned
}
test_tune() {
  printf 'the cat\nthe dog\na cat\na dog\n%.0s' 1 2 3 >few.txt
  must 'tune: a prior' 0 "$f64" train few.txt --out lstm --lines --tokenizer word --model lstm --embd 4 --hidden 4 --steps 20 --quiet
  tuned 'an LSTM by PPO' lstm --algorithm ppo --epochs 2 --max-tokens 3 --batch 3 --lr 0.05
  printf 'anna\nbob\ncarla\ndave\nella\n%.0s' 1 2 3 >few.txt
  must 'tune: a GPT' 0 "$f64" train few.txt --out gpt --lines --layers 1 --heads 4 --embd 16 --context 16 --batch 4 --steps 20 --quiet
  tuned 'a GPT of the size of microgpt' gpt --algorithm grpo --group 2 --max-tokens 8 --batch 2 --lr 0.01
}
# At the size of microgpt: one layer, four heads, width 16, 16 tokens of a vocabulary of letters.
test_large() {
  printf 'the quick brown fox jumps over the lazy dog; pack my box with five dozen liquor jugs. %.0s' 1 2 3 >few.txt
  traced 'of the size of microgpt' --layers 1 --heads 4 --embd 16 --context 16 --batch 1
}

groups keys script validator page trace tune large -- "$@"
finish
