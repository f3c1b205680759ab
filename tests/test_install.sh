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
  grep '^include/gradus/' found | sed 's|^include/gradus/||' >headers
  check 'files: the rooms that a program begins at are there' "$(cat headers)" sh -c 'for h in engine/ops.h engine/tape.h engine/io/safetensors.h \
    models/language_model.h models/sampler.h models/run/checkpoint.h models/text/tokenizer.h rl/learner.h rl/tables/divergence.h \
    rl/methods/method.h; do grep -qx $h headers || exit 1; done'
  check 'files: what only our own files include is not' "$(cat headers)" \
    not grep -E '^(engine/io/safetensors_header|models/grammar/(network|parse|ambiguity)|rl/rewards/(child|command)|apps/.*)\.h$' headers
  (cd "$there/include/gradus" && xargs sed -n 's|^#include "\(.*\)"|\1|p' <"$tmp/headers" | sort -u | xargs ls >/dev/null) 2>missing
  check 'files: every header that they include is there' "$(cat missing)" [ ! -s missing ]
  (cd "$root" && xargs ls) <headers | sed 's|^|include/gradus/|' >wanted
  printf '%s\n' bin/gradus bin/gradus-f64 lib/libgradus-f32.a lib/libgradus-f64.a lib/pkgconfig/gradus.pc \
    lib/pkgconfig/gradus-f64.pc share/gradus/LICENSE share/gradus/installed >>wanted
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
  (cd "$tmp/usr/include/gradus" && find . -name '*.h' | sed 's|^\./||' | sort) >headers
  sed 's/.*/#include "&"/' headers >all.cpp
  check 'programs: all installed headers compile together' '' $cxx $(pkg-config --cflags gradus) -Wall -Wextra -Werror -fsyntax-only all.cpp
  must 'programs: uninstall' 0 $make_ uninstall PREFIX="$tmp/usr"
  check 'programs: uninstall leaves nothing' "$(find usr 2>&1)" [ ! -e usr ]
}

# Slow, so only when asked for by name.
test_headers() {
  must 'headers: install' 0 $make_ install PREFIX="$tmp/usr"
  export PKG_CONFIG_PATH="$tmp/usr/lib/pkgconfig"
  cd "$tmp/usr/include/gradus" || exit 1
  find . -name '*.h' | sed 's|^\./||' | sort | xargs -P 2 -I % sh -c \
    'echo "#include \"%\"" | '"$cxx $(pkg-config --cflags gradus)"' -Wall -Wextra -Werror -x c++ -fsyntax-only - 2>/dev/null || echo %' >"$tmp/broken"
  cd "$tmp" || exit 1
  check 'headers: each installed header compiles alone' "$(cat broken)" [ ! -s broken ]
  must 'headers: uninstall' 0 $make_ uninstall PREFIX="$tmp/usr"
}

[ $# -gt 0 ] || set -- files programs
groups files programs headers -- "$@"
finish
