#!/bin/sh
# The page of gradus look in a browser, for each kind of model. See tests/shell.sh; tests/look_page.js drives the browser.
# SHOTS=FOLDER: screenshots go there, of both settings of colours and three sizes.
cd "$(dirname "$0")/.." || exit 1
. tests/shell.sh
chromium=${CHROMIUM:-$(command -v chromium || command -v chromium-browser || command -v google-chrome)}
[ -z "${SHOTS:-}" ] || SHOTS=$(cd "$root" && mkdir -p "$SHOTS" && cd "$SHOTS" && pwd)
head -c 4000 "$root/data/fables.txt" >text.txt
tail -n +3 "$root/tests/goldens/microgpt_names.txt" >names.txt
echo 'The miller and the heron "saw" a mill, a sack.' >look.txt

# page NAME BYTES: the page of the run of this name, of at most so many bytes.
page() {
  must "look: $1" 0 "$f64" look "$1" $text_ --html "$1.html" --json
  cp out "$1.json"
  check "look: $1, at most $2 bytes" "$(wc -c <"$1.html")" test "$(wc -c <"$1.html")" -le "$2"
  check "look: $1, no address in it" "" not sh -c \
    "sed 's|http://www.w3.org/2000/svg||g' $1.html | grep -iE 'https?:|src=|href=|url\(|@import|fetch\(|XMLHttp|import\('"
  valid_html "look: $1, valid HTML" "$1.html"
  if [ -z "$chromium" ] || ! command -v node >/dev/null; then skip "look: $1, in a browser" 'chromium or node is not installed'
  else
    timeout 200 node "$root/tests/look_page.js" "$chromium" "$1" "$1.html" "$1.json" ${SHOTS:+"$SHOTS"} >shown 2>&1 || failed=1
    grep -E '^(ok|FAIL) ' shown || fail "look: $1, in a browser" "$(tail -n 3 shown)"
  fi
}
trained() {  # NAME OPTIONS...
  name_=$1
  shift
  must "look: training $name_" 0 "$f64" train --out "$name_" --steps 30 --eval-every 10 --warmup 0 --lr 1e-2 --batch 4 --quiet "$@"
}

test_microgpt() {
  trained microgpt names.txt --lines --layers 1 --heads 4 --embd 16 --context 16
  text_=names.txt
  page microgpt 1500000
}
test_kinds() {
  text_=look.txt
  trained transformer text.txt --layers 2 --heads 2 --embd 8 --context 12
  page transformer 1500000
  trained lstm text.txt --model lstm --layers 2 --embd 8 --hidden 12 --context 12
  page lstm 1500000
  trained nnlm text.txt --model nnlm --embd 4 --hidden 6
  page nnlm 1500000
  trained ngram text.txt --model ngram
  page ngram 1500000
}

test_script() {
  if ! command -v node >/dev/null; then skip script 'node is not installed'; return; fi
  for script in apps/look/page.js tests/look_page.js tests/browser.js; do
    must "script: node can read $script" 0 node --check "$root/$script"
  done
}

groups script microgpt kinds -- "$@"
finish
