#!/bin/sh
# make demo: a Transformer learns to write from data/fables.txt, with text before and after; then it is fine-tuned to make
# everybody speak, with and without the KL penalty. Can be run again and again; under two minutes on two cores.
# Smaller than the default and with a greater learning rate: the first half takes half a minute.
set -eu
gradus=build/gradus
run=runs/demo
rm -rf "$run" "$run-tuned" "$run-collapsed"
"$gradus" train data/fables.txt --out "$run" --layers 3 --embd 96 --lr 4e-3 --warmup 60 --steps 1800 --eval-every 300 --eval-batches 5
echo
echo "It began with noise (step 0 above). From \"The miller\" it now writes:"
echo
"$gradus" sample "$run" --prompt "The miller" --tokens 360 --temperature 0.5 | fold -s -w 79

cat <<TEXT

Now it is rewarded for every quotation mark. REINFORCE raises
J = E[reward] − β KL(policy, prior), twice from the same start:
with β = 0.5, and with β = 0, which lets it forget how to write.
TEXT
steps=60
# A row for some of the steps of a log: reward, entropy and variety of pairs of characters, each with a bar. The bar of the
# quotation marks is full where each of the 48 characters is one.
picture() {
  sed -nE '/"type":"step"/s/.*"step":([0-9]+),"reward":([-0-9.e]+),.*"entropy":([-0-9.e]+),.*"distinct_2":([-0-9.e]+),.*/\1 \2 \3 \4/p' "$1" 2>/dev/null |
    awk 'function bar(x, most,   s, i) { s = ""; for (i = 0; i < 16; ++i) s = s (x > (i + 0.5) / 16 * most ? "#" : "."); return s }
         $1 == 1 || $1 % 12 == 0 { printf "%5d  %5.1f %s  %5.1f %s  %4.2f %s\n", $1, $2, bar($2, 48), $3, bar($3, 64), $4, bar($4, 0.14) }'
}
tune() { # NAME BETA: its rows appear as they are made
  "$gradus" tune "$run" --out "$run-$1" --reward 'count:"' --kl-coef "$2" --prompt "The miller" --max-tokens 48 \
    --steps $steps --lr 3e-4 --temperature 0.8 --exact never --quiet &
  rows=0
  while goes_on=$(kill -0 $! 2>/dev/null && echo yes); [ "$(picture "$run-$1/log.jsonl" | wc -l)" -gt $rows ] || [ "$goes_on" ]; do
    picture "$run-$1/log.jsonl" | tail -n +$((rows + 1))
    rows=$(picture "$run-$1/log.jsonl" | wc -l)
    [ -z "$goes_on" ] || sleep 0.5
  done
  wait $!
}
samples() { # NAME STEP
  sed -nE "/\"type\":\"sample\",\"step\":$2,/s/.*\"text\":\"(.*)\",\"samples\".*/\1/p" "$run-$1/log.jsonl" | sed 's/\\n/\n/g; s/\\"/"/g; s/^/  /; s/\n/\n  /g'
}
head=' step  quotation marks         entropy, nats           distinct pairs'
echo
echo "With the KL penalty (β = 0.5):"
echo "$head"
tune tuned 0.5
echo "Without it (β = 0):"
echo "$head"
tune collapsed 0
echo
echo "The same prompts and the same random numbers, before:"
samples tuned 0
echo "after, with the KL penalty:"
samples tuned $steps
echo "after, without it:"
samples collapsed $steps
cat <<TEXT

Curves and samples; open these in a browser:
  $run/report.html
  $run-tuned/report.html
  $run-collapsed/report.html

Try next:
  # another prompt, a lower temperature
  $gradus sample $run --prompt "The cat" --temperature 0.8
  # another reward
  $gradus tune $run --out runs/asking --reward 'count:?' --lr 3e-4 --kl-coef 0.5
  # an LSTM on the same text
  $gradus train data/fables.txt --out runs/lstm --model lstm
  # a text of your own, in any language
  $gradus train YOUR_TEXT.txt --out runs/mine
  # the weights by name
  $gradus inspect $run
  # the gradients of a small step, one op at a time
  $gradus step
TEXT
