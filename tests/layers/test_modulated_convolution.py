"""Modulated convolution: the official operation's outputs and gradients; the layers around it."""

import harness
import numpy as np
import pytest
import stylegan_parity
import tensorflow as tf

from ganzoo.layers.fir import setup_filter
from ganzoo.layers.modulated_convolution import (
    ResampledConv2D,
    StyledConv2D,
    ToImage,
    modulated_conv2d,
)

CASE = "parity/stylegan/ops_torch_sg2"
NAMES = [
    f"demod{demodulate}_up{up}_fused{fused}"
    for demodulate in (0, 1) for up in (1, 2) for fused in (0, 1)
]


def ours(test, held):
    """(x, kernel, styles, what the official operation gives for them)."""
    kwargs, keys = test["kwargs"], test["inputs"]
    x, styles = tf.constant(held[keys["x"]]), tf.constant(held[keys["styles"]])
    kernel = tf.constant(np.ascontiguousarray(np.moveaxis(held[keys["weight"]], 0, -1)))
    taps = held[keys["resample_filter"]] if "resample_filter" in keys else None

    def function(x, kernel, styles):
        y = modulated_conv2d(
            x, kernel, styles, demodulate="on" if kwargs["demodulate"] else "off",
            up=kwargs.get("up", 1), padding=kwargs.get("padding", 0), taps=taps,
            flip="correlate" if kwargs.get("flip_weight", True) else "convolve",
        )
        return y + held[keys["noise"]] if "noise" in keys else y

    return [x, kernel, styles], function


@pytest.mark.parametrize("name", [*NAMES, "torgb"])
def test_official_operation(shared, name):
    tests = stylegan_parity.manifest(shared / CASE)["tests"]
    test = next(t for t in tests if t["name"] == f"modulated_conv2d_{name}")
    held = stylegan_parity.arrays(shared / CASE)
    inputs, function = ours(test, held)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        y = function(*inputs)
        total = tf.reduce_sum(y * held[test["inputs"]["cot"]])
    assert stylegan_parity.error(y, held[test["outputs"]["out"]]) < 1e-5
    names = ("grad_x", "grad_weight", "grad_styles")
    for name, gradient in zip(names, tape.gradient(total, inputs)):
        wanted = held[test["outputs"][name]]
        wanted = np.moveaxis(wanted, 0, -1) if name == "grad_weight" else wanted
        assert stylegan_parity.error(gradient, wanted) < 1e-5, name


@pytest.mark.parametrize("demodulate", ["on", "off"])
@pytest.mark.parametrize("up", [1, 2])
def test_one_sample_and_half_precision(demodulate, up):
    random = np.random.RandomState(0)
    x = tf.constant(random.randn(3, 6, 6, 4), "float32")
    kernel = tf.constant(random.randn(3, 3, 4, 5), "float32")
    styles = tf.constant(random.randn(3, 4), "float32")
    options = dict(demodulate=demodulate, up=up, padding=1, taps=setup_filter([1, 3, 3, 1]))
    wanted = modulated_conv2d(x, kernel, styles, gain=0.7, **options).numpy()
    for i in range(3):
        alone = modulated_conv2d(
            x[i : i + 1], kernel, styles[i : i + 1], gain=0.7, **options
        )
        np.testing.assert_allclose(alone[0], wanted[i], atol=2e-5)
    half = modulated_conv2d(tf.cast(x, "float16"), kernel, styles, gain=0.7, **options)
    assert half.dtype == tf.float16
    np.testing.assert_allclose(half, wanted, atol=2e-2 * np.abs(wanted).max())


@pytest.mark.parametrize("change", [dict(up=2), dict(down=2), dict(use_bias=False)])
def test_resampled_layer(change):
    def make():
        return ResampledConv2D(
            3, 3, activation="swish", conv_clamp=100.0, taps=[1, 2, 1], name="conv", **change
        )

    harness.check_layer(make, harness.images(2, 6, 2), second_order=True)


def test_styled_layer():
    x, w = harness.images(2, 6, 2), np.random.RandomState(1).randn(2, 5).astype("float32")
    layer = StyledConv2D(
        3, 3, up=2, noise_side=12, activation="softplus", conv_clamp=50.0, taps=[1, 1], name="conv"
    )
    y = layer(x, w)
    assert y.shape == (2, 12, 12, 3)
    copy = StyledConv2D.from_config(layer.get_config())
    assert copy.get_config() == layer.get_config()
    layer.noise_strength.assign(2.0)
    noise = layer.noise.value[np.newaxis, :, :, np.newaxis]
    seeds = tf.constant([[1, 2], [3, 4]])
    drawn = layer(x, w, noise="random", seed=seeds)
    one = layer(x[1:], w[1:], noise="random", seed=seeds[1:])
    np.testing.assert_allclose(drawn[1], one[0], atol=1e-5)
    assert np.abs(layer(x, w) - y).max() > 1e-2 and noise.shape == (1, 12, 12, 1)


def test_to_image():
    x, w = harness.images(2, 6, 2), np.random.RandomState(1).randn(2, 5).astype("float32")
    layer = ToImage(3, conv_clamp=0.05, name="torgb")
    assert float(tf.reduce_max(tf.abs(layer(x, w)))) == pytest.approx(0.05)
    assert ToImage.from_config(layer.get_config()).get_config() == layer.get_config()
