import numpy as np
import pytest

from ganzoo.errors import MetricError, TooFewSamplesError
from ganzoo.metrics import arrays
from ganzoo.metrics.nearest_neighbours import nearest, neighbour_grid


@pytest.mark.parametrize("dtype", [np.float64, np.uint8])
def test_equals_a_full_sort_in_tiles(dtype, monkeypatch):
    monkeypatch.setattr(arrays, "TILE_ROWS", 4)
    monkeypatch.setattr(arrays, "TILE_COLUMNS", 5)
    random = np.random.default_rng(0)
    queries = random.integers(0, 255, (9, 40)).astype(dtype)
    references = random.integers(0, 255, (23, 40)).astype(dtype)
    full = np.linalg.norm(queries[:, np.newaxis].astype(float) - references, axis=-1)
    found = nearest(queries, references, 6)
    np.testing.assert_array_equal(found.indices, np.argsort(full, axis=1)[:, :6])
    np.testing.assert_allclose(found.distances, np.sort(full, axis=1)[:, :6])


def test_a_copy_has_the_distance_zero():
    training = np.random.default_rng(0).random((50, 8), np.float32) + 1000
    found = nearest(training[[7, 31]], training)
    assert found.indices.tolist() == [[7], [31]] and found.distances.tolist() == [[0.0], [0.0]]


def test_other_rows_are_not_the_sample_itself():
    points = np.float64([[0.0], [5.0], [6.0]])
    assert nearest(points, points, within="other rows").indices.tolist() == [[1], [2], [1]]
    with pytest.raises(TooFewSamplesError, match="at least 4"):
        nearest(points, points, 3, within="other rows")
    with pytest.raises(MetricError, match="3 and 2 rows"):
        nearest(points, points[:2], within="other rows")


def test_other_rows_in_tiles(monkeypatch):
    monkeypatch.setattr(arrays, "TILE_ROWS", 4)
    monkeypatch.setattr(arrays, "TILE_COLUMNS", 3)
    points = np.random.default_rng(0).standard_normal((14, 2))
    full = np.linalg.norm(points[:, np.newaxis] - points, axis=-1) + np.diag(np.full(14, np.inf))
    found = nearest(points, points, 2, within="other rows")
    np.testing.assert_array_equal(found.indices, np.argsort(full, axis=1)[:, :2])


def test_the_grid_shows_the_sample_then_its_neighbours():
    samples = np.zeros((2, 2, 3, 1), np.uint8)
    samples[0], samples[1] = 10, 21
    training = np.repeat(np.uint8([20, 0, 12]), 6).reshape(3, 2, 3, 1)
    found = nearest(samples.reshape(2, -1), training.reshape(3, -1), 2)
    grid = neighbour_grid(samples, training, found)
    assert grid.shape == (4, 9, 1)
    assert grid[::2, ::3, 0].tolist() == [[10, 12, 20], [21, 20, 12]]


def test_a_grid_needs_what_was_searched():
    samples, training = np.zeros((2, 2, 3, 1), np.uint8), np.zeros((3, 2, 2, 1), np.uint8)
    found = nearest(np.zeros((2, 4)), np.zeros((3, 4)))
    with pytest.raises(MetricError, match="one size"):
        neighbour_grid(samples, training, found)
    with pytest.raises(MetricError, match="2 rows up to index 0 for 1 samples"):
        neighbour_grid(samples[:1], samples, found)
