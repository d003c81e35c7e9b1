"""Precision, recall, density and coverage: what lies within reach of whose nearest neighbours."""

import dataclasses

import numpy as np

from ganzoo.metrics.arrays import (
    check_choice,
    check_count,
    checked_pair,
    distance_tiles,
    row_distances,
)
from ganzoo.metrics.nearest_neighbours import nearest

# A sample at exactly the radius: official precision-recall code and torch-fidelity count it in.
_INSIDE = {"torch-fidelity": np.less_equal, "prdc": np.less}
NEAR = 1e-12  # relative to |x|^2 + |y|^2: closer to the radius than this, a tile cannot tell


@dataclasses.dataclass(frozen=True, kw_only=True)
class PrecisionRecall:
    """The four shares; `f_score` is the harmonic mean of the first two as torch-fidelity has it."""

    precision: float
    recall: float
    density: float
    coverage: float

    @property
    def f_score(self) -> float:
        """2 P R / max(P + R, 1e-5)."""
        total = max(self.precision + self.recall, 1e-5)
        return 2.0 * self.precision * self.recall / total


def precision_recall(real, fake, *, neighbours=3, reference="torch-fidelity") -> PrecisionRecall:
    """Precision, recall, density, coverage; higher is better, all in [0, 1] but density.

    B(x) is the ball around x that reaches the k-th nearest other sample of x's own set.
    precision: share of fakes in some B(real); recall: share of reals in some B(fake);
    density: mean over fakes of the number of B(real) around it, over k; above 1 where fakes crowd
    the modes; coverage: share of reals whose own ball holds a fake.

    Args:
        real, fake: arrays [N, D], [M, D] of features.
        neighbours: int > 0, k. Defaults to 3, as Kynkaanniemi et al.; Naeem et al. take 5.
        reference: str. "torch-fidelity" (0.4.0; also the official code): a sample on the sphere is
            in the ball. "prdc" (clovaai, StudioGAN): it is not; matters where images are equal.
    Returns: `PrecisionRecall`. Compare equal N, M and k only: all four change with them; 10,000 and
        more are customary. Agrees with torch-fidelity and prdc on the same features (test).
    Raises:
        TooFewSamplesError: N or M is not above k.
        NonFiniteError, MetricError: as `checked_features`; an unknown reference.
    Reference: Kynkaanniemi et al. 2019 (arXiv:1904.06991), eq. 1 and 2; Naeem et al. 2020
        (arXiv:2002.09797), eq. 4 and 5. Differs: distances in float64, a tile at a time.
    """
    check_choice(reference, "reference", _INSIDE)
    check_count(neighbours, "neighbours")
    real, fake = checked_pair(real, fake, minimum=neighbours + 1)
    real_radii = radii(real, neighbours)
    fake_radii = radii(fake, neighbours)
    fakes_in = np.zeros(len(fake), np.int64)  # balls of reals around each fake
    recalled, covered = np.zeros(len(real), bool), np.zeros(len(real), bool)
    for rows, columns, tile, scales in distance_tiles(real, fake):
        pair = (real, fake, rows, columns, tile, scales, _INSIDE[reference])
        in_real = _inside(*pair, real_radii[rows, np.newaxis])
        fakes_in[columns] += in_real.sum(axis=0)
        covered[rows] |= in_real.any(axis=1)
        recalled[rows] |= _inside(*pair, fake_radii[columns]).any(axis=1)
    return PrecisionRecall(
        precision=float((fakes_in > 0).mean()),
        recall=float(recalled.mean()),
        density=float(fakes_in.mean() / neighbours),
        coverage=float(covered.mean()),
    )


def radii(features, neighbours) -> np.ndarray:
    """float64 [N], distance of each sample to its k-th nearest other sample."""
    return nearest(features, features, neighbours, within="other rows").distances[:, -1]


def _inside(real, fake, rows, columns, tile, scales, compare, radius):
    """bool, whether each pair of a tile is closer than the radius; exact also at equality."""
    squared = np.square(radius)
    inside = compare(tile, squared)
    near_rows, near_columns = np.nonzero(np.abs(tile - squared) <= NEAR * scales)
    if len(near_rows):
        limits = np.broadcast_to(radius, tile.shape)[near_rows, near_columns]
        for start in range(0, len(near_rows), 1 << 14):
            part = slice(start, start + (1 << 14))
            i, j = near_rows[part], near_columns[part]
            exact = row_distances(real[rows][i], fake[columns][j])
            inside[i, j] = compare(exact, limits[part])
    return inside
