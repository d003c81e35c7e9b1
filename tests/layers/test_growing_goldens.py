"""The official operations of ProGAN and StyleGAN, with their gradients."""

import functools
import types

import numpy as np
import pytest
import stylegan_parity
import tensorflow as tf

from ganzoo.layers.adaptive_normalization import StyleEpilogue, instance_norm
from ganzoo.layers.equalized import EqualizedConv2D, EqualizedDense
from ganzoo.layers.growing import ACTIVATIONS, blur
from ganzoo.layers.minibatch_std import MinibatchStd
from ganzoo.layers.pixel_norm import pixel_norm
from ganzoo.layers.resized_convolution import (
    DownscaledConv2D,
    UpscaledConv2D,
    downscale,
    upscale,
)

GAIN = 2.0**0.5


def keep(x):
    return x


def turned(x):
    return x[::-1, ::-1]


def swapped(x):
    return turned(x).swapaxes(2, 3)


def conv(make, kernel=keep, **options):
    """(function of x and kernel, what makes our kernel of theirs, our number of outputs)."""
    layer = make(5, 3, use_bias=False, **options)

    def run(x, weight):
        layer.build(x.shape)
        layer.kernel = weight
        return layer(x)

    return run, kernel


def dense(gain):
    def run(x, weight):
        if x.shape.rank == 4:  # flattened as NCHW
            x = tf.transpose(x, [0, 3, 1, 2])
        x = tf.reshape(x, [x.shape[0], -1])
        layer = EqualizedDense(5, gain=gain, use_bias=False)
        layer.build(x.shape)
        layer.kernel = weight
        return layer(x)

    return run, keep


def by_layer(layer):
    return lambda x: layer(x)


PROGAN = {
    "upscale2d_conv2d": conv(UpscaledConv2D, swapped, gain=GAIN),
    "conv2d_downscale2d": conv(DownscaledConv2D, gain=GAIN),
    "conv2d": conv(EqualizedConv2D, gain=GAIN),
    "dense_gain": dense(GAIN / 4),
    "downscale2d": (downscale, None),
    "upscale2d": (upscale, None),
    "pixel_norm": (pixel_norm, None),
    "leaky_relu": (ACTIVATIONS["lrelu"], None),
    "minibatch_stddev": (by_layer(MinibatchStd(4)), None),
}
STYLEGAN = {
    "blur2d_121": (functools.partial(blur, taps=[1, 2, 1]), None),
    "blur2d_1331": (functools.partial(blur, taps=[1, 3, 3, 1]), None),
    "blur2d_asym": (functools.partial(blur, taps=[1, 2, 3]), None),
    "upscale2d_2": (upscale, None),
    "upscale2d_4": (functools.partial(upscale, factor=4), None),
    "downscale2d_2": (downscale, None),
    "downscale2d_4": (functools.partial(downscale, factor=4), None),
    "conv2d_wscale": conv(EqualizedConv2D, gain=GAIN),
    "conv2d_gain1": conv(EqualizedConv2D),
    "dense_wscale": dense(GAIN),
    "dense_gain1": dense(1.0),
    "upscale2d_conv2d_fused1": conv(UpscaledConv2D, turned, gain=GAIN),
    "upscale2d_conv2d_fused0": conv(UpscaledConv2D, gain=GAIN),
    "conv2d_downscale2d_fused1": conv(DownscaledConv2D, gain=GAIN),
    "conv2d_downscale2d_fused0": conv(DownscaledConv2D, gain=GAIN),
    "leaky_relu": (ACTIVATIONS["lrelu"], None),
    "pixel_norm": (pixel_norm, None),
    "pixel_norm_2d": (pixel_norm, None),
    "instance_norm": (instance_norm, None),
    "minibatch_stddev_g4_f1_n8": (by_layer(MinibatchStd(4)), None),
    "minibatch_stddev_g4_f1_n2": (by_layer(MinibatchStd(4)), None),
    "minibatch_stddev_g4_f2_n8": (by_layer(MinibatchStd(4, 2)), None),
}
ELSEWHERE = {  # with what they are part of, below; or without a scale, which nothing here is
    "style_mod", "adain", "apply_noise", "apply_bias_lr", "blur2d_nonorm", "conv2d_nowscale_lr",
    "dense_nowscale_lr",
}


def raw(folder):
    with np.load(folder / "golden.npz", allow_pickle=False) as file:
        return {key: file[key] for key in file.files}


@pytest.mark.parametrize("case, ops", [("ops_tf_progan", PROGAN), ("ops_tf_sg1", STYLEGAN)])
def test_every_operation_has_its_test(shared, case, ops):
    tests = stylegan_parity.manifest(shared / "parity/stylegan" / case)["tests"]
    names = {test["name"] for test in tests}
    assert names == set(ops) | (ELSEWHERE & names)


def check(folder, name, run, transform):
    """Result and gradients of one operation."""
    held = raw(folder)
    held = {k.partition("/")[2]: v for k, v in held.items() if k.startswith(f"{name}/")}
    x = tf.constant(stylegan_parity.nhwc(held["x"]))
    watched = [x]
    if transform is not None:
        watched.append(tf.constant(np.ascontiguousarray(transform(held["var/weight"]))))
    with tf.GradientTape() as tape:
        tape.watch(watched)
        y = run(*watched)
    assert stylegan_parity.error(y, stylegan_parity.nhwc(held["out"])) < 2e-6
    if "cot" not in held:
        return
    gradients = tape.gradient(y, watched, stylegan_parity.nhwc(held["cot"]))
    assert stylegan_parity.error(gradients[0], stylegan_parity.nhwc(held["grad_x"])) < 1e-5
    if transform is not None:
        wanted = transform(held["grad_var/weight"])
        assert stylegan_parity.error(gradients[1], wanted) < 1e-5


@pytest.mark.parametrize("name", PROGAN)
def test_progan(shared, name):
    check(shared / "parity/stylegan/ops_tf_progan", name, *PROGAN[name])


@pytest.mark.parametrize("name", STYLEGAN)
def test_stylegan(shared, name):
    check(shared / "parity/stylegan/ops_tf_sg1", name, *STYLEGAN[name])


def epilogue_of(steps, x, weights):
    """A `StyleEpilogue` of some steps, whose bias and activation do nothing."""
    layer = StyleEpilogue(x.shape[1], steps=steps)
    layer.act = keep
    layer.build(x.shape, (None, len(weights.get("StyleMod/weight", [[]]))))
    names = {"StyleMod/weight": "kernel", "StyleMod/bias": "bias"}
    for name, value in weights.items():
        owner = layer if name == "Noise/weight" else layer.affine
        getattr(owner, names.get(name, "noise_strength")).assign(value)
    return layer


@pytest.mark.parametrize("name, steps", [
    ("style_mod", ("style",)), ("adain", ("instance_norm", "style")), ("apply_noise", ("noise",)),
])
def test_parts_of_the_epilogue(shared, name, steps):
    held = raw(shared / "parity/stylegan/ops_tf_sg1")
    held = {k.partition("/")[2]: v for k, v in held.items() if k.startswith(f"{name}/")}
    x = tf.constant(stylegan_parity.nhwc(held["x"]))
    w = tf.constant(held["dlatent"] if "dlatent" in held else np.zeros((len(x), 1), "float32"))
    weights = {k.removeprefix("var/"): v for k, v in held.items() if k.startswith("var/")}
    layer = epilogue_of(steps, x, weights)
    if "noise" in held:
        # the golden's maps are not square, as a network's are
        layer.noise = types.SimpleNamespace(value=tf.constant(held["noise"][0, 0]))
    variables = [v for v in layer.trainable_variables if v is not layer.bias]
    with tf.GradientTape() as tape:
        tape.watch([x, w])
        y = layer(x, w)
    assert stylegan_parity.error(y, stylegan_parity.nhwc(held["out"])) < 2e-6
    cotangent = stylegan_parity.nhwc(held["cot"])
    found = tape.gradient(y, [x, w, *(v.value for v in variables)], cotangent)
    assert stylegan_parity.error(found[0], stylegan_parity.nhwc(held["grad_x"])) < 1e-5
    if "grad_dlatent" in held:
        assert stylegan_parity.error(found[1], held["grad_dlatent"]) < 1e-5
    wanted = [held[f"grad_var/{key}"] for key in weights]
    for a in found[2:]:
        assert min(
            stylegan_parity.error(a, b) for b in wanted if b.shape == a.shape
        ) < 1e-5
