#!/bin/sh
# Texts with known truth: gradus corpus as a person meets it, and the files of data/.
# sh tests/test_texts.sh [GROUP...]; see tests/shell.sh.
cd "$(dirname "$0")/.." || exit 1
. tests/shell.sh
data=$root/data

near() { awk -v a="$1" -v b="$2" -v e="$3" 'BEGIN { d = a - b; if (d < 0) d = -d; exit !(a != "" && d <= e) }'; }

test_corpus() {
  for name in two_words arithmetic stories; do
    g=$data/$name.grammar
    must "corpus: $name, text" 0 "$f64" corpus "$g" --bytes 20000 --seed 5
    mv out text
    size=$(wc -c <text) last=$(tail -n 1 text | wc -c)
    check "corpus: $name, it ends with the line that reaches the size" "$size bytes" [ "$size" -ge 20000 -a $((size - last)) -lt 20000 ]
    check "corpus: $name, whole lines" "" [ -z "$(tail -c 1 text | tr -d '\n')" ]
    "$f32" corpus "$g" --bytes 20000 --seed 5 >again
    check "corpus: $name, the same text from the float build" "" cmp text again
    "$f64" corpus "$g" --bytes 20000 --seed 6 >other
    check "corpus: $name, another seed is another text" "" not cmp -s text other
    must "corpus: $name, --json" 0 "$f64" corpus "$g" --json
    check "corpus: $name, one object, no text" "$(cat out)" json_lines out
    check "corpus: $name, nothing on stderr" "$(cat err)" [ ! -s err ]
    check "corpus: $name, the fields" "$(fields out)" [ "$(fields out)" = "entropy_rate exact unit stderr upper_bound how line_entropy characters_per_line words_per_line word_entropy_rate" ]
    check "corpus: $name, it is exact" "$(cat out)" [ "$(field out exact),$(field out stderr),$(field out unit)" = 'true,0.0,nats per character' ]
    h=$(field out line_entropy) characters=$(field out characters_per_line) words=$(field out words_per_line)
    check "corpus: $name, per character" "" near "$(field out entropy_rate)" "$(awk "BEGIN { printf \"%.17g\", $h / ($characters + 1) }")" 1e-14
    check "corpus: $name, per word" "" near "$(field out word_entropy_rate)" "$(awk "BEGIN { printf \"%.17g\", $h / ($words + 1) }")" 1e-14
    "$f64" corpus "$g" --json --bytes 20000 --seed 5 >with
    check "corpus: $name, --json with --bytes is about that text" "$(cat with)" [ "$(field with bytes),$(field with lines),$(field with characters)" = "$size,$(wc -l <text),$size" ]
    # The mean of about 80 lines or more, of which one deviates by less than 6 nats: 4.5 standard errors are below 3
    # nats a line.
    check "corpus: $name, its mean -ln P is the entropy within the noise" "$(cat with)" \
      near "$(sed -E 's/.*"text":.*"entropy_rate":([^}]*).*/\1/' with)" "$(field out entropy_rate)" "$(awk "BEGIN { print 3 / ($characters + 1) }")"
  done
  "$f64" corpus "$data/two_words.grammar" --json >out
  check "corpus: two_words, 1.27985422583367 nats a line" "" near "$(field out line_entropy)" 1.27985422583367 1e-14
  check "corpus: two_words, lengths by hand" "" [ "$(field out characters_per_line),$(field out words_per_line)" = 6.4,2.0 ]
  "$f64" corpus "$data/arithmetic.grammar" --bytes 50000 >out
  check "corpus: arithmetic, every sum is right" "" awk -F '[+=]' '!/^[0-9]+\+[0-9]+=[0-9]+$/ || $1 + $2 != $3 { bad = 1 } END { exit bad }' out
  "$f64" corpus "$data/stories.grammar" --bytes 2000000 >out
  vocabulary=$(tr ' ' '\n' <out | sort -u | wc -l)
  check "corpus: stories, a few hundred words" "$vocabulary words" [ "$vocabulary" -gt 200 -a "$vocabulary" -lt 500 ]
}

test_inexact() {
  printf 'line = [3] {line}{line} | [7] x\n' >s.grammar
  run "$f64" corpus s.grammar --json --seed 3
  check "inexact: it says so" "$(cat out)" [ "$(field out exact)" = false ]
  check "inexact: with an error and a bound" "$(cat out)" awk "BEGIN { exit !($(field out stderr) > 0 && $(field out entropy_rate) < $(field out upper_bound)) }"
  "$f64" corpus s.grammar --json --seed 4 >other
  check "inexact: the seed is the estimate's" "" not cmp -s out other
  printf 'line = a  b | [2] c\n' >spaces.grammar
  run "$f64" corpus spaces.grammar --json
  check "inexact: no rate for words where spaces say something" "$(cat out)" grep -q '"words_per_line":null,"word_entropy_rate":null' out
}

test_refusals() {
  g=$data/two_words.grammar
  refuses "refusals: no size" 2 '--bytes' "$f64" corpus "$g"
  refuses "refusals: --bytes 0" 2 'from 1 to' "$f64" corpus "$g" --bytes 0
  refuses "refusals: --bytes x" 2 'from 1 to' "$f64" corpus "$g" --bytes x
  refuses "refusals: no grammar" 2 GRAMMAR "$f64" corpus --bytes 10
  refuses "refusals: no such file" 4 nowhere "$f64" corpus nowhere --bytes 10
  refuses "refusals: a folder" 4 folder "$f64" corpus "$data" --bytes 10
  refuses "refusals: a text that is no grammar" 4 'fables.txt: line 1: "The Heron' "$f64" corpus "$data/fables.txt" --bytes 10
  printf 'a = {b}\n' >undefined
  refuses "refusals: a name without a rule" 4 'undefined: line 1: {b} is not defined' "$f64" corpus undefined --json
  printf 'a = x{a}\n' >endless
  refuses "refusals: no end" 4 'endless: line 1: rule a never ends' "$f64" corpus endless --json
  # Work is bounded: long lines with many derivations, a long chain of rules that part and meet, 998 rules that begin
  # alike. Each took minutes or more.
  printf 'a = [1] {a}{a} | [1.0001] x\n' >critical
  refuses "refusals: a nearly critical grammar" 4 'critical: a text of' timeout 30 "$f64" corpus critical --json
  { awk 'BEGIN { for (i = 0; i < 3000; ++i) print "a" i " = x{a" i + 1 "} | x{a" i + 1 "}y" }'; echo 'a3000 = z'; } >chain
  refuses "refusals: a chain of 3000 rules" 4 'chain: its entropy' timeout 50 "$f64" corpus chain --json
  awk 'BEGIN { printf "s = [1000] ."; for (i = 0; i < 998; ++i) printf " | {b%d}", i
    for (i = 0; i < 998; ++i) printf "\nb%d = x%d;{s}", i, i; print "" }' >alike
  must "refusals: not where the search alone is long" 0 timeout 30 "$f64" corpus alike --json
  timeout 20 "$f64" corpus "$g" --bytes 100000000000 >/dev/full 2>err
  code=$?
  check "refusals: a full disk ends it at once with 3" "exit code $code, $(cat err)" [ "$code-$(grep -c '^gradus: standard output' err)" = 3-1 ]
}

# The files as data/README.md lists them.
test_data() {
  printf '%s\n' 'the cat' 'the cat' 'the cat' 'the cat' 'the dog' 'the dog' 'the dog' 'a cat' 'a cat' 'a dog' >wanted
  check "data: two_words.txt" "" cmp wanted "$data/two_words.txt"
  size=$(wc -c <"$data/fables.zh.txt")
  check "data: fables.zh.txt has 10 kB at least" "$size" [ "$size" -ge 10000 ]
  check "data: fables.zh.txt is UTF-8" "" iconv -f UTF-8 -t UTF-8 "$data/fables.zh.txt"
  for file in "$data"/*.txt; do
    name=${file##*/}
    row=$(grep "^| \`$name\`" "$data/README.md" | tr -d ', ')
    found="$(wc -c <"$file")|$(LC_ALL=C.UTF-8 wc -m <"$file")|"
    check "data: README has the sizes of $name" "$found in $row" sh -c "case '$row' in *'|$found'*) ;; *) exit 1 ;; esac"
  done
  for file in "$data"/*.grammar; do
    "$f64" corpus "$file" --json >out
    row=$(grep "^| \`${file##*/}\`" "$data/README.md")
    found=$(printf '| %.6f | %.6f | %.6f |' "$(field out line_entropy)" "$(field out entropy_rate)" "$(field out word_entropy_rate)")
    check "data: README has the entropies of ${file##*/}" "$found in $row" sh -c "case '$row' in *'$found') ;; *) exit 1 ;; esac"
  done
  sed -n '/^```$/,/^```$/p' "$data/README.md" | sed '/^```$/d' >example.grammar
  "$f64" corpus example.grammar --bytes 200000 >out
  check "data: README's example, three lines in four" "" near "$(grep -c '^the' out)" "$(($(wc -l <out) * 3 / 4))" 300
  grep '^the' out >animals
  check "data: README's example, four animals in five" "" near "$(grep -c '^the [cd]' animals)" "$(($(wc -l <animals) * 4 / 5))" 300
}

groups corpus inexact refusals data -- "$@"
finish
