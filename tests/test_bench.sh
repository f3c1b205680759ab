#!/bin/sh
# gradus bench: the works and fields of its JSON, figures that agree with each other, and its table. How fast anything is
# decides no check. sh tests/test_bench.sh [GROUP...]; see tests/shell.sh.
cd "$(dirname "$0")/.." || exit 1
. tests/shell.sh

names='gpt-step lstm-step tiny-step rl-gpt-step rl-lstm-step sample-gpt-1 sample-gpt-64 sample-lstm-1 sample-lstm-64 scalar-chain scalar-step'

# One record of a work a line.
works() { sed 's/.*"work":\[//; s/{"name":"\([^"]*\)","threads"/\n&/g' "$1" | grep '"threads"'; }
number_='[0-9.e+-]+'
# agrees FILE: min <= median <= max, all above 0; the parts' milliseconds add up to the median; a share is a rate over the machine's.
agrees() {
  works "$1" | awk '
    function value(name,   rest) { rest = substr($0, index($0, "\"" name "\":") + length(name) + 3); return rest + 0 }
    {
      split(substr($0, index($0, "\"ms\":[") + 6), ms, /[],]/)
      parts = 0
      n = split($0, part, /"ms":/)
      for (i = 3; i <= n; ++i) parts += part[i] + 0
      if (!(ms[1] > 0 && ms[1] + 0 <= ms[2] + 0 && ms[2] + 0 <= ms[3] + 0)) { print "spread: " $0; bad = 1 }
      if (parts < 0.999 * ms[2] || parts > 1.001 * ms[2]) { print "parts " parts ": " $0; bad = 1 }
      if (!(value("per_second") > 0 && value("runs") >= 5)) { print "rate: " $0; bad = 1 }
      if ($0 !~ /"gflops":null/ && !(value("gflops") > 0 && value("fma_share") > 0 && value("sgemm_share") > 0)) { print "share: " $0; bad = 1 }
    }
    END { exit bad }'
}

test_all() {
  timeout 600 "$f32" bench --seconds 0.001 --threads 2 --json >out 2>err
  code=$?  # run() would give it a minute, too little on a busy machine
  check "bench: every work on one thread and on two" "exit code $code; $(tail -n 2 err)" [ $code = 0 ]
  check "bench: one JSON object" "" json_lines out
  check "bench: nothing on stderr" "$(cat err)" not test -s err
  check "bench: speeds of the machine" "$(cut -c1-300 out)" grep -qE \
    "^\{\"fma_gflops\":$number_,\"sgemm_gflops\":$number_,\"threads\":2,\"fma_gflops_threads\":$number_,\"sgemm_gflops_threads\":$number_,\"real\":\"f32\",\"work\":\[\{" out
  for name in $names; do echo "$name 1"; echo "$name 2"; done >wanted
  works out | sed -E 's/^\{"name":"([^"]*)","threads":([0-9]*).*/\1 \2/' >found
  check "bench: works in their order, each on 1 thread and on 2" "$(diff wanted found)" cmp wanted found
  works out | grep -vE "^\{\"name\":\"[a-z0-9-]+\",\"threads\":[12],\"ms\":\[$number_,$number_,$number_\],\"runs\":[0-9]+,\"per_second\":$number_,\"unit\":\"(tokens|nodes)\",\"gflops\":($number_|null),\"fma_share\":($number_|null),\"sgemm_share\":($number_|null),\"ops\":\[\{\"name\":\"[a-z0-9_ ]+\",\"ms\":$number_\}(,\{\"name\":\"[a-z0-9_ ]+\",\"ms\":$number_\})*\]\}" >strange
  check "bench: fields of every work" "$(head -n 1 strange)" not test -s strange
  check "bench: figures agree with each other" "$(agrees out | cut -c1-300)" agrees out
  for op in linear causal_attention softmax_cross_entropy update; do
    check "bench: the Transformer's step names $op" "" sh -c "grep -o '\"name\":\"gpt-step\".*\"name\":\"lstm-step\"' out | grep -q '\"$op\"'"
  done
}

test_some() {
  must "bench: two works by name, in double" 0 "$f64" bench scalar-step --only tiny-step --seconds 0.001 --threads 1 --json
  check "bench: those and no other, on one thread" "$(cat out)" [ "$(works out | cut -d, -f1,2 | tr -d '\n')" = '{"name":"tiny-step","threads":1{"name":"scalar-step","threads":1' ]
  refuses "bench: an unknown work" 2 "$(echo "$names" | sed 's/ / | /g')" "$f32" bench gpt-stop
  refuses "bench: no time" 2 'from 0.001' "$f32" bench --seconds 0
  must "bench: a table" 0 "$f32" bench tiny-step scalar-chain --seconds 0.001 --threads 2
  check "bench: a table of at most 80 columns" "$(cat out)" [ "$(wc -L <out)" -le 80 ]
  check "bench: a row for each work and number of threads" "$(cat out)" [ "$(grep -cE '^(tiny-step|scalar-chain) +[12] ' out)" = 4 ]
  (timeout -k 5 -s INT 2 "$f32" bench gpt-step --seconds 600 --quiet >out 2>err; echo $? >status)
  check "bench: an interrupt ends it at once" "exit code $(cat status), 137 where it had to be killed" [ "$(cat status)" = 124 ]
}

groups all some -- "$@"
finish
