#!/bin/sh
# make install and uninstall, and programs that use the installed library.
# sh tests/test_install.sh [GROUP...]; see tests/shell.sh. The archives are built already.
cd "$(dirname "$0")/.." || exit 1
. tests/shell.sh
unset MAKEFLAGS MFLAGS MAKEOVERRIDES DESTDIR PREFIX MODE PKG_CONFIG_PATH
cxx=${CXX:-g++}

make_="make --no-print-directory -C $root"
tree() { (cd "$1" && find . | sort); }

# Into a DESTDIR with a space in its name, where bin/ was there before and is empty.
test_files() {
  prefix=$tmp/prefix
  stage="$tmp/a stage"
  there="$stage$prefix"
  mkdir -p "$there/bin"
  tree "$stage" >before
  must 'files: install' 0 $make_ install PREFIX="$prefix" DESTDIR="$stage"
  check 'files: nothing outside DESTDIR' "there is $prefix" [ ! -e "$prefix" ]
  (cd "$there" && find . -type f | sed 's|^\./||' | sort) >found
  grep '^include/gradus/' found | sed 's|^include/gradus/||; /^gradus.h$/d' >headers
  check 'files: the rooms that a program begins at are there' "$(cat headers)" sh -c 'for h in engine/ops.h engine/tape.h engine/io/safetensors.h \
    models/language_model.h models/sampler.h models/run/checkpoint.h models/text/tokenizer.h rl/learner.h rl/tables/divergence.h \
    rl/methods/method.h; do grep -qx $h headers || exit 1; done'
  check 'files: what only our own files include is not' "$(cat headers)" \
    not grep -E '^(engine/io/safetensors_header|models/grammar/(network|parse|ambiguity)|rl/rewards/(child|command)|apps/.*)\.h$' headers
  (cd "$there/include" && find . -name '*.h' | xargs sed -n 's|^#include "\(.*\)"|\1|p' | sort -u | xargs ls) >included 2>missing
  check 'files: every header that they include is there' "$(cat missing)" [ ! -s missing ]
  check 'files: they include each other by a name that is ours alone' "$(cat included)" not grep -v '^gradus/' included
  sort included >all && sed 's|^|gradus/|' headers | sort | diff - all >missing
  check 'files: gradus.h includes every header' "$(cat missing)" [ ! -s missing ]
  (cd "$root" && xargs ls) <headers | sed 's|^|include/gradus/|' >wanted
  printf '%s\n' bin/gradus bin/gradus-f64 lib/libgradus-f32.a lib/libgradus-f64.a lib/pkgconfig/gradus.pc \
    lib/pkgconfig/gradus-f64.pc include/gradus/gradus.h share/gradus/gradus.py share/gradus/LICENSE share/gradus/installed >>wanted
  check 'files: programs, libraries, headers, .pc and no more' '' sh -c 'sort wanted | diff - found'
  check 'files: the program is that of the build' '' cmp "$there/bin/gradus-f64" "$f64"
  check 'files: the prefix in gradus.pc is without DESTDIR' '' grep -qxF "prefix=$prefix" "$there/lib/pkgconfig/gradus.pc"
  (cd "$there" && find . -type f ! -perm 644 | sort | tr '\n' ' ') >modes
  check 'files: only programs are executable' "$(cat modes)" [ "$(cat modes)" = './bin/gradus ./bin/gradus-f64 ' ]

  tree "$stage" >once
  echo gone >"$there/include/gradus/engine/gone.h"
  echo "$prefix/include/gradus/engine/gone.h" >>"$there/share/gradus/installed"
  must 'files: install again' 0 $make_ install PREFIX="$prefix" DESTDIR="$stage"
  tree "$stage" >twice
  check 'files: the same files again, without a header of the past' '' diff once twice

  echo mine >"$there/include/gradus/models/mine.h"
  must 'files: uninstall' 0 $make_ uninstall PREFIX="$prefix" DESTDIR="$stage"
  (cd "$there" && find . -type f) >left
  check "files: a stranger's file stays" "$(cat left)" [ "$(cat left)" = ./include/gradus/models/mine.h ]
  rm -r "$there/include"
  tree "$stage" >after
  check 'files: uninstall leaves what was there before' '' diff before after
  run $make_ uninstall PREFIX="$prefix" DESTDIR="$stage"
  check 'files: uninstall where nothing is' "$(cat out err)" grep -q '^Nothing to remove: ' err
  run $make_ install PREFIX=relative DESTDIR="$stage"
  check 'files: a relative PREFIX' "$(cat out err)" grep -q "^PREFIX has to be an absolute path" err
  touch a_file
  run $make_ install PREFIX="$tmp/a_file/below"
  check 'files: where nothing can be made' "$(cat out err)" grep -q "cannot be made here: sudo make install" err
}

# Built with what pkg-config says and nothing else.
test_programs() {
  must 'programs: install' 0 $make_ install PREFIX="$tmp/usr"
  export PKG_CONFIG_PATH="$tmp/usr/lib/pkgconfig"
  for flavour in gradus gradus-f64; do
    check "programs: own_loss.cpp builds with $flavour" '' \
      $cxx -O1 -Wall -Wextra -Wshadow -Werror "$root/tests/examples/own_loss.cpp" $(pkg-config --cflags --libs $flavour) -o own_loss
    run ./own_loss
    mv out $flavour.out
    check "programs: it learns with $flavour" "$(tail -n 2 $flavour.out err)" grep -q '^step 150  loss 0.00 ' $flavour.out
  done
  check 'programs: both precisions print the same' '' cmp gradus.out gradus-f64.out
  run $cxx "$root/tests/examples/first.cpp" $(pkg-config --cflags gradus-f64) $(pkg-config --libs gradus) -o mixed
  check 'programs: precisions do not mix' "$(tail -n 2 err)" grep -q 'undefined reference to .gradus_built_with_double' err
  echo '#include "gradus/gradus.h"' >all.cpp
  check 'programs: all installed headers compile together' '' $cxx $(pkg-config --cflags gradus) -Wall -Wextra -Werror -fsyntax-only all.cpp
  must 'programs: uninstall' 0 $make_ uninstall PREFIX="$tmp/usr"
  check 'programs: uninstall leaves nothing' "$(find usr 2>&1)" [ ! -e usr ]
}

# build NAME [WHAT ELSE]: one of the examples in double precision, as a user would.
build() {
  name_=$1
  shift
  check "examples: $name_.cpp builds" '' $cxx -O0 -Wall -Wextra -Werror "$@" "$root/tests/examples/$name_.cpp" $(pkg-config --cflags --libs gradus-f64) -o "$name_"
}
# prints NAME EXPECTED: what the last run printed.
prints() { check "examples: $1" "$(cat out err)" [ "$code $(cat out)" = "0 $2" ]; }
# The losses that were printed, beside those of PyTorch: the largest difference, of as many lines as there are.
difference() {
  awk 'NR == FNR { want[$1] = $2; next } $1 == "step" { d = $4 - want[$2]; if (d < 0) d = -d; if (d > most) most = d; ++n }
       END { print n + 0, most + 0; exit !(n == 50 && most <= 1e-10) }' "$root/tests/goldens/microgpt_losses.txt" "$1"
}

# A row of its own in tests/run.sh: nine programs are compiled.
test_examples() {
  must 'examples: install' 0 $make_ install PREFIX="$tmp/usr"
  export PKG_CONFIG_PATH="$tmp/usr/lib/pkgconfig"
  build own_op
  run ./own_op
  prints 'own_op: gradients agree, and a loss with it' 'softplus: 6 slopes against finite differences: all agree
loss 1.7247, dloss/dx 1.9201'
  sed 's|dx\[i\] += op.dy|dx[i] += 1.001 * op.dy|' "$root/tests/examples/own_op.cpp" >wrong_op.cpp
  check 'examples: an op with a wrong slope builds' '' $cxx -O1 wrong_op.cpp $(pkg-config --cflags --libs gradus-f64) -o wrong_op
  run ./wrong_op
  check 'examples: and is found out' "$(cat out err)" grep -q 'differences: x [0-9] differs' out
  build own_training
  run ./own_training
  prints 'own_training: it knows its line by heart' 'step   1  loss 2.8
step 200  loss 0.0
the miller saw the heron fly over the mill.'
  must 'examples: a run to read' 0 "$f64" train "$root/data/two_words.txt" --out prior --lines --model tabular --tokenizer word --quiet
  build next_token
  run ./next_token prior the
  prints 'next_token: what follows "the"' '0.5714  cat
0.4286  dog
0.0000  a
0.0000  the
0.0000  <|endoftext|>'
  run ./next_token nothing-here
  check 'examples: next_token of no run' "$(cat out err)" [ $code = 1 ]
  build own_reward
  run ./own_reward prior
  prints 'own_reward: the optimum of reward and KL' 'prior: a cat in 0.60 of the lines
policy: a cat in 0.92 of the lines'
  build own_graph
  run ./own_graph
  prints 'own_graph: a page' 'own_graph.html: a loss of 0.0538, open it in a browser'
  valid_html 'examples: own_graph.html is valid HTML' own_graph.html
  check 'examples: it has the names of the program' '' grep -q '"name":"w"' own_graph.html
  for form in microgpt microgpt_scalar; do
    build $form
    run ./$form "$root/tests/goldens/microgpt_names.txt" 50
    check "examples: $form, the losses of PyTorch to 1e-10" "$(tail -n 3 out err)" difference out
    run ./$form /dev/null
    check "examples: $form without names" "$(cat out err)" [ $code = 2 ]
  done
  check 'examples: microgpt.cpp is at most 120 lines' '' [ "$(wc -l <"$root/tests/examples/microgpt.cpp")" -le 120 ]
}

# A program that has an engine/, models/ and rl/ of its own, and looks there first.
test_clash() {
  must 'clash: install' 0 $make_ install PREFIX="$tmp/usr"
  export PKG_CONFIG_PATH="$tmp/usr/lib/pkgconfig"
  mkdir -p engine models rl
  for h in engine/ops.h engine/tape.h engine/shape.h engine/error.h models/families.h rl/learner.h; do echo '#error mine' >$h; done
  echo 'inline int horses() { return 4; }' >engine/tensor.h
  printf '#include "engine/tensor.h"\n#include "gradus/engine/ops.h"\nint main() { gradus::Tape t; return horses() - 4; }\n' >mine.cpp
  check 'clash: it builds with its own engine/' '' $cxx -I. mine.cpp $(pkg-config --cflags --libs gradus) -o mine
  run ./mine
  check 'clash: and runs' "$(cat err)" [ $code = 0 ]
}

# The build files that README shows.
test_builders() {
  must 'builders: install' 0 $make_ install PREFIX="$tmp/usr"
  export PKG_CONFIG_PATH="$tmp/usr/lib/pkgconfig"
  mkdir project
  cp "$root"/tests/examples/own_loss.cpp "$root"/tests/examples/CMakeLists.txt "$root"/tests/examples/meson.build project
  if ! command -v cmake >/dev/null; then skip 'builders: CMake' 'cmake is not installed'
  else
    run cmake -S project -B with_cmake -DCMAKE_CXX_COMPILER="$cxx"
    check 'builders: CMake finds gradus' "$(tail -n 5 out err)" [ $code = 0 ]
    run cmake --build with_cmake
    check 'builders: CMake builds' "$(tail -n 5 out err)" [ $code = 0 ]
    run with_cmake/own_loss
    check 'builders: what CMake built learns' "$(tail -n 2 out err)" grep -q '^step 150  loss 0.00 ' out
  fi
  if ! command -v meson >/dev/null; then skip 'builders: Meson' 'meson is not installed'
  else
    run env CXX="$cxx" meson setup with_meson project
    check 'builders: Meson finds gradus' "$(tail -n 5 out err)" [ $code = 0 ]
    run meson compile -C with_meson
    check 'builders: Meson builds' "$(tail -n 5 out err)" [ $code = 0 ]
    run with_meson/own_loss
    check 'builders: what Meson built learns' "$(tail -n 2 out err)" grep -q '^step 150  loss 0.00 ' out
  fi
}

# gradus.py, as it is installed, on a program that only links the library.
test_debugger() {
  must 'debugger: install' 0 $make_ install PREFIX="$tmp/usr"
  export PKG_CONFIG_PATH="$tmp/usr/lib/pkgconfig"
  if ! command -v gdb >/dev/null; then skip debugger 'gdb is not installed'; return; fi
  check 'debugger: own_loss.cpp builds' '' $cxx -g "$root/tests/examples/own_loss.cpp" $(pkg-config --cflags --libs gradus-f64) -o own_loss
  printf 'set debuginfod enabled off\nset confirm off\nstep-grad 2\ncheck-grad all\ngrad w1\nwhy-nan\n' >session.gdb
  run gdb -nx -q -batch -x "$(pkg-config --variable=gdb gradus)" -x session.gdb ./own_loss
  if grep -q 'ptrace' err; then skip debugger 'ptrace is not permitted'; return; fi
  for said in 'A backward pass begins' 'backward of .* = relu(' 'ops checked: all agree' 'w1 \[2,4\]' 'every value and gradient is finite'; do
    check "debugger: $said" "$(tail -n 5 out err)" grep -q "$said" out
  done
}

# Slow, so only when asked for by name.
test_headers() {
  must 'headers: install' 0 $make_ install PREFIX="$tmp/usr"
  export PKG_CONFIG_PATH="$tmp/usr/lib/pkgconfig"
  cd "$tmp/usr/include" || exit 1
  find . -name '*.h' | sed 's|^\./||' | sort | xargs -P 2 -I % sh -c \
    'echo "#include \"%\"" | '"$cxx $(pkg-config --cflags gradus)"' -Wall -Wextra -Werror -x c++ -fsyntax-only - 2>/dev/null || echo %' >"$tmp/broken"
  cd "$tmp" || exit 1
  check 'headers: each installed header compiles alone' "$(cat broken)" [ ! -s broken ]
  must 'headers: uninstall' 0 $make_ uninstall PREFIX="$tmp/usr"
}

[ $# -gt 0 ] || set -- files programs clash builders debugger
groups files programs clash builders debugger examples headers -- "$@"
finish
