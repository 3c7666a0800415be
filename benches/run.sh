#!/bin/sh
# Measures this machine: `translate bench`, and plain PyTorch by turns with it. Works in a clone that was built, and in the
# folder that `make bench-bundle` makes, where a python3 with PyTorch 2.11, Pillow and numpy is all that it needs.
#
#   sh run.sh            on a GPU: cyclegan at batch 1 and 8, training and translating
#
#   DEVICE    cuda or cpu
#   TRAIN     what to train: recipes, with `:N` at batch N
#   APPLY     what to translate with: likewise
#   MODES     of PyTorch, by commas (`peer.py --help`)
#   WITH      fields of the recipe by which ours is trained once more each: on a GPU, without what shall make it fast
#   TURNS     steps of training that are measured
#   FILES     images that are translated in a turn
#   RESULTS   the file to write
set -eu
cd "$(dirname "$0")"

if [ -x ./translate ]; then translate=./translate; else translate=../target/release/translate; fi
if [ -x ../.venv/bin/python ]; then python=../.venv/bin/python; else python=python3; fi
translate=${TRANSLATE:-$translate}
python=${PYTHON:-$python}
device=${DEVICE:-cuda}
results=${RESULTS:-results-$device-$(date +%F).md}
turns=${TURNS:-20}
files=${FILES:-16}
modes=${MODES:-eager,channels-last,bf16,compile,channels-last+bf16+compile,channels-last+bf16+cuda-graphs}
if [ "$device" = cuda ]; then without="train.cuda_graph=false train.memory_format=contiguous train.precision=fp32"; fi
with=${WITH-${without-}}

libtorch=$("$python" -c 'import os, torch; print(os.path.join(torch.__path__[0], "lib"))') || {
    echo "error: \`$python\` has no PyTorch" >&2
    echo "hint: PYTHON names another; \`pip install torch==2.11.0 pillow numpy\` installs it" >&2
    exit 2
}
export LD_LIBRARY_PATH="$libtorch${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"

# The recipe in `$1`, as words for a command line; `$2` is the batch's option.
recipe() {
    case $1 in
    *:*) echo "-r ${1%%:*} $2${1##*:}" ;;
    *) echo "-r $1" ;;
    esac
}

# Runs what follows the heading `$1`, and shows it.
shown() {
    printf '\n### `%s`\n\n```\n' "$1"
    shift
    "$@"
    printf '```\n'
}

measure() {
    echo "## $(date +%F), $device"
    shown "translate doctor" "$translate" doctor
    if [ "$device" = cuda ] && command -v nvidia-smi >/dev/null; then
        shown nvidia-smi nvidia-smi --query-gpu=name,driver_version,memory.total,power.limit,clocks.max.sm --format=csv
    fi
    for run in ${TRAIN-cyclegan:1 cyclegan:8}; do
        set -- $(recipe "$run" "--set train.batch=") --device "$device"
        shown "translate bench train $*" "$translate" bench train "$@" --steps "$turns"
        printf '\n### `peer.py train %s --turns %s`\n\n' "$*" "$turns"
        for field in $with; do set -- "$@" --with "$field"; done
        "$python" -B peer.py train "$@" --translate "$translate" --turns "$turns" --modes "$modes"
    done
    # What is left: how long each kernel takes, also inside of the CUDA graph.
    if [ "$device" = cuda ] && command -v nsys >/dev/null; then
        shown "nsys profile translate bench train -r cyclegan" nsys profile --output "${results%.md}" --force-overwrite true \
            --trace cuda --cuda-graph-trace node --stats true "$translate" bench train -r cyclegan --device cuda --steps "$turns"
    fi
    for run in ${APPLY-cyclegan:1 cyclegan:8}; do
        set -- $(recipe "$run" "--batch ") --device "$device"
        case $run in *:*) batch=${run##*:} ;; *) batch=8 ;; esac
        set -- "$@" --steps $(((files + batch - 1) / batch))
        shown "translate bench apply $*" "$translate" bench apply "$@"
        printf '\n### `peer.py apply %s`\n\n' "$*"
        "$python" -B peer.py apply "$@" --translate "$translate" --turns 5 --warm-up 1 --modes "$modes"
    done
}

# What was measured before a failure is kept.
trap 'cat "$results"' EXIT
measure >"$results"
