"""Parzen-window log-likelihood, the protocol of 2014; kept to compare with papers of that time."""

import dataclasses
import math

import numpy as np

from ganzoo.errors import MetricError
from ganzoo.metrics.arrays import checked_features, distance_tiles

SIGMAS = tuple(np.logspace(-1.0, 0.0, 10))  # the grid of goodfeli/adversarial


@dataclasses.dataclass(frozen=True)
class ParzenLikelihood:
    """Mean log-likelihood in nats, its standard error, and the window's width."""

    mean: float
    standard_error: float
    sigma: float


def parzen_likelihood(samples, validation, test, *, sigmas=SIGMAS) -> ParzenLikelihood:
    """Mean log-likelihood of test data under Gaussians on the samples; higher is better.

    log p(x) = log mean_i N(x; s_i, sigma^2 I), with the sigma of the highest mean on `validation`.

    Args:
        samples: float array [N, D] in [0, 1] like the data; 10,000 are customary.
        validation: float array [V, D] of real data that chooses sigma.
        test: float array [T, D] of other real data.
        sigmas: floats > 0 to choose from. Defaults to 10 values from 0.1 to 1.
    Returns: `ParzenLikelihood`; the error is np.std / sqrt(T). Biased downwards by N, strongly for
        D in the hundreds: it ranks k-means centres above real data (Theis et al. 2016,
        arXiv:1511.01844), so use it for old tables only.
    Raises:
        MetricError: a sigma that is not above 0, or data of differing D.
        NonFiniteError, TooFewSamplesError: as `checked_features`.
    Reference: Goodfellow et al. 2014 (arXiv:1406.2661), section 5; Breuleux et al. 2011.
    """
    validated = log_likelihoods(samples, validation, sigmas).mean(axis=0)
    sigma = float(np.asarray(sigmas)[validated.argmax()])
    values = log_likelihoods(samples, test, [sigma])[:, 0]
    error = values.std() / math.sqrt(len(values))
    return ParzenLikelihood(float(values.mean()), float(error), sigma)


def log_likelihoods(samples, points, sigmas) -> np.ndarray:
    """Log-density of each point under windows of each width.

    Args:
        samples, points: float arrays [N, D], [T, D].
        sigmas: floats > 0.
    Returns: float64 [T, number of sigmas], nats.
    Raises: as `parzen_likelihood`.
    """
    samples = checked_features(samples, "samples", minimum=1)
    points = checked_features(points, "points", minimum=1, dimension=samples.shape[1])
    sigmas = np.asarray(sigmas, np.float64)
    if sigmas.ndim != 1 or len(sigmas) == 0 or not (sigmas > 0).all():
        raise MetricError(f"`sigmas` are numbers above 0, at least one. Received: {sigmas}")
    sums = np.full((len(points), len(sigmas)), -np.inf)  # log of the sum of exp(-d^2 / 2 sigma^2)
    for rows, _, tile, _ in distance_tiles(points, samples):
        nearest = tile.min(axis=1)
        for index, sigma in enumerate(sigmas):
            scale = -0.5 / sigma**2
            spread = np.exp((tile - nearest[:, np.newaxis]) * scale).sum(axis=1)
            part = nearest * scale + np.log(spread)
            sums[rows, index] = np.logaddexp(sums[rows, index], part)
    dimension = samples.shape[1]
    norm = np.log(len(samples)) + dimension * np.log(sigmas * np.sqrt(2.0 * np.pi))
    return sums - norm
