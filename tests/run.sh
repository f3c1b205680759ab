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
checks lines 'texts of lines, counting, eval, score' sh tests/test_lines.sh
checks exact 'small worlds: every answer against its worked number' sh tests/test_exact.sh
checks tune 'fine-tuning: truth, resume, prompts, bad input' sh tests/test_tune.sh
checks files 'every failing call, kill -9, full disk' sh tests/test_faults.sh short
summary 'All tests passed.'
