#!/bin/sh
# make test: everything that a change must pass. The programs and both test binaries are built already.
# The last line is `N passed, N failed`, with `, N skipped` where something was.
cd "$(dirname "$0")/.." || exit 1
. tests/parts.sh

doctest f64 'gradients, engine, models' build/release-f64/tests/all
doctest f32 'gradients, engine, models' build/release-f32/tests/all
one floors 'no include goes upward' sh tests/check_floors.sh
one ops 'every op has its gradient test' sh tests/check_ops_covered.sh
checks program 'resume, JSON, sampling, bad input, exit codes' sh tests/test_program.sh
checks texts 'gradus corpus, the files in data/' sh tests/test_texts.sh
checks report 'report.html: cut logs, resumed runs, no requests' sh tests/test_report.sh
checks kl 'tables compared, the worked numbers, the lesson' sh tests/test_kl.sh
checks lines 'texts of lines, counting, eval, score' sh tests/test_lines.sh
checks exact 'small worlds: every answer against its worked number' sh tests/test_exact.sh
checks tune 'fine-tuning: truth, resume, prompts, bad input' sh tests/test_tune.sh
checks files 'every failing call, kill -9, full disk' sh tests/test_faults.sh short
checks packages 'what a machine may lack' sh tests/test_packages.sh
checks install 'install, uninstall, programs that use the library' sh tests/test_install.sh
checks readme 'README shows what is printed' sh tests/test_readme.sh
checks step 'gradus step: text, keys, pages in a browser' sh tests/test_step.sh
checks gdb 'step-grad, why-nan and their like in gdb' sh tests/test_gdb.sh
summary 'All tests passed.'
