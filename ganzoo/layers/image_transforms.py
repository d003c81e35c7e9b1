"""Transformations of images, another one for each sample: what augmentation is made of.

All functions take float [N, H, W, C] of known H, W and C and are linear in the images (`recolour`
and noise: affine), hence differentiable any number of times. Behind its border an image is mirrored
about its outermost pixels, as often as needed.

The filters' coefficients are those of Daubechies, "Ten Lectures on Wavelets", 1992: the extremal
phase wavelet of table 6.1 (N = 2) and the least asymmetric one of table 6.3 (N = 6), normalised to
the sum sqrt(2).
"""

import functools

import numpy as np
import tensorflow as tf

from ganzoo.layers.fir import upfirdn

SYM2 = np.array([1 - 3**0.5, 3 - 3**0.5, 3 + 3**0.5, 1 + 3**0.5]) / 2**2.5
SYM6 = np.array([
    0.015404109327027373, 0.0034907120842174702, -0.11799011114819057, -0.048311742585633,
    0.4910559419267466, 0.787641141030194, 0.3379294217276218, -0.07263752278646252,
    -0.021060292512300564, 0.04472490177066578, 0.0017677118642428036, -0.007800708325034148,
])  # fmt: skip
DELAY = float(SYM6 @ np.arange(12) / SYM6.sum())  # of low frequencies, in fine pixels
MARGIN = 6  # pixels around the image that are upsampled with it
KEPT = 3  # how far out of the image those reach that are looked up as they are
BANDS = 4


def mirrored(positions, size) -> tf.Tensor:
    """Positions on an axis, int or float, as positions in [0, size - 1]."""
    period = max(2 * (size - 1), 1)
    positions = tf.math.floormod(positions, period)
    return tf.minimum(positions, period - positions)


def pick(images, rows, columns) -> tf.Tensor:
    """Pixels of each image: int32 [N, h, w] each -> [N, h, w, C]."""
    _, height, width, depth = images.shape
    first = tf.range(tf.shape(images)[0])[:, tf.newaxis, tf.newaxis] * (height * width)
    return tf.gather(tf.reshape(images, [-1, depth]), first + rows * width + columns)


def _grid(height, width):
    """(x [1, W], y [H, 1]) of an image's pixels, int32."""
    return tf.range(width)[tf.newaxis], tf.range(height)[:, tf.newaxis]


def _per_image(values):
    return values[:, tf.newaxis, tf.newaxis]


def blit(images, mirror, turns, shift) -> tf.Tensor:
    """Mirrored left to right, turned, then shifted; every pixel of the result is a pixel.

    Args:
        mirror: int32 [N], 0 or 1.
        turns: int32 [N]. Quarter turns, counter-clockwise. Of an image that is not square, the
            turned one's middle, mirrored at the border, rounded where pixels would lie between.
        shift: int32 [N, 2]. Pixels to the right and down.
    """
    _, height, width, _ = images.shape
    x, y = _grid(height, width)
    x = 2 * (x - _per_image(shift[:, 0])) - (width - 1)  # half pixels from the middle
    y = 2 * (y - _per_image(shift[:, 1])) - (height - 1)
    cos = _per_image(tf.gather([1, 0, -1, 0], turns))
    sin = _per_image(tf.gather([0, 1, 0, -1], turns))
    columns = (1 - 2 * _per_image(mirror)) * (cos * x - sin * y) + (width - 1)
    rows = sin * x + cos * y + (height - 1)
    return pick(images, mirrored(rows // 2, height), mirrored(columns // 2, width))


def _pad(images, size):
    """`size` more pixels on each side, mirrored."""
    if min(images.shape[1:3]) > size:
        return tf.pad(images, [[0, 0], [size, size], [size, size], [0, 0]], "REFLECT")
    for axis in (1, 2):
        side = images.shape[axis]
        images = tf.gather(images, mirrored(tf.range(-size, side + size), side), axis=axis)
    return images


def warp(images, inverses) -> tf.Tensor:
    """An affine map of each image: twice as large, linear interpolation, half as large.

    Up and down go by the orthogonal filter `SYM6`, so that what is not moved is not changed.

    Args: inverses: float32 [N, 2, 3]. From the result's (x, y, 1), pixels from the middle, x to the
        right and y down, to the image's (x, y).
    Reference: Karras et al. 2020 (arXiv:2006.06676), appendix B, "geometric transformations".
    """
    _, height, width, depth = images.shape
    taps = SYM6 / 2**0.5
    fine = upfirdn(_pad(images, MARGIN), taps, up=2, gain=4.0)
    rows, columns = _source(inverses, height, width)
    fine = _interpolated(fine, rows, columns)
    fine = tf.ensure_shape(fine, [None, 2 * height + 10, 2 * width + 10, depth])
    return upfirdn(fine, taps, down=2, flip="correlate")


def _source(inverses, height, width):
    """(rows, columns) in `warp`'s upsampled image for every pixel of its result, upsampled."""
    middle = (height - 1) / 2, (width - 1) / 2
    y, x = (
        (tf.range(2 * n + 10, dtype="float32") - DELAY) / 2 - m
        for n, m in zip((height, width), middle, strict=True)
    )
    x, y = x[tf.newaxis], y[:, tf.newaxis]
    found = []
    for axis, (size, half) in enumerate(((width, middle[1]), (height, middle[0]))):
        a, b, c = (_per_image(inverses[:, axis, i]) for i in range(3))
        position = a * x + b * y + (c + half)
        near = tf.abs(position - half) < half + KEPT
        position = tf.where(near, position, mirrored(position, size))
        found.append(2 * position + (DELAY + 2 * MARGIN - 11))
    return found[1], found[0]


def _interpolated(images, rows, columns):
    """Linear interpolation at float positions [N, h, w] inside of the images."""
    row, column = tf.floor(rows), tf.floor(columns)
    y, x = rows - row, columns - column
    row, column = tf.cast(row, "int32"), tf.cast(column, "int32")
    depth, found = images.shape[3], []
    for i, down in ((0, 1 - y), (1, y)):
        for j, right in ((0, 1 - x), (1, x)):
            # a matrix product, because it is faster than broadcasting along the last axis
            weight = tf.matmul(tf.reshape(down * right, [-1, 1]), tf.ones([1, depth]))
            corner = tf.reshape(pick(images, row + i, column + j), [-1, depth])
            found.append(weight * corner)
    return tf.reshape(tf.add_n(found), [-1, *rows.shape[1:], depth])


def recolour(images, matrices) -> tf.Tensor:
    """An affine map of each image's colours.

    Args: matrices: float32 [N, 3, 4]. From (r, g, b, 1) to (r, g, b). For an image of one channel
        the grey that it makes of grey, the mean of the three.
    """
    if images.shape[3] == 1:
        scale = tf.reduce_sum(matrices[:, :, :3], [1, 2]) / 3
        offset = tf.reduce_mean(matrices[:, :, 3], 1)
        scale, offset = (v[:, tf.newaxis, tf.newaxis, tf.newaxis] for v in (scale, offset))
        return images * scale + offset
    flat = tf.reshape(images, [-1, images.shape[1] * images.shape[2], 3])
    flat = tf.matmul(flat, matrices[:, :, :3], transpose_b=True) + matrices[:, tf.newaxis, :, 3]
    return tf.reshape(flat, tf.shape(images))


@functools.cache
def filter_bank() -> np.ndarray:
    """float64 [4, 43], symmetric, sum to a unit impulse; bands of frequencies, the lowest first.

    [0, pi / 8], [pi / 8, pi / 4], [pi / 4, pi / 2], [pi / 2, pi]: cascades of the two half-band
    filters that are the power spectra of `SYM2` and of its mirror filter.
    """
    low = np.convolve(SYM2, SYM2[::-1]) / 2
    high = low * (-1.0) ** np.arange(-3, 4)
    bank = np.ones((1, 1))
    for _ in range(BANDS - 1):
        stretched = np.zeros((len(bank), 2 * bank.shape[1] - 1))
        stretched[:, ::2] = bank
        bank = np.stack([np.convolve(band, low) for band in stretched])
        top = np.zeros(bank.shape[1])
        middle = len(top) // 2
        top[middle - 3 : middle + 4] = high
        bank = np.concatenate([bank, top[np.newaxis]])
    return bank


@functools.cache
def _band_matrices(size):
    """float32 [4, size, size]: `filter_bank` along an axis, mirrored at its ends."""
    bank = filter_bank()
    half = bank.shape[1] // 2
    period = max(2 * (size - 1), 1)
    matrices = np.zeros((BANDS, size, size))
    for k in range(-half, half + 1):
        source = np.mod(np.arange(size) + k, period)
        source = np.minimum(source, period - source)
        matrices[:, np.arange(size), source] += bank[:, half + k, np.newaxis]
    return matrices.astype("float32")


def amplify(images, gains) -> tf.Tensor:
    """Bands of frequencies of each image, along both axes, times a factor.

    Args: gains: float32 [N, 4]. For the bands of `filter_bank`.
    """
    down, right = (
        tf.einsum("nb,bij->nij", gains, _band_matrices(size)) for size in images.shape[1:3]
    )
    return tf.einsum("nyi,nijc,nxj->nyxc", down, images, right, optimize="optimal")


def cut_out(images, centres, size) -> tf.Tensor:
    """A rectangle of each image becomes 0.

    Args:
        centres: float32 [N, 2]. (x, y) in [0, 1].
        size: float >= 0. Sides, as shares of the image's.
    """
    far = []
    for axis, count in ((0, images.shape[2]), (1, images.shape[1])):
        positions = (tf.range(count, dtype="float32") + 0.5) / count
        far.append(tf.abs(positions - centres[:, axis, tf.newaxis]) >= size / 2)
    keep = far[0][:, tf.newaxis, :] | far[1][:, :, tf.newaxis]
    return images * tf.cast(keep, images.dtype)[..., tf.newaxis]
