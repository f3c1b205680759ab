#!/bin/sh
# sh tests/valid_html.sh PAGE: prints what is not valid HTML in it. The exit code is 0 if it is valid, 1 if it is not, and
# 77 if nothing here can tell. By html-validate (npm install -g html-validate, or its path in HTML_VALIDATE), else by
# Debian's tidy; HTML_VALIDATE=tidy asks for tidy where both are.
validator=${HTML_VALIDATE:-$(command -v html-validate || command -v tidy)}
command -v "${validator:-nothing}" >/dev/null || exit 77
case $validator in
*tidy) ;;
*) "$validator" --preset standard "$1" 2>&1 && exit 0; exit 1 ;;
esac
# Two complaints of tidy 5.6 are wrong. It does not know that a dl may group its dt and dd in a div, so these divs go first;
# and it calls attributes of an svg element within HTML proprietary.
complaints=$(sed -E 's|<div[^>]*>(<dt)|\1|; s|</dd></div>|</dd>|' "$1" | "$validator" -e -q -utf8 2>&1 |
  grep -vE '<svg> proprietary attribute "(viewbox|preserveaspectratio|width|height)"$')
[ -z "$complaints" ] || { echo "$complaints"; exit 1; }
