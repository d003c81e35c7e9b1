import keras
import numpy as np
import pytest
from harness import check_layer

from ganzoo.layers.equalized import EqualizedConv2D, EqualizedDense


def data(*shape):
    return np.random.RandomState(0).randn(*shape).astype("float32")


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (lambda: EqualizedDense(3, gain=1.4, lr_multiplier=0.5, bias_gain=2.0, name="d"), (4, 5)),
        (lambda: EqualizedDense(3, use_bias=False, bias_initializer="ones", name="d"), (4, 5)),
        (lambda: EqualizedConv2D(3, 3, gain=1.4, lr_multiplier=0.5, name="c"), (2, 5, 4, 2)),
    ],
)
def test_layers(make, shape):
    check_layer(make, data(*shape), second_order=True)


def test_the_kernel_is_scaled_by_fan_in_gain_and_multiplier():
    layer = EqualizedDense(3, gain=2.0, lr_multiplier=0.1, bias_gain=0.5, name="d")
    x = data(4, 16)
    layer.build(x.shape)
    kernel, bias = data(16, 3), data(3)
    layer.set_weights([kernel, bias])
    expected = x @ kernel * (2.0 * 0.1 / 4.0) + 0.05 * bias
    np.testing.assert_allclose(layer(x), expected, rtol=1e-5, atol=1e-6)


def test_a_convolution_is_keras_own_of_the_scaled_kernel():
    layer, plain = EqualizedConv2D(4, 3, gain=1.5), keras.layers.Conv2D(4, 3, padding="same")
    x = data(2, 6, 5, 3)
    for one in (layer, plain):
        one.build(x.shape)
    kernel, bias = data(3, 3, 3, 4), data(4)
    layer.set_weights([kernel, bias])
    plain.set_weights([kernel * 1.5 / np.sqrt(27), bias])
    np.testing.assert_allclose(layer(x), plain(x), rtol=1e-4, atol=1e-5)


def test_outputs_begin_with_the_inputs_variance():
    keras.utils.set_random_seed(0)
    for multiplier in (1.0, 0.01):
        out = EqualizedDense(500, lr_multiplier=multiplier)(data(200, 256))
        assert np.std(out) == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("options", [{"gain": 0.0}, {"lr_multiplier": -1.0}])
def test_scales_are_positive(options):
    with pytest.raises(ValueError, match="above 0"):
        EqualizedDense(3, **options)
