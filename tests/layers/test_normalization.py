import keras
import numpy as np
import pytest
import tensorflow as tf
from harness import check_layer, dtype_policy, two_replicas

from ganzoo.layers.normalization import BatchNormalization

SHAPES = [(6, 3), (4, 5, 2, 3)]


def filled(shape, **kwargs):
    layer = BatchNormalization(name="norm", **kwargs)
    layer.build(shape)
    random = np.random.RandomState(0)
    layer.set_weights([random.uniform(0.5, 2, w.shape) for w in layer.weights])
    return layer


def values(shape, seed=1):
    return np.random.RandomState(seed).randn(*shape).astype("float32") * 3 + 1


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("training", [True, False])
def test_layer(shape, training):
    def make():
        return BatchNormalization(
            momentum=0.7, epsilon=1e-3, gamma_initializer=keras.initializers.Constant(1.5),
            name="norm",
        )

    if not training:
        check_layer(make, values(shape), training=False, second_order=True)
    layer = make()
    copy = BatchNormalization.from_config(layer.get_config())
    assert (copy.momentum, copy.epsilon) == (0.7, 1e-3)
    assert copy.get_config() == layer.get_config()


def test_defaults_are_not_keras():
    layer = BatchNormalization()
    assert (layer.momentum, layer.epsilon) == (0.9, 1e-5)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("momentum", [0.9, 0.6])
def test_training(shape, momentum):
    layer, x = filled(shape, momentum=momentum), values(shape)
    gamma, beta, mean, variance = layer.get_weights()
    y = layer(x, training=True).numpy()
    axes = tuple(range(len(shape) - 1))
    expected = (x - x.mean(axes)) / np.sqrt(x.var(axes) + 1e-5) * gamma + beta
    assert y.shape == shape
    np.testing.assert_allclose(y, expected, atol=1e-5)
    _, _, new_mean, new_variance = layer.get_weights()
    old, new = momentum, 1 - momentum
    np.testing.assert_allclose(new_mean, old * mean + new * x.mean(axes), rtol=1e-5)
    unbiased = x.var(axes, ddof=1)  # Keras takes ddof=0
    np.testing.assert_allclose(new_variance, old * variance + new * unbiased, rtol=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
def test_inference(shape):
    layer, x = filled(shape, epsilon=0.01), values(shape)
    gamma, beta, mean, variance = layer.get_weights()
    expected = (x - mean) / np.sqrt(variance + 0.01) * gamma + beta
    np.testing.assert_allclose(layer(x), expected, atol=1e-5)
    layer.trainable = False
    np.testing.assert_allclose(layer(x, training=True), expected, atol=1e-5)
    np.testing.assert_array_equal(layer.get_weights()[2], mean)


@pytest.mark.parametrize("scale, center", [(False, True), (True, False), (False, False)])
def test_without_gain_or_offset(scale, center):
    layer, x = BatchNormalization(scale=scale, center=center), values((6, 3))
    np.testing.assert_allclose(
        layer(x, training=True), (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5), atol=1e-5
    )
    assert len(layer.weights) == 2 + scale + center


@pytest.mark.parametrize("shape", SHAPES)
def test_second_derivative_in_training(shape):
    """d/dx of |d y / d x|^2, against finite differences of the plain formula in float64."""
    layer, x = filled(shape), values(shape)
    gamma, beta = (tf.constant(w, "float64") for w in layer.get_weights()[:2])
    weigh = np.random.RandomState(3).randn(*shape)

    def formula(x):
        axes = list(range(len(shape) - 1))
        mean, variance = tf.nn.moments(x, axes)
        return (x - mean) / tf.sqrt(variance + 1e-5) * gamma + beta

    def second(function, x):
        weights = tf.cast(weigh, x.dtype)
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as inner:
                inner.watch(x)
                total = tf.reduce_sum(weights * function(x) ** 2)
            squares = tf.reduce_sum(inner.gradient(total, x) ** 2)
        return outer.gradient(squares, x).numpy()

    fused = second(lambda x: layer(x, training=True), tf.constant(x))
    plain = second(formula, tf.constant(x, "float64"))
    np.testing.assert_allclose(fused, plain, atol=2e-4 * np.abs(plain).max())


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("shape", SHAPES)
def test_statistics_stay_float32(policy, shape):
    with dtype_policy(policy):
        layer = filled(shape)
    x = values(shape)
    before = layer.get_weights()
    y = layer(tf.constant(x), training=True)
    half = tf.cast(x, y.dtype)
    assert y.dtype == policy.removeprefix("mixed_")
    assert layer(half, training=False).dtype == y.dtype
    after = layer.get_weights()
    assert after[2].dtype == np.float32
    axes = tuple(range(len(shape) - 1))
    mean = tf.cast(half, tf.float32).numpy().mean(axes)
    np.testing.assert_allclose(after[2], 0.9 * before[2] + 0.1 * mean, rtol=1e-4, atol=1e-4)


def trained(layer, x):
    """The output of a training step, its derivatives by x and the weights, and theirs."""
    weigh = tf.cast(tf.range(x.shape[-1]), "float32") + 1.0
    sources = [x, layer.gamma.value, layer.beta.value]
    with tf.GradientTape(persistent=True) as outer:
        outer.watch(sources)
        with tf.GradientTape() as tape:
            tape.watch(sources)
            y = layer(x, training=True)
            total = tf.reduce_sum(weigh * tf.sin(y))
        first = tape.gradient(total, sources)
        squares = tf.reduce_sum(first[0] ** 2)
    return y, *first, outer.gradient(squares, x)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("sizes", [(2, 2), (1, 3)])
def test_synchronized(shape, sizes):
    """Two replicas, also with parts of unlike size, do what one does with the whole batch."""
    x = values((4, *shape[1:]))
    single = filled(shape)
    expected = [t.numpy() for t in trained(single, tf.constant(x))]
    strategy = two_replicas()
    with strategy.scope():
        layer = filled(shape, synchronized=True)
    parts = [tf.constant(part) for part in np.split(x, [sizes[0]])]
    batch = strategy.experimental_distribute_values_from_function(
        lambda context: parts[context.replica_id_in_sync_group]
    )

    @tf.function
    def step(batch):
        return strategy.run(trained, (layer, batch))

    found = [
        [t.numpy() for t in strategy.experimental_local_results(value)] for value in step(batch)
    ]
    joined = [np.concatenate(v) if i in (0, 1, 4) else sum(v) for i, v in enumerate(found)]
    for a, b in zip(joined, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-4 * np.abs(b).max())
    for a, b in zip(layer.get_weights(), single.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5)


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_synchronized_alone(policy):
    with dtype_policy(policy):
        one, other = filled((6, 3)), filled((6, 3), synchronized=True)
    x = tf.constant(values((6, 3)) + 300.0)
    tolerance = 1e-3 if policy == "float32" else 5e-2
    y, expected = other(x, training=True), one(x, training=True)
    assert y.dtype == expected.dtype
    np.testing.assert_allclose(
        tf.cast(y, "float32"), tf.cast(expected, "float32"), atol=tolerance
    )
    for a, b in zip(other.get_weights(), one.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4)
    assert other.get_config()["synchronized"] and not one.get_config()["synchronized"]
