#!/bin/sh
# make packages: finds the packages that the build needs and this machine lacks, and installs them with apt: as root at once,
# with sudo after asking on a terminal. With NO_INSTALL, without apt, or without a terminal: prints the command to run, and
# exit 1. CXX, BLAS_CFLAGS and BLAS_LIBS are the Makefile's. WANTED names packages to install instead (tests/bench/run.sh).
stop() { echo "$1" >&2; exit 1; }
preprocesses() { $CXX -std=c++20 -E -x c++ - >/dev/null 2>&1; }

missing=${WANTED:-}
if [ -z "$missing" ]; then
case $CXX in *clang*) compiler=clang ;; *) compiler=g++ ;; esac
if ! $CXX --version >/dev/null 2>&1; then missing=$compiler
elif ! echo | preprocesses; then stop "$CXX $($CXX -dumpversion) does not know C++20; gradus is made with g++ 12 and clang 14."; fi
command -v pkg-config >/dev/null || missing="$missing pkg-config"

# Not any cblas.h: that of the reference BLAS, libblas-dev, lacks functions of OpenBLAS that the engine calls.
[ -n "$BLAS_LIBS" ] && printf '#include <cblas.h>\nauto f = openblas_set_num_threads;\n' |
  $CXX -std=c++20 $BLAS_CFLAGS -fsyntax-only -x c++ - >/dev/null 2>&1 || missing="$missing libopenblas-pthread-dev"
for need in CLI/CLI.hpp:libcli11-dev nlohmann/json.hpp:nlohmann-json3-dev utf8.h:libutfcpp-dev utf8proc.h:libutf8proc-dev doctest/doctest.h:doctest-dev; do
  echo "#include <${need%%:*}>" | preprocesses || missing="$missing ${need#*:}"
done
fi
[ -n "$missing" ] || exit 0

missing=${missing# }
line="apt-get install -y --no-install-recommends $missing"
[ -z "${NO_INSTALL:-}" ] && command -v apt-get >/dev/null || stop "Missing packages. On Debian: $line"
sudo=
if [ "$(id -u)" != 0 ]; then
  { [ -t 0 ] && command -v sudo >/dev/null; } || stop "Missing packages. As root: $line"
  printf 'Missing packages: %s\nRun "sudo %s"? [y/N] ' "$missing" "$line"
  read -r answer
  case $answer in y | Y) sudo=sudo ;; *) stop "Nothing is installed. As root: $line" ;; esac
fi
echo "Installing $missing"
$sudo apt-get update -qq
$sudo env DEBIAN_FRONTEND=noninteractive $line >/dev/null || stop "apt-get failed, see above. As root: apt-get update && $line"
