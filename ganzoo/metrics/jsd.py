"""Jensen-Shannon divergence of data and samples, as far as a discriminator can tell them apart."""

import dataclasses
import math

import numpy as np

from ganzoo.errors import MetricError
from ganzoo.metrics.arrays import checked_features


@dataclasses.dataclass(frozen=True)
class DivergenceEstimate:
    """Estimate in nats, and its standard error."""

    value: float
    standard_error: float


def jensen_shannon(real_logits, fake_logits) -> DivergenceEstimate:
    """Lower bound of the Jensen-Shannon divergence; lower is better, 0 for equal distributions.

    log 2 + E_real log(sigmoid(l)) / 2 + E_fake log(1 - sigmoid(l)) / 2 <= JSD <= log 2 = 0.693,
    with equality on the left for the best discriminator.

    Args:
        real_logits, fake_logits: float arrays [N], [M] or [N, 1], [M, 1] of a discriminator that
            was trained on other samples until it stopped improving; on its training samples the
            bound does not hold.
    Returns: `DivergenceEstimate`. Unbiased for the bound; may be below 0 for a discriminator worse
        than none. Two numbers compare only if both discriminators had one network, training and
        size of sets.
    Raises: NonFiniteError, TooFewSamplesError, MetricError: faulty logits.
    Reference: Goodfellow et al. 2014 (arXiv:1406.2661), eq. 1 and theorem 1.
    """
    # log sigmoid(l) = -log(1 + exp(-l)), finite everywhere
    real_terms = -np.logaddexp(0.0, -_column(real_logits, "real_logits"))
    fake_terms = -np.logaddexp(0.0, _column(fake_logits, "fake_logits"))
    value = math.log(2.0) + 0.5 * (real_terms.mean() + fake_terms.mean())
    variance = real_terms.var(ddof=1) / len(real_terms) + fake_terms.var(ddof=1) / len(fake_terms)
    return DivergenceEstimate(float(value), float(0.5 * math.sqrt(variance)))


def _column(logits, name):
    logits = np.asarray(logits)
    if logits.ndim == 2 and logits.shape[1] == 1:
        logits = logits[:, 0]
    if logits.ndim != 1:
        raise MetricError(
            f"`{name}` is one logit per sample; average those of a patch discriminator. "
            f"Received: shape={logits.shape}"
        )
    return checked_features(logits[:, np.newaxis], name, minimum=2)[:, 0].astype(np.float64)
