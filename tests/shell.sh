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
# refuses NAME CODE WORD COMMAND...: exit code CODE, nothing on stdout, on stderr one sentence "gradus: ..." with WORD in
# it, and no folder `new` (what the command was told to make) afterwards.
refuses() {
  name_=$1 wanted_=$2 word_=$3
  shift 3
  rm -rf new
  run "$@"
  lines_=$(wc -l <err)
  if [ $code != "$wanted_" ]; then fail "$name_" "exit code $code instead of $wanted_; $(tail -n 2 err)"
  elif [ "$lines_" != 1 ]; then fail "$name_" "$((lines_)) lines on stderr instead of 1: $(cat err)"
  elif ! grep -q '^gradus: [^ ]' err; then fail "$name_" "the message does not begin with 'gradus: ': $(cat err)"
  elif ! grep -qF -e "$word_" err; then fail "$name_" "the message lacks '$word_': $(cat err)"
  elif [ -s out ]; then fail "$name_" "stdout has $(head -n 1 out)"
  elif [ -e new ]; then fail "$name_" "it left $(ls -d new/* new | tr '\n' ' ')"
  else ok "$name_"; fi
}

# Each line of the file is one JSON object: strings become S, numbers and words S too, then arrays and objects fold up.
json_lines() {
  [ -s "$1" ] || { echo "$1 is empty"; return 1; }
  bad=$(LC_ALL=C sed -E '
    s/"([^"\\]|\\["\\\/bfnrtu])*"/S/g
    s/-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?/N/g
    s/(true|false|null)/N/g
    :again
    s/\[([SNA](,[SNA])*)?\]/A/g
    s/\{(S:[SNA](,S:[SNA])*)?\}/A/g
    t again
    /^A$/d' "$1" | head -n 1)
  [ -z "$bad" ] && ! grep -q '^[^{]' "$1" && [ -z "$(tail -c 1 "$1" | tr -d '\n')" ] || { echo "not JSON: $bad"; return 1; }
}
# The names of the fields of a flat object, one after the other.
fields() { sed -E 's/"(([^"\\]|\\.)*)":[^,}]*/\1/g; s/[{}]//g; s/,/ /g' "$1"; }
# field FILE NAME: the value in the first line that has it (not for arrays and objects).
field() { sed -nE "s/.*[{,]\"$2\":(\"([^\"\\\\]|\\\\.)*\"|[^,}\"]*).*/\1/p" "$1" | head -n 1 | sed 's/^"\(.*\)"$/\1/'; }

# valid_html NAME PAGE: by html-validate (npm install -g html-validate, or its path in HTML_VALIDATE), else by Debian's tidy, else
# skipped. HTML_VALIDATE=tidy asks for tidy where both are.
valid_html() {
  validator_=${HTML_VALIDATE:-$(command -v html-validate || command -v tidy)}
  case $validator_ in
  '') skip "$1" 'neither html-validate nor tidy is installed' ;;
  *tidy) check "$1" '' tidied "$2" ;;
  *) check "$1" '' "$validator_" --preset standard "$2" ;;
  esac
}
# Two complaints of tidy 5.6 are wrong. It does not know that a dl may group its dt and dd in a div, so these divs go first;
# and it calls attributes of an svg element within HTML proprietary.
tidied() {
  sed -E 's|<div[^>]*>(<dt)|\1|; s|</dd></div>|</dd>|' "$1" | tidy -e -q -utf8 2>&1 |
    grep -vE '<svg> proprietary attribute "(viewbox|preserveaspectratio|width|height)"$' >tidy.out
  cat tidy.out
  [ ! -s tidy.out ]
}

# The log without what depends on the clock.
timeless() { sed -E 's/,"tokens_per_second":[^,}]*//' "$1/log.jsonl"; }
same_logs() { timeless "$1" >a.log; timeless "$2" >b.log; cmp a.log b.log; }
same_steps() { timeless "$1" | grep '"type":"step"' >a.log; timeless "$2" | grep '"type":"step"' >b.log; cmp a.log b.log; }
same_weights() { cmp "$1/checkpoint.safetensors" "$2/checkpoint.safetensors"; }
# The steps in a run's log are 1, 2, ..., N, each once, and every line is whole.
steps_once() {
  sed -nE 's/^\{"type":"step","step":([0-9]+),.*\}$/\1/p' "$1/log.jsonl" >steps.found
  seq "$2" >steps.wanted
  json_lines "$1/log.jsonl" && cmp steps.found steps.wanted
}
steps_of() { "$f64" inspect "$1" --json >inspect.out && sed -nE 's/.*"step":"([0-9]+)".*/\1/p' inspect.out; }
logged_steps() { grep -c '"type":"step"' "$1/log.jsonl" 2>/dev/null || true; }
# wait_until COMMAND...: 20 seconds at most.
wait_until() {
  n_=0
  while ! "$@"; do
    n_=$((n_ + 1))
    [ $n_ -lt 1000 ] || return 1
    sleep 0.02
  done
}
has_steps() { [ "$(logged_steps "$1")" -ge "$2" ] 2>/dev/null; }

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
