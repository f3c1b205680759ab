#!/bin/sh
# make measure: --optimizer muon beside AdamW, the default Transformer on one thread, three seeds each. AdamW takes half as many
# steps again, so that it has no less time; its learning rate is the better of 1e-3 and 3e-3. The loss is that of the whole
# validation text. Names are measured if `make corpora` has fetched them; other texts that are named are measured too:
#   sh tests/measure/optimizers.sh tinyshakespeare.txt
cd "$(dirname "$0")/../.." || exit 1
gradus=${GRADUS:-$PWD/build/gradus}
work=$(mktemp -d) && trap 'rm -rf "$work"' EXIT
field() { sed -n 's/.*"'"$1"'":\[*\([-+0-9.einf]*\).*/\1/p'; }
steps=${STEPS:-300}

# text, options of the text, optimizer, lr, steps
runs() {
  for seed in 1 2 3; do
    rm -rf "$work/run"
    # shellcheck disable=SC2086
    "$gradus" train "$1" $2 --out "$work/run" --optimizer "$3" --lr "$4" --steps "$5" --seed $seed --threads 1 --shards 1 \
      --eval-every 0 --save-every 0 --quiet --json >"$work/said" || exit 1
    printf '%s %s ' "$(field val_loss <"$work/said")" "$(field seconds <"$work/said")"
  done | awk -v text="${1##*/}${2:+ $2}" -v optimizer="$3" -v lr="$4" -v steps="$5" 'NF == 6 {
    printf "  %-32s %-6s lr %-5s %5d steps   loss %.3f (%.3f %.3f %.3f)   %5.1f s\n", text, optimizer, lr, steps,
      ($1 + $3 + $5) / 3, $1, $3, $5, ($2 + $4 + $6) / 3
    all_ran = 1 } END { exit !all_ran }' || exit 1
}

beside() {
  runs "$1" "$2" adamw 3e-3 $((steps * 3 / 2))
  runs "$1" "$2" muon 1e-2 "$steps"
}

echo 'AdamW and Muon: where there is text enough, the loss of Muon is lower in less time; few names it learns by heart'
beside data/fables.txt ''
[ ! -f build/corpora/names.txt ] || beside build/corpora/names.txt '--lines --batch 64'
for text in "$@"; do beside "$text" ''; done
