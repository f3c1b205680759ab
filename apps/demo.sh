#!/bin/sh
# make demo: a Transformer learns to write from data/fables.txt, with text before and after. Can be run again and again.
# Smaller than the default and with a greater learning rate: half a minute on two cores.
set -eu
gradus=build/gradus
run=runs/demo
rm -rf "$run"
"$gradus" train data/fables.txt --out "$run" --layers 3 --embd 96 --lr 4e-3 --warmup 60 --steps 1800 --eval-every 300 --eval-batches 5
echo
echo "It began with noise (step 0 above). From the prompt \"The miller\" it now writes:"
echo
"$gradus" sample "$run" --prompt "The miller" --tokens 360 --temperature 0.5
cat <<TEXT

Try next:
  $gradus sample $run --prompt "The cat" --temperature 0.8     another beginning, more daring
  $gradus train data/fables.txt --out runs/lstm --model lstm     an LSTM on the same text
  $gradus train YOUR_TEXT.txt --out runs/mine                    a text of your own, in any language
  $gradus inspect $run                                         the weights by name
  make test                                                          the proofs
TEXT
