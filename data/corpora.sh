#!/bin/sh
# make corpora: larger public texts out of Debian packages, as plain UTF-8 files in build/corpora. The packages are
# fetched with apt-get download and unpacked there, not installed: that leaves the machine as it is and works where
# documentation is not installed. Root is needed only where apt has no package lists yet. Existing files are kept, so
# a second run makes only the missing ones; packages that cannot be fetched are named at the end, and the exit code is 1.
cd "$(dirname "$0")/.." || exit 1
into=build/corpora
unpacked=$into/unpacked
mkdir -p "$unpacked" || exit 1
missing=

# as_root COMMAND...: as root, or with sudo after asking on a terminal.
as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"
  elif [ -t 0 ] && command -v sudo >/dev/null; then
    printf 'Run "sudo %s"? [y/N] ' "$*"
    read -r answer
    case $answer in y | Y) sudo "$@" ;; *) return 1 ;; esac
  else return 1; fi
}

# fetch PACKAGE: unpacked in $unpacked/PACKAGE
fetch() {
  [ ! -e "$unpacked/$1" ] || return 0
  echo "Fetching $1"
  rm -rf "$into/fetch" && mkdir -p "$into/fetch/tree" || return 1
  (cd "$into/fetch" && apt-get download -qq "$1" >said 2>&1 && dpkg-deb -x ./"$1"_*.deb tree) || return 1
  mv "$into/fetch/tree" "$unpacked/$1"
}

# text FILE PACKAGE WHAT COMMAND...: FILE is what the command writes, if that is not there yet.
text() {
  file=$into/$1 package=$2 what=$3
  shift 3
  if [ ! -s "$file" ]; then
    if ! "$@" >"$file.part" 2>"$file.err" || [ ! -s "$file.part" ]; then
      missing="$missing $package"
      echo "$file: not made: $(tail -n 1 "$file.err")"
      rm -f "$file.part" "$file.err"
      return
    fi
    rm -f "$file.err"
    mv "$file.part" "$file"
  fi
  distinct=$(LC_ALL=C.UTF-8 sed 's/./&\n/g' "$file" | LC_ALL=C.UTF-8 sort -u | wc -l)
  printf '%-28s %9d bytes %9d characters %6d distinct  %s\n' "$file" "$(wc -c <"$file")" \
    "$(LC_ALL=C.UTF-8 wc -m <"$file")" "$distinct" "$what"
}
poems() {  # without colours and the % between them
  sed -e 's/\x1b\[[0-9;]*m//g' -e 's/\r$//' -e 's/^%$//' "$unpacked/fortunes-zh/usr/share/games/fortunes/$1"
}
bible() {  # each verse is one line, without its number
  tree=$unpacked/bible-kjv-text
  COLUMNS=100000 "$unpacked/bible-kjv/usr/bin/bible" -d "$(find "$tree" "$unpacked/bible-kjv" -name bible.data | head -n 1)" \
    -f -l100000 gen1:1-rev22:21 </dev/null | sed -E 's/^[^ ]+ +//'
}

if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then
  echo "make corpora takes its texts from Debian packages; there is no apt-get here"
  exit 1
fi
packages='bible-kjv bible-kjv-text jargon-text fortunes-zh miscfiles wamerican'
updated=
for package in $packages; do
  fetch "$package" && continue
  if [ -z "$updated" ]; then
    updated=yes
    as_root apt-get update -qq && fetch "$package" && continue
  fi
  echo "$package: $(tail -n 1 "$into/fetch/said" 2>/dev/null)"
done
rm -rf "$into/fetch"

text bible.txt 'bible-kjv bible-kjv-text libreadline8' 'King James Bible, 1611 (out of copyright)' bible
text jargon.txt jargon-text 'the Jargon File (public domain)' zcat "$unpacked/jargon-text/usr/share/doc/jargon-text/jargon.txt.gz"
text tang300.txt fortunes-zh '300 poems of the Tang (out of copyright)' poems tang300
text song100.txt fortunes-zh '100 poems of the Song (out of copyright)' poems song100
text constitution.txt miscfiles 'Constitution of the United States (public domain)' zcat "$unpacked/miscfiles/usr/share/state/us-constitution.gz"
text names.txt miscfiles 'first names, one a line: for --lines (GPL-2+)' zcat "$unpacked/miscfiles/usr/share/dict/propernames.gz"
text words.txt wamerican 'English words, one a line: for --lines (free, notice in the package)' cat "$unpacked/wamerican/usr/share/dict/american-english"

if [ -n "$missing" ]; then
  echo "Not everything is there. On Debian: apt-get update && apt-get install$missing, then make corpora"
  exit 1
fi
echo "Try: build/gradus train $into/bible.txt --out runs/bible"
