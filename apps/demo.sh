#!/bin/sh
# make demo: a Transformer learns to write from data/fables.txt, with text before and after; then it is fine-tuned to ask
# questions, with and without the KL penalty. Can be run again and again; under two minutes on two cores.
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

Now it is rewarded for every question mark. J = E[reward] - beta KL(policy, prior) is raised by REINFORCE, twice from the
same start: with beta = 0.3, and with beta = 0, which forgets the language.

TEXT
tune() { # OUT BETA
  "$gradus" tune "$run" --out "$run-$1" --reward 'count:?' --kl-coef "$2" --prompt "The miller said" --max-tokens 48 \
    --steps 100 --lr 1e-3 --temperature 0.8 --exact never --quiet
}
tune tuned 0.3
tune collapsed 0

# A picture from the two logs: one bar a row for the reward, one for the variety of letter pairs.
picture() {
  sed -nE '/"type":"step"/s/.*"step":([0-9]+),"reward":([-0-9.e]+),.*"entropy":([-0-9.e]+),.*"distinct_2":([-0-9.e]+),.*/\1 \2 \3 \4/p' "$1" |
    awk 'function bar(x, most,   s, i) { s = ""; for (i = 0; i < 16; ++i) s = s (x > (i + 0.5) / 16 * most ? "#" : "."); return s }
         $1 == 1 || $1 % 20 == 0 { printf "%5d  %6.2f %s %7.1f %s %6.2f %s\n", $1, $2, bar($2, 8), $3, bar($3, 80), $4, bar($4, 0.3) }'
}
sample() { sed -nE "/\"type\":\"sample\",\"step\":$2,/s/.*\"text\":(\".*\")}/  \1/p" "$1"; }
for kind in tuned collapsed; do
  [ $kind = tuned ] && echo "With the KL penalty (beta = 0.3):" || echo "Without it (beta = 0):"
  echo " step  question marks          entropy, nats           distinct letter pairs"
  picture "$run-$kind/log.jsonl"
done
echo
echo "\"The miller said\" goes on, before:"
sample "$run-tuned/log.jsonl" 0
echo "after, with the KL penalty:"
sample "$run-tuned/log.jsonl" 100
echo "after, without it:"
sample "$run-collapsed/log.jsonl" 100
cat <<TEXT

Try next:
  $gradus sample $run --prompt "The cat" --temperature 0.8     another beginning, more daring
  $gradus tune $run --out runs/loud --reward 'count:!'          another wish
  $gradus train data/fables.txt --out runs/lstm --model lstm     an LSTM on the same text
  $gradus train YOUR_TEXT.txt --out runs/mine                    a text of your own, in any language
  $gradus inspect $run                                         the weights by name
  make test                                                          the proofs
TEXT
