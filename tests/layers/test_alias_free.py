import json

import keras
import numpy as np
import pytest
import stylegan_parity as parity
import tensorflow as tf
from harness import check_layer, check_second_order, dtype_policy

from ganzoo.layers import alias_free
from ganzoo.layers.alias_free import (
    LOWPASS,
    AliasFreeConv2D,
    FourierFeatures,
    filtered_leaky_relu,
    modulated_convolution,
    radial_lowpass,
    separable_lowpass,
)
from ganzoo.layers.bands import Band

COARSE = Band(10, 8, 1.5, 2.5)
FINE = Band(16, 16, 2.5, 5.5)


def normal(*shape, seed=0):
    return np.random.RandomState(seed).randn(*shape).astype("float32")


# --- the official operations


class Ops:
    """The recorded operations, arrays NHWC."""

    def __init__(self, shared):
        folder = shared / "parity" / "stylegan" / "ops_torch_sg3"
        text = (folder / "manifest.json").read_text(encoding="utf-8")
        self.tests = {test["name"]: test for test in json.loads(text)["tests"]}
        self.arrays = parity.arrays(folder)

    def __getitem__(self, name):
        """(keyword arguments, inputs, outputs) of one."""
        test = self.tests[name]
        inputs, outputs = (
            {key: self.arrays[address] for key, address in test[part].items()}
            for part in ("inputs", "outputs")
        )
        return test["kwargs"], inputs, outputs


@pytest.fixture(scope="module")
def ops(shared):
    return Ops(shared)


@pytest.mark.parametrize("i", range(4))
def test_filters_are_the_official_ones(ops, i):
    options, _, outputs = ops[f"design_lowpass_{i}"]
    design = LOWPASS["radial" if options.get("radial") else "separable"]
    taps = design(options["numtaps"], options["cutoff"], options["width"], options["fs"])
    assert taps.dtype == np.float32
    assert parity.error(taps, outputs["out"]) <= 1e-7


@pytest.mark.parametrize("name", ["u2d2", "u4d2_radial", "nofilter", "u2d1"])
def test_filtered_leaky_relu_is_the_official_one(ops, name):
    options, inputs, outputs = ops[f"filtered_lrelu_{name}"]
    x, bias = tensors = [tf.constant(inputs[key]) for key in "xb"]
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        y = filtered_leaky_relu(x, inputs.get("fu"), inputs.get("fd"), bias, **options)
        assert parity.error(y, outputs["out"]) <= 1e-5
        total = tf.reduce_sum(y * inputs["cot"])
    for key, gradient in zip("xb", tape.gradient(total, tensors)):
        assert parity.error(gradient, outputs[f"grad_{key}"]) <= 1e-5, key


@pytest.mark.parametrize("name", ["demod_gain", "nodemod_gainc", "demod_gainnc", "demod"])
def test_modulated_convolution_is_the_official_one(ops, name):
    options, inputs, outputs = ops[f"sg3_modulated_conv2d_{name}"]
    padding = options["padding"]
    kernel = np.transpose(ops.arrays[f"sg3_modulated_conv2d_{name}/w"], (1, 2, 3, 0))
    kernel = tf.constant(np.ascontiguousarray(kernel))  # OIHW read as NHWC: [O, H, W, I]
    x, styles = tf.constant(inputs["x"]), tf.constant(inputs["s"])
    with tf.GradientTape() as tape:
        tape.watch([x, kernel, styles])
        y = modulated_convolution(
            x, kernel, styles,
            padding=(padding, padding) if isinstance(padding, int) else tuple(padding),
            demodulate=options.get("demodulate", True), input_gain=inputs.get("input_gain"),
        )
        assert parity.error(y, outputs["out"]) <= 1e-5
        total = tf.reduce_sum(y * inputs["cot"])
    by_x, by_kernel, by_styles = tape.gradient(total, [x, kernel, styles])
    assert parity.error(by_x, outputs["grad_x"]) <= 1e-5
    assert parity.error(tf.transpose(by_kernel, (3, 0, 1, 2)), outputs["grad_w"]) <= 1e-5
    assert parity.error(by_styles, outputs["grad_s"]) <= 1e-5


def test_fourier_features_are_the_official_ones(ops):
    options, inputs, outputs = ops["sg3_synthesis_input"]
    width, height = options["size"]
    layer = FourierFeatures(
        options["channels"], (height, width), options["sampling_rate"], options["bandwidth"]
    )
    layer.build((None, options["w_dim"]))
    layer.kernel.assign(inputs["weight"].T)
    layer.affine.kernel.assign(inputs["aff_w"].T)
    layer.affine.bias.assign(inputs["aff_b"])
    layer.frequencies.assign(inputs["freqs"])
    layer.phases.assign(inputs["phases"])
    given = layer(inputs["w"], transform=inputs["transform"])
    layer.transform.assign(inputs["transform"])
    assert parity.error(layer(inputs["w"]), outputs["out"]) <= 1e-5
    np.testing.assert_array_equal(given, layer(inputs["w"]))


@pytest.mark.parametrize("up,down,padding", [(2, 2, 9), (4, 2, -3), (2, 4, 30), (1, 2, 5)])
def test_a_map_in_bands_is_the_map(monkeypatch, up, down, padding):
    x, bias = tf.constant(normal(2, 21, 6, 3)), normal(3)
    up_taps = tf.constant(separable_lowpass(6 * up, 2.0, 8.0, 32)) if up > 1 else None
    down_taps = tf.constant(radial_lowpass(6 * down, 2.0, 8.0, 32))
    found = []
    for largest in (2**26, 200):
        monkeypatch.setattr(alias_free, "LARGEST", largest)
        y = filtered_leaky_relu(
            x, up_taps, down_taps, bias, up=up, down=down, padding=(30, 31, padding, padding + 1)
        )
        found.append(y.numpy())
    np.testing.assert_allclose(*found, rtol=0, atol=1e-6)


# --- filters


def amplitude(taps, frequency, rate):
    """Of a sampled wave behind the filter."""
    x = (np.arange(len(taps)) - (len(taps) - 1) / 2) / rate
    return float(np.sum(taps * np.cos(2 * np.pi * frequency * x)))


def test_a_separable_filter_passes_halves_and_stops():
    taps = separable_lowpass(24, cutoff=6.0, width=8.0, rate=64)
    assert abs(amplitude(taps, 0, 64) - 1) < 1e-6
    assert abs(amplitude(taps, 6, 64) - 0.5) < 0.03
    assert all(abs(amplitude(taps, f, 64)) < 0.02 for f in range(11, 33))


def test_a_radial_filter_treats_all_directions_alike():
    taps = radial_lowpass(24, cutoff=6.0, width=8.0, rate=64).astype("float64")
    x = (np.arange(24) - 11.5) / 64
    for frequency in (3, 6, 9):
        responses = [
            np.sum(taps * np.cos(2 * np.pi * frequency * (c * x + s * x[:, np.newaxis])))
            for c, s in ((1, 0), (0.5**0.5, 0.5**0.5), (0.8, 0.6))
        ]
        assert np.ptp(responses) < 0.02
    np.testing.assert_array_equal(taps, taps.T)


def test_an_odd_radial_filter_has_a_finite_centre():
    taps = radial_lowpass(7, cutoff=2.0, width=4.0, rate=16)
    assert np.isfinite(taps).all() and taps.argmax() == 24


# --- layers


def make_conv(**options):
    """() -> layer."""
    return lambda: AliasFreeConv2D(3, COARSE, FINE, name="layer1", **options)


@pytest.mark.parametrize(
    "options",
    [
        {"clamp": 2.5, "magnitude_beta": 0.7},
        {"kernel_size": 1, "lowpass": "radial", "filter_size": 4},
        {"activation": "linear", "kernel_size": 1, "clamp": None},
        {"oversampling": 1},
        {"oversampling": 4, "filter_size": 3},
    ],
)
def test_convolution(options):
    if options.get("activation") == "linear":
        make = lambda: AliasFreeConv2D(3, FINE, FINE, name="layer1", **options)  # noqa: E731
        image = normal(2, 16, 16, 4)
    else:
        make, image = make_conv(**options), normal(2, 10, 10, 4)
    layer = make()
    style = normal(2, 5, seed=1)
    y = layer(tf.constant(image), tf.constant(style))
    assert y.shape == (2, 16, 16, 3)
    copy = type(layer).from_config(json.loads(json.dumps(layer.get_config())))
    copy(tf.constant(image), tf.constant(style))
    copy.set_weights(layer.get_weights())
    assert copy.get_config() == layer.get_config()
    np.testing.assert_array_equal(copy(image, style), y)


@pytest.mark.parametrize("radial", [False, True])
def test_operations_have_a_second_derivative(radial):
    kernel, bias = tf.constant(normal(3, 3, 4, 3)), normal(3, seed=3)
    up_taps = tf.constant(separable_lowpass(12, 2.0, 8.0, 32))
    down_taps = tf.constant(LOWPASS["radial" if radial else "separable"](12, 2.0, 8.0, 32))

    def layer(xs):  # without its kink, beside which finite differences are of no use
        y = modulated_convolution(xs[0], kernel, xs[1], padding=(2, 2), input_gain=0.5)
        return filtered_leaky_relu(
            y, up_taps, down_taps, bias, up=2, down=2, padding=(9, 8, 9, 8), slope=1
        )

    check_second_order(layer, [tf.constant(normal(2, 8, 8, 4)), tf.constant(normal(2, 4, seed=1))])


def test_features():
    make = lambda: FourierFeatures(6, (5, 7), 8, 2.0, name="input")  # noqa: E731
    layer = check_layer(make, normal(3, 4))
    paths = {w.path: w.trainable for w in layer.weights}
    assert paths == {
        "input/frequencies": False,
        "input/phases": False,
        "input/transform": False,
        "input/kernel": True,
        "input/affine/kernel": True,
        "input/affine/bias": True,
    }
    np.testing.assert_array_equal(layer.affine.bias, [1, 0, 0, 0])
    np.testing.assert_array_equal(layer.affine.kernel, np.zeros((4, 4)))


def test_frequencies_fill_the_disc():
    layer = FourierFeatures(4000, 4, 8, 2.0)
    layer.build((None, 3))
    radius = np.linalg.norm(layer.frequencies.numpy(), axis=1)
    assert radius.max() <= 2.0
    inner = (radius < 2.0 / 2**0.5).mean()  # half of the area
    assert abs(inner - 0.5) < 0.1


def test_features_follow_a_translation():
    layer = FourierFeatures(8, 12, 8, 2.0)
    style = normal(1, 3)
    before = layer(style)
    move = np.eye(3, dtype="float32")
    move[:2, 2] = [-2 / 8, -3 / 8]  # two samples to the right, three down
    after = layer(style, transform=move)
    np.testing.assert_allclose(after[:, 3:, 2:], before[:, :-3, :-2], rtol=0, atol=1e-5)


def test_a_wave_beyond_the_sampling_rate_fades():
    layer = FourierFeatures(8, 12, 8, 2.0)
    style = normal(1, 3)
    shrink = np.diag([9.0, 9.0, 1.0]).astype("float32")
    layer.build((None, 3))
    layer.frequencies.assign(np.tile([[1.0, 0.0]], (8, 1)))
    assert np.abs(layer(style)).max() > 0.1
    np.testing.assert_array_equal(layer(style, transform=shrink), np.zeros((1, 12, 12, 8)))


def test_magnitude_moves_first_and_then_is_used():
    layer = make_conv(magnitude_beta=0.25, clamp=None)()
    x, style = 3 * normal(2, 10, 10, 4), normal(2, 5, seed=1)
    before = layer(x, style)
    assert float(layer.magnitude.numpy()) == 1.0
    after = layer(x, style, update_magnitude=True)
    wanted = 0.75 * np.mean(x**2) + 0.25
    np.testing.assert_allclose(layer.magnitude, wanted, rtol=1e-6)
    np.testing.assert_allclose(after, before / wanted**0.5, rtol=0, atol=1e-5)


def test_clamp_bounds_what_lies_between_the_filters():
    loose, tight = make_conv(clamp=None)(), make_conv(clamp=0.01)()
    x, style = normal(1, 10, 10, 4), normal(1, 5, seed=1)
    loose(x, style)
    tight(x, style)
    tight.set_weights(loose.get_weights())
    assert np.abs(loose(x, style)).max() > 0.1 > 0.02 > np.abs(tight(x, style)).max()


def test_one_image_is_computed_as_many_are():
    x, kernel, styles = normal(3, 6, 6, 4), normal(3, 3, 4, 5, seed=1), normal(3, 4, seed=2)
    styles /= np.sqrt(np.mean(styles**2, axis=1, keepdims=True))  # so that batches do not differ
    for options in ({"input_gain": 0.7}, {"demodulate": False}):
        together = modulated_convolution(tf.constant(x), kernel, styles, padding=(2, 1), **options)
        for i in range(3):
            one = tf.constant(x[i : i + 1])
            alone = modulated_convolution(
                one, kernel, styles[i : i + 1], padding=(2, 1), **options
            )
            np.testing.assert_allclose(alone[0], together[i], rtol=0, atol=1e-5)


def test_half_precision():
    with dtype_policy("mixed_bfloat16"):
        layer = make_conv()()
        y = layer(normal(2, 10, 10, 4), normal(2, 5))
    assert y.dtype == "bfloat16" and np.isfinite(np.asarray(y, "float32")).all()
    assert {w.dtype for w in layer.weights} == {"float32"}


@pytest.mark.parametrize(
    "options,words",
    [
        ({"lowpass": "round"}, "`lowpass` must be one of .*'radial'.*'round'"),
        ({"activation": "relu"}, "`activation` must be one of .*'linear'.*'relu'"),
        ({"clamp": -1}, "clamp"),
    ],
)
def test_faulty_options_are_named(options, words):
    with pytest.raises(ValueError, match=words):
        make_conv(**options)()


def test_layers_are_registered():
    for layer in (make_conv()(), FourierFeatures(2, 3, 4, 1.0)):
        copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
        assert copy.get_config() == layer.get_config()
