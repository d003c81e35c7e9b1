import numpy as np
import pytest

from ganzoo.errors import MetricError, NonFiniteError, TooFewSamplesError
from ganzoo.metrics import kid
from ganzoo.metrics.kid import (
    GaussianKernel,
    PolynomialKernel,
    kernel_distance,
    squared_mmd,
)


def draw(count, seed, shift=0.0, dimension=6):
    return np.random.default_rng(seed).standard_normal((count, dimension)) + shift


def by_loops(real, fake, kernel):
    def mean(x, y, pairs):
        return np.mean([kernel(x[i], y[j]) for i, j in pairs])

    def others(n):
        return [(i, j) for i in range(n) for j in range(n) if i != j]

    every = [(i, j) for i in range(len(real)) for j in range(len(fake))]
    within = mean(real, real, others(len(real))) + mean(fake, fake, others(len(fake)))
    return within - 2 * mean(real, fake, every)


@pytest.mark.parametrize(
    ("kernel", "formula"),
    [
        (PolynomialKernel(), lambda x, y: (x @ y / 6 + 1) ** 3),
        (
            PolynomialKernel(degree=2, gamma=0.5, coefficient=2.0),
            lambda x, y: (0.5 * x @ y + 2) ** 2,
        ),
        (GaussianKernel(sigma=2.0), lambda x, y: np.exp(-np.square(x - y).sum() / 8)),
    ],
)
def test_equals_its_definition_in_tiles(kernel, formula, monkeypatch):
    monkeypatch.setattr(kid, "TILE_ROWS", 4)
    real, fake = draw(13, 0), draw(9, 1, 0.4)
    expected = by_loops(real, fake, formula)
    assert squared_mmd(real, fake, kernel=kernel) == pytest.approx(expected, rel=1e-10)


def test_unbiased_and_two_sided():
    values = [squared_mmd(draw(20, 2 * s), draw(20, 2 * s + 1)) for s in range(300)]
    error = np.std(values) / np.sqrt(300)
    assert abs(np.mean(values)) < 3 * error
    assert min(values) < 0 < max(values)


def test_farther_is_larger():
    real = draw(200, 0)
    near, far = (kernel_distance(real, draw(200, 1, s), subset_size=100).mean for s in (0.2, 1.0))
    assert 0 < near < far


def test_the_seed_decides_and_the_global_state_stays():
    real, fake = draw(50, 0), draw(60, 1)
    options = dict(subsets=5, subset_size=20)
    np.random.seed(7)
    state = np.random.get_state()[1].copy()
    first = kernel_distance(real, fake, **options)
    np.testing.assert_array_equal(np.random.get_state()[1], state)
    assert first.mean == kernel_distance(real, fake, seed=2020, **options).mean
    assert first.mean != kernel_distance(real, fake, seed=1, **options).mean
    assert first.std == pytest.approx(np.std(first.values))


def test_a_whole_set_as_subset_has_no_deviation():
    real, fake = draw(30, 0), draw(30, 1)
    found = kernel_distance(real, fake, subsets=4, subset_size=30)
    assert found.mean == pytest.approx(squared_mmd(real, fake), rel=1e-9)
    assert found.std < 1e-12


def test_only_clean_fid_shrinks_its_subsets():
    real, fake = draw(30, 0), draw(20, 1)
    with pytest.raises(TooFewSamplesError, match="2 to 20 samples.*subset_size=1000"):
        kernel_distance(real, fake)
    shrunk = kernel_distance(real, fake, reference="clean-fid", subsets=3)
    given = kernel_distance(real, fake, reference="clean-fid", subsets=3, subset_size=20)
    assert shrunk.mean == given.mean


def test_faulty_input():
    real = draw(30, 0)
    with pytest.raises(NonFiniteError, match="`fake`"):
        kernel_distance(real, np.full((30, 6), np.nan))
    with pytest.raises(MetricError, match="`fake` needs 6 dimensions"):
        kernel_distance(real, draw(30, 0, dimension=5))
    with pytest.raises(MetricError, match="mimicry"):
        kernel_distance(real, real, reference="mine")
    with pytest.raises(TooFewSamplesError):
        kernel_distance(real, real, subset_size=1)
    with pytest.raises(MetricError, match="subsets"):
        kernel_distance(real, real, subsets=0, subset_size=10)
