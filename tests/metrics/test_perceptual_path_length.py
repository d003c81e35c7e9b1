import numpy as np
import pytest

from ganzoo.metrics.arrays import MetricError, NonFiniteError
from ganzoo.metrics.perceptual_path_length import latent_pairs, lerp, path_length, slerp

ALL = pytest.mark.parametrize(
    "reference", ["stylegan", "torch-fidelity-any", "torch-fidelity-unit"]
)


@ALL
def test_a_quarter_circle_by_halves(reference):
    start, end = np.float64([[1.0, 0.0]]), np.float64([[0.0, 1.0]])
    found = slerp(start, end, 0.5, reference=reference)
    np.testing.assert_allclose(found, [[np.sqrt(0.5), np.sqrt(0.5)]])
    np.testing.assert_allclose(slerp(start, end, 0.0, reference=reference), start, atol=1e-12)
    np.testing.assert_allclose(slerp(start, end, 1.0, reference=reference), end, atol=1e-12)


@ALL
def test_equal_directions_give_no_nan(reference):
    start = np.float64([[3.0, 4.0]])
    found = slerp(start, 2 * start, 0.25, reference=reference)
    expected = [[3.75, 5.0]] if reference == "torch-fidelity-any" else [[0.6, 0.8]]
    np.testing.assert_allclose(found, expected)


def test_lengths_stay_or_become_one():
    start, end = latent_pairs(20, 9)
    unit = slerp(start, end, 0.3)
    assert unit.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(unit, axis=1), 1.0, rtol=1e-6)
    kept = slerp(start, end, 0.0, reference="torch-fidelity-any")
    np.testing.assert_allclose(kept, start, rtol=1e-6)


def test_lerp_takes_one_t_for_each_path():
    start, end = np.zeros((2, 3)), np.ones((2, 3))
    np.testing.assert_array_equal(lerp(start, end, [[0.25], [1.0]])[:, 0], [0.25, 1.0])


def test_the_tails_are_cut_and_the_bounds_kept():
    found = path_length(np.arange(201.0), epsilon=2.0)
    assert (found.lower, found.upper, found.kept) == (0.5, 49.5, 197)
    assert found.mean == pytest.approx(25.0)
    everything = path_length(np.arange(201.0), lower_percentile=0, upper_percentile=100, epsilon=1)
    assert everything.kept == 201


def test_faulty_input():
    pair = np.ones((2, 3))
    with pytest.raises(MetricError, match="length 0"):
        slerp(np.zeros((2, 3)), pair, 0.5)
    with pytest.raises(MetricError, match=r"t \(3,\)"):
        lerp(pair, pair, [0.1, 0.2, 0.3])
    with pytest.raises(MetricError, match="epsilon"):
        path_length(np.ones(5), epsilon=0.0)
    with pytest.raises(MetricError, match="Percentiles"):
        path_length(np.ones(5), lower_percentile=99, upper_percentile=1)
    with pytest.raises(NonFiniteError):
        path_length([1.0, np.nan])
    with pytest.raises(MetricError, match="axis"):
        path_length(np.ones((5, 1)))
