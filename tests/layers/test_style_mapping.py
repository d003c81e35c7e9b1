"""The mapping network: formulas in NumPy, labels, truncation, the average."""

import harness
import numpy as np
import pytest
import stylegan_parity
import tensorflow as tf

from ganzoo.layers.bias_act import ACTIVATIONS, bias_act, scaled_bias_act
from ganzoo.layers.style_mapping import (
    StyleMapping,
    normalize_second_moment,
    one_hot,
    with_one_hot,
)

CASE = "parity/stylegan/ops_torch_sg2"


def mapping(**options):
    arguments = dict(
        num_layers=2, hidden_dim=5, embed_dim=3, activation="swish", lr_multiplier=0.1,
        average_decay=0.9, name="mapping",
    )
    return StyleMapping(4, 3, **{**arguments, **options})


def vectors(*shape, seed=0):
    return np.random.RandomState(seed).randn(*shape).astype("float32")


def test_layer():
    z = vectors(6, 7)
    harness.check_layer(lambda: mapping(), z, second_order=True, tolerance=5e-2)


@pytest.mark.parametrize("conditioning", ["embed", "concat"])
def test_formula(conditioning):
    layer = mapping(conditioning=conditioning)
    z, label = vectors(6, 7), np.eye(2, dtype="float32")[[0, 1, 1, 0, 1, 0]]
    found = layer(tf.constant(z), tf.constant(label)).numpy()
    weights = {w.path.partition("/")[2]: w.numpy() for w in layer.weights}

    def unit(x):
        return x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-8)

    if conditioning == "embed":
        y = label @ weights["embed/kernel"] / np.sqrt(2) + weights["embed/bias"]
        x = np.concatenate([unit(z), unit(y)], 1)
    else:
        x = unit(np.concatenate([z, label @ weights["embedding"]], 1))
    for i in range(2):
        kernel = weights[f"fc{i}/kernel"]
        x = x @ kernel * 0.1 / np.sqrt(len(kernel)) + 0.1 * weights[f"fc{i}/bias"]
        x = np.sqrt(2) * x / (1 + np.exp(-x))
    np.testing.assert_allclose(found, np.repeat(x[:, np.newaxis], 3, 1), rtol=1e-4, atol=1e-6)


def test_truncation_and_average():
    layer = mapping()
    z = tf.constant(vectors(6, 7))
    w = layer(z).numpy()
    layer(z, update_average=True)
    average = 0.1 * w[:, 0].mean(0)
    np.testing.assert_allclose(layer.w_avg.value, average, rtol=1e-5, atol=1e-8)
    near = average + 0.5 * (w - average)
    np.testing.assert_allclose(layer(z, truncation=0.5), near, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(layer(z, truncation=tf.constant(0.5)), near, rtol=1e-5, atol=1e-7)
    cut = layer(z, truncation=0.5, truncation_cutoff=1).numpy()
    np.testing.assert_allclose(cut[:, :1], near[:, :1], rtol=1e-5, atol=1e-7)
    np.testing.assert_array_equal(cut[:, 1:], w[:, 1:])
    np.testing.assert_array_equal(layer(z, truncation=0.5, truncation_cutoff=0), w)


def test_labels_alone():
    layer = StyleMapping(4, None, num_layers=1, average_decay=None)
    assert layer(None, tf.eye(3)).shape == (3, 4)
    assert [w.path for w in layer.weights] == [
        f"mapping/{name}/{part}" for name in ("embed", "fc0") for part in ("kernel", "bias")
    ]


def test_one_hot():
    wanted = np.eye(3, dtype="float32")[[2, 0]]
    np.testing.assert_array_equal(one_hot(np.array([2, 0]), 3), wanted)
    np.testing.assert_array_equal(one_hot(wanted, 3), wanted)
    assert one_hot(None, 0) is None and one_hot(np.zeros((2, 0)), 0) is None


@pytest.mark.parametrize(
    "name", [*ACTIVATIONS, "full", "nobias"],
)
def test_bias_and_activation(shared, name):
    held = stylegan_parity.arrays(shared / CASE)
    held = {k.partition("/")[2]: v for k, v in held.items() if k.startswith(f"bias_act_{name}/")}
    tests = stylegan_parity.manifest(shared / CASE)["tests"]
    kwargs = dict(next(t for t in tests if t["name"] == f"bias_act_{name}")["kwargs"])
    kwargs["activation"] = kwargs.pop("act")
    if "alpha" in kwargs:
        kwargs["slope"] = kwargs.pop("alpha")
    x = tf.constant(held["x"])
    b = tf.constant(held["b"]) if "b" in held else None
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = bias_act(x, b, **kwargs)
        total = tf.reduce_sum(y * held["cot"]) if "cot" in held else y
    assert stylegan_parity.error(y, held["out"]) < 1e-6
    if "cot" in held:
        assert stylegan_parity.error(tape.gradient(total, x), held["grad_x"]) < 2e-6


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_gain_before_the_activation(name):
    x, b = vectors(2, 3, 3, 4), tf.constant(vectors(4, seed=1))
    early = 1.3 if name in ("linear", "relu", "lrelu") else 1.0
    found = scaled_bias_act(x * early, b, name, gain=1.3, clamp=0.7)
    wanted = bias_act(tf.constant(x), b, name, gain=1.3, clamp=0.7)
    np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_second_moment(shared):
    held = stylegan_parity.arrays(shared / CASE)
    x = tf.constant(held["normalize_2nd_moment/x"])
    found = normalize_second_moment(x)
    assert stylegan_parity.error(found, held["normalize_2nd_moment/out"]) < 1e-6


def test_there_is_a_label_for_each_latent():
    layer = mapping()
    with pytest.raises(ValueError, match="each of 3 latents or images. Received: 2 labels"):
        layer(vectors(3, 7), one_hot(np.array([0, 1]), 4))
    with pytest.raises(ValueError, match="each of 3 latents or images. Received: 2 labels"):
        with_one_hot((vectors(3, 7), np.array([0, 1])), 4)
