import keras
import numpy as np
import pytest
import tensorflow as tf
from harness import check_layer

from ganzoo.layers.convolution import (
    FEW,
    Conv2DTranspose,
    blocks_of,
    conv2d,
    down_conv,
    down_stack,
    up_conv,
    up_stack,
)
from ganzoo.penalties import WeightClip

BORDERS = [[0, 0], [2, 0], [1, 2], [0, 0]]
CASES = [(3, 1, "SAME"), (3, 1, "VALID"), (3, 2, "SAME"), (3, 2, BORDERS), (4, 1, BORDERS)]


def one_image(size, dtype="float32"):
    random = np.random.RandomState(2)
    x = tf.constant(random.randn(1, 7, 8, 3), dtype)
    return x, tf.constant(random.randn(size, size, 3, 5), dtype)


def derivatives(function, x, kernel, step, padding):
    """The result, its slopes along both, and the slopes of a function of those slopes."""
    with tf.GradientTape() as outer:
        outer.watch([x, kernel])
        with tf.GradientTape() as inner:
            inner.watch([x, kernel])
            y = function(x, kernel, step, padding)
            value = tf.reduce_sum(y**3)
        slopes = inner.gradient(value, [x, kernel])
        both = sum(tf.reduce_sum(slope**2) for slope in slopes)
    return [y, *slopes, *outer.gradient(both, [x, kernel])]


@pytest.mark.parametrize("jit", [False, pytest.param(True, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("size", "step", "padding"), CASES)
def test_one_image_is_convolved_as_in_a_batch(size, step, padding, jit):
    x, kernel = one_image(size)
    compiled = tf.function(derivatives, jit_compile=jit)
    ours = compiled(conv2d, x, kernel, step, padding)
    for a, b in zip(ours, derivatives(tf.nn.conv2d, x, kernel, step, padding), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6 * np.abs(b).max())


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_one_image_in_other_precisions(dtype):
    x, kernel = one_image(3, dtype)
    y = conv2d(x, kernel)
    assert y.dtype == dtype
    plain = tf.nn.conv2d(tf.cast(x, "float64"), tf.cast(kernel, "float64"), 1, "SAME")
    tolerance = {"float16": 1e-3, "bfloat16": 1e-2, "float64": 1e-14}[dtype]  # of the largest
    assert np.abs(tf.cast(y, "float64") - plain).max() < tolerance * np.abs(plain).max()


def operations(batch, size):
    """Names of the convolutions in the graph."""
    graph = tf.function(conv2d).get_concrete_function(
        tf.TensorSpec([batch, 8, 8, 3]), tf.TensorSpec([size, size, 3, 5])
    )
    return {op.type for op in graph.graph.get_operations() if "Conv" in op.type}


def test_only_one_image_on_a_cpu_is_a_volume(monkeypatch):
    accelerator = tf.config.PhysicalDevice("/physical_device:GPU:0", "GPU")
    devices = tf.config.list_physical_devices("CPU")
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda: devices)
    assert operations(1, 3) == {"Conv3D"}
    assert operations(1, 1) == operations(2, 3) == operations(None, 3) == {"Conv2D"}
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda: [*devices, accelerator])
    assert operations(1, 3) == {"Conv2D"}


def network(function, size, channels, filters, kernel_size, **kwargs):
    x = keras.Input((size, size, channels))
    model = keras.Model(x, function(x, filters, kernel_size, name="conv", **kwargs))
    kernel = model.get_layer("conv").kernel
    kernel.assign(np.random.RandomState(0).randn(*kernel.shape).astype("float32"))
    return model, kernel.numpy()


def correlate(x, kernel):
    """PyTorch's Conv2d of stride 2 and padding (k - 1) // 2, in loops."""
    k = kernel.shape[0]
    before = (k - 1) // 2
    x = np.pad(x, ((0, 0), (before, before), (before, before), (0, 0)))
    side = (x.shape[1] - k) // 2 + 1
    y = np.zeros((len(x), side, side, kernel.shape[-1]))
    for i in range(side):
        for j in range(side):
            window = x[:, 2 * i : 2 * i + k, 2 * j : 2 * j + k]
            y[:, i, j] = np.tensordot(window, kernel, 3)
    return y


@pytest.mark.parametrize("kernel_size", [3, 4, 5, 7])
@pytest.mark.parametrize("size", [6, 8])
def test_down_conv_is_aligned_as_in_pytorch(kernel_size, size):
    model, kernel = network(down_conv, size, 2, 3, kernel_size)
    x = np.random.RandomState(1).randn(2, size, size, 2).astype("float32")
    assert model.output.shape == (None, size // 2, size // 2, 3)
    np.testing.assert_allclose(model(x), correlate(x, kernel), atol=1e-4)


@pytest.mark.parametrize("kernel_size", [3, 4, 5, 7])
@pytest.mark.parametrize("size", [3, 4])
def test_up_conv_is_the_transpose_of_down_conv(kernel_size, size):
    model, kernel = network(up_conv, size, 3, 2, kernel_size)
    random = np.random.RandomState(1)
    y = random.randn(2, size, size, 3).astype("float32")
    x = random.randn(2, 2 * size, 2 * size, 2).astype("float32")
    assert model.output.shape == (None, 2 * size, 2 * size, 2)
    # kernel [k, k, out, in] of the transpose is [k, k, in, out] of the convolution
    np.testing.assert_allclose(
        (model(y) * x).numpy().sum(), (correlate(x, kernel) * y).sum(), rtol=1e-3
    )
    one = np.zeros_like(y)
    one[0, 1, 1, 0] = 1
    before = (kernel_size - 1) // 2
    spread = model(one).numpy()[0]
    start = 2 - before
    np.testing.assert_allclose(
        spread[max(start, 0) : start + kernel_size, max(start, 0) : start + kernel_size],
        kernel[max(-start, 0) :, max(-start, 0) :, :, 0][
            : 2 * size - max(start, 0), : 2 * size - max(start, 0)
        ],
        atol=1e-6,
    )


def test_bias_initializer_and_constraint():
    model, _ = network(
        down_conv, 8, 2, 3, 4, use_bias=True, initializer=keras.initializers.Constant(2.0),
        constraint=WeightClip(0.1),
    )
    layer = model.get_layer("conv")
    assert layer.use_bias and layer.kernel_constraint.limit == 0.1
    assert layer.kernel_initializer.value == 2.0


def test_layers_of_one_shape_start_differently():
    x = keras.Input((8, 8, 2))
    model = keras.Model(x, [down_conv(x, 3, 4, name="a"), down_conv(x, 3, 4, name="b")])
    a, b = (model.get_layer(n).kernel.numpy() for n in "ab")
    assert np.abs(a - b).max() > 0.01
    np.testing.assert_allclose([a.mean(), a.std()], [0, 0.02], atol=0.008)


@pytest.mark.parametrize("function", [down_conv, up_conv])
@pytest.mark.parametrize("kernel_size", [1, 2, 6])
def test_wrong_kernel(function, kernel_size):
    with pytest.raises(ValueError, match=f"3, 4, 5 or 7. Received: kernel_size={kernel_size}"):
        function(keras.Input((8, 8, 2)), 3, kernel_size, name="conv")


@pytest.mark.parametrize(
    "size, expected",
    [
        (8, (1, 4)), (28, (2, 7)), (32, (3, 4)), (48, (3, 6)), (40, (3, 5)), (64, (4, 4)),
        (96, (4, 6)), (112, (4, 7)), (128, (5, 4)),
    ],
)
def test_blocks(size, expected):
    assert blocks_of(size) == expected


@pytest.mark.parametrize("size", [0, 1, 4, 7, 18, 30, 72, 100])
def test_wrong_size(size):
    with pytest.raises(ValueError, match=f"image_size={size}"):
        blocks_of(size)


def test_stacks():
    norm = lambda name: keras.layers.Identity(name=name)  # noqa: E731
    z = keras.Input((10,))
    up = keras.Model(z, up_stack(z, 48, 4, channels=3, kernel_size=5, norm=norm))
    x = keras.Input((48, 48, 3))
    clip = WeightClip(0.1)
    down = keras.Model(x, down_stack(x, 4, kernel_size=5, norm=norm, constraint=clip))
    shapes = lambda n: {w.path: tuple(w.shape) for w in n.weights}  # noqa: E731
    assert list(shapes(up).values()) == [(6, 6, 16, 10), (5, 5, 8, 16), (5, 5, 4, 8), (5, 5, 3, 4)]
    assert list(shapes(down).values()) == [(5, 5, 3, 4), (5, 5, 4, 8), (5, 5, 8, 16), (6, 6, 16, 1)]
    assert up.output.shape == (None, 48, 48, 3) and down.output.shape == (None, 1)
    named = [layer.name for layer in down.layers if layer.name.startswith("norm")]
    assert named == ["norm1", "norm2"]  # none behind the first convolution
    assert [n.name for n in up.layers if n.name.startswith("norm")] == ["norm0", "norm1", "norm2"]
    slopes = {layer.negative_slope for layer in down.layers if layer.name.startswith("leaky")}
    assert slopes == {0.2}
    constrained = [n for n in down.layers if isinstance(n, keras.layers.Conv2D)]
    assert all(layer.kernel_constraint.limit == 0.1 for layer in constrained)


# --- Conv2DTranspose: other arithmetic, the same layer as Keras'

TRANSPOSED = {  # input shape, arguments
    "product": ((2, 1, 1, 5), dict(filters=6, kernel_size=4)),
    "product with strides, bias and activation": (
        (2, 1, 1, 5),
        dict(
            filters=2, kernel_size=(3, 4), strides=2, use_bias=True, activation="tanh"
        ),
    ),
    "one pixel, long stride": ((2, 1, 1, 5), dict(filters=2, kernel_size=2, strides=3)),
    "phases": ((2, 5, 3, 7), dict(filters=3, kernel_size=4, strides=2, padding="same")),
    "phases with bias and activation": (
        (2, 4, 4, 7),
        dict(
            filters=FEW,
            kernel_size=4,
            strides=2,
            padding="same",
            use_bias=True,
            activation="relu",
        ),
    ),
    "phases of one pixel": (
        (2, 1, 1, 4),
        dict(filters=1, kernel_size=4, strides=2, padding="same"),
    ),
    "neither": (
        (2, 4, 4, 7),
        dict(filters=FEW + 1, kernel_size=4, strides=2, padding="same"),
    ),
}


@pytest.mark.parametrize("case", TRANSPOSED)
def test_conv2d_transpose_and_its_gradients_are_those_of_keras(case):
    shape, arguments = TRANSPOSED[case]
    arguments = {"use_bias": False, "bias_initializer": "random_normal", **arguments}
    ours, theirs = (
        Conv2DTranspose(**arguments),
        keras.layers.Conv2DTranspose(**arguments),
    )
    random = np.random.RandomState(0)
    x = tf.constant(random.randn(*shape), "float32")
    ours(x), theirs(x)
    theirs.set_weights(ours.get_weights())
    found = []
    for layer in (ours, theirs):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x)
            total = tf.reduce_sum(
                y * tf.constant(np.random.RandomState(1).randn(*y.shape), "float32")
            )
        found.append(
            [y, *tape.gradient(total, [x, *[w.value for w in layer.trainable_weights]])]
        )
    for a, b in zip(*found):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("case", ["product", "phases"])
def test_conv2d_transpose_is_a_layer(case):
    shape, arguments = TRANSPOSED[case]
    x = np.random.RandomState(0).randn(*shape).astype("float32")
    check_layer(lambda: Conv2DTranspose(name="up", **arguments), x, second_order=True)


def test_conv2d_transpose_computes_in_half_precision():
    layer = Conv2DTranspose(3, 4, strides=2, padding="same", dtype="mixed_float16")
    assert layer(np.ones((1, 4, 4, 5), "float32")).dtype == tf.float16
