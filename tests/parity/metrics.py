"""Metrics by other means, for tests/it/metrics.rs: `record(FOLDER)` makes
`FOLDER/metrics.npz`.

SSIM and PSNR come from scikit-image. The sliced Wasserstein distance (Karras et al. 2018, section 5) is written here in
float64 NumPy, its pyramid with SciPy's two-dimensional convolution; patch positions and directions are drawn here and
stored, so that both sides measure the same patches.

Pairs:  pair{i}_a, pair{i}_b       [images, 3, height, width] float32
        pair{i}_l1, _psnr, _ssim   [images] float64
Sets:   sets{i}_a, sets{i}_b       [images, 3, height, width] float32
        sets{i}_{a,b}_at{level}    [3, patches] int64: image, top, left
        sets{i}_directions{level}  [repeats, directions, 147] float32
        sets{i}_{a,b}_level{level} [images, 3, height, width] float64: the Laplacian pyramid
        sets{i}_swd                [levels] float64, times 1000
"""

import numpy as np
from scipy import ndimage
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

PATCH, PATCHES_PER_IMAGE, COARSEST = 7, 128, 16
REPEATS, DIRECTIONS = 4, 128


def structured(rng, images, height, width):
    """Smooth gradients, stripes and hard-edged discs: what photographs have and noise has not."""
    y, x = np.mgrid[0:height, 0:width] / max(height, width)
    out = np.empty((images, 3, height, width))
    for image in out:
        for channel in image:
            a, b, phase, frequency = rng.uniform(0.2, 1, 4)
            channel[:] = 0.5 + 0.2 * (a * x - b * y) + 0.15 * np.sin(40 * frequency * (a * x + b * y) + 6 * phase)
        for _ in range(4):
            cy, cx, radius = rng.uniform(0, 1, 3) * [1, 1, 0.3]
            image[:, (y - cy) ** 2 + (x - cx) ** 2 < radius**2] = rng.uniform(0, 1, (3, 1))
    return np.clip(out, 0, 1).astype(np.float32)


def clipped(xs):
    return np.clip(xs, 0, 1).astype(np.float32)


def pairs(rng):
    for height, width in [(64, 64), (33, 47), (11, 11)]:
        noise = rng.random((3, 3, height, width), dtype=np.float32)
        drawn = structured(rng, 3, height, width)
        yield noise, rng.random(noise.shape, dtype=np.float32)
        yield drawn, noise
        yield drawn, clipped(drawn + rng.normal(0, 0.05, drawn.shape))
        yield drawn, clipped(drawn + rng.normal(0, 0.0005, drawn.shape))
        yield drawn, np.roll(drawn, (2, -3), axis=(2, 3))
        yield drawn, clipped(0.8 * drawn + 0.15)
        yield drawn, 1 - drawn


def pair_scores(a, b):
    # scikit-image keeps float32 inside; float64 here, since its variances are differences of nearly equal numbers.
    for x, y in zip(a.astype(np.float64), b.astype(np.float64)):
        similarity = structural_similarity(
            x, y, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=1.0, channel_axis=0
        )
        yield np.abs(x - y).mean(), peak_signal_noise_ratio(x, y, data_range=1.0), similarity


def image_sets(rng):
    first = structured(rng, 20, 64, 64)
    yield first, structured(rng, 20, 64, 64)
    yield first, clipped(first[:13] + rng.normal(0, 0.1, first[:13].shape))
    yield first[:7], np.roll(first, 1, axis=0)
    yield structured(rng, 5, 37, 83), rng.random((9, 3, 37, 83), dtype=np.float32)
    yield rng.random((6, 3, 128, 128), dtype=np.float32), structured(rng, 6, 128, 128)
    yield structured(rng, 4, 16, 31), structured(rng, 4, 16, 31)


def blur(xs):
    taps = np.array([1, 4, 6, 4, 1]) / 16
    return ndimage.convolve(xs, np.outer(taps, taps)[None, None], mode="mirror")


def laplacian_pyramid(images):
    levels, rest = [], images.astype(np.float64)
    while min(-(-side // 2) for side in rest.shape[2:]) >= COARSEST:
        coarse = blur(rest)[:, :, ::2, ::2]
        spread = np.zeros_like(rest)
        spread[:, :, ::2, ::2] = coarse
        levels.append(rest - 4 * blur(spread))
        rest = coarse
    return [*levels, rest]


def draw_positions(rng, images, height, width):
    count = images * PATCHES_PER_IMAGE
    image = np.repeat(np.arange(images), PATCHES_PER_IMAGE)
    return np.stack([image, rng.integers(0, height - PATCH + 1, count), rng.integers(0, width - PATCH + 1, count)])


def draw_directions(rng):
    xs = rng.standard_normal((REPEATS, DIRECTIONS, 3 * PATCH * PATCH))
    return (xs / np.linalg.norm(xs, axis=-1, keepdims=True)).astype(np.float32)


def descriptors(level, positions):
    patches = np.stack([level[i, :, top : top + PATCH, left : left + PATCH] for i, top, left in positions.T])
    patches -= patches.mean(axis=(0, 2, 3), keepdims=True)
    patches /= patches.std(axis=(0, 2, 3), keepdims=True)
    return patches.reshape(len(patches), -1)


def sliced_wasserstein(a, b, directions):
    count = min(len(a), len(b))
    a, b = (xs[np.arange(count) * len(xs) // count] for xs in (a, b))
    return np.mean([np.abs(np.sort(a @ d) - np.sort(b @ d)).mean() for d in directions.reshape(-1, a.shape[1])])


def scored_pairs(rng):
    arrays = {}
    for i, (a, b) in enumerate(pairs(rng)):
        scores = np.array(list(pair_scores(a, b)))
        arrays |= {f"pair{i}_a": a, f"pair{i}_b": b}
        arrays |= {f"pair{i}_{name}": scores[:, k] for k, name in enumerate(["l1", "psnr", "ssim"])}
    return arrays


def compared_sets(rng):
    arrays = {}
    for i, sets in enumerate(image_sets(rng)):
        distances = []
        for level, pair in enumerate(zip(*map(laplacian_pyramid, sets))):
            positions = [draw_positions(rng, len(xs), *xs.shape[2:]) for xs in pair]
            directions = draw_directions(rng)
            drawn = [descriptors(xs, at) for xs, at in zip(pair, positions)]
            distances.append(1000 * sliced_wasserstein(*drawn, directions))
            arrays[f"sets{i}_directions{level}"] = directions
            arrays |= {f"sets{i}_{side}_at{level}": at for side, at in zip("ab", positions)}
            arrays |= {f"sets{i}_{side}_level{level}": xs for side, xs in zip("ab", pair)}
        arrays |= {f"sets{i}_a": sets[0], f"sets{i}_b": sets[1], f"sets{i}_swd": np.array(distances)}
    return arrays


def record(folder):
    arrays = scored_pairs(np.random.default_rng(20)) | compared_sets(np.random.default_rng(20))
    # tch reads no array in Fortran's order.
    np.savez(folder / "metrics.npz", **{name: np.ascontiguousarray(xs) for name, xs in arrays.items()})
