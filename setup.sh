#!/bin/sh
# Gets libtorch (the PyTorch 2.11.0 wheel) and the Python side of the parity tests from PyPI into a cache that all
# clones share, and links them here as .libtorch and .venv. Does nothing when that has been done.
#
#   LIBTORCH          your own libtorch 2.11 (a folder with lib/ and include/): nothing is downloaded
#   TRANSLATE_CACHE   the cache folder, by default ~/.cache/translate
set -eu
cd "$(dirname "$0")"

torch=2.11.0
packages="torch==$torch numpy>=2 scikit-image>=0.24 pillow>=11"

if [ -n "${LIBTORCH:-}" ]; then
    [ -e "$LIBTORCH/lib/libtorch.so" ] || {
        echo "error: LIBTORCH is \`$LIBTORCH\`, where there is no lib/libtorch.so" >&2
        echo "hint: point it at an unpacked libtorch $torch, or unset it to have one downloaded" >&2
        exit 2
    }
    exit 0
fi
cache=${TRANSLATE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/translate}
# The folder's name holds all that decides its contents, so that a change of packages makes a new one.
key=$(printf '%s' "$packages $(python3 -c 'import platform; print(platform.python_version(), platform.machine())')" | cksum | cut -d' ' -f1)
venv=$cache/torch-$torch-$key

if [ ! -e "$venv/complete" ]; then
    mkdir -p "$cache"
    # One set-up at a time: a second clone waits for the first one's download instead of breaking it.
    if command -v flock >/dev/null 2>&1 && [ -z "${TRANSLATE_SETUP_LOCKED:-}" ]; then
        TRANSLATE_SETUP_LOCKED=1 exec flock "$cache/lock" sh "$0"
    fi
    echo "set-up: PyTorch $torch (4.7 GB once installed) into $venv" >&2
    rm -rf "$venv"
    python3 -m venv "$venv" || python3 -m virtualenv "$venv" || {
        echo "error: \`python3 -m venv\` cannot make a virtual environment" >&2
        echo "hint: on Debian and Ubuntu, \`apt-get install python3-venv\`; or set LIBTORCH to a libtorch $torch of yours" >&2
        exit 2
    }
    # shellcheck disable=SC2086  # a list of words
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check $packages
    touch "$venv/complete"
fi
ln -sfn "$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/torch" .libtorch
ln -sfn "$venv" .venv
