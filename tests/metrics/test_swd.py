import tracemalloc
import weakref

import numpy as np
import pytest
from harness import pictures

from ganzoo.errors import MetricError, TooFewSamplesError
from ganzoo.metrics import swd
from ganzoo.metrics.arrays import Spool
from ganzoo.metrics.swd import (
    laplacian_pyramid,
    level_heights,
    patches,
    projected_distance,
    sliced_wasserstein,
)


def test_the_pyramid_is_progans():
    # Mean magnitude, one value and deviation of the formulae of ProGAN's sliced_wasserstein.py
    # with scipy.ndimage.convolve(mode="mirror").
    recorded = [
        (64, 6.3010125160217285, 15.7529296875, 7.929244041442871),
        (32, 6.30225133895874, -1.7046356201171875, 7.566460609436035),
        (16, 128.26327514648438, 103.98957824707031, 45.87584686279297),
    ]
    for level, (size, magnitude, value, deviation) in zip(
        laplacian_pyramid(pictures(0), 3), recorded, strict=True
    ):
        assert level.shape == (6, size, size, 3) and level.dtype == np.float32
        assert np.abs(level).mean() == pytest.approx(magnitude, rel=1e-6)
        assert level[2, 3, 5, 1] == pytest.approx(value, rel=1e-5)
        assert level.std() == pytest.approx(deviation, rel=1e-6)


def test_a_level_adds_up_with_the_next():
    images = pictures(0)
    fine, coarse = laplacian_pyramid(images, 2)
    (low,) = laplacian_pyramid(images, 1)
    np.testing.assert_allclose(fine + swd._up(coarse), low, atol=1e-3)
    np.testing.assert_array_equal(swd._up(np.ones((1, 8, 8, 1), np.float32))[:, 2:-2, 2:-2], 1.0)


def test_patches_are_normalised_and_lie_in_their_images(monkeypatch):
    monkeypatch.setattr(swd, "BATCH", 4)
    images = np.zeros((6, 16, 16, 2), np.uint8)
    images[..., 0] = 10 * np.arange(6)[:, np.newaxis, np.newaxis]
    found = np.asarray(patches(images, 0, 1, 5, seed=0)).reshape(6, 5, 49, 2)
    assert found[..., 0].std() == pytest.approx(1.0, rel=1e-6)
    assert abs(found[..., 0].mean()) < 1e-6
    assert (np.diff(found[:, 0, 0, 0]) > 0).all() and found[..., 0].std(axis=(1, 2)).max() < 1e-6
    assert (found[..., 1] == 0).all()  # a constant channel gives no NaN


def test_places_reach_every_pixel():
    images = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
    found = np.asarray(patches(images, 0, 1, 2000, seed=0))
    assert len(np.unique(found[:, 0])) == 100 and found.shape == (2000, 49)
    assert found.min() == found[:, 0].min() and found.max() == found[:, -1].max()


def test_places_reach_every_column_of_a_wide_image():
    images = np.broadcast_to(np.arange(40, dtype=np.uint8)[:, np.newaxis], (1, 16, 40, 1))
    found = np.asarray(patches(images, 0, 1, 2000, seed=0))
    assert len(np.unique(found)) == 40


def test_distance_of_points_on_a_line():
    # On each direction the distance of a shift is its projection: E|cos| = 2 / pi in the plane.
    points = np.random.default_rng(0).standard_normal((50, 2)).astype(np.float32)
    random = np.random.default_rng(1)
    found = projected_distance(points, points + np.float32([3, 0]), random, repeats=40)
    assert found == pytest.approx(3 * 2 / np.pi, rel=0.02)


def test_equal_sets_differ_by_their_places_only():
    real = pictures(0, 20)
    same, other = sliced_wasserstein(real, real), sliced_wasserstein(real, pictures(3, 20))
    assert list(same.values) == [64, 32, 16]
    assert same.mean == pytest.approx(np.mean(list(same.values.values())))
    assert 0 < same.mean < 0.6 * other.mean
    # The noise of the fakes drowns the waves of the middle level.
    assert other.values[32] > 4 * same.values[32]


@pytest.mark.parametrize("parts", [{}, {"ROWS": 100, "VALUES": 3000, "BATCH": 7}])
def test_parts_of_any_size_give_the_value_of_whole_arrays(monkeypatch, parts):
    for name, value in parts.items():
        monkeypatch.setattr(swd, name, value)
    found = sliced_wasserstein(
        pictures(0, 20), pictures(3, 20), seed=4, patches_per_image=32, repeats=2
    )
    # Recorded from arrays that held all patches of a level and all their projections.
    recorded = {64: 71.59933595525416, 32: 121.7828733024568, 16: 71.07892194757284}
    assert found.values == pytest.approx(recorded, rel=1e-6)


def test_images_may_wait_in_files():
    spools = [Spool(), Spool()]
    for spool, seed in zip(spools, (0, 3), strict=True):
        spool.append(pictures(seed, 20))
    options = {"patches_per_image": 8, "repeats": 1}
    expected = sliced_wasserstein(pictures(0, 20), pictures(3, 20), **options)
    assert sliced_wasserstein(*spools, **options) == expected


def test_memory_does_not_hold_the_patches(monkeypatch):
    parts = {"ROWS": 1 << 10, "VALUES": 1 << 16, "BATCH": 16}
    for name, value in parts.items():
        monkeypatch.setattr(swd, name, value)
    real, fake = np.random.RandomState(0).randint(0, 256, (2, 256, 16, 16, 3)).astype("uint8")
    tracemalloc.start()
    try:
        sliced_wasserstein(real, fake, repeats=1)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 256 * 128 * 49 * 3 * 4 / 2  # bytes: half of one set's patches


def test_a_level_leaves_no_files_to_the_next(monkeypatch):
    alive, counts = weakref.WeakSet(), []

    class Counted(Spool):
        def __init__(self):
            super().__init__()
            alive.add(self)
            counts.append(len(alive))

    monkeypatch.setattr(swd, "Spool", Counted)
    sliced_wasserstein(pictures(0, 2), pictures(1, 2), patches_per_image=4, repeats=1)
    assert counts == 3 * [1, 2, 2, 3]  # raw and normalised, real and fake, on three levels


def test_the_seed_decides():
    real, fake = pictures(0), pictures(1)
    assert sliced_wasserstein(real, fake) == sliced_wasserstein(real, fake)
    assert sliced_wasserstein(real, fake) != sliced_wasserstein(real, fake, seed=1)


def test_levels_end_at_sixteen_pixels():
    assert level_heights(128, 128) == [128, 64, 32, 16]
    assert level_heights(28, 28) == [28]
    assert level_heights(96, 64) == [96, 48, 24]
    with pytest.raises(MetricError, match="divisible by 2"):
        level_heights(32, 33)
    with pytest.raises(TooFewSamplesError, match="8 x 8"):
        level_heights(8, 8)


def test_faulty_input():
    with pytest.raises(MetricError, match="one shape"):
        sliced_wasserstein(pictures(0, 4), pictures(0, 5))
    with pytest.raises(MetricError, match="uint8"):
        sliced_wasserstein(np.zeros((2, 32, 32, 3)), np.zeros((2, 32, 32, 3)))
    with pytest.raises(TooFewSamplesError, match="`real`"):
        sliced_wasserstein(pictures(0, 0), pictures(0, 0))
