#!/bin/sh
# The main job on the rendered portraits, from nothing: data, training, translations, figures, pictures.
#
#   sh demo.sh FOLDER    (by way of `make demo`, which builds the program first)
set -eu
cd "$(dirname "$0")"
out=${1:-demo}
translate() {
    "${CARGO_TARGET_DIR:-target}/release/translate" "$@"
}

[ -e "$out/faces" ] || translate demo-data "$out/faces"
faces=$out/faces
run=$out/run

# Goes on where it was stopped; a finished run is kept, measured and drawn anew.
translate train "$faces/photos" "$faces/anime" -r demo --run "$run"
translate apply "$run" "$faces/holdout/photos" -o "$out/drawn" --overwrite
translate eval "$run" "$faces/holdout/photos" "$faces/anime" --pairs "$faces/holdout/anime" \
    --picture "$out/photos-to-anime.png" --overwrite
translate eval "$run" "$faces/holdout/anime" "$faces/photos" --to photos --pairs "$faces/holdout/photos" \
    --picture "$out/anime-to-photos.png" --overwrite
echo "look at $out/photos-to-anime.png and $out/anime-to-photos.png: source, translation, true answer"
