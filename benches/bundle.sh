#!/bin/sh
# Packs all that a measurement on another machine needs into the folder `$1`: the program `$2`, the recipes, PyTorch's side,
# and `run.sh`. That machine needs a glibc at least as new as this one's, and a python3 with PyTorch 2.11, Pillow and numpy.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "$1"
cp "$2" "$1/translate"
cp "$root/benches/run.sh" "$root/benches/peer.py" "$root/tests/parity/reference.py" "$1"
rm -rf "$1/recipes"
cp -r "$root/recipes" "$1"
