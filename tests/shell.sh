# What the shell tests share; read with `.` from the repository root. Each check prints one line,
#   ok GROUP: what         FAIL GROUP: what: detail         SKIP GROUP: what: reason
# and `finish` ends the script, with exit code 1 if a check failed. A test file is a list of groups, functions named
# test_GROUP; `sh FILE GROUP...` runs only those. GRADUS and GRADUS_F64 name other programs than build/gradus(-f64).
# Everything happens in $tmp, which goes at the end.
root=$(pwd)
absolute() { case $1 in /*) echo "$1" ;; *) echo "$root/$1" ;; esac; }
f32=$(absolute "${GRADUS:-build/gradus}")
f64=$(absolute "${GRADUS_F64:-build/gradus-f64}")
tmp=$(mktemp -d) || exit 1
child=
trap '[ -z "$child" ] || kill -9 $child 2>/dev/null; cd /; rm -rf "$tmp"' EXIT
trap 'exit 130' INT TERM HUP
cd "$tmp" || exit 1
failed=0
unset LC_ALL LANG FAULT_AT FAULT_HOW

ok() { echo "ok $1"; }
fail() {
  failed=1
  echo "FAIL $1: $(printf %s "$2" | tr '\n' ' ' | cut -c1-400)"
}
skip() { echo "SKIP $1: $2"; }
finish() { exit $failed; }

# The shell has no local variables: those of these functions end in _.
# check NAME DETAIL COMMAND...: the command must succeed.
check() {
  name_=$1 detail_=$2
  shift 2
  if "$@" >check.out 2>&1; then ok "$name_"; else fail "$name_" "$detail_ $(cat check.out)"; fi
}
not() { if "$@"; then return 1; fi; }

# run COMMAND...: stdout to `out`, stderr to `err`, exit code to $code. Nothing takes longer than a minute.
run() {
  timeout 60 "$@" >out 2>err
  code=$?
}
# must NAME CODE COMMAND...: the exit code is CODE.
must() {
  name_=$1 wanted_=$2
  shift 2
  run "$@"
  if [ $code = "$wanted_" ]; then ok "$name_"; else fail "$name_" "exit code $code instead of $wanted_; $(tail -n 2 err)"; fi
}
# valid_html NAME PAGE: as tests/valid_html.sh says, skipped where there is no validator.
valid_html() {
  sh "$root/tests/valid_html.sh" "$2" >check.out 2>&1
  case $? in
  0) ok "$1" ;;
  77) skip "$1" 'neither html-validate nor tidy is installed' ;;
  *) fail "$1" "$(cat check.out)" ;;
  esac
}

# The log without what depends on the clock.
timeless() { sed -E 's/,"(tokens_per_second|seconds)":[^,}]*//g' "$1/log.jsonl"; }
same_logs() { timeless "$1" >a.log; timeless "$2" >b.log; cmp a.log b.log; }
same_steps() { timeless "$1" | grep '"type":"step"' >a.log; timeless "$2" | grep '"type":"step"' >b.log; cmp a.log b.log; }
same_weights() { cmp "$1/checkpoint.safetensors" "$2/checkpoint.safetensors"; }
steps_of() { "$f64" inspect "$1" --json >inspect.out && sed -nE 's/.*"step":"([0-9]+)".*/\1/p' inspect.out; }

# groups DEFAULT... -- ASKED...: runs the groups asked for, else all.
groups() {
  all=
  while [ "$1" != -- ]; do all="$all $1"; shift; done
  shift
  for group in ${*:-$all}; do
    case " $all " in
    *" $group "*) "test_$group" ;;
    *) fail "$group" "no such group; there are:$all" ;;
    esac
  done
}
