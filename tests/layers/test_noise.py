import numpy as np
import pytest
import tensorflow as tf

from ganzoo.layers.noise import check_noise, draw_noise, layer_seed, sample_seeds, seed_pair


def test_normal():
    x = draw_noise(tf.constant([1, 2]), 3, 64).numpy()
    assert x.shape == (3, 64, 64, 1)
    assert abs(x.mean()) < 0.03 and x.std() == pytest.approx(1, abs=0.03)


def test_a_seed_for_each_sample():
    seeds = tf.constant([[1, 2], [3, 4], [1, 2]])
    x = draw_noise(seeds, 3, 4).numpy()
    np.testing.assert_array_equal(x[0], x[2])
    assert np.abs(x[0] - x[1]).max() > 0.1
    np.testing.assert_array_equal(draw_noise(seeds[1:2], 1, 4)[0], x[1])


def test_seeds():
    np.testing.assert_array_equal(seed_pair(5), [5, 0])
    np.testing.assert_array_equal(seed_pair([5, 6]), [5, 6])
    np.testing.assert_array_equal(layer_seed(tf.constant([[1, 2], [3, 4]]), 2), [[1, 5], [3, 7]])
    assert layer_seed(None, 2) is None
    z = tf.constant(np.random.RandomState(0).randn(3, 5), "float32")
    seeds = sample_seeds(z, 7).numpy()
    assert seeds.shape == (3, 2) and (seeds[:, 1] == 7).all() and len(set(seeds[:, 0])) == 3
    np.testing.assert_array_equal(sample_seeds(z[1:], 7), seeds[1:])


def test_kinds():
    assert check_noise("const") == "const"
    with pytest.raises(ValueError, match="`noise` must be one of"):
        check_noise("some")
