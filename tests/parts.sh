# What tests/run.sh and tests/run_slow.sh share: each part prints one row with its seconds, and its failures below it.
# Sums: $passed $failed $skipped, in test cases of doctest and checks of shell tests.
passed=0 failed=0 skipped=0
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'kill "$!" 2>/dev/null; exit 130' INT TERM HUP  # what `ahead` started ignores Ctrl-C

now() { date +%s%N | cut -c1-12; }  # hundredths of a second
# timed FOLDER COMMAND...: runs it and leaves in FOLDER its output (out, err), exit code (status) and hundredths of a
# second (time).
timed() {
  to=$1
  shift
  begun=$(now)
  "$@" >"$to/out" 2>"$to/err"
  echo $? >"$to/status"
  echo $(($(now) - begun)) >"$to/time"
}
# ahead COMMAND...: starts the command in the background and returns at once. The rows that follow run meanwhile, until
# the row of the same command, which starts nothing: it waits for this one and takes its results. Only one command may be
# ahead: there is one folder for its results and one process to end on Ctrl-C, and tests with limits of time stand beside
# no more than one other.
early=$work/early  # its results, as long as its row has not come
ahead() {
  if [ -e "$early" ]; then
    echo "tests/parts.sh: ahead $*: $(cat "$early/command") is ahead, and its row has not come" >&2
    exit 1
  fi
  mkdir "$early"
  echo "$*" >"$early/command"
  timed "$early" "$@" &
}
# run COMMAND...: its results in $work/out, $work/err, $status and $time, whether it ran ahead or runs now.
run() {
  if [ -e "$early" ] && [ "$(cat "$early/command")" = "$*" ]; then
    wait
    mv "$early"/* "$work"
    rmdir "$early"
  else
    timed "$work" "$@"
  fi
  status=$(cat "$work/status") time=$(cat "$work/time")
}
# row LABEL WHAT PASSED FAILED SKIPPED
row() {
  tenths=$(((time + 5) / 10))
  passed=$((passed + $3)) failed=$((failed + $4)) skipped=$((skipped + $5))
  counts="$3 passed"
  [ "$4" = 0 ] || counts="$counts, $4 FAILED"
  [ "$5" = 0 ] || counts="$counts, $5 skipped"
  printf '%-11s %-44s %-26s %4d.%d s\n' "$1" "$2" "$counts" $((tenths / 10)) $((tenths % 10))
}

# doctest LABEL WHAT PROGRAM [FILTER...]: a case that left something out, which prints `SKIP case: what: why`, counts as
# skipped.
doctest() {
  label=$1 what=$2 program=$3
  shift 3
  run timeout 1800 "$program" --no-colors=true "$@"
  cat "$work/err" >>"$work/out"
  again="$program${1:+ $*}"
  numbers=$(sed -nE 's/.*test cases: *[0-9]+ *\| *([0-9]+) passed *\| *([0-9]+) failed.*/\1 \2/p' "$work/out" | tail -n 1)
  p=${numbers% *} f=${numbers#* } s=$(sed -nE 's/^SKIP ([^:]*): .*/\1/p' "$work/out" | sort -u | wc -l)
  p=$((${p:-0} - s)) f=${f:-0}
  if [ $status != 0 ] && [ "$f" = 0 ]; then  # it died before or after its summary
    row "$label" "$what" "$p" 1 "$s"
    tail -n 30 "$work/out" | sed 's/^/  /'
    echo "  It ended with exit code $status. Again: $again"
    return
  fi
  [ "$p$f$s" != 000 ] || f=1
  row "$label" "$what" "$p" "$f" "$s"
  [ -n "$numbers" ] && [ "${numbers#0 0}" = "$numbers" ] || echo "  Nothing ran. Again: $again"
  grep '^SKIP ' "$work/out" | sed 's/^/  /'
  [ "$f" = 0 ] && return
  grep -v -e '^\[doctest\]' -e '^SKIP ' "$work/out" | head -n 80 | sed 's/^/  /'
  # Letters that doctest's filters understand otherwise become ?, which stands for any one.
  grep '^TEST CASE:' "$work/out" | sort -u | LC_ALL=C sed -E "s/^TEST CASE: *//; s/[^A-Za-z0-9_ -]/?/g; s|.*|  Again: $program --test-case=\"&\"|"
}

# checks LABEL WHAT COMMAND...: a shell test, which prints lines of ok, FAIL and SKIP (see tests/shell.sh).
checks() {
  label=$1 what=$2
  shift 2
  run "$@"
  p=$(grep -c '^ok ' "$work/out") f=$(grep -c '^FAIL ' "$work/out") s=$(grep -c '^SKIP ' "$work/out")
  if [ "$f" = 0 ] && { [ $status != 0 ] || [ "$p$s" = 00 ]; }; then
    f=1
    echo "FAIL : it ended with exit code $status after $p checks: $(tail -n 5 "$work/out" "$work/err" | tr '\n' ' ' | cut -c1-400)" >>"$work/out"
  fi
  row "$label" "$what" "$p" "$f" "$s"
  grep '^FAIL ' "$work/out" | sed 's/^/  /'
  grep '^FAIL ' "$work/out" | sed -nE 's/^FAIL ([a-z0-9_-]*):.*/\1/p' | sort -u | sed "s|.*|  Again: $* &|"
  grep '^SKIP ' "$work/out" | sed 's/^/  /'
}

# one LABEL WHAT COMMAND...: a command that either succeeds or explains itself.
one() {
  label=$1 what=$2
  shift 2
  run "$@"
  if [ "$status" = 0 ]; then row "$label" "$what" 1 0 0
  else
    row "$label" "$what" 0 1 0
    cat "$work/out" "$work/err" | tail -n 40 | sed 's/^/  /'
    echo "  Again: $*"
  fi
}
# left_out LABEL WHAT REASON
left_out() {
  time=0
  row "$1" "$2" 0 0 1
  echo "  SKIP $2: $3"
}

# The last lines; the exit code is 1 if anything failed.
summary() {
  echo
  if [ $failed = 0 ]; then echo "$1"; else echo "Something failed; each failure stands above with the command that runs only it."; fi
  if [ $skipped = 0 ]; then echo "$passed passed, $failed failed"; else echo "$passed passed, $failed failed, $skipped skipped"; fi
  [ $failed = 0 ]
}
