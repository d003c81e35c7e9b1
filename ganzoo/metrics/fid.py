"""Frechet distance of two Gaussians fitted to features: FID, within classes, of audio.

All of them are `frechet_distance` of two `Statistics`; what differs is the network that the
features come from (Inception, a classifier of the data set, VGGish), and the key names it.
"""

import dataclasses
import math
import warnings
from collections.abc import Mapping

import numpy as np

from ganzoo.errors import MetricError, TooFewSamplesError
from ganzoo.metrics.arrays import check_choice
from ganzoo.metrics.statistics import Statistics

SINGULAR_OFFSET = 1e-6  # pytorch-fid and TTUR, on both diagonals
NOISE = 1e-9  # relative to the largest eigenvalue
REFERENCES = ("exact", "torch-fidelity", "pytorch-fid", "pytorch-fid-singular")


def frechet_distance(real, fake, *, reference="exact", too_few="warn") -> float:
    """Frechet distance; lower is better, 0 for equal statistics, >= 0 up to rounding.

    |m_1 - m_2|^2 + tr(S_1) + tr(S_2) - 2 tr((S_1 S_2)^(1/2)).

    The eigenvalues of S_1 S_2 are those of the symmetric F^T S_2 F with S_1 = F F^T, so the trace
    of the root is a sum of real square roots, also for covariances without full rank: N samples
    leave at most N - 1 eigenvalues, and what rounding makes of the others is dropped.

    Args:
        real, fake: `Statistics` of one network, resizer and quantisation.
        reference: str. How to treat what rounding makes of a covariance without full rank.
            "exact": the symmetric form. "torch-fidelity" (0.4.0): real parts of the roots of the
            eigenvalues of S_1 S_2. "pytorch-fid" (also clean-fid and TTUR): SciPy's matrix square
            root; if that is not finite, 1e-6 is added to both diagonals; a real part is taken.
            "pytorch-fid-singular": 1e-6 is added always, what "pytorch-fid" gives on versions of
            SciPy whose root fails. The first three agree within 1e-6 (test); the last is smaller by
            2e-3 sqrt(lambda) for each direction that only one set lacks. Defaults to "exact".
        too_few: "warn", "raise" or "accept". What to do if N <= D in one of the sets, which leaves
            the covariance singular. Defaults to "warn".
    Returns: float. Biased upwards by about 1 / N: compare equal N only. Features from uint8 images
        at the network's size; 50,000 are customary. Agrees with pytorch-fid, clean-fid and
        torch-fidelity on the same features to 1e-9 relative with full rank, and below it to 1e-6,
        the rounding that they leave in (test).
    Raises:
        UnlikeStatisticsError: another network, resizer or quantisation.
        TooFewSamplesError: too few samples, and `too_few="raise"`.
    Reference: Heusel et al. 2017 (arXiv:1706.08500), eq. 6. With audio embeddings: Kilgour et al.
        2019 (arXiv:1812.08466).
    """
    check_choice(reference, "reference", REFERENCES)
    check_choice(too_few, "too_few", ("warn", "raise", "accept"))
    real.check_alike(fake)
    if too_few != "accept":
        _check_counts(real, fake, too_few)
    roots = {
        "exact": _root_trace_symmetric,
        "torch-fidelity": _root_trace_eigenvalues,
        "pytorch-fid": _root_trace_scipy,
        "pytorch-fid-singular": _root_trace_offset,
    }
    trace = roots[reference](real, fake)
    difference = real.mean - fake.mean
    traces = np.trace(real.covariance) + np.trace(fake.covariance)
    return float(difference @ difference + traces - 2.0 * trace)


@dataclasses.dataclass(frozen=True)
class IntraClassDistance:
    """Frechet distance of each class, and their mean."""

    mean: float
    values: dict[object, float]


def intra_class_distance(
    real: Mapping[object, Statistics], fake: Mapping[object, Statistics], **options
) -> IntraClassDistance:
    """Mean over classes of the Frechet distance within a class; lower is better, 0 at best.

    Unlike the distance of the whole sets it sees a generator that ignores its label or that makes
    one image per class.

    Args:
        real, fake: dict of class to `Statistics`, with the same classes.
        **options: as in `frechet_distance`.
    Returns: `IntraClassDistance`. The bias is that of the samples *per class*.
    Raises:
        MetricError: no class, or a class that only one of them has.
        UnlikeStatisticsError, TooFewSamplesError: as `frechet_distance`.
    Reference: Miyato and Koyama 2018 (arXiv:1802.05637), section 5.1.
    """
    if not real or set(real) != set(fake):
        differing = sorted(map(str, set(real) ^ set(fake)))
        raise MetricError(
            "Both sets need statistics of the same classes, at least one; draw samples of every "
            f"class. Received: {len(real)} and {len(fake)} classes, in one only: {differing}"
        )
    values = {label: frechet_distance(real[label], fake[label], **options) for label in real}
    return IntraClassDistance(mean=math.fsum(values.values()) / len(values), values=values)


def _check_counts(real, fake, too_few):
    few = [
        f"{name} has {statistics.count} samples"
        for name, statistics in (("real", real), ("fake", fake))
        if statistics.count is not None and statistics.count <= statistics.dimension
    ]
    if not few:
        return
    message = (
        f"A covariance of {real.dimension} dimensions needs more than {real.dimension} samples to "
        f"have full rank, and the distance is biased far upwards below that: {', '.join(few)}. "
        "Measure more samples; `too_few='accept'` says that both sets are as small on purpose."
    )
    if too_few == "raise":
        raise TooFewSamplesError(message)
    warnings.warn(message, stacklevel=3)


def _root_trace_symmetric(real, fake):
    """tr((S_1 S_2)^(1/2)) from the eigenvalues of F^T S_2 F for any F with F F^T = S_1."""
    factor = _factor(real)
    values = np.linalg.eigvalsh(factor.T @ fake.covariance @ factor)
    return np.sqrt(_without_noise(values, fake.rank)).sum()


def _factor(statistics):
    """F [D, rank] with F F^T = S: Cholesky's, or scaled eigenvectors where S has no full rank."""
    if statistics.rank == statistics.dimension:
        try:
            return np.linalg.cholesky(statistics.covariance)  # a fifth of the time of `eigh`
        except np.linalg.LinAlgError:
            pass
    values, vectors = np.linalg.eigh(statistics.covariance)
    values = _without_noise(values, statistics.rank)
    kept = values > 0.0
    return vectors[:, kept] * np.sqrt(values[kept])


def _without_noise(values, rank):
    """Ascending eigenvalues; what is below 0, or beyond the rank and negligible, becomes 0."""
    values = np.maximum(values, 0.0)
    beyond = values[: max(len(values) - rank, 0)]
    if beyond.max(initial=0.0) <= NOISE * values.max(initial=0.0):  # else N is not what it says
        beyond[:] = 0.0
    return values


def _root_trace_eigenvalues(real, fake):
    values = np.linalg.eigvals(real.covariance @ fake.covariance)
    return np.sqrt(values.astype(np.complex128)).real.sum()


def _root_trace_offset(real, fake):
    offset = SINGULAR_OFFSET * np.eye(real.dimension)
    first, second = (
        dataclasses.replace(s, covariance=s.covariance + offset, count=None, key=None)
        for s in (real, fake)
    )
    return _root_trace_symmetric(first, second)


def _root_trace_scipy(real, fake):
    try:
        from scipy.linalg import sqrtm
    except ImportError:
        raise MetricError(
            "reference='pytorch-fid' takes SciPy's matrix square root: `pip install "
            "'keras-ganzoo[metrics]'`, or use reference='exact'."
        ) from None
    first, second = real.covariance, fake.covariance
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # SciPy warns of singular matrices
        root = np.asarray(sqrtm(first @ second))
    if not np.isfinite(root).all():
        offset = SINGULAR_OFFSET * np.eye(real.dimension)
        root = np.asarray(sqrtm((first + offset) @ (second + offset)))
    if np.iscomplexobj(root):
        if not np.allclose(np.diagonal(root).imag, 0.0, atol=1e-3):
            raise MetricError(
                "pytorch-fid refuses a square root whose diagonal has an imaginary part above "
                f"1e-3; use reference='exact'. Received: {np.abs(root.imag).max():g}"
            )
        root = root.real
    return np.trace(root)
