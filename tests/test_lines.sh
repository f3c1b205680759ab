#!/bin/sh
# The program on texts of lines, with the families that count, and its commands eval and score.
# sh tests/test_lines.sh [GROUP...]; see tests/shell.sh.
cd "$(dirname "$0")/.." || exit 1
. tests/shell.sh

for s in the\ cat:4 the\ dog:3 a\ cat:2 a\ dog:1; do
  i=0
  while [ $i -lt "${s#*:}" ]; do echo "${s%:*}"; i=$((i + 1)); done
done >two_words.txt
# is NAME GOT WANTED: numbers that agree to 1e-9.
is() { check "$1" "got '$2' instead of $3" awk "BEGIN { d = ($2) - ($3); exit !(d < 1e-9 && d > -1e-9) }"; }
small() { echo --model "$1" --embd 16 --hidden 16 --heads 2 --layers 1 --context 16 --batch 4 --shards 2; }

test_counting() {
  for model in tabular ngram; do
    must "counting: $model" 0 "$f64" train two_words.txt --out $model --lines --model $model --tokenizer word --order 2 --json
    check "counting: $model, one object" "" json_lines out
    is "counting: $model, nats a sentence" "3 * $(field out train_loss)" 1.27985422583367
    check "counting: $model, no steps, no validation" "$(cat out)" grep -q '^{"steps":0,.*"val_loss":null,' out
    check "counting: $model, its log" "$(cat $model/log.jsonl)" [ "$(sed -E 's/^\{"type":"([a-z]*)".*/\1/' $model/log.jsonl | tr '\n' ' ')" = 'run sample eval ' ]
    must "counting: $model, score" 0 "$f64" score $model <two_words.txt
    sort -u out >sentences
    for p in 'the cat:.4' 'the dog:.3' 'a cat:.2' 'a dog:.1'; do
      grep "\"text\":\"${p%:*}\"" sentences >line
      is "counting: $model, ${p%:*}" "exp($(field line log_prob))" "${p#*:}"
    done
    printf 'the the\n' >odd
    run "$f64" score $model <odd
    check "counting: $model, what was never seen" "$(cat out)" grep -q '"log_probs":\[-0.3566749[0-9]*,"-inf",.*"log_prob":"-inf"}$' out
    must "counting: $model, float reads the double run" 0 "$f32" sample $model --count 5 --json
    check "counting: $model, only sentences that were seen, and all end" "$(cat out)" grep -qE \
      '^\{"samples":\[(\{"text":"(the|a) (cat|dog)","tokens":\[[03],[12],4\],"log_probs":\[[-0-9.,e]+\],"ended":true\},?){5}\]\}$' out
    refuses "counting: $model, --resume" 2 'nothing to resume' "$f64" train --out $model --resume
  done
  must "counting: options of others are accepted" 0 "$f32" train two_words.txt --out foreign --lines --model ngram --steps 7 --lr 1e-4 --hidden 3 --json
  check "counting: and named in one note" "$(cat err)" grep -q '^note: --hidden, --steps, --lr has no meaning for --model ngram$' err
  for smoothing in add kneser-ney; do
    must "counting: $smoothing on a stream" 0 "$f64" train "$root/data/fables.txt" --out $smoothing --model ngram --smoothing $smoothing --val-fraction 0.1 --json --quiet
    check "counting: $smoothing, better than letter pairs" "$(cat out)" awk "BEGIN { exit !($(field out val_loss) < 2.3) }"
  done
  check "counting: Kneser-Ney is the better" "" awk "BEGIN { exit !($(grep -o '"val_loss":[0-9.]*' kneser-ney/log.jsonl | cut -d: -f2) < $(grep -o '"val_loss":[0-9.]*' add/log.jsonl | cut -d: -f2)) }"
  run "$f64" train "$root/data/fables.txt" --out none --model ngram --order 6 --val-fraction 0.1 --json --quiet
  check "counting: without smoothing validation is infinite, and says so" "$(cat out)" grep -q '"val_loss":"inf","best_val_loss":"inf"' out
  rm -rf tabular ngram foreign add kneser-ney none
}

test_lines() {
  printf 'ab\r\n\r\nabc\r\nb' >crlf.txt
  printf 'ab\n\nabc\nb\n' >lf.txt
  for model in transformer lstm rnn; do
    o="--lines --dropout 0.2 --eval-every 4 --quiet"
    "$f64" train two_words.txt --out whole $(small $model) $o --steps 12 --threads 1
    must "lines: $model, stopped" 130 "$f64" train two_words.txt --out part $(small $model) $o --steps 12 --stop-after 7 --threads 2
    must "lines: $model, resumed" 0 "$f64" train --out part --resume --quiet
    check "lines: $model, weights of the whole" "" same_weights whole part
    check "lines: $model, log of the whole" "" same_logs whole part
    "$f64" inspect whole --json >out
    check "lines: $model, end_id in the configuration" "" grep -q '\\"end_id\\":9' out
    check "lines: $model, the mark is the last of the vocabulary" "" grep -qF '\"t\",\"<|endoftext|>\"]' out
    must "lines: $model, sample" 0 "$f64" sample whole --count 20 --tokens 12 --json
    sed 's/{"text"/\n&/g' out | sed -nE 's/.*"tokens":\[([0-9,]*)\].*"ended":(true|false).*/\1 \2/p' >drawn
    check "lines: $model, a sample ends at its first mark, or is cut and says so" "$(head -3 drawn)" \
      [ "$(grep -cE '^(([0-8],)*9 true|([0-8],){11}[0-8] false)$' drawn)" = 20 ]
    "$f64" train crlf.txt --out crlf $(small $model) --lines --steps 3 --quiet
    "$f64" train lf.txt --out lf $(small $model) --lines --steps 3 --quiet
    check "lines: $model, CRLF is a line end" "" same_steps crlf lf
    rm -rf whole part crlf lf
  done
  printf 'one line, no end' >a.txt
  printf 'another\n' >b.txt
  run "$f32" train a.txt b.txt --out two $(small lstm) --lines --steps 1
  check "lines: of two files, none runs into the next" "$(head -n 1 out)" grep -q '2 lines, 23 characters' out
  refuses "lines: resumed with the files in another order" 4 "a.txt, then $(pwd -P)/b.txt; name them so, or none" \
    "$f32" train b.txt a.txt --out two --resume --steps 2
  must "lines: resumed with the files in their order" 0 "$f32" train a.txt b.txt --out two --resume --steps 2 --quiet
  run "$f32" train a.txt --out cut $(small lstm) --lines --steps 1
  check "lines: a line that does not fit is cut, and a note says so" "$(cat out)" grep -q 'note: .*a.txt: 1 of 1 line cut to the context of 16 tokens, without an end mark' out
  must "lines: an empty prompt is the beginning of a line" 0 "$f32" sample two --prompt '' --tokens 3
  must "lines: a prompt is continued" 0 "$f32" sample two --prompt 'one' --tokens 3
  check "lines: and stands before the sample" "$(cat out)" grep -q '^one' out
  refuses "lines: words without lines" 2 '--tokenizer word needs --lines' "$f32" train two_words.txt --out new --tokenizer word
  refuses "lines: a table without lines" 2 '--model tabular needs --lines' "$f32" train two_words.txt --out new --model tabular
  printf 'a <|endoftext|>\n' >mark.txt
  refuses "lines: the mark as a word" 4 'holds the word' "$f32" train mark.txt --out new --lines --tokenizer word
  rm -rf two cut
}

test_eval() {
  # A bigram of "abcabdab": after a always b; after b c or d; after c and d a. Of the 7 pairs two cost log 2.
  printf abcabdab >abc.txt
  "$f64" train abc.txt --out bigram --model ngram --order 2 --context 4 --quiet
  must "eval: one text" 0 "$f64" eval bigram abc.txt --json
  check "eval: its fields" "$(cat out)" [ "$(fields out)" = 'tokens nats_per_token bits_per_character perplexity' ]
  is "eval: tokens" "$(field out tokens)" 7
  is "eval: nats per token" "$(field out nats_per_token)" 'log(2) * 2 / 7'
  is "eval: bits per character" "$(field out bits_per_character)" '2 / 7'
  is "eval: perplexity" "$(field out perplexity)" 'exp(log(2) * 2 / 7)'
  printf abcab >short.txt
  run "$f64" eval bigram short.txt --json
  is "eval: a text shorter than the next window" "$(field out nats_per_token)" 'log(2) / 4'
  printf ab >two.txt
  run "$f64" eval bigram two.txt --json
  is "eval: two characters" "$(field out tokens)$(field out nats_per_token)" 10
  # Two tokens say what follows a, one does not: each of three windows begins with one, and costs log 2.
  printf abacabacabac >abac.txt
  "$f64" train abac.txt --out trigram --model ngram --order 3 --context 4 --quiet
  "$f64" eval trigram abac.txt --json >out
  a=$(field out nats_per_token)
  "$f64" eval trigram abac.txt --json --stride 1 >out
  b=$(field out nats_per_token)
  is "eval: windows of the context" "$a" 'log(2) * 3 / 11'
  is "eval: with --stride 1 only the first does" "$b" 'log(2) / 11'
  refuses "eval: --stride beyond the context" 2 'from 1 to the context' "$f64" eval trigram abac.txt --stride 5
  printf abca >front.txt
  printf bdab >back.txt
  run "$f64" eval bigram front.txt back.txt --json
  is "eval: two files are one text, tokens" "$(field out tokens)" 7
  is "eval: two files are one text, nats" "$(field out nats_per_token)" 'log(2) * 2 / 7'
  # Chinese, three bytes a character: bits are counted by code points whatever the tokens are.
  printf 天地天人天地天人天 >zh.txt
  for t in char byte; do
    "$f64" train zh.txt --out zh --model ngram --order 4 --tokenizer $t --context 8 --quiet
    "$f64" eval zh zh.txt --json >out
    is "eval: Chinese, $t, nats times tokens = bits times characters" \
      "$(field out nats_per_token) * $(field out tokens) / log(2)" "$(field out bits_per_character) * 8"
    is "eval: Chinese, $t, tokens" "$(field out tokens)" $([ $t = char ] && echo 8 || echo 26)
    rm -rf zh
  done
  "$f64" train zh.txt --out zh --model ngram --order 2 --context 8 --quiet
  "$f64" eval zh zh.txt --json >out
  is "eval: Chinese, bits per code point" "$(field out bits_per_character)" 0.5
  # Lines: 2 words, a space and a line end are 8 characters (the) or 6 (a).
  "$f64" train two_words.txt --out lines --lines --tokenizer word --model ngram --quiet
  "$f64" eval lines two_words.txt --json >out
  is "eval: lines, tokens with their marks" "$(field out tokens)" 30
  is "eval: lines, nats" "$(field out nats_per_token)" 1.27985422583367/3
  is "eval: lines, bits per character of the file" "$(field out bits_per_character)" "12.7985422583367 / log(2) / $(wc -m <two_words.txt)"
  # White space counts as it stands: 2 of the 4 lines begin with x and end after a or b, the others end at once.
  printf 'x  a\r\n\n x b \n\n' >spaces.txt
  "$f64" train spaces.txt --out spaces --lines --tokenizer word --model ngram --quiet
  "$f64" eval spaces spaces.txt --json >out
  is "eval: white space, tokens" "$(field out tokens)" 8
  is "eval: white space, nats" "$(field out nats_per_token)" '6 * log(2) / 8'
  is "eval: white space, bits per character of the file" "$(field out bits_per_character)" '6 / 14'
  # Bytes that are no UTF-8 are characters of their own: all seven but the first, which is not scored, and but two that
  # continue.
  printf 'a\200\344\270\255a\200' >bytes.txt
  "$f64" train bytes.txt --out bytes --model ngram --order 2 --tokenizer byte --context 4 --quiet
  "$f64" eval bytes bytes.txt --json >out
  is "eval: bytes, tokens" "$(field out tokens)" 6
  is "eval: bytes, bits per character" "$(field out nats_per_token) * 6 / log(2)" "$(field out bits_per_character) * 4"
  # A line that is cut counts up to the cut, and a last line without its end has none.
  printf 'abcdabcdabcdabcda\nab' >clipped.txt
  "$f64" train clipped.txt --out clipped $(small lstm) --val-fraction 0 --lines --steps 1 --quiet
  "$f64" eval clipped clipped.txt --json >out
  is "eval: a cut line, bits per character" "$(field out nats_per_token) * 19 / log(2)" "$(field out bits_per_character) * 18"
  # Splits are divided as the run divides its own.
  for model in lstm rnn; do
    run "$f64" train "$root/data/fables.txt" --out r $(small $model) --steps 3 --json --quiet
    wanted=$(field out val_loss)
    must "eval: $model, --split val" 0 "$f64" eval r "$root/data/fables.txt" --split val --json --threads 1
    is "eval: $model, is what training said" "$(field out nats_per_token)" "$wanted"
    run "$f64" eval r "$root/data/fables.txt" --split train --json
    is "eval: $model, --split train" "$(field out tokens)" 71630
    rm -rf r
  done
  refuses "eval: --split of nothing" 4 'no validation split' "$f64" eval bigram abc.txt --split val
  refuses "eval: --split of a wrong word" 2 'must be one of all | train | val' "$f64" eval bigram abc.txt --split test
  printf 'abx' >x.txt
  refuses "eval: an unknown character" 4 "'x' (U+0078)" "$f64" eval bigram x.txt
  printf a >one.txt
  refuses "eval: one character predicts nothing" 4 'at least 2' "$f64" eval bigram one.txt
  printf 'the cat\na zebra\n' >zebra.txt
  refuses "eval: an unknown word, and its line" 4 "zebra.txt, line 2: the word 'zebra' at position 2" "$f64" eval lines zebra.txt
  must "eval: for a person" 0 "$f64" eval bigram abc.txt
  check "eval: one sentence" "$(cat out)" grep -q '^7 tokens, 0.1980 nats a token, 0.2857 bits a character, perplexity 1.219$' out
  rm -rf bigram trigram zh lines
}

test_score() {
  for model in transformer lstm rnn; do
    "$f64" train two_words.txt --out lines $(small $model) --lines --steps 20 --quiet
    "$f64" sample lines --count 3 --tokens 40 --json >samples
    sed 's/{"text"/\n&/g' samples | grep '"ended":true' | sed -nE 's/.*"text":"([^"]*)".*/\1/p' >drawn
    must "score: $model" 0 "$f64" score lines <drawn
    check "score: $model, JSON lines" "" json_lines out
    n=0
    while IFS= read -r line; do
      n=$((n + 1))
      sed -n "${n}p" out >scored
      said=$(sed 's/{"text"/\n&/g' samples | grep '"ended":true' | sed -n "${n}p" | sed -E 's/.*"log_probs":\[([^]]*)\].*/\1/')
      got=$(sed -E 's/.*"log_probs":\[([^]]*)\].*/\1/' scored)
      check "score: $model, sample $n has the sampler's log-probabilities" "$said, $got" awk "BEGIN {
        n = split(\"$said\", a, \",\"); if (split(\"$got\", b, \",\") != n) exit 1
        for (i = 1; i <= n; ++i) { d = a[i] - b[i]; if (d > 1e-12 || d < -1e-12) exit 1 } }"
    done <drawn
    check "score: $model, there were samples that ended" "" test -s drawn
    rm -rf lines
  done
  "$f64" train "$root/data/fables.txt" --out stream $(small transformer) --steps 5 --quiet
  printf 'The miller\n\nA line that is longer than the context of sixteen\n' >three
  must "score: a stream" 0 "$f64" score stream <three
  check "score: a stream has no marks: as many numbers as characters" "$(cat out)" [ "$(sed -E 's/.*"tokens":\[([^]]*)\].*/\1/' out | sed -n '1p;3p' | tr ',' '\n' | wc -l)" = 59 ]
  check "score: an empty line of a stream is certain" "$(sed -n 2p out)" grep -q '^{"text":"","tokens":\[\],"log_probs":\[\],"log_prob":0.0}$' out
  printf 'x\351\n' >latin
  refuses "score: not UTF-8, and its line" 4 'line 1 of standard input: ' "$f64" score stream <latin
  must "score: nothing" 0 "$f64" score stream </dev/null
  check "score: nothing gives nothing" "" not test -s out
  must "score: temperature 0" 0 "$f64" score stream --temperature 0 <three
  check "score: the most probable or nothing" "$(head -c 200 out)" grep -qE '"log_probs":\[("-inf"|0.0)(,("-inf"|0.0))*\]' out
  rm -rf stream
}

test_bytes() {
  head -c 100000 "$f32" >program
  must "bytes: any file" 0 "$f32" train program --out binary --model ngram --tokenizer byte --order 2 --json --quiet
  must "bytes: a sample of it is text" 0 "$f32" sample binary --tokens 200 --json
  check "bytes: one object in UTF-8" "" sh -c "iconv -f UTF-8 -t UTF-8 out >/dev/null"
  must "bytes: for a person too" 0 "$f32" sample binary --tokens 200
  check "bytes: in UTF-8" "" sh -c "iconv -f UTF-8 -t UTF-8 out >/dev/null"
  i=0
  while [ $i -lt 30 ]; do echo 床前明月光; i=$((i + 1)); done >poem.txt
  for model in transformer rnn; do
    "$f32" train poem.txt --out poem $(small $model) --tokenizer byte --steps 150 --lr 1e-2 --warmup 10 --quiet
    run "$f32" sample poem --prompt 床前 --tokens 12 --temperature 0
    check "bytes: $model, characters come out whole, the last cut one as U+FFFD" "$(cat out)" [ "$(cat out)" = "床前明月光
�" ]
    "$f32" inspect poem --json >out
    check "bytes: $model, the vocabulary shows them by number" "" grep -qF '\"<0xE5>\"' out
    refuses "bytes: $model, a byte that it never saw" 4 'the byte 0x7A at position 4' "$f32" sample poem --prompt 床z
    rm -rf poem
  done
  rm -rf binary
}

groups counting lines eval score bytes -- "$@"
finish
