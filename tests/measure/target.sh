#!/bin/sh
# make measure: figures of tune --target and --divergence that take minutes, each beside what it should be. Three parts:
# every divergence to both targets; an adaptive proposal beside a fixed one; a rare word raised to one half.
cd "$(dirname "$0")/../.." || exit 1
here=$PWD gradus=${GRADUS_F64:-$PWD/build/gradus-f64}
work=$(mktemp -d) && trap 'rm -rf "$work"' EXIT && cd "$work" || exit 1
field() { sed -n 's/.*"'"$1"'":\[*\([-+0-9.einf]*\).*/\1/p'; }
tune() { rm -rf run; "$gradus" tune "$@" --out run --max-tokens 5 --quiet --json; }
share() {  # of texts with "cat", exactly
  "$gradus" exact sequences "$1" --max-tokens 5 --json | tr '{' '\n' |
    sed -n '/"text":"[^"]*cat/s/.*"log_prob":\([-0-9.e]*\).*/\1/p' | awk '{ s += exp($1) } END { printf "%.4f", s }'
}

"$gradus" corpus "$here/tests/measure/rare.grammar" --bytes 6000 --seed 1 > rare.txt
sizes='--lines --tokenizer word --layers 1 --heads 2 --embd 16 --hidden 16 --context 8 --steps 400 --lr 0.01 --val-fraction 0'
for model in transformer lstm; do
  # shellcheck disable=SC2086
  "$gradus" train rare.txt --out $model --model $model $sizes --quiet
done

echo 'KL(policy, target) of every divergence: below 1e-3 (tv: 1e-2)'
for model in lstm transformer; do
  for divergence in reverse-kl forward-kl js tv chi2 chi2-reverse hellinger alpha:0.5; do
    rl=$(tune $model --algorithm f-dpg --divergence $divergence --reward contains:a --kl-coef 1 --steps 800 --lr 0.005 \
      --batch 256 | field kl_to_target)
    gdc=$(tune $model --target gdc --divergence $divergence --feature contains:a=0.5 --steps 800 --lr 0.005 \
      --batch 256 | field kl_to_target)
    printf '  %-12s %-13s rl %.2e   gdc %.2e\n' $model $divergence "$rl" "$gdc"
  done
done

echo 'KL(target, policy) after 150 steps, forward-kl to cat=0.5: the adaptive proposal is nearer in 4 of 5 seeds'
for seed in 1 2 3 4 5; do
  for proposal in fixed adaptive; do
    tune transformer --target gdc --feature contains:cat=0.5 --divergence forward-kl --proposal $proposal --steps 150 \
      --lr 0.005 --seed $seed | field kl_from_target > $proposal
  done
  printf '  seed %d   fixed %.4f   adaptive %.4f\n' $seed "$(cat fixed)" "$(cat adaptive)"
done

echo 'A rare word: share of texts with it, KL(policy, prior); 0.5 ± 0.01 and the KL of the nearest within 10 %'
printf '  prior            %s\n' "$(share transformer)"
printf '  nearest, exact   0.5000   %s\n' \
  "$("$gradus" exact gdc transformer --feature contains:cat=0.5 --max-tokens 5 --json | field kl | cut -c1-6)"
for seed in 1 2 3; do
  kl=$(tune transformer --target gdc --feature contains:cat=0.5 --divergence js --steps 400 --lr 0.005 --batch 256 \
    --seed $seed | field kl_exact)
  printf '  moment 0.5       %s   %.4f\n' "$(share run)" "$kl"
  kl=$(tune transformer --reward contains:cat --kl-coef 0 --steps 400 --lr 0.005 --batch 256 --seed $seed | field kl_exact)
  printf '  reward alone     %s   %.4f\n' "$(share run)" "$kl"
done
