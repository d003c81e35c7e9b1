import keras
import numpy as np
import pytest
import tensorflow as tf
from harness import check_layer, dtype_policy

from ganzoo.layers.layer_normalization import LayerNormalization


def test_layer():
    x = np.random.RandomState(0).randn(3, 4, 5, 6).astype("float32")
    check_layer(lambda: LayerNormalization(epsilon=1e-3, name="norm"), x, second_order=True)


def test_values_are_those_of_keras():
    random = np.random.RandomState(1)
    x = random.randn(3, 4, 5, 6).astype("float32") * 3 + 1
    gain, bias = random.randn(2, 6)
    ours, theirs = LayerNormalization(), keras.layers.GroupNormalization(groups=1, epsilon=1e-5)
    for layer in (ours, theirs):
        layer.build(x.shape)
        layer.set_weights([gain, bias])
    np.testing.assert_allclose(ours(x), theirs(x), rtol=0, atol=2e-5)


def second_derivative_error(layer):
    """Relative error of d |d f / d x|^2 / d x behind a convolution, by finite differences."""
    random = np.random.RandomState(2)
    mix, weigh, direction = random.randn(3, 3), random.randn(4, 4, 3), random.randn(2, 4, 4, 3)

    def squared_slope(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = tf.reduce_sum(weigh * tf.tanh(layer(x @ mix)))
        return tf.reduce_sum(tape.gradient(y, x) ** 2)

    x = tf.constant(random.randn(2, 4, 4, 3))
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = squared_slope(x)
    along = float(tf.reduce_sum(tape.gradient(value, x) * direction))
    ends = [float(squared_slope(x + s * 1e-6 * direction)) for s in (1, -1)]
    measured = (ends[0] - ends[1]) / 2e-6
    return abs(along - measured) / abs(measured)


def test_second_derivative():
    with dtype_policy("float64"):
        assert second_derivative_error(LayerNormalization()) < 1e-6
        # the reason for this layer; when it goes, so can the layer
        assert (
            second_derivative_error(keras.layers.GroupNormalization(groups=1, epsilon=1e-5)) > 1e-5
        )


def test_statistics_are_wide():
    x = np.random.RandomState(3).randn(2, 4, 4, 3).astype("float32") * 0.01 + 8
    wanted = LayerNormalization()(x.astype("float16").astype("float32"))
    y = LayerNormalization(dtype="mixed_float16")(x.astype("float16"))
    assert y.dtype == tf.float16
    np.testing.assert_allclose(y, wanted, rtol=0, atol=5e-3)


def test_refuses():
    with pytest.raises(ValueError, match="`epsilon` must be > 0.*Received: epsilon=0"):
        LayerNormalization(epsilon=0)
