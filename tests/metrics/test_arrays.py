import numpy as np
import pytest

from ganzoo.errors import MetricError, NonFiniteError, TooFewSamplesError
from ganzoo.metrics import arrays
from ganzoo.metrics.arrays import (
    Spool,
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
    with pytest.raises(MetricError, match=r"uint8|\[N, H, W, C\]"):
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


# Matrices in files


@pytest.fixture
def spooled():
    rows = np.random.RandomState(0).randn(2500, 3, 2).astype("float32")
    spool = Spool()
    for start in range(0, 2500, 999):
        spool.append(rows[start : start + 999])
    return rows, spool


def test_a_spool_reads_like_an_array(spooled):
    rows, spool = spooled
    assert (len(spool), spool.shape, spool.ndim, spool.dtype) == (2500, (2500, 3, 2), 3, rows.dtype)
    mask = rows[:, 0, 0] > 1
    indices = np.array([7, 2499, 0, 7])
    for key in (slice(None), slice(5, 5), slice(10, 3), slice(-3, None), slice(9, 1, -2), mask):
        np.testing.assert_array_equal(spool[key], rows[key])
    for key in (slice(2000, 9999), slice(0, 50, 7), indices, 3):
        np.testing.assert_array_equal(spool[key], rows[key])
    np.testing.assert_array_equal(np.asarray(spool), rows)
    np.testing.assert_allclose(np.mean(spool, axis=0, dtype=np.float64), rows.mean(0), atol=1e-7)


def test_a_spool_grows_while_it_is_read(spooled):
    rows, spool = spooled
    first = spool[:10]
    spool.append(rows[:4])
    np.testing.assert_array_equal(spool[2498:], np.concatenate([rows[2498:], rows[:4]]))
    np.testing.assert_array_equal(first, rows[:10])


def test_a_spool_of_no_columns():
    spool = Spool()
    spool.append(np.empty((5, 0), "float32"))
    assert np.asarray(spool).shape == (5, 0) and spool[1:3].shape == (2, 0)


@pytest.mark.parametrize("rows", [np.zeros((2, 3), "float32"), np.zeros((2, 3, 2))])
def test_a_spool_keeps_one_kind_of_rows(spooled, rows):
    with pytest.raises(MetricError, match="one shape and dtype"):
        spooled[1].append(rows)


def test_metrics_of_spools_are_those_of_arrays():
    from ganzoo.metrics.kid import kernel_distance
    from ganzoo.metrics.precision_recall import precision_recall

    sides = [np.random.RandomState(k).randn(1500, 6).astype("float32") for k in range(2)]
    spools = [Spool(), Spool()]
    for spool, array in zip(spools, sides):
        spool.append(array)
    assert precision_recall(*spools) == precision_recall(*sides)
    found, expected = (kernel_distance(*pair, subsets=3).values for pair in (spools, sides))
    np.testing.assert_array_equal(found, expected)
    assert checked_features(spools[0]) is spools[0]


def test_images_in_a_spool_stay_there():
    spool = Spool()
    spool.append(np.ones((3, 4, 4, 3), np.uint8))
    assert checked_images(spool) is spool
    with pytest.raises(TooFewSamplesError, match="at least 4 images.*: 3$"):
        checked_images(spool, minimum=4)
    with pytest.raises(MetricError, match="1 channels last"):
        checked_images(spool, channels=(1,))


def test_a_spool_with_nan_is_refused():
    spool = Spool()
    spool.append(np.array([[1.0, np.nan]]))
    with pytest.raises(NonFiniteError, match="1 NaN"):
        checked_features(spool)
