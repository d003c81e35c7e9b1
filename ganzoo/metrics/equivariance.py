"""Equivariance: whether a generator that is told to move its content moves the whole image.

EQ-T and EQ-R are peak signal-to-noise ratios, in decibels, between the image of a moved input and
the moved image of the input as it was, over the pixels that both define:

    EQ = 10 log10 (2^2 / E (g(move z; w) - move g(z; w))^2)

| motion | moved by | of the image, by |
| --- | --- | --- |
| `"integer_translation"` (EQ-T) | whole pixels, up to 1/8 of the side along each axis | shifting |
| `"fractional_translation"` | the same, not rounded | a Lanczos filter, a = 3 |
| `"rotation"` (EQ-R) | any angle | resampling, both images limited to their common band |

Reference: Karras et al. 2021 (arXiv:2106.12423), section 2 and appendix E.
"""

import numpy as np

from ganzoo.generator import StyleGenerator
from ganzoo.metrics.arrays import MetricError, check_choice, check_count

MOTIONS = ("integer_translation", "fractional_translation", "rotation")
FARTHEST = 0.125  # of the side; appendix E
LOBES = 3  # of the Lanczos window
FINE = 4  # steps per pixel of the filter that rotation needs
RANGE = 2.0  # from -1 to 1


def equivariance(
    generator, motion="integer_translation", *, samples=50_000, labels=None, seed=0, batch_size=8
) -> float:
    """EQ-T or EQ-R of a generator, in decibels; higher is better.

    Args:
        generator: `StyleGenerator` whose `synthesis` takes a `transform`, as StyleGAN3's.
        motion: out of `MOTIONS`. Defaults to `"integer_translation"`.
        samples: int > 0. Defaults to the paper's 50,000.
        labels: int [samples] or float [samples, num_classes] for a network with classes.
        seed: int. Of latents and motions.
        batch_size: int > 0.
    Returns: float. The squared error is averaged over all samples and then becomes decibels.
    Raises: MetricError: for another generator, motion or count, or where no pixel is defined twice.
    Reference: arXiv:2106.12423, section 2 and appendix E; `eqt50k_int`, `eqt50k_frac` and `eqr50k`
        of the official code, whose resampling of rotated images is bilinear (here cubic).
    """
    if not isinstance(generator, StyleGenerator):
        raise MetricError(f"Expected a `StyleGenerator`. Received: {type(generator).__name__}")
    check_choice(motion, "motion", MOTIONS)
    check_count(samples, "samples")
    check_count(batch_size, "batch_size")
    random = np.random.RandomState(seed)
    total, pixels = 0.0, 0
    for start in range(0, samples, batch_size):
        count = min(batch_size, samples - start)
        z = random.randn(count, generator.latent_dim).astype("float32")
        part = None if labels is None else labels[start : start + count]
        ws = generator.mapping(z, part)
        moves = [_draw(motion, random, generator.image_size) for _ in range(count)]
        before = np.asarray(generator.synthesis(ws), "float64")
        transforms = np.stack([_transform(motion, move) for move in moves])
        after = np.asarray(generator.synthesis(ws, transform=transforms), "float64")
        for one, other, move in zip(before, after, moves):
            wanted, found, mask = COMPARE[motion](one, other, move)
            total += float((np.square(wanted - found) * mask[..., np.newaxis]).sum())
            pixels += int(mask.sum()) * one.shape[-1]
    if not pixels:
        raise MetricError(
            f"Images of {generator.image_size} pixels leave no pixel to compare after a {motion}; "
            "measure at a larger size."
        )
    return float(10 * np.log10(RANGE**2 / max(total / pixels, 1e-30)))


def _draw(motion, random, side):
    """A translation (x, y) in pixels, or an angle in radians."""
    if motion == "rotation":
        return random.uniform(-np.pi, np.pi)
    shift = random.uniform(-FARTHEST, FARTHEST, 2) * side
    return (np.rint(shift) if motion == "integer_translation" else shift) / side


def _transform(motion, move):
    """From coordinates of the image to those of its content: the inverse of the motion."""
    matrix = np.eye(3, dtype="float32")
    if motion == "rotation":
        matrix[:2, :2] = _rotation(-move)
    else:
        matrix[:2, 2] = -move
    return matrix


def _rotation(angle):
    """Of (x, y), y pointing down."""
    cosine, sine = np.cos(angle), np.sin(angle)
    return np.array([[cosine, -sine], [sine, cosine]])


# --- moving images: (what the moved input should give, what it gave, where that is defined)


def _translated(before, after, move):
    """By whole or fractional pixels along both axes."""
    height, width = before.shape[:2]
    rows, down = _shift(height, move[1] * height)
    columns, right = _shift(width, move[0] * width)
    wanted = np.einsum("hi,iwc->hwc", rows, before)
    wanted = np.einsum("wi,hic->hwc", columns, wanted)
    return wanted, after, np.outer(down, right)


def _shift(size, shift):
    """(matrix [size, size], bool [size]) that moves samples by `shift`, and where it may."""
    position = np.arange(size)[:, np.newaxis] - shift  # where each result comes from
    offset = position - np.arange(size)
    if abs(shift - np.rint(shift)) < 1e-9:
        offset = np.rint(offset)
        return (offset == 0).astype("float64"), (offset == 0).any(axis=1)
    taps = _lanczos(offset)
    inside = (position - LOBES >= -1) & (position + LOBES <= size)
    return taps / np.maximum(np.abs(taps.sum(axis=1, keepdims=True)), 1e-12), inside[:, 0]


def _lanczos(x):
    """sinc(x) sinc(x / 3), 0 outside of +-3."""
    return np.where(np.abs(x) < LOBES, np.sinc(x) * np.sinc(x / LOBES), 0.0)


def _rotated(before, after, angle):
    """About the centre. Both images pass a filter whose band is that of either, turned or not."""
    size = before.shape[0]
    centred = np.stack(np.meshgrid(*(np.arange(size) - (size - 1) / 2,) * 2), axis=-1)
    source = centred @ _rotation(-angle).T  # a pixel's content lay there
    wanted = _sampled(before, source, _common_band(angle))
    found = _sampled(after, centred, _common_band(-angle))
    reach = (size - 1) / 2 - LOBES * (1 + 2**0.5)
    mask = (np.abs(source) <= reach).all(-1) & (np.abs(centred) <= reach).all(-1)
    return wanted, found, mask


def _common_band(angle):
    """Filter [n, n] of `FINE` taps per pixel: a window's square band, and the turned square's.

    A convolution of both makes the product of their frequency responses.
    """
    from scipy.signal import fftconvolve

    reach = int(np.ceil(LOBES * 2**0.5)) * FINE
    line = np.arange(-reach, reach + 1) / FINE
    grid = np.stack(np.meshgrid(line, line), axis=-1)
    straight, turned = (
        _lanczos(g[..., 0]) * _lanczos(g[..., 1]) for g in (grid, grid @ _rotation(angle).T)
    )
    taps = fftconvolve(straight, turned, mode="full")
    return taps / taps.sum() * FINE**2


def _sampled(image, points, taps):
    """The filtered image at points (x, y) from its centre, in pixels; zeros around it."""
    from scipy.ndimage import map_coordinates
    from scipy.signal import fftconvolve

    size, channels = image.shape[0], image.shape[2]
    fine = np.zeros(((size - 1) * FINE + 1,) * 2 + (channels,))
    fine[::FINE, ::FINE] = image
    fine = fftconvolve(fine, taps[..., np.newaxis], mode="same", axes=(0, 1))
    where = [(points[..., axis] + (size - 1) / 2) * FINE for axis in (1, 0)]
    return np.stack([map_coordinates(fine[..., c], where, order=3) for c in range(channels)], -1)


COMPARE = {
    "integer_translation": _translated,
    "fractional_translation": _translated,
    "rotation": _rotated,
}
