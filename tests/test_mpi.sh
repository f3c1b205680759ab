#!/bin/sh
# Runs on the ranks of an MPI job: sh tests/test_mpi.sh [GROUP...], with GRADUS and GRADUS_F64 programs that were built
# with MPI=1, and ALONE one that was not. A run ./on ranks has the bytes of a run in one process, whatever happens to it.
# KILLS: how often a rank is killed in `kills` (9).
alone=${ALONE:-build/release-f32/gradus}
. tests/shell.sh
alone=$(absolute "$alone")
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1
export OMPI_MCA_btl_base_warn_component_unused=0 OPENBLAS_NUM_THREADS=1

cp "$root/data/fables.txt" text
head -c 20000 text >short
grep -E '^.{8,60}$' text | head -n 300 >lines
# Options of a small model and of a short run of it; they are words, and so not quoted.
model() {  # FAMILY
  if [ "$1" = lstm ]; then echo '--model lstm --hidden 24 --embd 16'; else echo '--layers 1 --heads 2 --embd 16'; fi
  echo '--batch 7 --shards 5 --dropout 0.1 --seed 3 --quiet --eval-batches 2'
}
small() { model "$1"; echo '--context 24 --steps 12 --eval-every 4 --save-every 3'; }
cat >reward <<'END'
#!/bin/sh
echo started >>starts
while read -r line; do echo $((${#line} % 7)); done
END
cat >nested <<END
#!/bin/sh
"$alone" --version >/dev/null 2>nested.err || exit 1
exec ./reward
END
chmod +x reward nested
tuning='--reward command:./reward --batch 9 --shards 5 --steps 6 --max-tokens 12 --save-every 2 --seed 3 --quiet'
# ./on RANKS COMMAND...; 0 ranks: without mpirun.
cat >on <<'END'
#!/bin/sh
ranks=$1
shift
[ "$ranks" != 0 ] || exec "$@"
exec mpirun -n "$ranks" "$@" </dev/null
END
chmod +x on
# prior FAMILY: a trained run to tune, made once.
prior() {
  [ -d "prior-$1" ] || "$f32" train lines --lines --out "prior-$1" $(model "$1") --context 48 --steps 20 >prior.out 2>&1 ||
    fail prior "$(cat prior.out)"
}
same_run() { same_weights "$1" "$2" && same_logs "$1" "$2"; }

# Bytes: 1, 2 and 3 ranks of 1 and 2 threads, and one process.
test_bits() {
  for family in transformer lstm; do
    prior $family
    must "bits: $family, train" 0 "$f32" train short --out alone-$family $(small $family) --threads 1
    must "bits: $family, tune" 0 "$f32" tune prior-$family --out tuned-$family --threads 1 $tuning
    for r in 1 2 3; do
      for t in 1 2; do
        run ./on $r "$f32" train short --out ranks $(small $family) --threads $t
        check "bits: $family, train on $r ranks of $t threads" "exit $code" same_run alone-$family ranks
        rm -f starts
        run ./on $r "$f32" tune prior-$family --out ranks-tuned --threads $t $tuning
        check "bits: $family, tune on $r ranks of $t threads" "exit $code $(tail -n 3 err)" same_run tuned-$family ranks-tuned
        check "bits: $family, $r ranks of $t threads start one reward program" "$(cat starts)" [ "$(cat starts)" = started ]
        rm -rf ranks ranks-tuned
      done
    done
  done
  run ./on 2 "$f32" tune prior-lstm --out nested-tuned --threads 1 $(echo "$tuning" | sed 's,./reward,./nested,')
  check 'bits: a reward program may run gradus itself' "exit $code $(cat nested.err err)" [ $code = 0 ]
}

# Parts of one run, each with other ranks and threads.
test_resume() {
  for family in transformer lstm; do
    prior $family
    [ -d alone-$family ] || "$f32" train short --out alone-$family $(small $family)
    run ./on 2 "$f32" train short --out parts $(small $family) --threads 2 --stop-after 3
    check "resume: $family, 2 ranks stop" "exit $code" [ $code = 130 ]
    for part in '3 1 --stop-after 5' '0 2 --stop-after 6' '2 1 --stop-after 10' '3 2'; do
      set -- $part
      run ./on "$1" "$f32" train --out parts --resume --quiet --threads "$2" $3 $4
    done
    check "resume: $family, train" "exit $code $(tail -n 3 err)" same_run alone-$family parts
    [ -d tuned-$family ] || "$f32" tune prior-$family --out tuned-$family $tuning >out 2>err
    run ./on 3 "$f32" tune prior-$family --out parts-tuned --threads 1 --stop-after 1 $tuning
    for part in '2 2 --stop-after 2' '0 1 --stop-after 3' '3 1'; do
      set -- $part
      run ./on "$1" "$f32" tune prior-$family --out parts-tuned --resume --reward command:./reward --quiet --threads "$2" $3 $4
    done
    check "resume: $family, tune" "exit $code $(tail -n 3 err)" same_run tuned-$family parts-tuned
    rm -rf parts parts-tuned
  done
}

# Several updates a step, a value network, importance weights, replay, preferences: what else goes over the ranks.
test_methods() {
  prior transformer
  printf 'The\t a\t b\nAnd\t e\t o\n' >choices
  while read -r name options; do
    must "methods: $name alone" 0 "$f32" tune prior-transformer --out one --batch 8 --shards 4 --steps 3 --max-tokens 8 --quiet $options
    run ./on 3 "$f32" tune prior-transformer --out three --batch 8 --shards 4 --steps 3 --max-tokens 8 --quiet $options
    check "methods: $name on 3 ranks" "exit $code $(tail -n 3 err)" same_run one three
    rm -rf one three
  done <<'END'
ppo --algorithm ppo --reward count:e --epochs 2 --minibatches 2
grpo --algorithm grpo --reward count:e --group 4 --kl-estimator full
gdc --target gdc --feature contains:e=0.9 --proposal adaptive
replay --algorithm dqn --reward count:e --pay step --replay 2
watch --reward count:e --watch fluency:prior-transformer --entropy-coef 0.1
END
}

# Long runs of three kinds: two families, and PPO, whose steps have 12 updates of a policy and of a value network.
kinds='transformer lstm ppo'
long() {  # KIND OUT: the words of one
  if [ "$1" = ppo ]; then
    echo "tune prior-transformer --out $2 --algorithm ppo --reward count:e --epochs 4 --minibatches 3 --batch 9 --shards 5"
    echo "--steps 400 --max-tokens 12 --save-every 40 --seed 3 --threads 1"
  else
    echo "train short --out $2 --context 24 --steps 1500 --save-every 150 --eval-every 400 --threads 1"
    model "$1" | sed s/--quiet//
  fi
}
going_on() {  # KIND: the words that go on with the run in stopped
  if [ "$1" = ppo ]; then echo 'tune prior-transformer'; else echo train; fi
  echo '--out stopped --resume --quiet --threads 1'
}
whole() {  # KIND: the undisturbed run whole-KIND, made once
  [ "$1" != ppo ] || prior transformer
  [ -d "whole-$1" ] || "$f32" $(long "$1" "whole-$1") >whole.out 2>&1 || fail "$1, undisturbed" "$(cat whole.out)"
}
logged() { cat "$1/log.jsonl" 2>/dev/null | grep -c '"type":"step"'; }  # steps
saved() { "$f32" inspect "$1" --json 2>/dev/null | sed -nE 's/.*"step":"([0-9]+)".*/\1/p'; }
# begin KIND RANKS STEPS: a long run in the background, as far as so many steps; $child is mpirun, $ranks its processes.
begin() {
  mpirun -n "$2" "$f32" $(long "$1" stopped) >out 2>err &
  child=$!
  i=0
  while [ "$(logged stopped)" -lt "$3" ] && [ $((i += 1)) -lt 2000 ] && kill -0 $child 2>/dev/null; do sleep 0.01; done
  ranks=$(pgrep -P $child | sort -n)
}
awaited() { wait $child; code=$?; child=; }
nth() { echo "$ranks" | sed -n "$1p"; }

# ended NAME KIND CODE LEAST: the job has ended as it should: LEAST to one sentence, and a checkpoint of the last step in
# the log that goes on to the bytes of whole-KIND.
ended() {
  check "$1: exit code $3" "it is $code; $(tail -n 3 err)" [ $code = "$3" ]
  sentences_=$(cat out err | grep -c 'Stopped after step .* and saved; continue with: ')
  check "$1: one sentence" "$sentences_: $(cat out err)" [ "$sentences_" -ge "$4" -a "$sentences_" -le 1 ]
  [ "$4" = 0 ] ||  # mpirun passes a signal on after up to a second, in which a fast machine ends the run
    check "$1: in the middle of the run" "$(logged stopped) steps" [ "$(logged stopped)" -lt "$(logged "whole-$2")" ]
  check "$1: the last whole step is saved" "$(logged stopped) steps in the log" [ "$(saved stopped)" = "$(logged stopped)" ]
  run "$f32" $(going_on "$2")
  check "$1: goes on to the same bytes" "exit $code" same_run "whole-$2" stopped
  rm -rf stopped
}

test_signals() {
  while read -r kind signal to; do
    whole "$kind"
    begin "$kind" 3 20
    # mpirun's own code is 1, and once signalled it may end before it has passed on what its ranks still say.
    if [ "$to" = mpirun ]; then who=mpirun code_=1 least_=0; kill -"$signal" $child
    else who="rank $(($to - 1))" code_=130 least_=1; kill -"$signal" "$(nth "$to")"; fi
    awaited
    ended "signals: $kind, SIG$signal to $who" "$kind" $code_ $least_
  done <<'END'
transformer TERM mpirun
transformer INT mpirun
transformer TERM 1
lstm TERM 2
transformer INT 3
ppo TERM mpirun
ppo INT 1
ppo TERM 2
ppo INT 3
END
}

# A rank is killed at a random moment; rank 0 saves what it has, unless it is the one. Most kills come after a random
# number of steps, every fifth at any time from the start of mpirun. Only one that ends a run in which there is a step
# proves something: a hit.
test_kills() {
  count=${KILLS:-9} good=0 hits=0 saved=0 savable=0 n=0
  while [ $n -lt "$count" ]; do
    n=$((n + 1))
    set -- $(awk "BEGIN { srand($n * 7919 + $$); print int(1 + 0.9 * 1500 * rand()), int(1 + 0.9 * 400 * rand()), rand() }")
    kind=$(echo "$kinds" | cut -d' ' -f$((n % 3 + 1)))
    whole "$kind"
    steps=$1 pause=$(awk "BEGIN { print 0.03 * $3 }")
    [ "$kind" != ppo ] || steps=$2
    [ $((n % 5)) != 0 ] || { steps=0 pause=$3; }
    begin "$kind" 3 "$steps"
    sleep "$pause"
    victim=$((n / 3 % 3 + 1)) hit=0
    ranks=$(pgrep -P $child | sort -n)
    [ -z "$(nth $victim)" ] || { kill -9 "$(nth $victim)" && [ "$(logged stopped)" -gt 0 ] && hit=1; } 2>/dev/null
    # Open MPI 4.1.4 can wait for itself for ever where a rank dies while it starts: its ranks are gone, mpirun is not.
    (sleep 20; kill -9 $child) 2>/dev/null &
    watch=$!
    awaited
    kill $watch 2>/dev/null
    [ $code != 0 ] || hit=0  # the run had ended by itself
    hits=$((hits + hit))
    if [ $hit = 1 ] && [ $victim != 1 ]; then
      savable=$((savable + 1))
      [ "$(saved stopped)" != "$(logged stopped)" ] || saved=$((saved + 1))
    fi
    code=0  # a busy machine takes its time: ranks wait for each other at every step
    if [ -e stopped/checkpoint.safetensors ]; then
      timeout 600 ./on $((n % 4)) "$f32" $(going_on "$kind") >out 2>err || code=$?
    else rm -rf stopped; timeout 600 "$f32" $(long "$kind" stopped) >out 2>err || code=$?; fi
    if [ $code = 0 ] && same_run "whole-$kind" stopped >cmp.out 2>&1; then good=$((good + 1)); else echo "kill $n, $kind: exit $code $(cat cmp.out) $(tail -n 2 err)"; fi
    rm -rf stopped
  done
  check "kills: after $count kills of a random rank the run goes on to the undisturbed bytes" "$good of them" [ $good = "$count" ]
  check "kills: $hits of $count hit a run that was going" '' [ $((4 * hits)) -ge $((3 * count)) ]
  check "kills: rank 0 saved the last whole step in $saved of $savable kills of another rank" '' [ $((4 * saved)) -ge $((3 * savable)) ]
}

# How many cores a machine has differs; the default of --shards is that of rank 0. And what memory a step takes is that of
# a rank's own shards: in address space of 3 GB one process has no room for 8 shards of this size, and two processes have for 4 each.
test_machines() {
  tiny='--layers 1 --heads 2 --embd 16 --batch 7 --context 24 --steps 2 --quiet'
  if [ "$(nproc)" -gt 1 ]; then
    run mpirun --bind-to none -n 1 taskset -c 0 "$f32" train short --out cores $tiny : -n 1 "$f32" train short --out cores $tiny
    check 'machines: ranks with different numbers of cores agree on --shards' "exit $code $(cat err)" [ $code = 0 ]
    check 'machines: it is that of rank 0 for each' "$(head -n 1 cores/log.jsonl)" grep -q '"shards":2,' cores/log.jsonl
  else skip 'machines: --shards' 'all ranks have one core here'; fi
  large='--layers 3 --heads 8 --embd 16 --context 2048 --batch 8 --shards 8 --threads 1 --steps 0 --val-fraction 0 --eval-batches 1 --quiet'
  run sh -c "ulimit -v 3000000; exec \"$f32\" train short --out one $large"
  check 'machines: a step is refused that one process has no memory for' "exit $code" [ $code = 2 ]
  check 'machines: says so' "$(cat err)" grep -q 'needs about .* GB of memory, .* is left of the limit of address space' err
  run sh -c "ulimit -v 3000000; exec ./on 2 \"$f32\" train short --out two $large"
  check 'machines: two ranks have memory for half of the shards each' "exit $code $(cat err)" [ $code = 0 ]
}

# refused NAME CODE SENTENCE COMMAND...
refused() {
  refusal_=$1 code_=$2 sentence_=$3
  shift 3
  run "$@"
  check "$refusal_" "exit $code: $(cat err)" [ "$code $(grep -c '^gradus: ' err)" = "$code_ 1" ]
  check "$refusal_: says so" "$(cat err)" grep -q "^gradus: $sentence_" err
  check "$refusal_: leaves nothing" "$(ls)" [ ! -e no ]
}
test_refusals() {
  prior transformer
  tiny="--out no $(small transformer)"
  head -c 19999 text >other
  refused 'refusals: another precision' 4 'rank 1 has another precision (f64) than rank 0 (f32); ' \
    mpirun -n 1 "$f32" train short $tiny : -n 1 "$f64" train short $tiny
  refused 'refusals: another text' 4 'rank 2 has another text than rank 0; ' \
    mpirun -n 2 "$f32" train short $tiny : -n 1 "$f32" train other $tiny
  refused 'refusals: other options' 4 'rank 1 has other options than rank 0; ' \
    mpirun -n 1 "$f32" train short $tiny : -n 1 "$f32" train short $tiny --lr 0.1
  refused 'refusals: another command' 4 'rank 1 has another command (tune) than rank 0 (train); ' \
    mpirun -n 1 "$f32" train short $tiny : -n 1 "$f32" tune prior-transformer --reward count:e --out no
  refused 'refusals: a file that one rank lacks' 4 'rank 1: nowhere: ' \
    mpirun -n 1 "$f32" train short $tiny : -n 1 "$f32" train nowhere $tiny
  refused 'refusals: a file that all ranks lack' 4 'nowhere: ' mpirun -n 3 "$f32" train nowhere $tiny
  refused 'refusals: the page of a step' 2 'the page of a step, --trace, is made in one process; ' \
    mpirun -n 2 "$f32" train short $tiny --trace 2 page.html
  refused 'refusals: a counted model' 2 'a model of the family ngram, which is counted at once, is made in one process; ' \
    mpirun -n 2 "$f32" train short --model ngram --out no --quiet
  refused 'refusals: a command for one process' 2 'gradus sample runs in one process, and mpirun has started 2; ' \
    mpirun -n 2 "$f32" sample prior-transformer
  refused 'refusals: a program without MPI' 2 'mpirun has started 2 processes, and this gradus was built without MPI; ' \
    mpirun -n 2 "$alone" train short $tiny
  cat >dying <<'END'
#!/bin/sh
n=0
while read -r line; do n=$((n + 1)); [ $n -lt 12 ] || exit 7; echo 1; done
END
  chmod +x dying
  run mpirun -n 3 "$f32" tune prior-transformer --out dead --reward command:./dying --batch 8 --shards 4 --steps 5 --max-tokens 4 --quiet
  check 'refusals: a dead reward program' "exit $code: $(cat err)" [ "$code $(grep -c '^gradus: reward .command:./dying.: .*saved after step 1, continue with: ' err)" = '4 1' ]
}

# The bytes that a step sends over MPI are those of the formula.
test_wire() {
  run mpirun -n 3 "$f32" bench --grow --seconds 0.01 --json
  check 'wire: bench --grow on 3 ranks' "exit $code $(tail -n 3 err)" [ $code = 0 ]
  for r in 2 3; do
    counts=$(sed -nE "s/.*\"at\":$r(\.0)?,[^}]*\"sent\":([0-9.e+]+),\"sent_formula\":([0-9.e+]+).*/\2 \3/p" out)
    check "wire: $r ranks send the bytes of the formula, $counts" "$(cat out)" [ "${counts% *}" = "${counts#* }" ]
    check "wire: $r ranks send something" "$(cat out)" [ "${counts% *}" != "" ]
  done
  run mpirun -n 2 "$f32" bench --grow --seconds 0.01 --threads 2 --json
  counts=$(sed -nE "s/.*\"at\":2(\.0)?,[^}]*\"sent\":([0-9.e+]+),\"sent_formula\":([0-9.e+]+).*/\2 \3/p" out)
  check 'wire: bench --grow gives each rank the threads that were asked for' "$(cat out err)" grep -q '"threads":2,"ranks":2' out
  check "wire: 2 ranks of 2 threads send the bytes of the formula, $counts" "$(cat out)" [ "${counts% *}" = "${counts#* }" ]
}

groups bits resume methods machines signals kills refusals wire -- "$@"
finish
