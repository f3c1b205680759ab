#!/bin/sh
# make readme-check: README.md shows only what is true. Each of its blocks between ``` lines is one of these:
#
#   ```console                             lines `$ COMMAND` are run in order, and must print the lines that follow them
#   <!-- check: COMMAND --> and a block    COMMAND must print the block: `cat FILE` for a file that is shown
#   <!-- figures vary --> and a block      a console block in which numbers may be others (times, speeds)
#   <!-- unchecked: REASON --> and a block
#
# The mark stands on the line before the block, or one further up. Commands run in a folder of their own with what the
# repository has, HOME elsewhere, the library installed, and PKG_CONFIG_PATH set so that pkg-config finds it.
# sh tests/test_readme.sh [GROUP...]; see tests/shell.sh.
cd "$(dirname "$0")/.." || exit 1
. tests/shell.sh
unset MAKEFLAGS MFLAGS MAKEOVERRIDES DESTDIR PREFIX MODE

# Prints the blocks of a file as files: N.what (check, figures, unchecked, nothing), N.line, N.text, N.command.
cut_blocks() {  # FILE FOLDER
  awk -v folder="$2" '
    function put(kind, text) { printf "%s", text >(folder "/" n "." kind); close(folder "/" n "." kind) }
    /^```/ && !inside { inside = 1; ++n; text = ""; console = ($0 == "```console"); line = NR; next }
    /^```/ {
      inside = 0
      if (mark == "" && console) mark = "console"
      put("mark", mark); put("command", command); put("line", line); put("text", text)
      mark = command = ""
      next
    }
    inside { text = text $0 "\n"; next }
    /^<!-- check: .* -->$/ { mark = "check"; command = substr($0, 13, length($0) - 16); next }
    /^<!-- figures vary -->$/ { mark = "figures"; next }
    /^<!-- unchecked: .* -->$/ { mark = "unchecked"; next }
    /./ { mark = command = "" }
    END { print n + 0 }' "$1"
}
no_figures() { sed -E 's/[0-9]+([.,][0-9]+)*/N/g; s/ +/ /g' "$1"; }

# check_blocks GROUP FILE: one check for each block.
check_blocks() {
  blocks=$(mktemp -d "$tmp/blocks.XXXXXX")
  number=$(cut_blocks "$2" "$blocks")
  [ "$number" -gt 0 ] || fail "$1: blocks" "$2 has none"
  i=0
  while [ $i -lt "$number" ]; do
    i=$((i + 1))
    b=$blocks/$i
    name="$1: line $(cat "$b.line")"
    case $(cat "$b.mark") in
    check)
      (cd "$place" && sh -c "$(cat "$b.command")") >"$b.printed" 2>&1
      check "$name, $(cat "$b.command")" '' diff "$b.text" "$b.printed"
      ;;
    console | figures)
      # Each command, with what it prints, as in a terminal.
      sed -n 's/^\$ //p' "$b.text" >"$b.commands"
      while read -r command; do
        printf '$ %s\n' "$command"
        (cd "$place" && sh -c "$command") 2>&1 </dev/null
      done <"$b.commands" >"$b.printed"
      if [ "$(cat "$b.mark")" = figures ]; then
        no_figures "$b.text" >"$b.a"
        no_figures "$b.printed" >"$b.b"
      else
        cp "$b.text" "$b.a"
        cp "$b.printed" "$b.b"
      fi
      if [ -s "$b.commands" ]; then check "$name, $(head -n 1 "$b.commands")" '' diff "$b.a" "$b.b"
      else fail "$name" 'a console block without a command'; fi
      ;;
    unchecked) ;;
    *) fail "$name" 'a block that nothing checks, and that does not say why' ;;
    esac
  done
}

prepare() {
  [ -z "${place:-}" ] || return 0
  place=$tmp/place
  export HOME="$tmp/home"
  mkdir "$place" "$HOME"
  for f in "$root"/*; do
    case $f in */runs) ;; *) ln -s "$f" "$place/" ;; esac
  done
  cp "$root"/tests/examples/*.cpp "$place"
  check 'readme: make install' '' make --no-print-directory -C "$root" install PREFIX="$HOME/.local"
  export PKG_CONFIG_PATH="$HOME/.local/lib/pkgconfig" PATH="$HOME/.local/bin:$PATH"
}

test_readme() {
  prepare
  check_blocks readme "$root/README.md"
}

# The check itself: a block that is wrong fails, and only it.
try() {  # EXPECTED COUNTS "ok FAIL", NAME, TEXT on stdin
  cat >try.md
  (place=$tmp; check_blocks try try.md) >try.out
  counts="$(grep -c '^ok ' try.out) $(grep -c '^FAIL ' try.out)"
  check "control: $2" "$(cat try.out)" [ "$counts" = "$1" ]
}
test_control() {
  printf '```console\n$ echo one; echo 2\none\n2\n$ echo three\nthree\n```\n' | try '1 0' 'what is printed'
  printf '```console\n$ echo one\ntwo\n```\n' | try '0 1' 'another word'
  printf '```console\n$ echo one; echo two\none\n```\n' | try '0 1' 'a line too few'
  printf '```console\n$ echo one\none\ntwo\n```\n' | try '0 1' 'a line too many'
  printf '```console\n$ no_such_command\n```\n' | try '0 1' 'a command that is not there'
  printf '```console\none\n```\n' | try '0 1' 'no command'
  printf '```console\n$ echo took 1.5 s\ntook 1.6 s\n```\n' | try '0 1' 'another number'
  printf '<!-- figures vary -->\n```console\n$ echo took 1.5 s\ntook 12 s\n```\n' | try '1 0' 'another number where numbers vary'
  printf '<!-- figures vary -->\n```console\n$ echo took 1.5 s\nlost 12 s\n```\n' | try '0 1' 'another word where numbers vary'
  printf '<!-- check: printf "a\\n" -->\n\n```\na\n```\n' | try '1 0' 'a check of its own'
  printf '<!-- check: printf "a\\n" -->\n```cpp\nb\n```\n' | try '0 1' 'a check that differs'
  printf '<!-- unchecked: why -->\n```\nx\n```\n```\ny\n```\n' | try '0 1' 'a mark serves one block'
  printf 'no block\n' | try '0 1' 'no block at all'
}

groups control readme -- "$@"
finish
