#!/bin/sh
# make measure: what averaging over a posterior of the parameters buys on 400 characters of data/arithmetic.grammar, whose
# entropy rate is known: held-out loss of MLE, MAP and the predictive of HMC over ten seeds, and their calibration.
# Above 2 standard errors both times, or the last line says that a check failed.
cd "$(dirname "$0")/../.." || exit 1
echo 'held-out loss of a small nnlm on 400 characters: MLE, MAP, predictive of HMC'
build/release-f64/tests/all --test-suite=posterior_quality --no-skip
