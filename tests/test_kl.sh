#!/bin/sh
# gradus kl as a person meets it: two tables of a file, the page of worked numbers, the lesson.
# sh tests/test_kl.sh [GROUP...]; see tests/shell.sh.
cd "$(dirname "$0")/.." || exit 1
. tests/shell.sh

# close FILE NAME VALUE: the field (the last one with `bits.` before its name) is VALUE to 1e-12.
close() {
  case $2 in
  bits.*) got=$(sed 's/.*"bits"://' "$1" | sed -nE "s/.*[{,]\"${2#bits.}\":([^,}]*).*/\1/p") ;;
  *) got=$(sed 's/"bits".*//' "$1" | sed -nE "s/.*[{,]\"$2\":([^,}]*).*/\1/p") ;;
  esac
  awk -v got="$got" -v wanted="$3" 'BEGIN { if (got == "") exit 1; d = got - wanted; exit !(d < 1e-12 && d > -1e-12) }' ||
    { echo "$2 is $got, not $3"; return 1; }
}
narrow() {  # no line of more than 100 characters: bytes that continue a character are not counted
  long=$(LC_ALL=C sed 's/[\x80-\xBF]//g' "$1" | awk 'length($0) > 100' | head -n 1)
  [ -z "$long" ] || { echo "too long: $long"; return 1; }
  not grep -q ' $' "$1" || { echo 'spaces at the end of a line'; return 1; }
}

test_file() {
  cat >example.json <<'END'
{"p":{"the cat":0.5,"the dog":0.2,"a cat":0.1,"a dog":0.2},"q":{"a dog":0.1,"a cat":0.2,"the dog":0.3,"the cat":0.4}}
END
  for program in "$f32" "$f64"; do
    real=$(basename "$program")
    must "file: $real, --json" 0 "$program" kl example.json --json
    check "file: $real, it is JSON" "" json_lines out
    for pair in kl_ab=0.0997934720914665 kl_ba=0.101696829962760 js=0.0248073038503919 tv=0.2 chi2_ab=0.208333333333333 \
      chi2_ba=0.22 hellinger2=0.0249947177471052 entropy_a=1.22060726455302 entropy_b=1.27985422583367 \
      cross_entropy_ab=1.32040073664448 bits.kl_ab=0.143971547299450 bits.kl_ba=0.146717512261402 \
      bits.js=0.0357893742427860 bits.tv=0.2 bits.chi2_ba=0.22 bits.entropy_a=1.76096404744368; do
      check "file: $real, ${pair%=*}" "" close out "${pair%=*}" "${pair#*=}"
    done
  done
  must "file: for people" 0 "$f64" kl example.json
  check "file: for people, the two numbers" "$(grep 'KL(p‖q)' out)" grep -q 'KL(p‖q) = .* 0.0997934720914665 *0.143971547299450' out
  check "file: for people, narrow" "" narrow out
  echo '{"q":{"a":1},"p":{"a":0.25,"b":0.75}}' >zero.json
  must "file: a name on one side only" 0 "$f64" kl zero.json --json
  check "file: KL(p‖q) is inf as a string" "$(cat out)" grep -q '"kl_ab":"inf"' out
  check "file: χ²(p‖q) too" "$(cat out)" grep -q '"chi2_ab":"inf"' out
  check "file: in bits too" "$(cat out)" grep -q '"bits":{"kl_ab":"inf"' out
  check "file: KL(q‖p) is log 4" "" close out kl_ba 1.386294361119891
  check "file: it is JSON with inf" "" json_lines out
  must "file: inf for people" 0 "$f64" kl zero.json
  check "file: it says why" "$(tail -n 1 out)" grep -q 'p gives "b" a probability, q gives it none' out
  echo '{"p":{"a":0.5000004,"b":0.5,"c":0},"q":{"a":0.5,"b":0.5}}' >nearly.json
  must "file: a sum within 1e-6 of 1" 0 "$f64" kl nearly.json --json
  check "file: numbers are taken as they are" "" close out tv 2e-7
}

test_refused() {
  refused() {  # NAME WORD TEXT
    printf '%s' "$3" >bad.json
    refuses "refused: $1" 4 "$2" "$f64" kl bad.json --json
    check "refused: $1, it names the file" "$(cat err)" grep -q 'bad\.json' err
  }
  refused 'a negative probability' 'p["b"] is -0.5' '{"p":{"a":1.5,"b":-0.5},"q":{"a":1}}'
  refused 'a probability in words' 'q["a"] is "1", must be a number' '{"p":{"a":1},"q":{"a":"1"}}'
  refused 'null' 'q["a"] is null' '{"p":{"a":1},"q":{"a":null}}'
  refused 'NaN' 'not JSON' '{"p":{"a":NaN},"q":{"a":1}}'
  refused '1e999' 'bad.json: holds a number that is out of range' '{"p":{"a":1e999},"q":{"a":1}}'
  refused 'an empty table' '"p" must be an object' '{"p":{},"q":{"a":1}}'
  refused 'a list' '"q" must be an object' '{"p":{"a":1},"q":[1]}'
  refused 'no q' 'has no "q"' '{"p":{"a":1}}'
  refused 'a sum of 0.9' '"p" sums to 0.9' '{"p":{"a":0.4,"b":0.5},"q":{"a":1}}'
  refused 'a sum of 1.000002' '"q" sums to 1.000002' '{"p":{"a":1},"q":{"a":1.000002}}'
  refused 'a name given twice' '"a" stands there twice' '{"p":{"a":0.5,"a":0.5,"b":0.5},"q":{"a":1}}'
  refused 'a table given twice' '"q" stands there twice' '{"p":{"a":1},"q":{"a":1},"q":{"a":1}}'
  refused 'no object' 'must be an object' '[1,2]'
  refused 'half a file' 'line 1 is not JSON' '{"p":{"a":1'
  refused 'an empty file' 'is empty' ''
  refuses 'refused: no file' 4 'nowhere.json' "$f64" kl nowhere.json
  refuses 'refused: a folder' 4 'is a folder' "$f64" kl .
  refuses 'refused: an empty name' 2 'FILE.json' "$f64" kl ''
  refuses 'refused: two files' 2 'b.json' "$f64" kl a.json b.json
  refuses 'refused: the lesson of a file' 2 '--lesson' "$f64" kl --lesson example.json
  refuses 'refused: the lesson as JSON' 2 '--lesson' "$f64" kl --lesson --json
}

# Every number of the data file stands on the page, to the digits that the page shows.
all_on_page() {
  awk 'NR == FNR { for (i = 1; i <= NF; ++i) if ($i ~ /^-?[0-9.]+(e-?[0-9]+)?,?$/) number[++n] = $i + 0; next }
    /"values": / {
      name = $0; sub(/.*"name": "/, "", name); sub(/".*/, "", name)
      sub(/.*"values": \[/, ""); sub(/\].*/, ""); count = split($0, value, /, /)
      slack = name ~ /^(gaussian|importance.self)/ ? 6e-8 : 6e-11
      for (k = 1; k <= count; ++k) {
        ++all; v = value[k] + 0; size = v < 0 ? -v : v; room = slack * (size > 1 ? size : 1); found = 0
        for (i = 1; i <= n && !found; ++i) found = number[i] - v <= room && v - number[i] <= room
        if (!found) { print name, "is not there:", value[k]; bad = 1 }
      }
    }
    END { if (bad || all < 700) { print all + 0, "numbers looked for"; exit 1 } }' "$1" "$root/tests/goldens/worked_numbers.json"
}

test_page() {
  must 'page: from another folder' 0 "$f64" kl
  mv out page
  check 'page: 0.22 beside the truth' "" grep -q '^   D_KL(π‖q), nats  *0\.22  *0\.0997934720914665  *0\.22 is wrong$' page
  check 'page: in bits' "" grep -q '^   D_KL(π‖q), bits  *0\.143971547299450$' page
  check 'page: what is exactly 0.22' "" grep -q 'χ²(q‖π) = .* 0\.220000000000000  *exactly 0\.22' page
  check 'page: every number of the data file' "" all_on_page page
  check 'page: narrow' "" narrow page
  "$f32" kl >page32
  check 'page: the float build prints the same' "" cmp page page32
  must 'page: one section' 0 "$f64" kl --section 14
  check 'page: that section alone' "$(cat out)" [ "$(grep -c '^[0-9]' out)" = 1 ]
  check 'page: it begins with its heading' "" sh -c 'head -n 1 out | grep -q "^14  Small formulas"'
  check 'page: it is what the whole page says' "" sh -c 'grep -vxF -f page out; [ $? = 1 ]'
  refuses 'page: a section that is not there' 2 'from 1 to 15, not 16' "$f64" kl --section 16
  refuses 'page: a section of the lesson' 2 '--section' "$f64" kl --lesson --section 1
  refuses 'page: a section as JSON' 2 '--section' "$f64" kl --section 1 --json
  must 'page: as JSON' 0 "$f64" kl --json
  check 'page: it is JSON' "" json_lines out
  check 'page: a number of it' "" close out kl.pi.q 0.0997934720914665
}

test_lesson() {
  must 'lesson: from another folder' 0 "$f64" kl --lesson
  check 'lesson: the example' "" grep -q '= 0\.0997934720914665 nats = 0\.143971547299450 bits$' out
  check 'lesson: the posterior' "" grep -q 'β = 0\.5: E\[r\] = 0\.917243, D_KL(π\*‖q) = 0\.258929, J\* = 0\.787779' out
  check 'lesson: collapse' "" grep -q '^  *2000  *0\.999658  *0\.044897  *0\.876510$' out
  check 'lesson: a penalty keeps the entropy' "" grep -q '^  *2000  *0\.998883  *0\.644793  *0\.502675  *0\.00304759$' out
  check 'lesson: narrow' "" narrow out
}

groups file refused page lesson -- "$@"
finish
