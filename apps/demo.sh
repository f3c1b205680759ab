#!/bin/sh
# make demo: a Transformer learns to write from data/fables.txt, with text before and after. Can be run again and again.
set -eu
gradus=build/gradus
run=runs/demo
rm -rf "$run"
"$gradus" train data/fables.txt --out "$run" --steps 900 --eval-every 150 --lr 2e-3
echo
echo "It started as noise (step 0 above) and now writes, from the prompt \"The miller\":"
echo
"$gradus" sample "$run" --prompt "The miller" --tokens 360 --temperature 0.7
echo
cat <<TEXT
Try next:
  $gradus sample $run --prompt "The heron" --temperature 0.9      another beginning, more daring
  $gradus train data/fables.txt --out runs/lstm --model lstm       an LSTM on the same text
  $gradus train YOUR_TEXT.txt --out runs/mine                      a text of your own, in any language
  $gradus inspect $run                                             the weights by name
  make test                                                        the proofs
TEXT
