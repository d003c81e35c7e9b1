"""Sliced Wasserstein distance of patches of a Laplacian pyramid, as ProGAN measures it."""

import dataclasses

import numpy as np

from ganzoo.errors import MetricError, TooFewSamplesError
from ganzoo.metrics.arrays import Spool, check_count, checked_images

PATCH = 7  # pixels, ProGAN section 5
PATCHES_PER_IMAGE = 128
REPEATS, DIRECTIONS = 4, 128
SMALLEST = 16  # pixels: height of the last level
KERNEL = np.float32([1, 4, 6, 4, 1]) / np.float32(16)  # binomial, as cv2.pyrDown
BATCH = 64  # images that go through the pyramid at once
ROWS = 1 << 15  # patches that are read at once
VALUES = 1 << 24  # projections that are sorted at once: 64 MB


@dataclasses.dataclass(frozen=True)
class SlicedWasserstein:
    """Distance times 1000 of each level, by its height in pixels, and their mean."""

    mean: float
    values: dict[int, float]


def sliced_wasserstein(
    real, fake, *, seed=0, patches_per_image=PATCHES_PER_IMAGE, repeats=REPEATS
) -> SlicedWasserstein:
    """Mean 1-Wasserstein distance of random projections of patches, x 1000; lower is better.

    Each level of the Laplacian pyramid, from the image's height down to 16 pixels, gives 7 x 7
    patches at random places. They are normalised to mean 0 and deviation 1 per channel over the
    whole set, projected on `repeats` x 128 random unit directions, sorted and compared.

    Args:
        real, fake: uint8 [N, H, W, C] of equal shape; H and W divisible by 2 on every level.
        seed: int. Of the places and directions. Defaults to 0.
        patches_per_image: int > 0. Defaults to 128.
        repeats: int > 0. Directions are 128 times as many. Defaults to 4.
    Returns: `SlicedWasserstein`, all >= 0. Large scales show structure, small ones texture. Biased
        upwards by 1 / sqrt(N): compare equal N only; ProGAN takes 16,384. These need 0.2 GB of
        memory beside the images and, of RGB at 128 patches, 3.7 GB in temporary files: 226 kB per
        image of a set. The pyramid and the distance of given patches equal ProGAN's (test); places
        and directions are other random numbers.
    Raises:
        TooFewSamplesError: no images.
        MetricError: another dtype, unequal shapes, or sizes that cannot be halved.
    Reference: Karras et al. 2018 (arXiv:1710.10196), section 5 and appendix A.
    """
    check_count(patches_per_image, "patches_per_image")
    check_count(repeats, "repeats")
    real, fake = checked_images(real, "real", minimum=1), checked_images(fake, "fake", minimum=1)
    if real.shape != fake.shape:
        raise MetricError(
            "Sorted projections are compared one by one, so both sets need one shape; cut the "
            f"larger. Received: {real.shape} and {fake.shape}"
        )
    heights = level_heights(*real.shape[1:3])
    values = {}
    for level, height in enumerate(heights):
        both = [
            patches(images, level, len(heights), patches_per_image, seed=(seed, level, which))
            for which, images in enumerate((real, fake))
        ]
        random = np.random.default_rng((seed, level, 2))
        values[height] = 1e3 * projected_distance(*both, random, repeats=repeats)
        both.clear()  # the files of a level go before the next one's come
    return SlicedWasserstein(float(np.mean(list(values.values()))), values)


def level_heights(height, width) -> list[int]:
    """Heights of the pyramid's levels: halved while they are at least 16 pixels."""
    if min(height, width) < SMALLEST:
        raise TooFewSamplesError(
            f"The smallest level is {SMALLEST} pixels high. Received: {height} x {width} pixels"
        )
    heights = [height]
    while heights[-1] // 2 >= SMALLEST and min(height, width) // 2 ** len(heights) >= PATCH:
        heights.append(heights[-1] // 2)
    factor = 2 ** (len(heights) - 1)
    if height % factor or width % factor:
        raise MetricError(
            f"{len(heights)} levels need sides divisible by {factor}; crop or pad the images. "
            f"Received: {height} x {width} pixels"
        )
    return heights


def laplacian_pyramid(images, levels) -> list[np.ndarray]:
    """Band-pass levels, and the low-pass rest as the last one.

    Args:
        images: array [N, H, W, C].
        levels: int > 0.
    Returns: list of float32 [N, H / 2^l, W / 2^l, C]; the images are the sum of all, each
        enlarged to their size.
    """
    pyramid = [np.asarray(images, np.float32)]
    for _ in range(levels - 1):
        pyramid.append(_down(pyramid[-1]))
        pyramid[-2] = pyramid[-2] - _up(pyramid[-1])
    return pyramid


def patches(images, level, levels, count, *, seed) -> Spool:
    """Normalised patches of one level: float32 [N count, 49 C], `count` per image."""
    channels = images.shape[3]
    raw = _raw_patches(images, level, levels, count, seed)
    mean, deviation = _moments(raw, channels)
    scale = np.where(deviation > 0, deviation, 1)  # a constant channel stays 0
    found = Spool()
    for start in range(0, len(raw), ROWS):
        part = raw[start : start + ROWS].reshape(-1, PATCH * PATCH, channels)
        found.append(((part - mean) / scale).reshape(len(part), -1))
    return found


def _moments(raw, channels):
    """Mean and deviation of each channel over all patches, float32 [C]."""
    total, squares, size = np.zeros(channels), np.zeros(channels), len(raw) * PATCH * PATCH
    for start in range(0, len(raw), ROWS):
        total += raw[start : start + ROWS].reshape(-1, channels).sum(axis=0, dtype=np.float64)
    mean = (total / size).astype(np.float32)
    for start in range(0, len(raw), ROWS):
        centred = raw[start : start + ROWS].reshape(-1, channels) - mean
        squares += np.square(centred, dtype=np.float64).sum(axis=0)
    offset = total / size - mean  # of float32
    return mean, np.sqrt(np.maximum(squares / size - offset**2, 0)).astype(np.float32)


def _raw_patches(images, level, levels, count, seed) -> Spool:
    size = images.shape[1] >> level, images.shape[2] >> level
    random = np.random.default_rng(seed)
    rows = random.integers(0, size[0] - PATCH + 1, (len(images), count))
    columns = random.integers(0, size[1] - PATCH + 1, (len(images), count))
    found = Spool()
    for start in range(0, len(images), BATCH):
        part = slice(start, start + BATCH)
        # The level needs no band-pass below itself.
        band = laplacian_pyramid(images[part], min(level + 2, levels))[level]
        windows = np.lib.stride_tricks.sliding_window_view(band, (PATCH, PATCH), axis=(1, 2))
        image = np.arange(len(band))[:, np.newaxis]
        chosen = windows[image, rows[part], columns[part]]  # [n, count, C, 7, 7]
        found.append(np.moveaxis(chosen, 2, -1).reshape(len(band) * count, -1))
    return found


def projected_distance(first, second, random, *, repeats=REPEATS) -> float:
    """Mean over random unit directions of the 1-Wasserstein distance of the projections.

    Args:
        first, second: float arrays [N, D] of equal shape, or `Spool`s.
        random: `np.random.Generator`.
        repeats: int > 0, times 128 directions.
    Returns: float >= 0.
    """
    distances, columns = [], max(1, VALUES // max(1, len(first)))
    for _ in range(repeats):
        directions = random.standard_normal((first.shape[1], DIRECTIONS))
        directions /= np.linalg.norm(directions, axis=0)
        directions = directions.astype(np.float32)
        for start in range(0, DIRECTIONS, columns):
            some = directions[:, start : start + columns]
            difference = _sorted_projections(first, some)
            difference -= _sorted_projections(second, some)
            distances.append(np.abs(difference, out=difference).mean(dtype=np.float64))
    return float(np.mean(distances))


def _sorted_projections(rows, directions):
    """float32 [directions, N], each sorted."""
    found = np.empty((directions.shape[1], len(rows)), np.float32)
    for start in range(0, len(rows), ROWS):
        found[:, start : start + ROWS] = (rows[start : start + ROWS] @ directions).T
    found.sort(axis=1)
    return found


def _blur(images, gain):
    """5 x 5 binomial filter; the border is mirrored about the outermost pixel."""
    for axis in (1, 2):
        widths = [(0, 0)] * 4
        widths[axis] = (2, 2)
        padded = np.pad(images, widths, mode="reflect")
        length = images.shape[axis]
        images = sum(
            (gain * weight) * np.take(padded, np.arange(k, k + length), axis=axis)
            for k, weight in enumerate(KERNEL)
        )
    return images


def _down(images):
    return _blur(images, np.float32(1))[:, ::2, ::2]


def _up(images):
    count, height, width, channels = images.shape
    spread = np.zeros((count, 2 * height, 2 * width, channels), images.dtype)
    spread[:, ::2, ::2] = images
    return _blur(spread, np.float32(2))  # a quarter of the pixels: 2 on each axis
