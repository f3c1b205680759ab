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
echo "It began with noise (step 0 above). From the prompt \"The miller\" it now writes:"
echo
"$gradus" sample "$run" --prompt "The miller" --tokens 360 --temperature 0.5

cat <<TEXT

Now it is rewarded for every quotation mark. REINFORCE raises J = E[reward] - beta KL(policy, prior), twice from the same
start: with beta = 0.5, and with beta = 0, which lets it forget how to write.

TEXT
steps=60
tune() { # NAME BETA
  "$gradus" tune "$run" --out "$run-$1" --reward 'count:"' --kl-coef "$2" --prompt "The miller" --max-tokens 48 \
    --steps $steps --lr 3e-4 --temperature 0.8 --exact never --quiet
}
tune tuned 0.5
tune collapsed 0

# A row for some of the steps of a log: reward, entropy and variety of letter pairs, each with a bar.
picture() {
  sed -nE '/"type":"step"/s/.*"step":([0-9]+),"reward":([-0-9.e]+),.*"entropy":([-0-9.e]+),.*"distinct_2":([-0-9.e]+),.*/\1 \2 \3 \4/p' "$1" |
    awk 'function bar(x, most,   s, i) { s = ""; for (i = 0; i < 16; ++i) s = s (x > (i + 0.5) / 16 * most ? "#" : "."); return s }
         $1 == 1 || $1 % 12 == 0 { printf "%5d  %5.1f %s  %5.1f %s  %4.2f %s\n", $1, $2, bar($2, 12), $3, bar($3, 64), $4, bar($4, 0.14) }'
}
samples() { # NAME STEP
  sed -nE "/\"type\":\"sample\",\"step\":$2,/s/.*\"text\":\"(.*)\",\"samples\".*/\1/p" "$run-$1/log.jsonl" | sed 's/\\n/\n/g; s/\\"/"/g; s/^/  /; s/\n/\n  /g'
}
for kind in tuned collapsed; do
  [ $kind = tuned ] && echo "With the KL penalty (beta = 0.5):" || echo "Without it (beta = 0):"
  echo " step  quotation marks         entropy, nats           different letter pairs"
  picture "$run-$kind/log.jsonl"
done
echo
echo "The same prompts and the same random numbers, before:"
samples tuned 0
echo "after, with the KL penalty:"
samples tuned $steps
echo "after, without it:"
samples collapsed $steps
cat <<TEXT

Try next:
  $gradus sample $run --prompt "The cat" --temperature 0.8     another prompt, a lower temperature
  $gradus tune $run --out runs/asking --reward 'count:?'       another reward
  $gradus report $run-tuned                                    curves of the fine-tuning as a page
  $gradus train data/fables.txt --out runs/lstm --model lstm          an LSTM on the same text
  $gradus train YOUR_TEXT.txt --out runs/mine                         a text of your own, in any language
  $gradus inspect $run                                         the weights by name
  make test                                                                    run the tests
TEXT
