#!/bin/sh
# make measure: the sweep from which the defaults of tune, --lr and --kl-coef, were chosen. Two of the shipped texts, three
# rewards that make demo and README suggest, 200 steps each with all other options at their defaults. A policy has collapsed
# where its texts repeat themselves: fewer than half as many different pairs of tokens as the prior's. The defaults are the
# setting of most reward at which none collapses: lr 1e-3 and beta 0.3. At beta 0.1 both counts collapse, to 28 question marks
# and 32 quotation marks in 32 characters, at lr 3e-4 too.
cd "$(dirname "$0")/../.." || exit 1
here=$PWD gradus=${GRADUS:-$PWD/build/gradus}
work=$(mktemp -d) && trap 'rm -rf "$work"' EXIT && cd "$work" || exit 1
field() { sed -n 's/.*"'"$1"'":\[*\([-+0-9.einf]*\).*/\1/p'; }

"$gradus" train "$here/data/fables.txt" --out fables --layers 3 --embd 96 --lr 4e-3 --warmup 60 --steps "${STEPS:-1200}" --quiet
"$gradus" corpus "$here/data/stories.grammar" --bytes 300000 --seed 1 > stories.txt
"$gradus" train stories.txt --out stories --lines --tokenizer word --layers 2 --embd 64 --context 80 --lr 3e-3 --steps "${STEPS:-600}" --quiet

echo '  text     reward          lr      beta   reward before -> after   entropy before -> after   pairs before -> after'
for lr in ${LRS:-3e-4 1e-3}; do
  for beta in ${BETAS:-0.1 0.3 0.5}; do
    for pair in 'fables|count:?' 'fables|count:"' 'fables|contains:the' 'stories|contains:fox' 'stories|end' 'stories|distinct:1'; do
      rm -rf run
      "$gradus" tune "${pair%%|*}" --out run --reward "${pair#*|}" --lr $lr --kl-coef $beta --exact never --quiet || exit 1
      grep '"type":"step"' run/log.jsonl > steps
      for what in reward entropy distinct_2; do
        head -n 1 steps | field $what
        tail -n 10 steps | field $what | awk '{ s += $1 } END { print s / NR }'
      done | tr '\n' ' ' | awk -v text="${pair%%|*}" -v reward="${pair#*|}" -v lr=$lr -v beta=$beta '{
        printf "  %-8s %-13s %7s %7s   %8.3f -> %8.3f      %7.2f -> %7.2f       %.3f -> %.3f%s\n", text, reward, lr, beta,
          $1, $2, $3, $4, $5, $6, $6 < $5 / 2 ? "   collapsed" : "" }'
    done
  done
done
