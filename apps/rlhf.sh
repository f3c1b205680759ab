#!/bin/sh
# make rlhf: learning from preferences, in a world of words that is small enough to list, so that what is reached can be
# measured without error. A model is trained on reviews; choices between its samples are made by a true reward; a reward
# model learns from them, and the policy is fine-tuned on that, by KL-regularised RL; DPO learns from the same choices
# without a reward model. The page at the end has every policy beside the exact frontier of the true reward, and how far
# the learnt reward departs from it. About a minute on two cores; can be run again and again.
set -eu
gradus=build/gradus
out=runs/rlhf
truth=table:data/reviews.json
tokens=5
rm -rf "$out"
mkdir -p "$out"
begin=$(date +%s)
say() { printf '\n%s\n\n' "$*"; }

say "1. A language model is trained on 8 kB of reviews of two to four words."
"$gradus" corpus data/reviews.grammar --bytes 8000 --quiet > "$out/reviews.txt"
"$gradus" train "$out/reviews.txt" --out "$out/prior" --lines --tokenizer word --model lstm --embd 32 --hidden 32 \
  --context 16 --batch 32 --steps 120 --lr 1e-2 --eval-every 60

say "2. Choices between its samples, as Bradley and Terry have it, by the true reward of data/reviews.json."
"$gradus" prefer "$out/prior" --reward "$truth" --count 250 --max-tokens $tokens --out "$out/choices.tsv"
head -3 "$out/choices.tsv" | sed 's/^\t/  /; s/\t/  rather than  /'

say "3. A reward model learns from the choices."
"$gradus" reward-model "$out/prior" --preferences "$out/choices.tsv" --out "$out/reward" --steps 300 --lr 5e-3

say "4. The policy is fine-tuned on what the reward model says, and by DPO on the choices, for several beta."
runs=
for beta in 1 0.5 0.2 0.05 0.01; do
  printf 'beta %s: RL' $beta
  "$gradus" tune "$out/prior" --out "$out/rl-$beta" --reward "model:$out/reward" --kl-coef $beta --max-tokens $tokens \
    --steps 400 --lr 1e-2 --batch 128 --exact never --quiet
  printf ', DPO\n'
  "$gradus" tune "$out/prior" --out "$out/dpo-$beta" --algorithm dpo --preferences "$out/choices.tsv" --kl-coef $beta \
    --max-tokens $tokens --steps 300 --lr 5e-3 --batch 128 --exact never --quiet
  runs="$runs $out/rl-$beta $out/dpo-$beta"
done

say "5. Where they stand, exactly: every sequence of the world is listed."
# shellcheck disable=SC2086
"$gradus" frontier "$out/prior" $runs --reward "$truth" --learned "model:$out/reward" --max-tokens $tokens \
  --html "$out/frontier.html"
for run in "$out/prior" "$out/rl-0.5" "$out/rl-0.01" "$out/dpo-0.5" "$out/dpo-0.01"; do
  printf '\n%s writes: ' "$(basename "$run")"
  "$gradus" sample "$run" --tokens $tokens --count 4 | paste -sd ',' - | sed 's/,/, /g'
done
cat <<TEXT

$(($(date +%s) - begin)) s. Open $out/frontier.html in a browser. Try next:
  # be the judge: press 1 or 2
  $gradus prefer $out/prior --max-tokens $tokens --out $out/mine.tsv
  # a policy from your choices
  $gradus tune $out/prior --out $out/mine --algorithm dpo --preferences $out/mine.tsv --kl-coef 0.5 --max-tokens $tokens
TEXT
