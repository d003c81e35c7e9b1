import harness
import numpy as np
import pytest
import tensorflow as tf

from ganzoo.layers.equalized import EqualizedConv2D
from ganzoo.layers.resized_convolution import (
    DownscaledConv2D,
    UpscaledConv2D,
    downscale,
    upscale,
)


def data(*shape):
    return np.random.RandomState(0).randn(*shape).astype("float32")


@pytest.mark.parametrize("kind", [UpscaledConv2D, DownscaledConv2D])
@pytest.mark.parametrize("size", [1, 3, 5])
def test_layers(kind, size):
    make = lambda: kind(3, size, gain=1.4, lr_multiplier=0.5, name="c")  # noqa: E731
    harness.check_layer(make, data(2, 6, 4, 2), second_order=True)


@pytest.mark.parametrize("size", [1, 3, 5])
def test_they_are_a_convolution_beside_a_resampling(size):
    x, kernel, bias = data(2, 6, 4, 3), data(size, size, 3, 4), data(4)
    plain, up, down = (
        kind(4, size) for kind in (EqualizedConv2D, UpscaledConv2D, DownscaledConv2D)
    )
    for layer in (plain, up, down):
        layer.build(x.shape)
        layer.set_weights([kernel, bias])
    np.testing.assert_allclose(up(x), plain(upscale(x)), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(down(x), downscale(plain(x)), rtol=1e-4, atol=1e-5)


def test_resampling():
    x = data(2, 4, 6, 3)
    up = upscale(tf.constant(x), 3).numpy()
    assert up.shape == (2, 12, 18, 3)
    np.testing.assert_array_equal(up[:, 1::3, 2::3], x)
    np.testing.assert_allclose(downscale(up, 3), x, rtol=1e-5)
    np.testing.assert_array_equal(upscale(x, 1), x)
    harness.check_second_order(lambda xs: downscale(upscale(xs[0], 2) ** 2), [tf.constant(x)])
