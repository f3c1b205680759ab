#!/bin/sh
# make test: everything that a change must pass. The programs and the test binaries are built already.
# The last line is `N passed, N failed`, with `, N skipped` where something was.
cd "$(dirname "$0")/.." || exit 1
. tests/parts.sh
program() { doctest "$1" "$2" build/release/tests/program/all "--test-suite=$1"; }
every_suite_has_its_row() {
  build/release/tests/program/all --list-test-suites | grep -E '^[a-z-]+$' | while read -r suite; do
    grep -q "^program $suite " tests/run.sh || { echo "tests/run.sh has no row for $suite"; exit 1; }
  done
}

ahead timeout 1800 build/release-f32/tests/all --no-colors=true
doctest f64 'gradients, engine, models' build/release-f64/tests/all
doctest f32 'gradients, engine, models' build/release-f32/tests/all
one floors 'no include goes upward' sh tests/check_floors.sh
checks floors 'planted violations are found' sh tests/test_floors.sh
one ops 'every op has its gradient test' sh tests/check_ops_covered.sh
one suites 'every suite of the program has its row' every_suite_has_its_row
program helper 'the helper of these suites reports mistakes'
program kl 'tables compared, the worked numbers, the lesson'
program exact 'small worlds: every answer against its worked number'
program report 'report.html: cut logs, resumed runs, no requests'
program train 'seeds, threads, JSON, log, both precisions'
program resume 'a resumed run = an uninterrupted run'
ahead sh tests/test_faults.sh short
program signals 'Ctrl-C and kill -9 at any step, locks'
checks files 'every failing call, kill -9, full disk' sh tests/test_faults.sh short
program telling 'best weights, overfitting, yardsticks, the lines that validate'
program sample 'temperature, counts, prompts'
program look 'inside a trained run: surprise, attention, gates'
ahead timeout 1800 build/release/tests/program/all --no-colors=true --test-suite=waiting
program memory 'memory promised before it is taken; time that grows evenly'
program waiting 'progress, and the end at once, of all long work'
program input 'texts and options that cannot be used'
program damage 'damaged and foreign checkpoints'
program write 'full disk, no memory, diverged losses'
program trust 'what a run of somebody else names is not opened or started'
program lost 'texts that cannot be read twice, moved and deleted files'
program proposals 'commands that are proposed run as they are printed'
program harmless 'escapes, overrides and script in any text or name'
program sentences 'numbers, bytes and files refused with their place'
program texts 'gradus corpus, the files in data/'
program lines 'texts of lines and of bytes'
program pairs 'prompts and replies: loss, samples, metrics, references'
program filters 'what a sample must hold, lines left out of a corpus'
program counting 'tables and n-grams'
program bayes 'the posterior of counts, its evidence and predictive'
program posterior 'runs with a posterior: a guide, chains, their draws'
program classify 'labels: training, reports, predictions; masked models'
program vae 'the sentence VAE: bounds, samples, the way between two texts'
program eval 'losses known by hand'
program score 'log-probabilities of given texts'
program tune 'fine-tuning: truth, report, prompts, bad input'
program tune-resume 'stopped, interrupted, or with a dead reward program'
program target 'targets and divergences: f-DPG, moments, priors, gradients'
program algorithms 'every method: truth, resume, bad input; values; rewards watched and held out'
program preferences 'choices, reward models, DPO, adapters'
program frontier 'the frontier, best of N, sampled divergences'
program atlas 'every divergence to two targets, exactly and from samples'
program bench 'gradus bench: works, fields, figures that agree'
checks packages 'machines that lack a package' sh tests/test_packages.sh
ahead sh tests/test_look.sh
checks install 'install, uninstall, programs that use the library' sh tests/test_install.sh
checks examples 'programs of a user: an op, a loop, a reward, microgpt' sh tests/test_install.sh examples
checks readme 'README shows what is printed' sh tests/test_readme.sh
checks look-pages 'gradus look: pages in a browser' sh tests/test_look.sh
program step 'gradus step: text, refusals'
ahead sh tests/test_gdb.sh
checks pages 'gradus step: keys, pages in a browser' sh tests/test_step.sh
checks gdb 'step-grad, why-nan and the other commands in gdb' sh tests/test_gdb.sh
summary 'All tests passed.'
