#!/bin/sh
# make install and make uninstall: sh apps/install.sh install|uninstall, with PREFIX and DESTDIR in the environment; install
# also takes OBJECTS (build/MODE, without -f32 and -f64), VERSION, and CFLAGS and LIBS, what a user of the library needs.
#
# PREFIX/share/gradus/installed lists every file, and every folder that had to be made. It is written first, so that
# uninstall removes exactly these, after half an install too and whatever the sources have become. A second install
# removes the first.
set -eu
export LC_ALL=C
DESTDIR=${DESTDIR:-} new=
stop() { echo "$1" >&2; exit 1; }
case $PREFIX in
*[[:space:]]* | [!/]* | '') stop "PREFIX has to be an absolute path without spaces, not '$PREFIX'." ;;
esac
PREFIX=${PREFIX%/}
list=$DESTDIR$PREFIX/share/gradus/installed

# Headers lie in include/gradus and include each other as "gradus/engine/ops.h", so that a program's own engine/ is never
# taken for ours; gradus.h includes them all.
#
# The headers of the rooms that a program of one's own begins at, and all that they include. What only our own files
# include stays here.
headers() {
  found=$(ls engine/*.h engine/io/json.h engine/io/safetensors.h engine/step/page.h engine/step/text.h engine/step/walk.h models/*.h models/text/corpus.h models/text/tokenizer.h \
    models/grammar/grammar.h models/run/*.h rl/*.h rl/tables/*.h rl/worlds/*.h rl/rewards/reward.h rl/methods/method.h)
  while more=$(echo "$found" | xargs sed -n 's|^#include "\(.*\)"|\1|p' | sort -u); do
    all=$(printf '%s\n%s\n' "$found" "$more" | sort -u)
    [ "$all" != "$found" ] || break
    found=$all
  done
  echo "$found"
}

# What is installed, as FROM TO lines, TO below PREFIX. FROM is - for what this script writes.
contents() {
  echo "build/gradus bin/gradus
build/gradus-f64 bin/gradus-f64
$OBJECTS-f32/libgradus-f32.a lib/libgradus-f32.a
$OBJECTS-f64/libgradus-f64.a lib/libgradus-f64.a
- lib/pkgconfig/gradus.pc
- lib/pkgconfig/gradus-f64.pc
- include/gradus/gradus.h
engine/gdb/gradus.py share/gradus/gradus.py
LICENSE share/gradus/LICENSE"
  headers | sed 's|.*|& include/gradus/&|'
}

# folder PATH: makes DESTDIR/PATH and adds to $new each folder on the way that was not there.
folder() {
  [ -d "$DESTDIR$1" ] && return
  folder "$(dirname "$1")"
  mkdir -m 755 -- "$DESTDIR$1" 2>/dev/null || stop "$DESTDIR$1 cannot be made here: sudo make install, or make install PREFIX=\$HOME/.local."
  new="$new$1/
"
}

all_of_it() {
  printf '// All of gradus. A program that includes what it uses, such as "gradus/engine/ops.h", compiles faster.\n#pragma once\n\n'
  headers | sed 's|.*|#include "gradus/&"|'
}

# pkg_config FLAVOUR REAL WORDS: a .pc file on stdout. The library is static, so Libs lists all that it needs; the
# arithmetic flags are in Cflags, because inline functions of the headers have to be compiled as those of the library.
# -u keeps what only a debugger calls: check-grad of gradus.py.
pkg_config() {
  checker=$(nm "$OBJECTS-$1/libgradus-$1.a" 2>/dev/null | sed -n 's/.* T \(_ZN6gradus10show_check.*\)/\1/p')
  cat <<TEXT
prefix=$PREFIX
includedir=\${prefix}/include
libdir=\${prefix}/lib
gdb=\${prefix}/share/gradus/gradus.py

Name: gradus
Description: a small deep-learning engine with its own reverse-mode autodiff, in $3 precision
Version: $VERSION
Cflags: -std=c++20 -I\${includedir} -DGRADUS_REAL=$2 $CFLAGS
Libs: -L\${libdir} -Wl,-u,$checker -lgradus-$1 $LIBS
TEXT
}

uninstall() {
  paths=$(sort -r "$list")  # what lies in a folder comes before the folder
  echo "$paths" | while read -r path; do
    case $path in */) ;; *) rm -f -- "$DESTDIR$path" || stop "$DESTDIR$path cannot be removed." ;; esac
  done
  echo "$paths" | while read -r path; do
    case $path in */) rmdir -- "$DESTDIR$path" 2>/dev/null || : ;; esac  # somebody else's files stay, and so their folder
  done
}

install_all() {
  mkdir -p -- "$DESTDIR/" 2>/dev/null || stop "$DESTDIR cannot be made."
  [ ! -f "$list" ] || uninstall
  for to in $(contents | cut -d' ' -f2); do folder "$(dirname "$PREFIX/$to")"; done
  { printf %s "$new"; contents | sed "s|^[^ ]* |$PREFIX/|"; echo "$PREFIX/share/gradus/installed"; } >"$list" 2>/dev/null ||
    stop "$list cannot be written here: sudo make install, or make install PREFIX=\$HOME/.local."
  chmod 644 "$list"
  contents | while read -r from to; do
    target=$DESTDIR$PREFIX/$to mode=644
    case $to in
    bin/*) mode=755 ;;
    *-f64.pc) pkg_config f64 double double >"$target" ;;
    *.pc) pkg_config f32 float single >"$target" ;;
    include/gradus/gradus.h) all_of_it >"$target" ;;
    include/*) sed 's|^#include "|#include "gradus/|' "$from" >"$target" && from=- ;;
    esac
    if [ "$from" = - ]; then chmod $mode "$target"; else install -m $mode -- "$from" "$target"; fi
  done
}

case $1 in
install)
  install_all
  echo "Installed gradus and gradus-f64, the library and its headers below $DESTDIR$PREFIX."
  ;;
uninstall)
  [ -f "$list" ] || stop "Nothing to remove: there is no $list."
  uninstall
  echo "Removed what make install had put below $DESTDIR$PREFIX."
  ;;
esac
