#!/bin/sh
# gradus exact: the worked example's four sentences as runs, every answer against its worked number (f64, 1e-12 of what
# is printed), and what is refused.
cd "$(dirname "$0")/.." || exit 1
. tests/shell.sh

lines() { # FILE N WORDS...: the words as a line, N times
  for i_ in $(seq "$2"); do echo "$3 $4"; done >>"$1"
}
four_sentences() {
  [ ! -e q.txt ] || return
  lines q.txt 4 the cat && lines q.txt 3 the dog && lines q.txt 2 a cat && lines q.txt 1 a dog
  lines pi.txt 5 the cat && lines pi.txt 2 the dog && lines pi.txt 1 a cat && lines pi.txt 2 a dog
  for r in q pi; do
    "$f64" train $r.txt --out $r --lines --model tabular --tokenizer word --quiet || echo "no run $r"
  done
}
# close NAME VALUE WANTED: within 1e-12
close() { check "$1" "$2 instead of $3" awk "BEGIN { d = ($2) - ($3); exit !(d < 1e-12 && d > -1e-12) }"; }
# value_of FIELD: the first number of that name in `out`
value_of() { grep -o "\"$1\":[-0-9.e+]*" out | head -n 1 | cut -d: -f2; }

test_sequences() {
  four_sentences
  must "sequences: q" 0 "$f64" exact sequences q --max-tokens 3 --json
  check "sequences: one JSON object" "" json_lines out
  check "sequences: tokens without the end mark" "$(cat out)" grep -qE '"text":"the cat","tokens":\[[0-4],[0-4]\],"log_prob":-0.9162907318741[0-9]*,"ended":true' out
  check "sequences: there are four" "$(cat out)" [ "$(grep -o '"text"' out | wc -l)" = 4 ]
  close "sequences: they are all" "$(value_of total_probability)" 1
  must "sequences: cut" 0 "$f64" exact sequences q --max-tokens 2 --json
  check "sequences: without room for the mark they are cut" "$(cat out)" [ "$(grep -o '"ended":false' out | wc -l)" = 4 ]
  close "sequences: cut ones count too" "$(value_of total_probability)" 1
  must "sequences: behind a prompt" 0 "$f64" exact sequences q --max-tokens 2 --prompt the --json
  check "sequences: of the prompt's continuations" "$(cat out)" grep -q '"text":"cat",.*"log_prob":-0.5596157879' out
  must "sequences: for a person" 0 "$f64" exact sequences q --max-tokens 3
  check "sequences: the most probable first" "$(cat out)" sh -c 'sed -n 2p out | grep -q "0.400000000000.*the cat"'
}

# Runs that were trained in steps: all sequences together have probability 1, and each has that of `score`.
test_trained() {
  four_sentences
  for model in lstm transformer; do
    must "trained: $model" 0 "$f64" train q.txt --out $model --model $model --lines --tokenizer word --embd 8 --hidden 8 \
      --heads 2 --layers 1 --context 6 --steps 20 --lr 0.03 --warmup 0 --quiet
    must "trained: $model, its sequences" 0 "$f64" exact sequences $model --max-tokens 3 --json
    close "trained: $model, they are all" "$(value_of total_probability)" 1
    check "trained: $model, 1 + 4 + 16 ended, 64 cut" "" [ "$(grep -o '"ended":true' out | wc -l),$(grep -o '"ended":false' out | wc -l)" = 21,64 ]
    sed 's/{"text"/\n&/g' out | sed -nE 's/^\{"text":"([^"]*)",.*"log_prob":([-0-9.e]*),"ended":true.*/\1\t\2/p' >ended
    must "trained: $model, scored" 0 sh -c 'cut -f 1 ended | "$1" score "$2"' sh "$f64" $model
    sed -E 's/.*"log_prob":([-0-9.e]*).*/\1/' out | paste ended - >both
    check "trained: $model, score says the same of each" "$(cat both)" \
      awk -F '\t' '{ d = $2 - $3; if (!(d < 1e-12 && d > -1e-12)) exit 1; ++n } END { exit n != 21 }' both
  done
  must "trained: compared" 0 "$f64" exact compare lstm transformer --max-tokens 3 --json
  check "trained: they differ" "$(cat out)" awk "BEGIN { exit !($(value_of kl_ab) > 1e-6) }"
  rm -rf lstm transformer
}

test_compare() {
  four_sentences
  must "compare: pi and q" 0 "$f64" exact compare pi q --max-tokens 3 --json
  check "compare: its object" "" json_lines out
  close "compare: kl_ab" "$(value_of kl_ab)" 0.0997934720914665
  close "compare: kl_ba" "$(value_of kl_ba)" 0.101696829962760
  close "compare: js" "$(value_of js)" 0.0248073038503919
  close "compare: tv" "$(value_of tv)" 0.2
  close "compare: chi2_ab" "$(value_of chi2_ab)" 0.208333333333333
  close "compare: chi2_ba" "$(value_of chi2_ba)" 0.22
  close "compare: hellinger2" "$(value_of hellinger2)" 0.0249947177471052
  close "compare: entropy_a" "$(value_of entropy_a)" 1.22060726455302
  close "compare: entropy_b" "$(value_of entropy_b)" 1.27985422583367
  close "compare: cross_entropy_ab" "$(value_of cross_entropy_ab)" 1.32040073664448
  lines more.txt 1 the cat && lines more.txt 1 the dog && lines more.txt 1 a cow
  "$f64" train more.txt --out more --lines --model tabular --tokenizer word --quiet
  refuses "compare: another vocabulary" 4 'different vocabularies' "$f64" exact compare q more --max-tokens 3
  lines gap.txt 1 the cat && lines gap.txt 1 the dog && echo a >>gap.txt
  "$f64" train gap.txt --out gap --lines --model tabular --tokenizer word --quiet
  must "compare: a sequence that one run excludes" 0 "$f64" exact compare q gap --max-tokens 3 --json
  check "compare: makes the KL infinite, in words" "$(cat out)" grep -q '"kl_ab":"inf"' out
}

test_posterior() {
  four_sentences
  while read -r beta log_z j_star; do
    must "posterior: beta $beta" 0 "$f64" exact posterior q --reward contains:cat --kl-coef $beta --max-tokens 3 --json
    check "posterior: beta $beta, its object" "" json_lines out
    close "posterior: beta $beta, log_z" "$(value_of log_z)" $log_z
    close "posterior: beta $beta, j_star" "$(value_of j_star)" $j_star
  done <<EOF
0.1 9.48920464239583 0.948920464239583
0.5 1.57555711765163 0.787778558825813
1 0.708513066862315 0.708513066862315
2 0.328751625269407 0.657503250538815
EOF
  check "posterior: the fields of a sequence" "$(cat out)" grep -qE \
    '"sequences":\[(\{"text":"[a-z ]+","log_prior":-[0-9.]+,"reward":[01].0,"log_posterior":-[0-9.]+\},?){4}\]\}$' out
  refuses "posterior: beta 0" 2 '--kl-coef' "$f64" exact posterior q --reward end --kl-coef 0 --max-tokens 3
  refuses "posterior: an unknown reward" 2 'contains:S' "$f64" exact posterior q --reward bliss --max-tokens 3
}

test_gradient() {
  four_sentences
  must "gradient: exact" 0 "$f64" exact gradient pi --prior q --reward contains:cat --kl-coef 0.5 --max-tokens 3 --out g.st --json
  check "gradient: its fields" "$(fields out)" [ "$(fields out)" = 'objective reward kl entropy samples sequences' ]
  close "gradient: J" "$(value_of objective)" 0.550103263954267
  close "gradient: E[r]" "$(value_of reward)" 0.6
  close "gradient: KL" "$(value_of kl)" 0.0997934720914665
  close "gradient: H" "$(value_of entropy)" 1.22060726455302
  must "gradient: its file" 0 "$f64" inspect g.st --json
  check "gradient: holds the mean alone" "$(cat out)" grep -q '"tensors":\[{"name":"mean/table.weight","dtype":"F64","shape":\[8,5\],"norm":[0-9.]*}\]' out
  for baseline in none leave-one-out; do
    must "gradient: reinforce, $baseline" 0 "$f64" exact gradient pi --prior q --reward contains:cat --kl-coef 0.5 \
      --max-tokens 3 --estimator reinforce --baseline $baseline --batch 10 --samples 1005 --out s.st --json
    wanted=1005
    [ $baseline = none ] || wanted=1010
    check "gradient: $baseline, samples in whole groups" "$(cat out)" [ "$(value_of samples)" = $wanted ]
    must "gradient: $baseline, its file" 0 "$f64" inspect s.st --json
    check "gradient: $baseline, holds mean and variance" "$(cat out)" grep -q '"name":"mean/table.weight".*"name":"variance/table.weight"' out
    cp s.st again.st
    run "$f64" exact gradient pi --prior q --reward contains:cat --kl-coef 0.5 --max-tokens 3 --estimator reinforce \
      --baseline $baseline --batch 10 --samples 1005 --out s.st --threads 1 --quiet
    check "gradient: $baseline, the same on one thread" "" cmp s.st again.st
  done
  must "gradient: options of the other estimator" 0 "$f64" exact gradient pi --prior q --reward end --max-tokens 3 --out g.st --batch 3
  check "gradient: are named in a note" "$(cat err)" grep -q '^note: --batch has no meaning for --estimator exact' err
  refuses "gradient: leave-one-out of one" 2 'at least 2' "$f64" exact gradient pi --prior q --reward end --max-tokens 3 \
    --out new --estimator reinforce --baseline leave-one-out --batch 1
  refuses "gradient: nowhere to write" 3 'nowhere' "$f64" exact gradient pi --prior q --reward end --max-tokens 3 --out nowhere/g.st
  "$f64" train q.txt --out bigram --lines --model ngram --order 2 --tokenizer word --quiet
  refuses "gradient: of a model without parameters" 4 'no parameters' "$f64" exact gradient bigram --prior q --reward end --max-tokens 3 --out new
  must "gradient: a bigram as prior" 0 "$f64" exact gradient pi --prior bigram --reward end --max-tokens 3 --out g.st --json
}

test_refusals() {
  four_sentences
  printf 'abcdefgh\n' >abc.txt
  "$f64" train abc.txt --out lstm --model lstm --embd 2 --hidden 2 --context 4 --steps 0 --val-fraction 0 --quiet
  refuses "refusals: a world too large" 4 '--max-tokens 6 fits' "$f64" exact sequences lstm --max-tokens 7
  refuses "refusals: no question" 2 'sequences | compare | posterior | gradient' "$f64" exact
  refuses "refusals: no length" 2 '--max-tokens' "$f64" exact sequences q
  refuses "refusals: a prompt of foreign words" 4 'cow' "$f64" exact sequences q --max-tokens 3 --prompt cow
  refuses "refusals: no run" 4 'nowhere' "$f64" exact sequences nowhere --max-tokens 3
  "$f64" train abc.txt --out tf --model transformer --layers 1 --heads 1 --embd 2 --context 4 --steps 0 --val-fraction 0 --quiet
  refuses "refusals: longer than the context" 2 'the context of 4' "$f64" exact gradient tf --prior tf --reward length:2 --max-tokens 5 --out new
}

groups sequences trained compare posterior gradient refusals -- "$@"
finish
