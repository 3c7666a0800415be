"""How a run's pictures came along: one line for each comparison with real images in RUN/metrics.jsonl.

    progress.py RUN    images shown, what the discriminator of `x` estimates (`-` where the objective says nothing), and
                       by generator precision, recall, coverage and diversity
"""

import argparse
import json
from pathlib import Path

SCORES = ["precision", "recall", "coverage", "diversity"]


def comparisons(file):
    """By tick that was compared and by generator: images, estimate, generator, scores."""
    for line in file.read_text().splitlines():
        tick = json.loads(line)
        for generator, fidelity in tick.get("fidelity", {}).items():
            yield tick["images"], tick["losses"].get("divergence.x"), generator, [fidelity[name] for name in SCORES]


def number(value):
    # JSON has no word for what is no number, so that stands there as null.
    return "-" if value is None else f"{value:.3f}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="a run folder")
    args = parser.parse_args()
    print("".join(f"{name:>14}" for name in ["images", "divergence.x", "generator", *SCORES]))
    for images, estimate, generator, scores in comparisons(args.run / "metrics.jsonl"):
        print("".join(f"{value:>14}" for value in [images, number(estimate), generator, *map(number, scores)]))
