#!/bin/sh
# What apps/packages.sh does on machines that lack something, acted by a compiler, an apt-get and others of our own in
# $PATH. sh tests/test_packages.sh [GROUP...]; see tests/shell.sh.
cd "$(dirname "$0")/.." || exit 1
. tests/shell.sh

mkdir bin
for tool in sh env cat echo printf; do ln -s "$(command -v $tool | grep / || echo "/bin/$tool")" bin/$tool; done
# program NAME: a program of that name, with its text on stdin.
program() { { echo '#!/bin/sh'; cat; } >"bin/$1" && chmod +x "bin/$1"; }
# The compiler finds the headers named in `headers`, and of cblas.h what `cblas` says.
compiler() {
  program g++ <<'TEXT'
case "$*" in
--version | -dumpversion) echo "${GXX_VERSION:-12}"; exit ;;
*c++20*) [ "${GXX_VERSION:-12}" -ge 10 ] || exit 1 ;;
esac
while read -r line; do
  case $line in
  *'<cblas.h>'*) ;;
  *openblas_set_num_threads*) [ "$(cat cblas)" = openblas ] || exit 1 ;;
  '#include '*) case " $(cat headers) " in *" ${line#\#include } "*) ;; *) exit 1 ;; esac ;;
  esac
done
exit 0
TEXT
}
machine() {  # CBLAS HEADERS...: root, with g++, pkg-config, and an apt-get that notes its arguments
  cblas=$1
  shift
  echo "$cblas" >cblas
  echo "$*" >headers
  rm -f apt.log bin/sudo
  compiler
  program pkg-config </dev/null
  echo 'echo "$@" >>apt.log' | program apt-get
  echo 'echo 0' | program id
}
headers='<CLI/CLI.hpp> <nlohmann/json.hpp> <utf8.h> <utf8proc.h> <doctest/doctest.h>'
options='-y --no-install-recommends'
packages() {  # VARIABLES...: what apps/packages.sh prints, its exit code in $code
  env -i PATH="$tmp/bin" CXX=g++ BLAS_CFLAGS= BLAS_LIBS=-lopenblas "$@" sh "$root/apps/packages.sh" >out 2>&1 </dev/null
  code=$?
}
# says NAME CODE TEXT VARIABLES...: exit code and the whole of what it prints.
says() {
  name_=$1 wanted_=$2 text_=$3
  shift 3
  packages "$@"
  check "packages: $name_" "exit code $code: $(cat out)" [ "$code $(cat out)" = "$wanted_ $text_" ]
}
apt_ran() { check "packages: $1, apt-get" "$(cat apt.log)" [ "$(cat apt.log)" = "update -qq
install $options $2" ]; }
no_apt() { check "packages: $1, apt-get is not run" "$(cat apt.log 2>&1)" [ ! -e apt.log ]; }

test_packages() {
  machine openblas $headers
  says 'nothing is missing' 0 ''
  no_apt 'nothing is missing'

  machine none
  rm bin/pkg-config
  want='pkg-config libopenblas-pthread-dev libcli11-dev nlohmann-json3-dev libutfcpp-dev libutf8proc-dev doctest-dev'
  says 'a fresh machine, root' 0 "Installing $want" BLAS_LIBS=
  apt_ran 'a fresh machine, root' "$want"

  machine reference $headers
  says 'the reference BLAS only' 0 'Installing libopenblas-pthread-dev' BLAS_LIBS=
  apt_ran 'the reference BLAS only' libopenblas-pthread-dev
  machine reference $headers
  says "the reference BLAS's cblas.h in front of OpenBLAS" 0 'Installing libopenblas-pthread-dev'

  machine openblas $headers
  says 'an OpenBLAS that pkg-config does not know' 0 'Installing libopenblas-pthread-dev' BLAS_LIBS=

  machine openblas '<CLI/CLI.hpp> <nlohmann/json.hpp> <utf8proc.h> <doctest/doctest.h>'
  says 'one is missing, NO_INSTALL' 1 "Missing packages. On Debian: apt-get install $options libutfcpp-dev" NO_INSTALL=1
  no_apt 'one is missing, NO_INSTALL'
  rm bin/apt-get
  says 'one is missing, no apt-get' 1 "Missing packages. On Debian: apt-get install $options libutfcpp-dev"

  machine openblas
  want='libcli11-dev nlohmann-json3-dev libutfcpp-dev libutf8proc-dev doctest-dev'
  echo 'echo 1000' | program id
  echo 'exec "$@"' | program sudo
  says 'a user without a terminal' 1 "Missing packages. As root: apt-get install $options $want"
  no_apt 'a user without a terminal'

  machine openblas
  echo 'echo E: no network >&2; exit 100' | program apt-get
  says 'apt-get fails' 1 "Installing $want
E: no network
E: no network
apt-get failed, see above. As root: apt-get update && apt-get install $options $want"

  machine openblas $headers
  rm bin/g++
  packages
  check 'packages: no compiler' "$(cat out apt.log)" grep -q "^install $options g++ " apt.log
  machine openblas $headers
  says 'a compiler of the past' 1 'g++ 9 does not know C++20; gradus is made with g++ 12 and clang 14.' GXX_VERSION=9
}

# A user who is asked, in a terminal that `script` makes.
test_terminal() {
  command -v script >/dev/null || { skip 'terminal: a user is asked' 'there is no script(1)'; return; }
  for answer in y n; do
    machine openblas '<CLI/CLI.hpp> <nlohmann/json.hpp> <utf8proc.h> <doctest/doctest.h>'
    echo 'echo 1000' | program id
    echo 'echo with sudo >>sudo.log; exec "$@"' | program sudo
    echo $answer | env CXX=g++ BLAS_CFLAGS= BLAS_LIBS=-lopenblas script -qec "PATH=$tmp/bin sh $root/apps/packages.sh" /dev/null >out 2>&1
    check "terminal: a user is asked ($answer)" "$(cat out)" grep -q "Run \"sudo apt-get install $options libutfcpp-dev\"? \[y/N\]" out
    if [ $answer = y ]; then
      apt_ran 'a user says yes' libutfcpp-dev
      check 'terminal: both with sudo' "$(cat sudo.log)" [ "$(grep -c sudo sudo.log)" = 2 ]
    else
      no_apt 'a user says no'
      check 'terminal: it says what to do' "$(cat out)" grep -q 'Nothing is installed. As root: apt-get' out
    fi
  done
  rm bin/sudo
  echo y | env CXX=g++ BLAS_CFLAGS= BLAS_LIBS=-lopenblas script -qec "PATH=$tmp/bin sh $root/apps/packages.sh" /dev/null >out 2>&1
  check 'terminal: no sudo' "$(cat out)" grep -q '^Missing packages. As root: apt-get' out
}

groups packages terminal -- "$@"
finish
