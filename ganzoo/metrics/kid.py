"""Kernel inception distance: the squared maximum mean discrepancy of features, without bias."""

import dataclasses

import numpy as np

from ganzoo.errors import TooFewSamplesError
from ganzoo.metrics.arrays import TILE_ROWS, check_choice, check_count, checked_pair

# Subsets, their size, seed, and whether a subset must not exceed the sets.
_SUBSETS = {
    "torch-fidelity": dict(subsets=100, subset_size=1000, seed=2020),
    "clean-fid": dict(subsets=100, subset_size=1000, seed=0),
    "mimicry": dict(subsets=50, subset_size=1000, seed=0),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class PolynomialKernel:
    """k(x, y) = (gamma x.y + coefficient)^degree, with gamma = 1 / D where it is `None`."""

    degree: int = 3
    gamma: float | None = None
    coefficient: float = 1.0

    def __call__(self, x, y):
        gamma = 1.0 / x.shape[1] if self.gamma is None else self.gamma
        return (gamma * (x @ y.T) + self.coefficient) ** self.degree


@dataclasses.dataclass(frozen=True, kw_only=True)
class GaussianKernel:
    """k(x, y) = exp(-|x - y|^2 / (2 sigma^2)), `kid_kernel="rbf"` of torch-fidelity."""

    sigma: float = 10.0

    def __call__(self, x, y):
        norms = (x * x).sum(axis=1)[:, np.newaxis] + (y * y).sum(axis=1)
        return np.exp(np.minimum(2.0 * (x @ y.T) - norms, 0.0) / (2.0 * self.sigma**2))


@dataclasses.dataclass(frozen=True)
class KernelDistance:
    """Mean and deviation over subsets, and the value of each."""

    mean: float
    std: float
    values: np.ndarray  # float64 [subsets]


def kernel_distance(
    real,
    fake,
    *,
    subsets=None,
    subset_size=None,
    seed=None,
    reference="torch-fidelity",
    kernel=PolynomialKernel(),
) -> KernelDistance:
    """KID: mean over random subsets of the unbiased MMD^2; lower is better, 0 expected if equal.

    Args:
        real, fake: float arrays [N, D], [M, D] of features. In all references the subset of the
            fakes is drawn first.
        subsets, subset_size: int > 0. `None` is the reference's default: 100 (mimicry: 50) of 1000.
        seed: int. `None` is 2020 for "torch-fidelity" and 0 else, where the references take the
            global state of NumPy: give what was passed to `np.random.seed`.
        reference: str. "torch-fidelity" (0.4.0) and "mimicry" refuse a subset larger than a set;
            "clean-fid" shrinks it to the smaller set. "mimicry" and "clean-fid" publish the mean.
        kernel: `PolynomialKernel` or `GaussianKernel`; the cubic polynomial is KID.
    Returns: `KernelDistance`; `std` is over subsets, with divisor `subsets` (np.std). Unbiased in
        N, so sets of any size compare; may be below 0. Agrees with the three references on the same
        features to 1e-9 relative (test).
    Raises:
        TooFewSamplesError: a subset larger than a set, or of fewer than 2 samples.
        NonFiniteError, MetricError: as `checked_features`; an unknown reference.
    Reference: Binkowski et al. 2018 (arXiv:1801.01401), section 3 and appendix D.
    """
    check_choice(reference, "reference", _SUBSETS)
    real, fake = checked_pair(real, fake, minimum=2)
    given = dict(subsets=subsets, subset_size=subset_size, seed=seed)
    chosen = _SUBSETS[reference] | {k: v for k, v in given.items() if v is not None}
    check_count(chosen["subsets"], "subsets")
    check_count(chosen["subset_size"], "subset_size")
    size, smaller = chosen["subset_size"], min(len(real), len(fake))
    if reference == "clean-fid":
        size = min(size, smaller)
    if not 2 <= size <= smaller:
        raise TooFewSamplesError(
            f"A subset has 2 to {smaller} samples here; pass a smaller `subset_size` or more "
            f"samples. Received: subset_size={size}, {len(real)} real, {len(fake)} fake"
        )
    random = np.random.RandomState(chosen["seed"])
    values = np.empty(chosen["subsets"])
    for index in range(len(values)):
        drawn = fake[random.choice(len(fake), size, replace=False)]
        matched = real[random.choice(len(real), size, replace=False)]
        values[index] = squared_mmd(matched, drawn, kernel=kernel)
    return KernelDistance(float(values.mean()), float(values.std()), values)


def squared_mmd(real, fake, *, kernel=PolynomialKernel()) -> float:
    """Unbiased estimate of MMD^2 from all samples; lower is better, 0 expected if equal.

    mean over i != j of k(x_i, x_j) + the same of y - 2 mean over i, j of k(x_i, y_j), in float64.

    Args:
        real, fake: float arrays [N, D], [M, D] with N, M > 1.
        kernel: function of ([A, D], [B, D]) to [A, B].
    Returns: float. May be below 0. Agrees with mimicry's `polynomial_mmd` to 1e-9 relative (test).
    Raises: as `kernel_distance`.
    Reference: Gretton et al. 2012, JMLR 13, eq. 3.
    """
    real, fake = checked_pair(real, fake, minimum=2)
    within = sum(
        _kernel_sum(x, x, kernel, "others") / (len(x) * (len(x) - 1)) for x in (real, fake)
    )
    return float(within - 2.0 * _kernel_sum(real, fake, kernel, "all") / (len(real) * len(fake)))


def _kernel_sum(x, y, kernel, pairs):
    """Sum of the kernel over "all" pairs, or over those of different rows: "others"."""
    total = 0.0
    for start in range(0, len(x), TILE_ROWS):
        rows = np.asarray(x[start : start + TILE_ROWS], np.float64)
        for begin in range(0, len(y), TILE_ROWS):
            tile = kernel(rows, np.asarray(y[begin : begin + TILE_ROWS], np.float64))
            total += tile.sum()
            if pairs == "others" and begin == start:
                total -= np.trace(tile)
    return total
