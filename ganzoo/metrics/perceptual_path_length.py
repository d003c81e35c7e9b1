"""Perceptual path length, the pieces without a network: latents, interpolation, reduction.

PPL is the mean of d(G(z(t)), G(z(t + epsilon))) / epsilon^2 over random pairs of latents, with d a
perceptual distance and z(t) on the path between the pair; percentiles 1 and 99 cut the tails.
"""

import dataclasses

import numpy as np

from ganzoo.metrics.arrays import (
    MetricError,
    check_choice,
    check_count,
    checked_features,
)

EPSILON = 1e-4  # StyleGAN and torch-fidelity
TINY = 1e-7  # torch-fidelity: of lengths, and of 1 - |cosine|, below which slerp becomes lerp
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
            lower and the next higher one) and are kept. Defaults to 1 and 99; ADA takes 0 and 100.
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
