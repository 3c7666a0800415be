#!/bin/sh
# Gets libtorch (the PyTorch 2.11.0 wheel) and the Python side of the parity tests from PyPI into a cache that all
# clones share, and links them here as .libtorch and .venv. Does nothing when that has been done.
#
#   setup.sh          what the build needs, and the comparisons with PyTorch
#   setup.sh tests    ONNX's checker and runtime too, by which exports are tested, and the rest of CUDA's headers
#
#   LIBTORCH          your own libtorch 2.11 (a folder with lib/ and include/): nothing is downloaded
#   TRANSLATE_CACHE   the cache folder, by default ~/.cache/translate
set -eu
cd "$(dirname "$0")"

# Links a libtorch as .libtorch. Cargo does not see that the link leads elsewhere now, so build.rs, which writes libtorch's
# place into the program, is made to look changed.
link_libtorch() {
    [ "$(readlink -f .libtorch || true)" = "$(readlink -f "$1")" ] && return
    ln -sfn "$1" .libtorch
    touch build.rs
}

torch=2.11.0
packages="torch==$torch numpy>=2 scikit-image>=0.24 pillow>=11"
test_packages="onnx==1.20.1 onnxruntime==1.26.0 nvidia-cuda-crt==13.0.88 nvidia-cuda-cccl==13.0.85"

if [ -n "${LIBTORCH:-}" ]; then
    [ -e "$LIBTORCH/lib/libtorch.so" ] || {
        echo "error: LIBTORCH is \`$LIBTORCH\`, where there is no lib/libtorch.so" >&2
        echo "hint: point it at an unpacked libtorch $torch, or unset it to have one downloaded" >&2
        exit 2
    }
    # So that plain cargo finds it later, without the variable.
    link_libtorch "$(cd "$LIBTORCH" && pwd -P)"
    exit 0
fi
cache=${TRANSLATE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/translate}
# The folder's name holds all that decides its contents, so that a change of packages makes a new one.
key=$(printf '%s' "$packages $(python3 -c 'import platform; print(platform.python_version(), platform.machine())')" | cksum | cut -d' ' -f1)
venv=$cache/torch-$torch-$key

# Debian's bare python3 has venv but no pip to put into it: then pip's own wheel, which runs as it is, installs itself.
venv_with_fetched_pip() {
    rm -rf "$venv"
    python3 -m venv --without-pip "$venv" || {
        echo "error: \`python3 -m venv\` cannot make a virtual environment in $venv" >&2
        echo "hint: Python 3.10 or newer is needed; or set LIBTORCH to a libtorch $torch of yours" >&2
        exit 2
    }
    "$venv/bin/python" - "$venv/pip.whl" <<'END'
import hashlib, json, sys, urllib.parse, urllib.request

index = "https://pypi.org/pypi/pip/json"
def fetch(url):
    return urllib.request.urlopen(urllib.parse.urljoin(index, url), timeout=60).read()

files = json.loads(fetch(index))["urls"]
wheel = next(file for file in files if file["packagetype"] == "bdist_wheel")
data = fetch(wheel["url"])
if hashlib.sha256(data).hexdigest() != wheel["digests"]["sha256"]:
    sys.exit("error: pip's wheel arrived damaged\nhint: run this again")
with open(sys.argv[1], "wb") as file:
    file.write(data)
END
    "$venv/bin/python" "$venv/pip.whl/pip" install --quiet --disable-pip-version-check --ignore-installed pip
    rm "$venv/pip.whl"
}

# Its name holds what decides whether it is the right one, as the folder's does.
tests_complete=$venv/tests-$(printf '%s' "$test_packages" | cksum | cut -d' ' -f1)
if [ ! -e "$venv/complete" ] || { [ "${1:-}" = tests ] && [ ! -e "$tests_complete" ]; }; then
    mkdir -p "$cache"
    # One set-up at a time: a second clone waits for the first one's download instead of breaking it.
    if command -v flock >/dev/null 2>&1 && [ -z "${TRANSLATE_SETUP_LOCKED:-}" ]; then
        TRANSLATE_SETUP_LOCKED=1 exec flock "$cache/lock" sh ./setup.sh "$@"
    fi
fi
if [ ! -e "$venv/complete" ]; then
    echo "set-up: PyTorch $torch (4.7 GB once installed) into $venv" >&2
    rm -rf "$venv"
    python3 -m venv "$venv" 2>/dev/null || venv_with_fetched_pip
    # shellcheck disable=SC2086  # a list of words
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check $packages
    touch "$venv/complete"
fi
if [ "${1:-}" = tests ] && [ ! -e "$tests_complete" ]; then
    # shellcheck disable=SC2086  # a list of words
    if "$venv/bin/python" -m pip install --quiet --disable-pip-version-check $test_packages; then
        touch "$tests_complete"
    else
        echo "warning: no $test_packages here (Python 3.11 or newer is needed): ONNX files and CUDA's names are not tested" >&2
    fi
fi
link_libtorch "$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/torch"
ln -sfn "$venv" .venv
