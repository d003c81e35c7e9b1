import tracemalloc

import numpy as np
import pytest
import tensorflow as tf
from harness import pictures

from ganzoo.errors import MetricError, TooFewSamplesError
from ganzoo.metrics.arrays import Spool
from ganzoo.metrics.ms_ssim import ms_ssim, pair_similarity

# The formulae of ProGAN's ms_ssim.py (SciPy's fftconvolve, float32 images).
RECORDED = {
    (64, "two sets"): [0.9636030903666393, 0.964207819687323, 0.9641167896220301],
    (64, "neighbours"): [0.7774514340379132, 0.5266756078316306, 0.7825146777121489],
    (32, "two sets"): [0.9637455729935889, 0.9646978291895716, 0.9629106248275369],
}


@pytest.mark.parametrize(("size", "pairs"), RECORDED)
def test_equals_progans_formulae(size, pairs):
    count = 6 if size == 64 else 3
    first, second = pictures(0, count, size), pictures(1, count, size)
    if pairs == "neighbours":
        first, second = first[::2], first[1::2]
    found = ms_ssim(first[:3], second[:3])
    np.testing.assert_allclose(found, RECORDED[size, pairs], rtol=5e-6)


def test_equals_tensorflow_on_one_channel():
    first, second = pictures(0, 2, 256)[..., :1], pictures(2, 2, 256)[..., :1]
    expected = tf.image.ssim_multiscale(first, second, 255).numpy()
    np.testing.assert_allclose(ms_ssim(first, second), expected, rtol=1e-4)


def test_equal_images_are_one_and_inverted_ones_zero():
    images = pictures(0)
    np.testing.assert_allclose(ms_ssim(images, images), 1.0)
    assert (ms_ssim(images, 255 - images) == 0).all()


def test_collapse_is_more_similar():
    varied = pictures(0, 12)
    collapsed = np.repeat(varied[:1], 12, axis=0)
    assert pair_similarity(collapsed, pairs=20).mean == pytest.approx(1.0)
    assert pair_similarity(varied, pairs=20).mean < 0.95


def test_pairs_are_different_samples_and_the_seed_decides():
    images = pictures(0, 3)
    found = pair_similarity(images, pairs=40)
    assert found.values.max() < 0.999 and len(found.values) == 40
    assert found.mean == pair_similarity(images, pairs=40).mean
    assert found.mean != pair_similarity(images, pairs=40, seed=1).mean
    assert found.standard_error == pytest.approx(found.values.std() / np.sqrt(40))


def test_memory_is_the_same_for_any_number_of_images_and_pairs():
    varied, peaks = pictures(0, 12, 32), []
    for copies in (10, 80):
        spool = Spool()
        for _ in range(copies):
            spool.append(varied)
        tracemalloc.start()
        try:
            found = pair_similarity(spool, pairs=4 * copies)
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
        expected = pair_similarity(np.tile(varied, (copies, 1, 1, 1)), pairs=4 * copies)
        np.testing.assert_array_equal(found.values, expected.values)
    assert peaks[1] < peaks[0] + 50_000  # bytes; 840 more images are 2.6 MB


def test_progan_takes_neighbours():
    images = pictures(0, 5)
    found = pair_similarity(images, reference="progan")
    np.testing.assert_array_equal(found.values, ms_ssim(images[[0, 2]], images[[1, 3]]))


def test_faulty_input():
    images = pictures(0, 2, 32)
    with pytest.raises(MetricError, match="divisible by 16"):
        ms_ssim(images[:, :30, :30], images[:, :30, :30])
    with pytest.raises(MetricError, match="one shape"):
        ms_ssim(images, images[:1])
    with pytest.raises(MetricError, match="uint8"):
        ms_ssim(images / 255, images / 255)
    with pytest.raises(TooFewSamplesError, match="at least 2"):
        pair_similarity(images[:1])
    with pytest.raises(MetricError, match="random"):
        pair_similarity(images, reference="mine")
