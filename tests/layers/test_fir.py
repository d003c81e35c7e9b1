"""FIR resampling: the official operations' outputs and gradients, and second derivatives."""

import harness
import numpy as np
import pytest
import stylegan_parity
import tensorflow as tf

from ganzoo.layers import fir

CASE = "parity/stylegan/ops_torch_sg2"
OPS = {
    "upfirdn2d": fir.upfirdn,
    "filter2d": fir.filter2d,
    "upsample2d": fir.upsample2d,
    "downsample2d": fir.downsample2d,
}
UPFIRDN = ["up2", "down2", "asym", "asym_flip", "crop", "sep", "nofilter", "up3down2"]
NAMES = [f"upfirdn2d_{name}" for name in UPFIRDN]
NAMES += [f"{op}2d_{i}" for op in ("filter", "upsample", "downsample") for i in (0, 1)]
CONVOLUTIONS = ["plain", "plain_noflip", "up2", "up2_noflip", "down2", "down2_noflip", "down2_1x1"]
CONVOLUTIONS += ["up2_1x1", "asympad", "up2down2"]
FILTERS = ["1331", "121", "none", "1331_gain3", "asym_nonorm", "sep12", "sep12_gain4", "force_sep"]


@pytest.fixture
def golden(shared):
    def find(name):
        folder = shared / CASE
        test = next(t for t in stylegan_parity.manifest(folder)["tests"] if t["name"] == name)
        held = stylegan_parity.arrays(folder)
        inputs = {k: held[v] for k, v in test["inputs"].items()}
        return test["kwargs"], inputs, {k: held[v] for k, v in test["outputs"].items()}

    return find


def hwio(x):
    """What `arrays` made of OIHW, as a kernel."""
    return tf.constant(np.ascontiguousarray(np.moveaxis(x, 0, -1)))


@pytest.mark.parametrize("name", FILTERS)
def test_filters(golden, name):
    kwargs, _, outputs = golden(f"setup_filter_{name}")
    taps = kwargs.pop("f")
    assert stylegan_parity.error(fir.setup_filter(taps, **kwargs), outputs["out"]) < 1e-7


@pytest.mark.parametrize("name", NAMES)
def test_upfirdn(golden, name):
    kwargs, inputs, outputs = golden(name)
    if kwargs.pop("flip_filter", False):
        kwargs["flip"] = "correlate"
    x = tf.constant(inputs["x"])
    taps = inputs["f"] if "f" in inputs else None
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = OPS[name.partition("_")[0]](x, taps, **kwargs)
        total = tf.reduce_sum(y * inputs["cot"]) if "cot" in inputs else 0.0
    assert stylegan_parity.error(y, outputs["out"]) < 1e-6
    if "cot" in inputs:
        assert stylegan_parity.error(tape.gradient(total, x), outputs["grad_x"]) < 1e-6


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_resampled_convolution(golden, name):
    kwargs, inputs, outputs = golden(f"conv2d_resample_{name}")
    flip = "correlate" if kwargs.pop("flip_weight", True) else "convolve"
    x, kernel = tf.constant(inputs["x"]), hwio(inputs["w"])
    with tf.GradientTape() as tape:
        tape.watch([x, kernel])
        taps = inputs["f"] if "f" in inputs else None
        y = fir.resampled_conv2d(x, kernel, taps, flip=flip, **kwargs)
        total = tf.reduce_sum(y * inputs["cot"])
    assert stylegan_parity.error(y, outputs["out"]) < 2e-6
    dx, dkernel = tape.gradient(total, [x, kernel])
    assert stylegan_parity.error(dx, outputs["grad_x"]) < 2e-6
    assert stylegan_parity.error(dkernel, hwio(outputs["grad_w"])) < 2e-6


@pytest.mark.parametrize("taps", [[1, 3, 3, 1], [1, 2, 3, 4, 5, 4, 3, 2, 5]])
@pytest.mark.parametrize(
    "up, down, padding", [(2, 1, 3), (1, 2, 2), ((1, 3), (2, 1), (4, 3, 2, 5))]
)
def test_second_derivatives(taps, up, down, padding):
    x = tf.constant(harness.images(2, 7, 2))
    taps = fir.setup_filter(taps)
    harness.check_second_order(
        lambda xs: fir.upfirdn(xs[0], taps, up=up, down=down, padding=padding) ** 3, [x]
    )


@pytest.mark.parametrize("up", [1, 2, 3, (3, 1), (1, 2)])
@pytest.mark.parametrize("down", [1, 2, (1, 3), (2, 1)])
@pytest.mark.parametrize("padding", [3, (-2, 4, 6, -1), (5, 7)])
@pytest.mark.parametrize("size", [(4,), (9,), (3, 6)])
def test_any_sizes(up, down, padding, size):
    """Against the definition: insert zeros, pad, convolve, slice."""
    random = np.random.RandomState(0)
    x, taps = random.randn(1, 9, 8, 2).astype("float32"), random.randn(*size).astype("float32")
    found = fir.upfirdn(tf.constant(x), taps, up=up, down=down, padding=padding, gain=1.5)
    np.testing.assert_allclose(found, definition(x, taps, up, down, padding), atol=1e-4)


def definition(x, taps, up, down, padding):
    (ux, uy), (dx, dy) = ((v, v) if isinstance(v, int) else v for v in (up, down))
    pad = {int: lambda p: (p,) * 4, tuple: lambda p: p if len(p) == 4 else (p[0], p[0], p[1], p[1])}
    x0, x1, y0, y1 = pad[type(padding)](padding)
    stuffed = np.zeros((1, x.shape[1] * uy, x.shape[2] * ux, 2))
    stuffed[:, ::uy, ::ux] = x
    stuffed = np.pad(stuffed, ((0, 0), (max(y0, 0), max(y1, 0)), (max(x0, 0), max(x1, 0)), (0, 0)))
    height, width = stuffed.shape[1:3]
    rows = slice(max(-y0, 0), height - max(-y1, 0))
    stuffed = stuffed[:, rows, max(-x0, 0) : width - max(-x1, 0)]
    taps = (np.outer(taps, taps) if taps.ndim == 1 else taps)[::-1, ::-1]
    windows = np.lib.stride_tricks.sliding_window_view(stuffed, taps.shape, (1, 2))
    return 1.5 * np.einsum("nhwcij,ij->nhwc", windows, taps)[:, ::dy, ::dx]


@pytest.mark.parametrize("activation", [tf.identity, tf.nn.relu, tf.nn.leaky_relu, tf.nn.elu])
def test_a_bias_may_follow_in_a_graph(activation):
    """TensorFlow's optimizer must not fuse the two: it loses the padding (see `_depthwise`)."""
    taps = fir.setup_filter([1, 3, 3, 1])

    def function(x):
        return activation(tf.nn.bias_add(fir.filter2d(x, taps), [1.0, 2.0]))

    x = tf.constant(harness.images(2, 8, 2))
    np.testing.assert_allclose(tf.function(function)(x), function(x), atol=1e-6)


@pytest.mark.parametrize("jit", [False, pytest.param(True, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("count", "flip"), [(1, "convolve"), (2, "correlate")])
def test_phases_are_the_transposed_convolution(count, flip, jit, monkeypatch):
    x, kernel = harness.images(count, 6, 3), tf.constant(np.random.RandomState(1).randn(3, 3, 3, 4))
    kernel, taps = tf.cast(kernel, "float32"), fir.setup_filter([1, 3, 3, 1])

    def derivatives(x, kernel):
        with tf.GradientTape() as outer:
            outer.watch([x, kernel])
            with tf.GradientTape() as inner:
                inner.watch([x, kernel])
                y = fir.resampled_conv2d(x, kernel, taps, up=2, padding=1, flip=flip)
                value = tf.reduce_sum(y**3)
            slopes = inner.gradient(value, [x, kernel])
            both = sum(tf.reduce_sum(slope**2) for slope in slopes)
        return [y, *slopes, *outer.gradient(both, [x, kernel])]

    results = []
    for quicker in (True, False):
        monkeypatch.setattr(fir, "are_phases_quicker", lambda quicker=quicker: quicker)
        results.append(tf.function(derivatives, jit_compile=jit)(x, kernel))
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, atol=2e-6 * np.abs(b).max())


def test_half_precision_stays():
    x = tf.cast(harness.images(1, 8, 2), "bfloat16")
    assert fir.upsample2d(x, fir.setup_filter([1, 3, 3, 1])).dtype == tf.bfloat16


@pytest.mark.parametrize(
    "arguments, words",
    [
        (dict(up=0), "`up` must be an int >= 1"),
        (dict(down=(1, 2, 3)), "`down` must be"),
        (dict(padding=(1, 2, 3)), "`padding` must be an int, (x, y) or"),
        (dict(flip="no"), "`flip` must be one of"),
        (dict(padding=-4), "must not be smaller than the filter"),
    ],
)
def test_bad_arguments(arguments, words):
    with pytest.raises(ValueError) as raised:
        fir.upfirdn(tf.zeros([1, 8, 8, 1]), fir.setup_filter([1, 3, 3, 1]), **arguments)
    assert words in str(raised.value)
    with pytest.raises(ValueError, match="must be \\[n\\]"):
        fir.setup_filter(np.ones((2, 2, 2)))
