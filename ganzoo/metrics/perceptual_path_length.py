"""Perceptual path length: how smoothly a generator follows its latents.

PPL is the mean of d(G(z(t)), G(z(t + epsilon))) / epsilon^2 over random pairs of latents, with d a
perceptual distance and z(t) on the path between the pair; percentiles 1 and 99 cut the tails.
`perceptual_path_length` measures a generator; the other functions are its pieces in NumPy.
"""

import dataclasses

import numpy as np

from ganzoo.errors import MetricError
from ganzoo.generator import StyleGenerator
from ganzoo.metrics.arrays import check_choice, check_count, checked_features
from ganzoo.metrics.streams import at_random

EPSILON = 1e-4  # StyleGAN and torch-fidelity
TINY = 1e-7  # torch-fidelity: of lengths, and of 1 - |cosine|, below which slerp becomes lerp
MARGIN = 8  # StyleGAN's crop of faces: rows 3/8 to 7/8, columns 2/8 to 6/8
SPACES, SAMPLINGS, CROPS = ("z", "w"), ("full", "end"), ("none", "face")
REFERENCES = ("stylegan", "torch-fidelity-any", "torch-fidelity-unit")


@dataclasses.dataclass(frozen=True, kw_only=True)
class PathLength:
    """Mean and deviation of the kept distances, and which were kept."""

    mean: float
    std: float
    kept: int
    lower: float
    upper: float


def latent_pairs(count, dimension, *, seed=2020) -> tuple[np.ndarray, np.ndarray]:
    """Ends of paths as torch-fidelity (0.4.0) draws them: all starts first, then all ends.

    Args:
        count, dimension: int > 0.
        seed: int, of `RandomState`. Defaults to 2020.
    Returns: two float32 arrays [count, dimension], standard normal.
    Raises: MetricError: for other counts.
    """
    check_count(count, "count")
    check_count(dimension, "dimension")
    random = np.random.RandomState(seed)
    first = random.randn(count, dimension).astype(np.float32)
    return first, random.randn(count, dimension).astype(np.float32)


def lerp(start, end, t) -> np.ndarray:
    """start + (end - start) t, for paths in w (and in z of torch-fidelity's default).

    Args:
        start, end: float arrays [N, D].
        t: float, or array [N, 1], in [0, 1].
    Returns: array [N, D] of their dtype.
    Raises: MetricError: for shapes that do not fit.
    """
    start, end, t = _checked_path(start, end, t)
    return start + (end - start) * t


def slerp(start, end, t, *, reference="stylegan") -> np.ndarray:
    """Interpolation on the sphere, for paths in z.

    Args:
        start, end: float arrays [N, D].
        t: float, or array [N, 1], in [0, 1].
        reference: str. "stylegan" (1, 2, ADA): both ends become unit vectors, and so does the
            result; equal directions stay where they are (there 0 / 0). "torch-fidelity-any"
            (0.4.0): sines of the angle weight the ends as they are, whose lengths stay; `lerp`
            between collinear ends. "torch-fidelity-unit": the same, then a unit vector.
    Returns: array [N, D] of their dtype.
    Raises: MetricError: for shapes that do not fit, an unknown reference, or a vector of length 0
        with "stylegan".
    Reference: Shoemake 1985; Karras et al. 2019 (arXiv:1812.04948), section 4.1.
    """
    check_choice(reference, "reference", REFERENCES)
    start, end, t = _checked_path(start, end, t)
    if reference == "stylegan":
        return _slerp_stylegan(_unit(start), _unit(end), t)
    points = _slerp_by_sines(start, end, t)
    return points if reference == "torch-fidelity-any" else _unit_or_zero(points)


def path_length(
    distances, *, epsilon=EPSILON, lower_percentile=1.0, upper_percentile=99.0
) -> PathLength:
    """Mean of distances / epsilon^2 between two percentiles; lower is better, >= 0.

    Args:
        distances: float array [N] of the perceptual distance of G at t and at t + epsilon;
            50,000 and more are customary.
        epsilon: float > 0. Step along the path; 1 if the distances are divided by its square.
        lower_percentile, upper_percentile: float in [0, 100]. The bounds are samples (the next
            lower and the next higher one) and are kept. Defaults to 1 and 99.
    Returns: `PathLength`, std with divisor N. Compare one generator space, epsilon, sampling of t
        and crop only. Agrees with torch-fidelity and StyleGAN on the same distances (test).
    Raises:
        NonFiniteError, TooFewSamplesError, MetricError: faulty distances, epsilon or percentiles.
    Reference: Karras et al. 2019 (arXiv:1812.04948), eq. 2 and 3.
    """
    distances = np.asarray(distances)
    if distances.ndim != 1:
        raise MetricError(f"`distances` has the axis [N]. Received: shape={distances.shape}")
    distances = checked_features(distances[:, np.newaxis], "distances")[:, 0].astype(np.float64)
    if not epsilon > 0:
        raise MetricError(f"`epsilon` is above 0. Received: epsilon={epsilon!r}")
    if not 0 <= lower_percentile < upper_percentile <= 100:
        raise MetricError(
            "Percentiles rise from 0 to 100. Received: "
            f"lower_percentile={lower_percentile!r}, upper_percentile={upper_percentile!r}"
        )
    distances = distances / epsilon**2
    lower = np.percentile(distances, lower_percentile, method="lower")
    upper = np.percentile(distances, upper_percentile, method="higher")
    kept = distances[(distances >= lower) & (distances <= upper)]
    return PathLength(
        mean=float(kept.mean()),
        std=float(kept.std()),
        kept=len(kept),
        lower=float(lower),
        upper=float(upper),
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Protocol:
    """What a reference does besides the formula.

    Args:
        samples: int. Pairs.
        noise: "const" or "random": what per-pixel noise is while a pair is compared. Both ends of a
            pair always have the same noise.
        z: "slerp" (StyleGAN's, of unit vectors) or "lerp".
        resizer: str. What the images go through before the perceptual network.
    """

    samples: int
    noise: str
    z: str
    resizer: str


STYLEGAN, TORCH_FIDELITY = "stylegan-256", "torch-fidelity-64"
PROTOCOLS = {
    "stylegan": Protocol(samples=100_000, noise="const", z="slerp", resizer=STYLEGAN),
    "stylegan2-ada": Protocol(samples=50_000, noise="random", z="slerp", resizer=STYLEGAN),
    "torch-fidelity": Protocol(samples=50_000, noise="const", z="lerp", resizer=TORCH_FIDELITY),
}


def metric_id(reference, space, sampling, crop="none") -> str:
    """Such as "ppl-stylegan-wend-face": values of unlike ids never compare."""
    return f"ppl-{reference}-{space}{sampling}" + ("" if crop == "none" else f"-{crop}")


def perceptual_path_length(
    generator,
    similarity,
    *,
    space="z",
    sampling="full",
    crop="none",
    reference="stylegan",
    samples=None,
    epsilon=EPSILON,
    seed=2020,
    batch_size=8,
) -> PathLength:
    """Mean perceptual distance per squared step along paths in latent space; lower is better.

    Args:
        generator: `ganzoo.generator.Generator` with normal latents, for "w" a `StyleGenerator`.
            Classes or attributes are drawn at random, one for both ends.
        similarity: function of two float32 [B, H, W, C] in about [0, 255] to distances [B] with an
            attribute `resizer`; `features.similarity("vgg", resizer=PROTOCOLS[reference].resizer)`.
        space: "z", or "w": the space of the path.
        sampling: "full": points anywhere on the path, or "end": at its start.
        crop: "none", or "face": rows 3/8 to 7/8 and columns 2/8 to 6/8 of the image. StyleGAN's
            numbers are with "face" for every data set, those of StyleGAN2 and ADA ("ppl2")
            without.
        reference: "stylegan", "stylegan2-ada" or "torch-fidelity"; see `PROTOCOLS`.
        samples: int > 0. Pairs. Defaults to the reference's: 100,000; 50,000; 50,000.
        epsilon: float > 0. Defaults to 1e-4.
        seed: int. Of latents, positions and classes.
        batch_size: int > 0. Pairs at once.
    Returns: `PathLength`; its id is `metric_id(reference, space, sampling, crop)`. Unbiased but for
        the percentiles; the deviation of a mean of N is std / sqrt(N). Differs from "stylegan2-ada"
        in that noise is drawn for each pair instead of each batch of pairs.
    Raises: MetricError: an argument out of these, images too small to crop, or "w" without it.
    Reference: Karras et al. 2019 (arXiv:1812.04948), section 4.1; 2020 (arXiv:1912.04958), 3.
    """
    for value, name, legal in (
        (space, "space", SPACES),
        (sampling, "sampling", SAMPLINGS),
        (crop, "crop", CROPS),
        (reference, "reference", PROTOCOLS),
    ):
        check_choice(value, name, legal)
    protocol = PROTOCOLS[reference]
    samples = protocol.samples if samples is None else samples
    check_count(samples, "samples")
    check_count(batch_size, "batch_size")
    if similarity.resizer != protocol.resizer:
        raise MetricError(
            f"{reference!r} brings images through {protocol.resizer!r}; build `similarity` with "
            f"`resizer={protocol.resizer!r}`. Received: resizer={similarity.resizer!r}"
        )
    check_space(generator, space)
    random = np.random.RandomState(seed)
    distances = np.empty(samples)
    for start in range(0, samples, batch_size):
        size = min(batch_size, samples - start)
        pair = _ends(generator, random, size, space, sampling, protocol, epsilon)
        first, second = (_cropped(images, crop) for images in pair)
        distances[start : start + size] = similarity(first, second)
    return path_length(distances, epsilon=epsilon)


def check_space(generator, space) -> None:
    """Raises MetricError if paths are to lie in w and the generator has none."""
    if space == "w" and not isinstance(generator, StyleGenerator):
        raise MetricError(
            f"{type(generator).__name__} has no space w; measure with space='z'. "
            "Received: space='w'"
        )


def _ends(generator, random, size, space, sampling, protocol, epsilon):
    """Images in about [0, 255] of `size` paths at t, and at t + epsilon."""
    latents = random.randn(size, 2, generator.latent_dim).astype(np.float32)
    t = random.uniform(size=(size, 1)) if sampling == "full" else np.zeros((size, 1))
    seed = int(random.randint(1 << 31))
    labels = at_random(generator, size, random)
    draw = _style_images if isinstance(generator, StyleGenerator) else _images
    ends = latents[:, 0], latents[:, 1]
    if space == "z":
        between = slerp if protocol.z == "slerp" else lerp
        points = [between(*ends, position) for position in (t, t + epsilon)]
        return [draw(generator, z, labels, protocol.noise, seed) for z in points]
    ws = [np.asarray(generator.mapping(z, labels)) for z in ends]
    flat = [w.reshape(size, -1) for w in ws]
    points = [lerp(*flat, position).reshape(ws[0].shape) for position in (t, t + epsilon)]
    return [_scaled(generator.synthesis(w, noise=protocol.noise, seed=seed)) for w in points]


def _style_images(generator, latents, labels, noise, seed):
    ws = generator.mapping(latents, labels)
    return _scaled(generator.synthesis(ws, noise=noise, seed=seed))


def _images(generator, latents, labels, noise, seed):
    inputs = latents if labels is None else [latents, labels]
    return _scaled(generator(inputs, training=False))


def _scaled(images):
    """[-1, 1] to [0, 255], as floats."""
    return (np.asarray(images, np.float32) + 1.0) * 127.5


def _cropped(images, crop):
    if crop == "none":
        return images
    part = images.shape[1] // MARGIN
    if part == 0:
        raise MetricError(
            f"The crop of faces needs images of at least {MARGIN} pixels. "
            f"Received: images of shape {images.shape}"
        )
    return images[:, 3 * part : 7 * part, 2 * part : 6 * part]


def _checked_path(start, end, t):
    start = checked_features(start, "start")
    end = checked_features(end, "end", dimension=start.shape[1])
    t = np.asarray(t, start.dtype)
    if len(start) != len(end) or t.shape not in ((), (len(start), 1)):
        raise MetricError(
            "A path has as many starts as ends, and one `t` or t [N, 1]. "
            f"Received: start {start.shape}, end {end.shape}, t {t.shape}"
        )
    return start, end, t


def _unit(vectors):
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    if not lengths.all():
        raise MetricError(
            "A vector of length 0 has no direction; draw latents anew. "
            f"Received: {np.count_nonzero(lengths == 0)} of {len(vectors)}"
        )
    return vectors / lengths


def _slerp_stylegan(start, end, t):
    cosines = np.clip((start * end).sum(axis=-1, keepdims=True), -1.0, 1.0)
    across = end - cosines * start
    lengths = np.linalg.norm(across, axis=-1, keepdims=True)
    across = across / np.where(lengths > TINY, lengths, 1.0)
    angles = t * np.arccos(cosines)
    return _unit(start * np.cos(angles) + across * np.sin(angles))


def _slerp_by_sines(start, end, t):
    unit_start, unit_end = _unit_or_zero(start), _unit_or_zero(end)
    cosines = (unit_start * unit_end).sum(axis=-1, keepdims=True)
    lengths = [np.linalg.norm(unit, axis=-1, keepdims=True) for unit in (unit_start, unit_end)]
    straight = (np.abs(cosines) > 1.0 - TINY) | (np.minimum(*lengths) < TINY)
    angles = np.arccos(np.where(straight, 0.0, cosines))
    arc = np.sin((1.0 - t) * angles) * start + np.sin(t * angles) * end
    return np.where(straight, start + (end - start) * t, arc / np.sin(angles))


def _unit_or_zero(vectors):
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), TINY)
