"""Precision, recall, density and coverage from their definitions, for tests/it/fidelity.rs: `record(FOLDER)` makes
`FOLDER/fidelity.npz`.

Plain loops over points in float64 NumPy, after Kynkäänniemi et al. 2019 and Naeem et al. 2020, with the open balls of
the latter's code.

case{i}_real, case{i}_samples   [n, d], [m, d] float32
case{i}_k                       int64
case{i}_scores                  [6] float64: precision, recall, density, coverage, diversity, near-duplicates
"""

import numpy as np

NEAR = 0.25


def cases(rng):
    def normal(n, d):
        return rng.standard_normal((n, d))

    yield normal(40, 3), normal(40, 3), 5
    yield normal(64, 20), normal(37, 20) * 0.6 + 0.2, 3
    yield normal(23, 1), normal(90, 1), 1
    yield normal(30, 5), normal(30, 5) + 2, 5
    yield normal(30, 5), normal(30, 5) + 100, 2
    # Sets that share points, and so have distances that are equal.
    shared = normal(50, 8)
    yield shared, np.concatenate([shared[:20], normal(25, 8)]), 5
    yield shared, shared, 4
    # A grid, on which most distances are equal.
    grid = np.stack(np.meshgrid(np.arange(6), np.arange(6)), -1).reshape(-1, 2)
    yield grid, grid[:18] + [0.0, 1.0], 3
    # Two clusters of which one is drawn, and a few points drawn again and again.
    yield np.concatenate([normal(30, 6), normal(30, 6) + 8]), normal(50, 6), 5
    yield normal(45, 10), normal(3, 10).repeat(15, axis=0) + 0.01 * normal(45, 10), 5
    yield normal(20, 4), np.repeat(normal(1, 4), 12, axis=0), 5
    # No more points than the k-th neighbour takes.
    yield normal(6, 347), normal(8, 347), 5


def distance(a, b):
    return np.sqrt(np.sum((a - b) ** 2))


def to_others(points):
    """For each point its distances to the others, nearest first."""
    return [sorted(distance(p, q) for j, q in enumerate(points) if j != i) for i, p in enumerate(points)]


def scores(real, samples, k):
    among_real, among_samples = to_others(real), to_others(samples)
    radii = [row[k - 1] for row in among_real], [row[k - 1] for row in among_samples]
    precise, balls = 0, 0
    for s in samples:
        inside = sum(distance(s, r) < radius for r, radius in zip(real, radii[0]))
        precise += inside > 0
        balls += inside
    recalled = sum(any(distance(r, s) < radius for s, radius in zip(samples, radii[1])) for r in real)
    covered = sum(any(distance(r, s) < radius for s in samples) for r, radius in zip(real, radii[0]))
    near = NEAR * np.median([row[0] for row in among_real])
    return np.array(
        [
            precise / len(samples),
            recalled / len(real),
            balls / (k * len(samples)),
            covered / len(real),
            np.mean(among_samples) / np.mean(among_real),
            np.mean([row[0] < near for row in among_samples]),
        ]
    )


def record(folder):
    arrays = {}
    for i, (real, samples, k) in enumerate(cases(np.random.default_rng(11))):
        real, samples = real.astype(np.float32), samples.astype(np.float32)
        arrays |= {f"case{i}_real": real, f"case{i}_samples": samples, f"case{i}_k": np.array([k])}
        arrays[f"case{i}_scores"] = scores(real.astype(np.float64), samples.astype(np.float64), k)
    np.savez(folder / "fidelity.npz", **{name: np.ascontiguousarray(xs) for name, xs in arrays.items()})
