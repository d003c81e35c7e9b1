"""How far pictures are from those they should be: for translation, reconstruction and cycles."""

import dataclasses
from collections.abc import Callable, Iterable

import numpy as np

from ganzoo.errors import MetricError, TooFewSamplesError
from ganzoo.metrics.arrays import checked_images

PEAK = 255.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reconstruction:
    """Mean over images and its standard error; `count` images, `equal` of them without any error.

    `standard_error` is `None` for one image. A mean of PSNR leaves the `equal` images out, whose
    ratio is infinite, and is infinite if all are.
    """

    mean: float
    standard_error: float | None
    count: int
    equal: int


def l1(pairs: Iterable) -> Reconstruction:
    """Mean absolute difference of pixels in [0, 255]; lower is better, 0 for equal images.

    Args: pairs: iterable of (expected, found), uint8 [B, H, W, C] each.
    Returns: `Reconstruction`. Papers that have images in [-1, 1] report 1 / 127.5 of it.
    Raises: TooFewSamplesError: no pair. MetricError: other dtypes, or shapes that differ.
    Reference: Isola et al. 2017 (arXiv:1611.07004), eq. 3.
    """
    return _reduced(_each(pairs, lambda a, b: _mean(np.abs(a - b))))


def psnr(pairs: Iterable) -> Reconstruction:
    """Peak signal-to-noise ratio, 10 log10(255^2 / mean squared difference) in dB, mean over
    images; higher is better.

    Args, Raises: as `l1`.
    Returns: `Reconstruction`; see there for equal images. The mean of ratios is not the ratio of
        the mean error.
    """
    values, equal = _each(pairs, lambda a, b: _mean(np.square(a - b)))
    with np.errstate(divide="ignore"):
        ratios = 10.0 * np.log10(PEAK**2 / values)
    if equal and equal == len(values):
        return Reconstruction(mean=np.inf, standard_error=None, count=equal, equal=equal)
    found = _reduced((ratios[np.isfinite(ratios)], equal))
    return dataclasses.replace(found, count=len(values))


def lpips(pairs: Iterable, similarity: Callable) -> Reconstruction:
    """Mean LPIPS distance; lower is better, 0 for equal images.

    Args:
        pairs: as in `l1`, with 1 or 3 channels.
        similarity: `ganzoo.metrics.features.similarity(...)`; values of unlike ones never compare.
    Raises: as `l1` and `similarity`.
    Reference: Zhang et al. 2018 (arXiv:1801.03924).
    """
    values, equal = [], 0
    for expected, found in pairs:
        expected, found = _checked(expected, found)
        values.append(np.asarray(similarity(expected, found), np.float64))
        equal += int((expected == found).all(axis=(1, 2, 3)).sum())
    return _reduced((np.concatenate([np.empty(0), *values]), equal))


def cycle_error(batches: Iterable, forward: Callable, backward: Callable) -> Reconstruction:
    """`l1` of images after a translation and its way back; lower is better.

    Args:
        batches: iterable of uint8 [B, H, W, C] of the first domain.
        forward, backward: functions of uint8 batches to uint8 batches, such as
            `lambda x: gan.translate(x)`. What is measured is rounded to 8 bits in between.
    Returns: `Reconstruction`. Blind to what it hides: a translation that changes nothing has 0.
    Raises: as `l1`.
    Reference: Zhu et al. 2017 (arXiv:1703.10593), eq. 2.
    """
    return l1((images, backward(forward(images))) for images in batches)


def _each(pairs, error):
    """(error of every image, number of images without one)."""
    values = []
    for expected, found in pairs:
        expected, found = _checked(expected, found)
        values.append(error(expected.astype(np.float64), found.astype(np.float64)))
    values = np.concatenate([np.empty(0), *values])
    return values, int(np.count_nonzero(values == 0))


def _mean(values):
    return values.mean(axis=(1, 2, 3))


def _checked(expected, found):
    expected, found = checked_images(expected), checked_images(found)
    if expected.shape != found.shape:
        raise MetricError(
            "Each picture is compared with the one it should be; give batches of one shape. "
            f"Received: {expected.shape} and {found.shape}"
        )
    return expected, found


def _reduced(measured):
    values, equal = measured
    if len(values) == 0:
        raise TooFewSamplesError("The stream of pairs is empty; nothing came out of it.")
    error = None if len(values) < 2 else float(values.std(ddof=1) / np.sqrt(len(values)))
    return Reconstruction(
        mean=float(values.mean()), standard_error=error, count=len(values), equal=equal
    )
