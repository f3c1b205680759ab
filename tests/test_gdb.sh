#!/bin/sh
# Long, because each command has a session of its own.
# The commands of engine/gdb/gradus.py in gdb's batch mode: on the release programs of both precisions and on tests/gdb/stepper.cpp,
# which `make test` compiles for a debugger. See tests/shell.sh. TESTS_F32 and TESTS_F64 name other test binaries than those of
# the release build, STEPPER another stepper. Where gdb is missing or may not trace a process, everything is skipped by name.
cd "$(dirname "$0")/.." || exit 1
. tests/shell.sh
tests_f32=$(absolute "${TESTS_F32:-build/release-f32/tests/all}")
tests_f64=$(absolute "${TESTS_F64:-build/release-f64/tests/all}")
stepper=$(absolute "${STEPPER:-build/debug-f64/stepper}")
all_programs='f64 f32 debug'  # each runs `step EXAMPLE`
# The float program hands `step` over to gradus-f64 where that is beside it; a copy stands alone.
mkdir float && cp "$f32" float/gradus || exit 1
program_of() { case $1 in f64) echo "$f64" ;; f32) echo "$tmp/float/gradus" ;; *) echo "$stepper" ;; esac; }

# gdb_run COMMANDS PROGRAM...: the session in `session`, what the program writes too.
gdb_run() {
  commands_=$1
  shift
  printf 'set debuginfod enabled off\nset confirm off\nsource %s/engine/gdb/gradus.py\n%s\n' "$root" "$commands_" >script.gdb
  timeout 120 gdb -nx -q -batch -x script.gdb --args "$@" >session 2>&1
}
# A command that may fail: gdb leaves a script at the first error.
tries() { printf 'python\ntry: gdb.execute("%s")\nexcept gdb.error as e: print(e)\nend\n' "$1"; }
# says NAME TEXT...: the session has each text, in this order.
says() {
  name_=$1
  shift
  if awk 'BEGIN { n = ARGC - 1; for (i = 1; i <= n; ++i) { want[i] = ARGV[i]; ARGV[i] = "" } i = 1 }
          { while (i <= n && (at = index($0, want[i]))) { $0 = substr($0, at + length(want[i])); ++i } }
          END { if (i <= n) { print "lacks: " want[i]; exit 1 } }' "$@" <session >says.out; then ok "$name_"
  else fail "$name_" "$(cat says.out) $(tail -n 5 session)"; fi
}

if ! command -v gdb >/dev/null; then skip gdb 'gdb is not installed'; finish; fi
gdb_run 'python print("python " + "works")' "$f64"
grep -q '^python works' session || { skip gdb 'this gdb has no Python'; finish; }
gdb_run 'starti' "$f64"
grep -q 'Program stopped' session || { skip gdb 'ptrace is not permitted'; finish; }

# The session of README and the numbers of the articles that `gradus kl` lists: KL(π‖q) and its gradient.
test_steps() {
  for real in $all_programs; do
    program=$(program_of $real)
    gdb_run 'step-grad 0
tape
step-grad
step-grad 4
grad z
grad π
step-grad -2
grad z
step-grad
check-grad
check-grad all
why-nan
tape 0 0' "$program" step kl
    says "steps: $real" 'A backward pass begins: 5 ops' '=> %4 (KL(π‖q)) = sum(%3)' \
      '%1 (log π) = log_softmax(z)' '[1,4] = [-0.693147 -1.60944 -2.30259 -1.60944]' '=> %4 (KL(π‖q)) = sum(%3)' \
      'backward of %4' '∂u[i] += ∂y' 'arrived at %4 (KL(π‖q)) [1]' 'grad %3' '+= [1 1 1 1]' '=> %3' \
      'backward of %1' 'grad z' 'backward of %0' 'grad z' '-0.101052 -0.0792941 0.118671]' 'pass is over, after 5 ops' \
      'grad z [1,4] = [0.06167' ' -0.101052 -0.0792941 0.118671]' 'grad %0 (π) [1,4]' 'Back at step 3' '=> %1' 'z [1,4]: no gradient has reached it' \
      'backward of %1' '=> %0' 'softmax: of 4 elements' 'agrees' '5 ops checked: all agree' 'every value and gradient is finite' \
      '%0 (π) = softmax(z)' 'y_j = e^u_j / Σ_k e^u_k on each row' '∂u += y ∘ (∂y − y·∂y)'
  done
}

# Every place of a pass, as the walk finds it: names, values and gradients, to the last bit.
places='python
import random
def place():
    return [(current_tape().name(v), bytes(v.data), None if v.grad is None else bytes(v.grad)) for v in current_tape().roots()]
end'
# A walk to and fro through one pass: each place is as it was on the first way there, and at the end loss and gradients
# are those of a run in which nobody steps.
test_places() {
  for real in $all_programs; do
    program=$(program_of $real)
    for example in scalar attention; do
      gdb_run "$places"'
break gradus_backward_end
run
python print("alone", place())' "$program" step $example
      grep '^alone' session >alone
      gdb_run "$places"'
step-grad 0
python
there = [place()]
while current_tape().next >= 0:
    gdb.execute("step-grad")
    there.append(place())
random.seed(6)
at, wrong, last = len(there) - 1, 0, len(there) - 1
for move in range(40):
    n = random.randint(-9, 9)
    gdb.execute("step-grad %d" % n)
    at = max(0, min(last, at + n))
    wrong += place() != there[at] or current_tape().steps_done() != at
gdb.execute("step-grad 1000")
print("of 40 moves between %d places %d end elsewhere; %d places differ" % (last + 1, wrong, len({str(p) for p in there})))
print("alone", place())
end' "$program" step $example
      n=$(sed -n 's/^A backward pass begins: \([0-9]*\) ops.*/\1/p' session)
      says "places: $real, $example, forty moves" "of 40 moves between $((n + 1)) places 0 end elsewhere; $((n + 1)) places differ"
      grep '^alone' session >stepped
      check "places: $real, $example, the last one is that of a run alone" '' sh -c 'test -s alone && cmp alone stepped'
    done
  done
  # Without gdb at all: what the program itself prints.
  "$stepper" step lstm >alone
  gdb_run 'set args step lstm >stepped
python
import random
random.seed(8)
for move in range(30):
    gdb.execute("step-grad %d" % random.randint(-20, 25))
end
continue' "$stepper"
  check 'places: loss and gradients that the program prints, after thirty moves' "$(tail -n 3 session)" cmp alone stepped
}

# A walk to and fro through two steps of training ends with the bytes of a run that nobody looked at.
test_walk() {
  head -c 400 "$root/data/fables.txt" >text.txt
  for real in f64 f32; do
    if [ $real = f64 ]; then program=$f64; else program=$f32; fi
    for model in lstm transformer; do
      o="--model $model --layers 1 --embd 4 --heads 2 --hidden 3 --context 4 --batch 2 --shards 1 --threads 1 --dropout 0.2 --ops composed --steps 2 --warmup 0 --eval-every 0 --quiet"
      "$program" train text.txt --out plain $o 2>/dev/null
      gdb_run 'python
import random
random.seed(3)
step = StepGradCommand
for training_step in range(2):
    gdb.execute("step-grad pass")
    gdb.execute("step-grad 12")
    gdb.execute("tape")
    for move in range(25):
        gdb.execute("step-grad %d" % random.randint(-9, 11))
    gdb.execute("step-grad into")
    gdb.execute("step-grad -1")
    gdb.execute("step-grad 1000")
    gdb.execute("step-grad -3")
end
continue' "$program" train text.txt --out walked $o
      check "walk: $real, $model, weights" "" same_weights plain walked
      check "walk: $real, $model, losses" "" same_logs plain walked
      check "walk: $real, $model, went to and fro" "$(tail -n 3 session)" test "$(grep -c '^Back at step' session)" -gt 15
      check "walk: $real, $model, with all gradients, though training gives them up" "$(grep -m 3 'given up' session)" \
        test "$(grep -c 'grad.*[0-9]' session)" -gt 20 -a "$(grep -c 'given up' session)" = 0
      check "walk: $real, $model, through two passes" '' test "$(grep -c '^A backward pass begins' session)" = 2
      rm -rf plain walked
    done
  done
}

# A copy of a process in the middle of its pass: looking works, running is refused.
test_core() {
  for real in $all_programs; do
    program=$(program_of $real)
    rm -f here.core
    gdb_run 'step-grad 3
generate-core-file here.core
kill' "$program" step scalar
    [ -s here.core ] || { skip "core: $real" 'gdb could not write a core file'; continue; }
    gdb_run 'core-file here.core
tape
grad d
print *gradus_live_tapes[0].ops_._M_impl._M_start[1].out[0]
print gradus_live_tapes[0].ops_._M_impl._M_start[1]
print gradus_live_tapes[0].ops_._M_impl._M_start[1].in[0]->shape
why-nan
'"$(tries step-grad; tries check-grad)" "$program"
    says "core: $real" '=> %1 (d) = add(%0, c)' '[] = [4]  grad [0.8]' 'grad %1 (d) [] = [0.8]' '= %1 (d) [] = [4]  grad [0.8]' \
      '= %1 (d) = add(%0 (ab), c)  apps/step/examples.cpp:' '= []' 'every value and gradient is finite'
    check "core: $real, running is refused" "$(cat session)" test "$(grep -c 'this is a core file, which cannot run' session)" = 2
  done
}

# The two examples of https://github.com/pytorch/pytorch/issues/160016, and a NaN that only the backward pass makes.
test_nan() {
  for real in f64 f32; do
    if [ $real = f64 ]; then program=$tests_f64; else program=$tests_f32; fi
    gdb_run 'step-grad 99
why-nan' "$program" --test-case='inspect: a NaN made early*'
    says "nan: $real, made early, seen late" 'first bad value: op %1 = rsqrt(%0) at tests/test_inspect.cpp' 'element [1] of %1 is nan' 'input %0 (sub, tests/test_inspect.cpp' '= [1 -1 4]'
    gdb_run 'step-grad 99
why-nan' "$program" --test-case='inspect: a NaN loss*'
    says "nan: $real, finite gradients" 'first bad value: op %1 = log(%0) at' 'element [1] of %1 is nan' '= [2 -1]'
    gdb_run 'step-grad 99
why-nan
step-grad -99
why-nan' "$program" --test-case='inspect: a NaN that arises only*'
    says "nan: $real, in the backward pass" 'values are finite; first bad gradient: backward of op %2 = rsqrt(%1)' 'element [1] is -inf' 'input %1 (add, ' 'every value and gradient is finite'
  done
}

# Bad numbers put into a running pass: the first op in the order of computation, not the first that backward meets; after
# them gradients, in the order of the pass.
test_planted() {
  for real in $all_programs; do
    gdb_run 'step-grad 2
set var gradus_live_tapes[0].ops_._M_impl._M_start[3].out[0].data[0] = -1/0.0
set var gradus_live_tapes[0].ops_._M_impl._M_start[1].out[0].data[0] = 0/0.0
why-nan
set var gradus_live_tapes[0].ops_._M_impl._M_start[1].out[0].data[0] = 4
why-nan
set var gradus_live_tapes[0].ops_._M_impl._M_start[3].out[0].data[0] = 1.6
why-nan
set var gradus_live_tapes[0].ops_._M_impl._M_start[3].in[0].grad[0] = 0/0.0
why-nan' "$(program_of $real)" step scalar
    says "planted: $real" 'first bad value: op %1 (d) = add' 'element [] of %1 is nan' 'first bad value: op %3 (0.1 d²) = scale' 'element [] of %3 is -inf' \
      'every value and gradient is finite' 'first bad gradient: backward of op %3 (0.1 d²) = scale(%2) at apps/step/examples.cpp:23, into %2: element [] is nan'
  done
}

# The element is named as a person counts, and large numbers whose sum overflows are not bad.
test_elements() {
  for real in $all_programs; do
    gdb_run 'step-grad 0
set var $eleven = gradus_live_tapes[0].ops_._M_impl._M_start[2].out[0].data[11]
set var $thirteen = gradus_live_tapes[0].ops_._M_impl._M_start[2].out[0].data[13]
set var gradus_live_tapes[0].ops_._M_impl._M_start[2].out[0].data[11] = 0/0.0
set var gradus_live_tapes[0].ops_._M_impl._M_start[2].out[0].data[13] = 0/0.0
why-nan
set var gradus_live_tapes[0].ops_._M_impl._M_start[2].out[0].data[11] = sizeof(*gradus_live_tapes[0].ops_._M_impl._M_start[2].out[0].data) == 8 ? 1e308 : 1
set var gradus_live_tapes[0].ops_._M_impl._M_start[2].out[0].data[13] = sizeof(*gradus_live_tapes[0].ops_._M_impl._M_start[2].out[0].data) == 8 ? 1e308 : 1
why-nan
set var gradus_live_tapes[0].ops_._M_impl._M_start[2].out[0].data[11] = $eleven
set var gradus_live_tapes[0].ops_._M_impl._M_start[2].out[0].data[13] = $thirteen
step-grad 99
grad w_hh' "$(program_of $real)" step lstm
    says "elements: $real" 'first bad value: op %2 (x w_ihᵀ + b) = add_rows' 'element [1,3] of %2 is nan' 'input %1 (matmul_nt, apps/step/examples.cpp:' 'is -0.44 there' \
      'every value and gradient is finite' 'grad %2[2] (x w_ihᵀ + b) += [0.0121783 0.0138778 ' 'grad %2[1] (x w_ihᵀ + b) += [0.0197144 ' \
      'grad w_hh [8,2] = [' '[-1.85076e-05 3.81253e-06]'
  done
}

# Which of the ops that add to one gradient spoilt it: by replay, after which the pass stands where it stood. A core file
# cannot replay, and says so.
test_culprit() {
  rm -f here.core
  gdb_run 'step-grad 99
why-nan
step-grad 0
grad x
generate-core-file here.core
kill' "$tests_f64" --test-case='inspect: an op that adds to a gradient*'
  says 'culprit: of three' 'first bad gradient: backward of op %0 = rsqrt(x)' 'The backward pass is over' 'grad x [1] = [-inf]'
  check 'culprit: without a doubt' "$(cat session)" not grep -q 'or one of the other' session
  [ -s here.core ] || { skip 'culprit: a core file' 'gdb could not write a core file'; return; }
  gdb_run 'core-file here.core
why-nan' "$tests_f64"
  says 'culprit: a core file names all three' 'first bad gradient: backward of op %2 = log(x)' 'or one of the other ops that add to it: %1, %0'
}

# Two shards, two tapes: the one of the pass is meant until another is chosen.
test_tapes() {
  head -c 400 "$root/data/fables.txt" >text.txt
  gdb_run 'step-grad 0
tape use 1
python print("second:", current_tape().address == int(live_tapes()[1]))
tape use 0
python print("first:", current_tape().address == int(live_tapes()[0]))
tape use
python print("its own:", current_tape().next >= 0)
step-grad 999
grad lstm.weight_hh_l0
tape 3 4
'"$(tries 'tape 3 x')" "$f64" train text.txt --out two --model lstm --layers 1 --embd 4 --hidden 4 --context 3 --batch 2 --shards 2 --threads 1 \
    --ops composed --steps 1 --warmup 0 --eval-every 0 --quiet
  says 'tapes: one of two is chosen' 'second: True' 'first: True' 'its own: True' 'grad lstm.weight_hh_l0 [16,4] = [' '... 4 more rows'
  sed -n '/^grad lstm.weight_hh_l0/,$p' session >rest
  check 'tapes: a matrix by rows' "$(cat rest)" [ "$(grep -cE '\[[-0-9][^ ]* [^ ]+ [^ ]+ [^ ]+\]$' rest)" = 12 ]
  check 'tapes: only the ops asked for' "$(cat rest)" [ "$(grep -oE '^ +%[0-9]+' rest | tr -d ' \n')" = '%3%4' ]
}

# A wrong backward: that of an addition becomes that of a subtraction.
test_wrong() {
  for real in $all_programs; do
    program=$(program_of $real)
    gdb_run 'step-grad 0
set var gradus_live_tapes[0].ops_._M_impl._M_start[1].kind->backward = &gradus::sub_backward
check-grad all
check-grad 1
check-grad 0' "$program" step scalar
    says "wrong: $real" 'the worst is input 1 c' '5 ops checked: DO NOT AGREE: %1 add at apps/step/examples.cpp:' 'DOES NOT AGREE' '%0 (ab) = mul(a, b): agrees'
  done
}

test_into() {
  for real in $all_programs; do
    gdb_run 'step-grad 2
step-grad into
'"$(tries 'step-grad into')"'
backtrace 2
finish
step-grad
step-grad 9
'"$(tries 'step-grad into')" "$(program_of $real)" step scalar
    says "into: $real, stops in the backward of the op, and goes on" '=> %2' 'gradus::mul_backward (op=' \
      'already within the backward of op %2; step-grad finishes it' '#0  gradus::mul_backward' '#1' 'step_back' \
      'backward of %2 (d²) = mul(%1, %1)' 'grad %1 (d)' '+= [0.8]' '=> %1' 'grad a ' '+= [-2.4]   now [-1.4]' 'the backward pass is over; step-grad -1 goes back into it'
    gdb_run 'break gradus::mul_backward
step-grad 3
continue
step-grad' "$(program_of $real)" step scalar
    says "into: $real, breakpoints of one's own sleep and wake" 'backward of %2 (d²)' '=> %1' 'Breakpoint 1, gradus::mul_backward' 'backward of %0 (ab)'
  done
  gdb_run 'break gradus::describe(gradus::Tensor const&)
run
print t
print *t.value_
print t.value_->shape' "$tests_f64" --test-case='inspect: a tensor is described*'
  says 'into: a tensor prints' '= Tensor x [2,3] = [1 -2 3 0 0.5 2]  grad -' '= x [2,3]' '= [2,3]'
  gdb_run 'break gradus::describe(gradus::Tensor const&)
run
python
for n in range(15):
    gdb.execute("print t")
    gdb.execute("continue")
end' "$tests_f64" --test-case='inspect: a tensor is described*'
  says 'into: a tensor prints as long as it lives' 'Tensor x [2,3]' 'grad [2 -4 6 0 1 4]' 'Tensor x[1] [1,3] = [0 0.5 2]  grad [0 1 4]' 'Tensor detach(x) [2,3]' \
    'Tensor (dead: its step is over)' 'Tensor (empty)'
  gdb_run 'step-grad 0
tape' "$tests_f64" --test-case='inspect: the tape is listed in order*'
  says 'into: what is detached is said' '%3 = mul(detach(%0), %0)'
  gdb_run 'break gradus::describe(gradus::Tensor const&)
run
print t
continue 2
print t' "$tests_f64" --test-case='inspect: a parameter shows the gradient*'
  says 'into: a parameter prints with the gradient on the tape' 'Tensor h.0.w [2] = [3 3]  grad -' 'Tensor h.0.w [2] = [3 3]  grad [3 3]'
}

test_help() {
  gdb_run "$(tries 'step-grad x'; tries tape; tries 'grad nobody')
step-grad 0
complete grad l
$(tries 'grad nobody'; tries 'tape use 7'; tries 'check-grad 99'; tries 'tape x')" "$f64" step kl
  says 'help: mistakes get a sentence' 'step-grad takes a number, -N, into or pass, not x' 'no tape is alive' 'no tape is alive' \
    'grad log π' 'no tensor is named nobody; there are log q, z, and %0 to %4' 'tape 7 is not alive' 'no op is next; name one' 'tape takes numbers of ops'
}

# The session that README shows, command by command.
test_readme() {
  awk '/^```/ { if (found) exit; inside = !inside; next }
    inside && /^\(gdb\) / { found = 1 }
    inside && found' "$root/README.md" >shown
  gdb_run "$(sed -n 's/^(gdb) \(.*\)/echo (gdb) \1\\n\n\1/p' shown)" "$stepper" step scalar
  check 'readme: the session of make gdb' '' sh -c 'test -s shown && sed 1d session | diff shown -'  # the first line is the greeting
}

groups steps places walk core nan planted elements culprit tapes wrong into help readme -- "$@"
finish
