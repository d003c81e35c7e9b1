import numpy as np
import pytest

from ganzoo.metrics import arrays
from ganzoo.metrics.arrays import (
    MetricError,
    NonFiniteError,
    TooFewSamplesError,
    checked_features,
    checked_images,
    checked_probabilities,
    distance_tiles,
    row_distances,
)


def test_non_finite_values_are_counted():
    features = np.zeros((3000, 4), np.float32)
    features[5, 1] = features[5, 2] = np.nan
    features[2500, 0] = -np.inf
    with pytest.raises(NonFiniteError, match="3 NaN or infinite values in 2 of 3000 rows"):
        checked_features(features)


def test_finite_values_with_an_infinite_sum_pass():
    features = np.full((4, 2), 1e308)
    assert checked_features(features) is features


@pytest.mark.parametrize(
    ("features", "options", "kind", "message"),
    [
        (np.zeros((2, 3, 4)), {}, MetricError, r"shape=\(2, 3, 4\)"),
        (np.zeros((2, 0)), {}, MetricError, r"shape=\(2, 0\)"),
        (np.zeros((2, 3), complex), {}, MetricError, "complex128"),
        (np.array([["a"]]), {}, MetricError, "dtype=<U1"),
        (np.zeros((2, 3)), {"minimum": 5}, TooFewSamplesError, "at least 5 samples.*: 2 samples"),
        (np.zeros((2, 3)), {"dimension": 4}, MetricError, "needs 4 dimensions.*: 3 dimensions"),
    ],
)
def test_faulty_features(features, options, kind, message):
    with pytest.raises(kind, match=message):
        checked_features(features, **options)


def test_half_precision_is_widened_and_the_rest_kept():
    assert checked_features(np.zeros((1, 1), np.float16)).dtype == np.float32
    for dtype in (np.uint8, np.int64, np.float32, np.float64):
        assert checked_features(np.zeros((1, 1), dtype)).dtype == dtype


def test_logits_are_no_probabilities():
    with pytest.raises(MetricError, match="1 of 2 rows differ"):
        checked_probabilities([[0.5, 0.5], [2.0, -1.0]])


@pytest.mark.parametrize(
    "images", [np.zeros((2, 4, 4, 3)), np.zeros((4, 4, 3), np.uint8), np.zeros((1, 0, 4, 1), "u1")]
)
def test_images_are_bytes_with_four_axes(images):
    with pytest.raises(MetricError, match="uint8"):
        checked_images(images)


def test_tiles_cover_all_pairs_once(monkeypatch):
    monkeypatch.setattr(arrays, "TILE_ROWS", 5)
    monkeypatch.setattr(arrays, "TILE_COLUMNS", 7)
    random = np.random.default_rng(0)
    a, b = random.standard_normal((11, 3)) + 100, random.standard_normal((17, 3)) + 100
    found = np.full((11, 17), np.nan)
    for rows, columns, tile, scales in distance_tiles(a, b):
        assert np.isnan(found[rows, columns]).all() and scales.shape == tile.shape
        found[rows, columns] = tile
    expected = np.square(a[:, np.newaxis] - b).sum(axis=-1)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_bytes_are_not_subtracted_as_bytes():
    a, b = np.uint8([[0, 10]]), np.uint8([[3, 6]])
    assert row_distances(a, b) == 5.0
    ((_, _, tile, _),) = distance_tiles(a, b)
    assert tile == pytest.approx(25.0)
