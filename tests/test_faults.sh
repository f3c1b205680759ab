#!/bin/sh
# Files under attack: every call that saves a checkpoint fails or is the last one of its process, kill -9 at all moments,
# a full disk. After each the old checkpoint is whole or the new one is.
# sh tests/test_faults.sh [short|long] [GROUP...]; long: both families at every call, 200 kills each instead of 20, and
# every allocation that fails instead of some. See tests/shell.sh.
cd "$(dirname "$0")/.." || exit 1
. tests/shell.sh
fault=$root/build/tests/fault_io.so fault_new=$root/build/tests/fault_new.so
length=short
case ${1:-} in short | long) length=$1; shift ;; esac
models=lstm
[ $length = short ] || models='lstm transformer'

head -c 4000 "$root/data/fables.txt" >text.txt
tiny() {
  case $1 in
  lstm) echo --model lstm --embd 16 --hidden 16 --context 16 --batch 4 --shards 2 ;;
  *) echo --model transformer --embd 16 --heads 2 --layers 1 --context 16 --batch 4 --shards 2 ;;
  esac
}
temporaries() { ls -d "$1"/*.tmp.* 2>/dev/null; }
# One attempt: `run` goes on from `old` to where `new` is, and the N-th call goes wrong as HOW says.
attempt() {
  rm -rf run
  cp -r old run
  FAULT_AT=$1 FAULT_HOW=$2 LD_PRELOAD=$fault timeout 60 "$f32" train --out run --resume --quiet >out 2>err
  code=$?
  state=broken
  if cmp -s run/checkpoint.safetensors old/checkpoint.safetensors; then state=old; fi
  if cmp -s run/checkpoint.safetensors new/checkpoint.safetensors; then state=new; fi
  "$f32" inspect run >/dev/null 2>&1 || state=unreadable
}
prepare() {  # MODEL
  rm -rf old new
  "$f32" train text.txt --out old $(tiny "$1") --steps 8 --save-every 0 --stop-after 4 --quiet
  cp -r old new
  "$f32" train --out new --resume --quiet
}

# A save is one write for each tensor and 6 calls besides; 200 calls end a loop that a mistake of ours made endless.
test_errors() {
  for model in $models; do
    prepare $model
    attempt 1 error
    check "errors: $model, a checkpoint that could not be written is said before the first step" "$code, $state, $(cat err)" \
      [ "$code $state $(wc -l <err)" = '3 old 1' ]
    n=4 calls=  # behind the three calls of that trial, of which only the first may fail
    while [ $n -le 200 ]; do
      attempt $n error
      [ $code != 0 ] || break
      call=$(grep -oE '(open|write|fsync|close|rename)[a-z ]* failed' err | sed 's/ failed//' | head -n 1)
      calls="$calls $(echo "$call" | sed 's/ .*folder/-folder/; s/ .*//')"
      name="errors: $model, call $n (${call:-unnamed})"
      if [ $code != 3 ]; then fail "$name" "exit code $code: $(cat err)"
      elif [ -z "$call" ] || ! grep -q '^gradus: ' err || [ "$(wc -l <err)" -ne 1 ]; then fail "$name" "message: $(cat err)"
      elif [ -n "$(temporaries run)" ]; then fail "$name" "left $(temporaries run)"
      elif [ $state = old ] && grep -q 'the old file is kept' err; then ok "$name, the old one is whole"
      elif [ $state = new ] && grep -q 'the new file is in place' err; then ok "$name, the new one is whole"
      else fail "$name" "the checkpoint is $state, the message says: $(cat err)"; fi
      n=$((n + 1))
    done
    check "errors: $model, then the save succeeds" "after $n calls: $state, $(cat err)" [ "$code $state" = '0 new' ]
    check "errors: $model, the calls are those of an atomic save" "$calls" \
      expr "$calls" : ' open \(write \)*write open-folder fsync close rename fsync-folder$'
  done
  # A run that has no checkpoint yet.
  n=1
  while [ $n -le 200 ]; do
    rm -rf run
    FAULT_AT=$n FAULT_HOW=error LD_PRELOAD=$fault timeout 60 "$f32" train text.txt --out run $(tiny lstm) --steps 2 --quiet 2>err
    code=$?
    [ $code != 0 ] || break
    if [ -e run/checkpoint.safetensors ]; then whole='in place'; else whole='no file was made'; fi
    check "errors: first save, call $n" "exit code $code, $(cat err)" \
      [ "$code-$(temporaries run)-$(grep -c "$whole" err)" = 3--1 ]
    n=$((n + 1))
  done
  rm -rf run old new
}

test_interrupts() {  # EINTR and short writes are not errors
  prepare lstm
  for how in short interrupt; do
    n=1 bad=
    while [ $n -le 30 ]; do
      attempt $n $how
      [ "$code $state$(temporaries run)" = '0 new' ] || bad="$bad call $n: exit code $code, $state, $(cat err)"
      n=$((n + 1))
    done
    check "interrupts: every call, $how" "$bad" [ -z "$bad" ]
  done
  rm -rf run old new
}

test_deaths() {  # the process dies at the call
  for model in $models; do
    prepare $model
    n=1 stale=0
    while [ $n -le 200 ]; do
      attempt $n kill
      [ $code != 0 ] || break
      [ -z "$(temporaries run)" ] || stale=$((stale + 1))
      seen=$state
      timeout 60 "$f32" train --out run --resume --quiet 2>err
      again=$?
      name="deaths: $model, at call $n"
      if [ $code != 137 ]; then fail "$name" "exit code $code: $(cat err)"
      elif [ "$seen" != old ] && [ "$seen" != new ]; then fail "$name" "the checkpoint is $seen"
      elif [ $again != 0 ]; then fail "$name" "the next run ends with $again: $(cat err)"
      elif [ -n "$(temporaries run)" ]; then fail "$name" "the next run left $(temporaries run)"
      elif ! same_weights run new >/dev/null || ! same_steps run new >/dev/null; then fail "$name" "the next run is another one"
      else ok "$name, the $seen one is whole, the next run cleans up"; fi
      n=$((n + 1))
    done
    check "deaths: $model, temporary files were there to clean up" "$stale" [ $stale -ge 3 ]
  done
  rm -rf run old new
}

# kill -9 after so many hundredths of a second, over and over, then to the end: the same bits as if nothing had happened.
# A run that comes to its end between two kills is compared, and another one begins: a fast machine is killed as often.
# kill_loop NAME COMMAND SOURCE OPTIONS: `gradus COMMAND SOURCE --out run OPTIONS`, and then with --resume.
kill_loop() {
  name=$1 command=$2 source=$3 o=$4
  "$f32" $command $source --out calm $o 2>err || fail "kills: $name, calm" "$(cat err)"
  struck=0 bad= i=0
  while [ $i -lt $kills ]; do
    i=$((i + 1))
    if [ -e run/checkpoint.safetensors ]; then set -- --out run --resume --quiet; else set -- $source --out run $o; fi
    "$f32" $command "$@" 2>err &
    child=$!
    sleep 0.$(printf %02d $((3 + i * 37 % 19)))
    kill -9 $child 2>/dev/null && struck=$((struck + 1))
    wait $child 2>/dev/null
    code=$?
    child=
    [ $code = 137 ] || [ $code = 0 ] || bad="$bad exit code $code: $(cat err)"
    [ -e run/checkpoint.safetensors ] || continue
    "$f32" inspect run >/dev/null 2>err || bad="$bad unreadable: $(cat err)"
    [ $code = 0 ] || continue
    same_weights run calm >/dev/null && same_steps run calm >/dev/null || bad="$bad another run after kill $struck"
    rm -rf run
  done
  if [ -e run/checkpoint.safetensors ]; then set -- --out run --resume --quiet; else set -- $source --out run $o; fi
  timeout 300 "$f32" $command "$@" 2>err || bad="$bad the last run: $(cat err)"
  check "kills: $name, $struck times, the checkpoint always whole" "$bad" [ -z "$bad" ]
  check "kills: $name, there was something to kill" "$struck of $kills" [ $struck -ge $((kills * 3 / 4)) ]
  check "kills: $name, weights as if nothing had happened" "" same_weights run calm
  check "kills: $name, every step once in the log" "" same_steps run calm
  check "kills: $name, no temporary file is left" "$(temporaries run)" [ -z "$(temporaries run)" ]
  rm -rf run calm
}
test_kills() {
  kills=20
  [ $length = short ] || kills=200
  for model in transformer lstm; do
    kill_loop $model train text.txt \
      "$(tiny $model) --steps 10000 --save-every 50 --eval-every 1000 --eval-batches 2 --dropout 0.1 --quiet"
  done
  "$f32" train text.txt --out prior --steps 3 --quiet $(tiny lstm)
  o="--reward count:e --batch 4 --max-tokens 4 --exact never --save-every 9 --quiet --replay 1 --steps 15000"
  kill_loop tune tune prior "$o"
  rm -rf prior
}

# A full disk, played by the limit on file sizes (in blocks of 512 bytes).
test_full() {
  for model in transformer lstm; do
    prepare $model
    rm -rf run
    cp -r old run
    (trap '' XFSZ; ulimit -f 20; timeout 60 "$f32" train --out run --resume --quiet >out 2>err)
    code=$?
    check "full: $model, exit code 3 and the call" "exit code $code: $(cat err)" [ "$code-$(grep -c '^gradus: .*write failed' err)" = 3-1 ]
    check "full: $model, the old checkpoint is whole" "" same_weights run old
    check "full: $model, no temporary file" "$(temporaries run)" [ -z "$(temporaries run)" ]
    must "full: $model, with room again it goes on" 0 "$f32" train --out run --resume --quiet
    check "full: $model, to the same weights" "" same_weights run new
    check "full: $model, and the same log" "" same_steps run new
  done
  # One failed save on the way is told, and training goes on; the third in a row ends it.
  for command in train tune; do
    rm -rf run
    if [ $command = train ]; then set -- text.txt --out run $(tiny lstm) --steps 40 --eval-every 0
    else set -- old --out run --reward count:e --batch 4 --max-tokens 3 --exact never --steps 40; fi
    FAULT_AT=3 FAULT_HOW=error LD_PRELOAD=$fault timeout 60 "$f32" $command "$@" --save-every 5 >out 2>err
    code=$?
    check "full: $command, one failed save does not end it" "exit code $code: $(cat err)" [ $code = 0 ]
    check "full: $command, the failed save is told" "$(cat out)" \
      [ "$(grep -c '^warning: run/checkpoint.safetensors: .* failed.*; training goes on' out)" = 1 ]
    check "full: $command, the later ones are there" "" [ "$(steps_of run)" = 40 ]
    rm -rf run
    (trap '' XFSZ; ulimit -f 9; timeout 60 "$f32" $command "$@" --save-every 5 >out 2>err)
    code=$?
    check "full: $command, the third failed save in a row ends it" "exit code $code: $(cat err)" \
      [ "$code-$(grep -c 'training goes on' out)-$(grep -c '^gradus: .* failed' err)" = 3-2-1 ]
    rm -rf run
    must "full: $command, with room again the folder goes" 0 "$f32" $command "$@" --quiet
  done
  # The log fills up, the checkpoint still has room: a warning, and training goes on.
  rm -rf run
  (trap '' XFSZ; ulimit -f 150; timeout 60 "$f32" train text.txt --out run $(tiny transformer) --steps 1500 --eval-every 0 >out 2>err)
  code=$?
  check "full: the log, training goes on" "exit code $code: $(tail -n 1 err)" [ $code = 0 ]
  check "full: the log, one warning" "$(tail -n 2 out)" [ "$(grep -c 'log.jsonl cannot be written' out)" = 1 ]
  check "full: the log, the checkpoint is there" "" [ "$(steps_of run)" = 1500 ]
  must "full: the log, resume cuts the half line" 0 "$f32" train --out run --resume --steps 1510 --quiet
  check "full: the log, whole lines" "" not grep -vE '^\{.*\}$' run/log.jsonl
  must "full: the log, which can be read" 0 "$f32" report run
  rm -rf run old new
}

# The n-th operator new fails: a sentence, never an abort, and the folder holds a whole checkpoint or none.
test_memory() {
  every=197
  [ $length = short ] || every=1
  "$f32" train text.txt --out prior --steps 1 --quiet $(tiny lstm)
  for command in "train text.txt --out run --steps 3 --eval-every 2 --save-every 1 --threads 2 --quiet $(tiny lstm)" \
    "tune prior --out run --reward count:e --batch 4 --max-tokens 3 --exact never --steps 2 --save-every 1 --threads 2 --quiet" \
    "sample prior --tokens 9 --count 3 --threads 2 --json" "exact sequences prior --max-tokens 1 --json" "inspect prior --json"; do
    rm -rf run
    FAULT_NEW=0 FAULT_COUNT=count LD_PRELOAD=$fault_new "$f32" $command >/dev/null 2>&1
    n=1 bad= failed_=0
    while [ $n -le "$(cat count)" ]; do
      rm -rf run
      FAULT_NEW=$n LD_PRELOAD=$fault_new timeout 60 "$f32" $command >out 2>err
      code=$?
      case $code in
      0) ;;
      1) failed_=$((failed_ + 1)); [ "$(grep -c '^gradus: ' err)" = 1 ] || bad="$bad call $n: $(cat err);" ;;
      *) bad="$bad call $n: exit code $code;" ;;
      esac
      [ ! -e run/checkpoint.safetensors ] || "$f32" inspect run >/dev/null 2>&1 || bad="$bad call $n: a broken checkpoint;"
      n=$((n + every))
    done
    check "memory: ${command%% *}, one of $(cat count) calls fails, every $every-th tried, $failed_ sentences" "$bad" [ -z "$bad" ]
    check "memory: ${command%% *}, calls did fail" "$failed_" [ $failed_ -ge 5 ]
  done
  # A remedy stands only where the command has one.
  for command in inspect kl report train sample exact; do
    env FAULT_NEW=60 FAULT_ALWAYS=1 LD_PRELOAD=$fault_new "$f32" $command prior >/dev/null 2>err
    case $command in
    inspect | kl | report) remedy='gradus: out of memory$' ;;
    *) remedy='gradus: out of memory; use a smaller --' ;;
    esac
    check "memory: the remedy of $command" "$(cat err)" grep -q "$remedy" err
  done
  rm -rf run prior
}

if [ ! -e "$fault" ]; then
  fail "faults" "$fault is missing; make test builds it"
  finish
fi
# What the system does not let a program measure is a dash and null, and a sentence says why; never NaN.
test_unmeasured() {
  for form in '' --json; do
    FAULT_NAME=/proc/self/clear_refs LD_PRELOAD=$fault timeout 60 "$f32" bench --grow --seconds 0.001 --threads 2 $form \
      --html grow.html >out 2>err
    code=$?
    check "unmeasured: bench --grow $form without its peak of memory" "exit $code $(cat err)" [ $code = 0 ]
    check "unmeasured: bench --grow $form shows no NaN" "$(grep -i nan out grow.html)" not grep -qi '\bnan\b' out grow.html
    check "unmeasured: bench --grow $form says why" "$(cat out err)" grep -q 'memory could not be measured' out err
  done
  check 'unmeasured: null in the JSON' "$(cat out)" grep -q '"bytes":null.*"memory":{"exponent":null,"expected":' out
}

groups errors interrupts deaths kills full memory unmeasured -- "$@"
finish
