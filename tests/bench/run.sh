#!/bin/sh
# make bench-peers: installs Debian's PyTorch and its OpenBLAS if one is missing, as apps/packages.sh installs what the build needs (as root
# at once, else with sudo after asking on a terminal), then compares. Arguments go to compare.py.
set -e
here=$(dirname "$0")
if ! /usr/bin/python3 -c 'import torch' 2>/dev/null || ! ls -d /usr/lib/*/openblas-openmp >/dev/null 2>&1; then
  WANTED='python3-torch libopenblas0-openmp' sh apps/packages.sh
fi
exec /usr/bin/python3 "$here/compare.py" build/gradus "$@"
