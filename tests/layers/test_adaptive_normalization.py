import harness
import numpy as np
import pytest
import tensorflow as tf

from ganzoo.layers.adaptive_normalization import STEPS, StyleEpilogue, check_steps, instance_norm


def data(*shape, seed=0):
    return np.random.RandomState(seed).randn(*shape).astype("float32")


def make(**options):
    layer = StyleEpilogue(4, name="e", **options)
    layer.build((None, 4, 4, 6), (None, 5))
    for i, weight in enumerate(layer.weights):
        weight.assign(data(*weight.shape, seed=i))
    return layer


def test_configuration():
    layer = make(activation="relu", steps=STEPS)
    copy = StyleEpilogue.from_config(layer.get_config())
    copy.build((None, 4, 4, 6), (None, 5))
    copy.set_weights(layer.get_weights())
    x, w = data(2, 4, 4, 6), data(2, 5)
    np.testing.assert_array_equal(layer(x, w), copy(x, w))


def test_the_equation():
    layer, x, w = make(), data(2, 4, 4, 6, seed=9), data(2, 5, seed=8)
    y = x + layer.noise.numpy()[None, :, :, None] * layer.noise_strength.numpy()
    y += layer.bias.numpy()
    y = np.where(y > 0, y, 0.2 * y)
    y = (y - y.mean((1, 2), keepdims=True)) / np.sqrt(y.var((1, 2), keepdims=True) + 1e-8)
    scale, shift = np.split(layer.affine(w).numpy()[:, None, None], 2, 3)
    np.testing.assert_allclose(layer(x, w), y * (1 + scale) + shift, rtol=1e-4, atol=1e-4)


def test_second_order():
    layer = make(steps=["instance_norm", "style"])
    layer.act = tf.tanh  # finite differences want a smooth function
    tensors = [tf.constant(data(2, 4, 4, 6)), tf.constant(data(2, 5))]
    harness.check_second_order(lambda xs: layer(*xs), tensors)


def test_what_the_style_says_is_what_comes_out():
    x, w = 3 + 7 * data(3, 4, 4, 6), data(3, 5)
    layer = make(steps=["instance_norm", "style"])
    y = layer(x, w).numpy()
    scale, shift = np.split(layer.affine(w).numpy(), 2, 1)
    np.testing.assert_allclose(y.mean((1, 2)), shift, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(y.std((1, 2)), np.abs(1 + scale), rtol=1e-3, atol=1e-4)


def test_noise_of_a_sample_does_not_depend_on_the_batch():
    layer, x, w = make(), data(3, 4, 4, 6), data(3, 5)
    seeds = tf.constant([[1, 2], [3, 4], [5, 6]])
    together = layer(x, w, noise="random", seed=seeds)
    alone = layer(x[1:2], w[1:2], noise="random", seed=seeds[1:2])
    np.testing.assert_allclose(alone[0], together[1], rtol=1e-4, atol=1e-5)
    one = layer(x, w, noise="random", seed=seeds[0])
    assert np.abs(one - layer(x, w)).max() > 1e-2
    quiet = layer(x, w, noise="none")
    layer.noise_strength.assign(tf.zeros(6))
    np.testing.assert_array_equal(layer(x, w, noise="random", seed=seeds), quiet)


def test_statistics_are_float32():
    x = 100 + data(1, 64, 64, 1)
    layer = StyleEpilogue(
        64, activation="relu", steps=["instance_norm"], dtype="mixed_bfloat16"
    )
    y = layer(tf.constant(x, "bfloat16"), tf.zeros([1, 5]))
    assert y.dtype == "bfloat16"
    y = tf.cast(y, "float32").numpy()
    assert abs(y.mean()) < 0.01 and y.std() == pytest.approx(1, abs=0.01)


def test_a_flat_map_stays_finite():
    np.testing.assert_allclose(instance_norm(tf.fill([1, 4, 4, 2], 3.0)), 0, atol=1e-6)


@pytest.mark.parametrize("steps", ["noise", ["noise", "blur"]])
def test_unknown_steps(steps):
    with pytest.raises(ValueError, match="`epilogue` may hold"):
        check_steps(steps)
