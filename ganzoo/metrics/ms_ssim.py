"""Multi-scale structural similarity of random pairs of samples: a measure of missing variety."""

import dataclasses

import numpy as np

from ganzoo.errors import MetricError
from ganzoo.metrics.arrays import check_choice, check_count, checked_images

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # Wang et al. 2003, section 3.2
WINDOW, SIGMA = 11, 1.5
K1, K2, RANGE = 0.01, 0.03, 255.0
BATCH = 32  # pairs at once


@dataclasses.dataclass(frozen=True)
class PairSimilarity:
    """Mean over pairs, its standard error, and the value of each pair."""

    mean: float
    standard_error: float
    values: np.ndarray  # float64 [pairs]


def ms_ssim(first, second) -> np.ndarray:
    """MS-SSIM of each pair; 1 for equal images, at least 0.

    prod over scales 1..4 of cs^weight, times ssim^weight of scale 5; scales are halved by 2 x 2
    means, and both terms are means over pixels and channels, cut at 0. The Gaussian window shrinks
    to an image smaller than 11 pixels, with its sigma.

    Args: first, second: uint8 [N, H, W, C] of equal shape; H and W at least 16, divisible by 16.
    Returns: float64 [N].
    Raises: MetricError: another dtype, unequal shapes, or sizes that cannot be halved 4 times.
    Reference: Wang et al. 2003, "Multi-scale structural similarity for image quality assessment";
        weights and window of ProGAN's ms_ssim.py, which is that of tensorflow/models. Differs from
        `tf.image.ssim_multiscale` by the mean over channels before the product.
    """
    first, second = checked_images(first, "first"), checked_images(second, "second")
    factor = 2 ** (len(WEIGHTS) - 1)
    if first.shape != second.shape or any(side % factor for side in first.shape[1:3]):
        raise MetricError(
            f"Pairs need one shape with sides divisible by {factor}; crop or pad the images. "
            f"Received: {first.shape} and {second.shape}"
        )
    values = [
        _similarity(first[start : start + BATCH], second[start : start + BATCH])
        for start in range(0, len(first), BATCH)
    ]
    return np.concatenate([np.empty(0), *values])


def pair_similarity(images, *, pairs=10_000, seed=0, reference="random") -> PairSimilarity:
    """Mean MS-SSIM of pairs of samples; lower is more variety, compare with that of real data.

    Args:
        images: uint8 [N, H, W, C] samples; of one class where a class is measured.
        pairs: int > 0. Number of pairs. Defaults to 10,000.
        seed: int. Of the pairs. Defaults to 0.
        reference: str. "random": pairs of different samples, drawn with replacement of pairs.
            "progan": neighbours (0, 1), (2, 3), ... of independent samples, at most N / 2 pairs.
    Returns: `PairSimilarity`. No bias; blind to quality and to a mode that is merely rare. Agrees
        with ProGAN's formulae to 1e-6 (test).
    Raises: TooFewSamplesError: fewer than 2 images. MetricError: as `ms_ssim`.
    Reference: Odena et al. 2017 (arXiv:1610.09585), section 4.2; Karras et al. 2018
        (arXiv:1710.10196), section 5.
    """
    check_count(pairs, "pairs")
    check_choice(reference, "reference", ("random", "progan"))
    images = checked_images(images, minimum=2)
    if reference == "progan":
        left = np.arange(0, len(images) - 1, 2)[:pairs]
        right = left + 1
    else:
        random = np.random.default_rng(seed)
        left = random.integers(0, len(images), pairs)
        right = (left + random.integers(1, len(images), pairs)) % len(images)
    values = np.concatenate(
        [
            ms_ssim(images[left[start : start + BATCH]], images[right[start : start + BATCH]])
            for start in range(0, len(left), BATCH)
        ]
    )
    error = values.std() / np.sqrt(len(values))
    return PairSimilarity(float(values.mean()), float(error), values)


def _similarity(first, second):
    first, second = first.astype(np.float64), second.astype(np.float64)
    value = np.ones(len(first))
    for scale, weight in enumerate(WEIGHTS):
        if scale:
            first, second = _halve(first), _halve(second)
        similarity, contrast = _terms(first, second)
        term = similarity if scale == len(WEIGHTS) - 1 else contrast
        value *= np.maximum(term, 0.0) ** weight
    return value


def _halve(images):
    rows = images[:, ::2] + images[:, 1::2]
    return 0.25 * (rows[:, :, ::2] + rows[:, :, 1::2])


def _terms(first, second):
    """SSIM and its contrast-structure part of one scale, each a mean per image."""
    window = _window(min(WINDOW, *first.shape[1:3]))
    mean_first, mean_second = _filter(first, window), _filter(second, window)
    variance_first = _filter(first * first, window) - mean_first**2
    variance_second = _filter(second * second, window) - mean_second**2
    covariance = _filter(first * second, window) - mean_first * mean_second
    c1, c2 = (K1 * RANGE) ** 2, (K2 * RANGE) ** 2
    contrast = (2.0 * covariance + c2) / (variance_first + variance_second + c2)
    luminance = (2.0 * mean_first * mean_second + c1) / (mean_first**2 + mean_second**2 + c1)
    return (luminance * contrast).mean(axis=(1, 2, 3)), contrast.mean(axis=(1, 2, 3))


def _window(size):
    places = np.arange(size) - (size - 1) / 2.0
    values = np.exp(-(places**2) / (2.0 * (SIGMA * size / WINDOW) ** 2))
    return values / values.sum()


def _filter(images, window):
    """Separable filter at the places where the window fits."""
    for axis in (1, 2):
        length = images.shape[axis] - len(window) + 1
        before = (slice(None),) * axis
        total = window[0] * images[(*before, slice(length))]
        product = np.empty_like(total)  # fresh arrays for every tap cost more than the sums
        for k, weight in enumerate(window[1:], 1):
            total += np.multiply(images[(*before, slice(k, k + length))], weight, out=product)
        images = total
    return images
