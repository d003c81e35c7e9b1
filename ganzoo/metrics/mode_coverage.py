"""Mode coverage: of mixtures of Gaussians, and of labelled sets through a classifier."""

import dataclasses

import numpy as np

from ganzoo.errors import MetricError
from ganzoo.metrics.arrays import checked_features, checked_probabilities


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModeCoverage:
    """Covered modes, share of high-quality samples, and divergence from an even spread."""

    modes: int
    possible: int
    high_quality: float
    kl: float


def mixture_coverage(samples, mixture) -> ModeCoverage:
    """Coverage of a mixture of Gaussians by points; more modes, more quality, less `kl` is better.

    Args:
        samples: float array [N, 2], N in the thousands.
        mixture: `ganzoo.data.Mixture` in the same scale.
    Returns: `ModeCoverage` as `ganzoo.data.score` defines it: within 3 std of a centre.
    Raises: NonFiniteError, TooFewSamplesError, MetricError: faulty samples.
    Reference: Srivastava et al. 2017 (arXiv:1705.07761), section 4.1.
    """
    from ganzoo.data import score

    samples = checked_features(samples, "samples", minimum=1, dimension=2)
    return ModeCoverage(possible=mixture.modes, **score(samples, mixture))


def label_coverage(probabilities, *, confidence=0.5, expected=None) -> ModeCoverage:
    """Coverage of classes as a classifier sees the samples.

    A sample is of high quality if its largest probability is at least `confidence`, and counts for
    that class; a mode is covered if it has at least one such sample.

    Args:
        probabilities: float array [N, K] after softmax; K > 1. Stacked MNIST has K = 1000.
        confidence: float in [0, 1]. 0 counts every sample, the protocol of stacked MNIST; the
            default 0.5 leaves out samples of no clear class.
        expected: float array [K] or `None`. Shares of the real classes, > 0 with the sum 1; `None`
            is 1 / K each.
    Returns: `ModeCoverage`; `kl` = sum_k p_k log(p_k / expected_k) in nats over the samples of high
        quality, 0 if they are spread as expected. Without such samples it is that of one mode,
        log(1 / min expected). Biased by about (K - 1) / (2 N): compare equal N only, N >> K. A
        classifier answers for any image, so a high share proves little.
    Raises:
        MetricError: logits, a `confidence` outside [0, 1], or other shares than described.
        NonFiniteError, TooFewSamplesError: as `checked_features`.
    Reference: Metz et al. 2017 (arXiv:1611.02163), section 3.3.1; Che et al. 2017
        (arXiv:1612.02136), section 4.
    """
    probabilities = checked_probabilities(probabilities, minimum=1)
    classes = probabilities.shape[1]
    if not 0.0 <= confidence <= 1.0:
        raise MetricError(f"`confidence` lies in [0, 1]. Received: confidence={confidence!r}")
    expected = _checked_shares(expected, classes)
    sure = probabilities.max(axis=1) >= confidence
    counts = np.bincount(probabilities.argmax(axis=1)[sure], minlength=classes)
    divergence = -np.log(expected.min())
    if sure.any():
        seen = counts > 0
        shares = counts[seen] / counts.sum()
        divergence = np.sum(shares * np.log(shares / expected[seen]))
    return ModeCoverage(
        modes=int(np.count_nonzero(counts)),
        possible=classes,
        high_quality=float(sure.mean()),
        kl=max(float(divergence), 0.0),
    )


def _checked_shares(expected, classes):
    if expected is None:
        return np.full(classes, 1.0 / classes)
    expected = np.asarray(expected, np.float64)
    right = expected.shape == (classes,) and (expected > 0).all()
    if not right or abs(expected.sum() - 1.0) > 1e-6:
        raise MetricError(
            f"`expected` holds {classes} shares > 0 with the sum 1; divide the class counts by "
            f"their sum. Received: shape={expected.shape}, sum={expected.sum():g}"
        )
    return expected
