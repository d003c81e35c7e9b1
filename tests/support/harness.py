"""Checks that every layer, network and family must pass; the test files call them.

    def make():
        return DCGAN(28, 6, 4, channels=1, seed=3)  # no argument at its default where that can be

    def test_family(golden):
        check_family(make, images, golden("dcgan"))

    @pytest.mark.slow
    @pytest.mark.parametrize("where", PLACES)
    def test_elsewhere(where):
        check_family_in(where, make, images)
"""

import contextlib
import functools
import inspect
import json
import pathlib
import socket

import keras
import numpy as np
import tensorflow as tf

from ganzoo import families
from ganzoo.addresses import addresses as published_addresses

PLACES = ("xla", "two_replicas", "mixed_bfloat16")
DEBIAN = pathlib.Path("/usr/share/datasets/fashion-mnist")


def no_network(*args, **kwargs):
    """In place of `socket.getaddrinfo`."""
    raise socket.gaierror(-2, "Name or service not known")


def images(count=16, size=16, channels=3, seed=0):
    """float32 [count, size, size, channels] in [-1, 1]."""
    random = np.random.RandomState(seed)
    return random.uniform(-1, 1, (count, size, size, channels)).astype("float32")


def pictures(seed, count=6, size=64):
    """Waves with noise, the same on every machine."""
    random = np.random.RandomState(seed)
    y, x = np.mgrid[:size, :size]
    phases = 0.7 * np.arange(count)[:, np.newaxis, np.newaxis]
    waves = 128 + 60 * np.sin(x / 5 + phases) + 30 * np.cos(y / 9)
    noise = random.randn(count, size, size, 3) * (8 + 4 * seed)
    images = waves[..., np.newaxis] + [0, 10, -20] + noise
    return np.clip(np.rint(images), 0, 255).astype(np.uint8)


def batches(data, steps, batch_size=4):
    """A data set of `steps` batches: arrays (alone, in a tuple or dict) are cut up and repeated."""
    if not isinstance(data, tf.data.Dataset):
        data = tf.data.Dataset.from_tensor_slices(data).batch(batch_size, drop_remainder=True)
    return data.repeat().take(steps)


@functools.cache
def two_replicas():
    """A strategy over the two logical CPUs that tests/conftest.py makes.

    One for the whole run: a second one numbers its collective operations from the start again, and
    TensorFlow takes them for the first one's ("Shape mismatch in the collective instance").
    """
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


@contextlib.contextmanager
def dtype_policy(name):
    """Makes `name` the global policy inside the block."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def assert_same_weights(a, b, atol=0.0):
    """Two lists of arrays are equal, to the last bit unless `atol` is given."""
    assert len(a) == len(b)
    for i, (x, y) in enumerate(zip(a, b)):
        np.testing.assert_allclose(x, y, rtol=0, atol=atol, err_msg=f"weight {i}")


def state_of(gan):
    """Every number that training changes: weights, counters, optimizers' slots, seeds' states."""
    found = {f"model {i} {v.name}": v for i, v in enumerate(gan.variables)}
    for player, optimizer in enumerate((gan.generator_optimizer, gan.discriminator_optimizer)):
        found |= {f"optimizer {player} {i} {v.name}": v for i, v in enumerate(optimizer.variables)}
    return {key: np.array(v.value.numpy()) for key, v in found.items()}


# --- layers


def check_layer(make, *inputs, second_order=False, tolerance=2e-2, training=None):
    """A layer's shapes, configuration and derivatives.

    Args:
        make: () -> layer, with a name and with non-default arguments.
        inputs: float32 arrays [B, ...].
        second_order: bool. Compares the derivative of |d output / d input|^2 with finite
            differences.
        tolerance: relative, of the finite differences (float32).
        training: passed to the layer where it is not `None`.

    Returns: the layer, built.
    """
    keras.utils.set_random_seed(0)
    options = {} if training is None else {"training": training}
    tensors = [tf.constant(x) for x in inputs]
    layer = make()
    call = lambda layer, xs: layer(xs[0] if len(xs) == 1 else xs, **options)  # noqa: E731
    output = call(layer, tensors)
    assert np.isfinite(output).all()
    symbolic = [keras.Input(x.shape[1:], dtype=x.dtype.name) for x in tensors]
    assert tuple(call(layer, symbolic).shape)[1:] == tuple(output.shape)[1:]

    serialized = json.loads(json.dumps(keras.saving.serialize_keras_object(layer)))
    copy = keras.saving.deserialize_keras_object(serialized)
    assert type(copy) is type(layer) and copy.get_config() == layer.get_config()
    call(copy, tensors)
    copy.set_weights(layer.get_weights())
    assert [w.path for w in copy.weights] == [w.path for w in layer.weights]
    np.testing.assert_array_equal(call(copy, tensors), call(layer, tensors))

    graph = tf.function(lambda xs: call(layer, xs))
    np.testing.assert_allclose(graph(tensors), call(layer, tensors), rtol=1e-5, atol=1e-5)
    if second_order:
        check_second_order(lambda xs: call(layer, xs), tensors, tolerance)
    return layer


def check_second_order(function, tensors, tolerance=2e-2, step=1e-2):
    """The derivative of sum (d f / d x)^2 along a direction equals its finite difference."""
    random = np.random.RandomState(0)
    directions = [tf.constant(random.randn(*x.shape), x.dtype) for x in tensors]
    weigh = None

    def penalty(xs):
        nonlocal weigh
        with tf.GradientTape() as tape:
            tape.watch(xs)
            y = function(xs)
            if weigh is None:  # a sum of squares, or a linear layer has no second derivative
                weigh = tf.constant(random.uniform(0.5, 1.5, y.shape), y.dtype)
            total = tf.reduce_sum(weigh * tf.square(y))
        gradients = tape.gradient(total, xs)
        assert None not in gradients, "no first derivative"
        return tf.add_n([tf.reduce_sum(tf.square(g)) for g in gradients])

    with tf.GradientTape() as tape:
        tape.watch(tensors)
        value = penalty(tensors)
    second = tape.gradient(value, tensors)
    assert None not in second, "no second derivative"
    along = sum(float(tf.reduce_sum(g * d)) for g, d in zip(second, directions))
    scale = step / max(float(tf.reduce_max(tf.abs(d))) for d in directions)
    ends = [penalty([x + s * scale * d for x, d in zip(tensors, directions)]) for s in (1, -1)]
    measured = float(ends[0] - ends[1]) / (2 * scale)
    atol = tolerance * float(value) * 1e-2
    np.testing.assert_allclose(along, measured, rtol=tolerance, atol=atol)


# --- networks


def addresses(network):
    """{address: weight}: the path without the network's name.

    Keras gives the layers of its own classes of networks no prefix when it builds them again.
    """
    if type(network).__name__ in families.PLAIN:
        return published_addresses(network)
    prefix = f"{network.name}/"
    wrong = [w.path for w in network.weights if not w.path.startswith(prefix)]
    assert not wrong, f"these paths do not start with {prefix!r}: {wrong}"
    found = {w.path[len(prefix) :]: w for w in network.weights}
    assert len(found) == len(network.weights), "two weights have one address"
    return found


def example_inputs(network, batch=2, seed=0):
    """Arrays that fit a functional network's inputs: N(0, 1), and 0, 1, ... for ints."""
    random = np.random.RandomState(seed)
    found = []
    for x in network.inputs:
        shape = (batch, *x.shape[1:])
        if keras.backend.is_float_dtype(x.dtype):
            found.append(random.randn(*shape).astype("float32"))
        else:
            found.append(np.arange(batch, dtype="int32"))
    return found[0] if len(found) == 1 else found


def check_network(network, golden=None, inputs=None):
    """A network is built, its weights have stable addresses, its config makes it again.

    Args:
        network: as its constructor returns it, with non-default arguments.
        golden: what the fixture `golden(name)` gives, or `None`.
        inputs: an array or a list of them. Defaults to `example_inputs`, for a functional network.
    """
    assert network.built and network.weights, "a network is built when its constructor returns"
    assert network.losses == [], "`add_loss` and regularizers are not seen by the training step"
    inputs = example_inputs(network) if inputs is None else inputs
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(network)))
    copy = keras.saving.deserialize_keras_object(config)
    assert type(copy) is type(network)
    assert _plain(copy.get_config()) == _plain(network.get_config())
    # a layer without a name of its own is numbered on in the second network
    assert list(addresses(copy)) == list(addresses(network))
    copy.set_weights(network.get_weights())
    for x, y in zip(*(keras.tree.flatten(n(inputs, training=False)) for n in (network, copy))):
        np.testing.assert_array_equal(x, y)
        assert np.isfinite(x).all()
    if golden is not None:
        golden(addresses(network))


# --- families


def networks_of(gan):
    """{name: network} of both players and of the averages."""
    found = [network for player in gan.players().values() for network in player]
    found += [average for average, _ in gan.averaged()]
    assert len({n.name for n in found}) == len(found), "two networks have one name"
    return {n.name: n for n in found}


def check_family(make, data, golden=None, *, batch_size=4, generate=None, inputs=None):
    """Everything a family must do.

    Args:
        make: () -> GAN, small, with arguments that are not the defaults.
        data: arrays (alone, in a tuple or a dict) of at least two batches, or a data set.
        golden: what the fixture `golden("<family>")` gives, or `None`.
        generate: (gan, seed, batch_size) -> array. Defaults to 5 samples of `gan.generate`.
        inputs: {network name: inputs} for networks that are not functional.
    """
    gan = make()
    check_config(gan)
    for name, network in networks_of(gan).items():
        is_average = any(network is average for average, _ in gan.averaged())
        part = None if golden is None or is_average else golden.part(name)
        check_network(network, part, (inputs or {}).get(name))
    check_precision(make)
    gan.compile()
    steps = enough_steps(gan)
    check_fit(gan, batches(data, steps, batch_size))
    check_generate(gan, generate or sample)
    check_resume(gan, batches(data, steps + 1, batch_size), generate or sample)


def enough_steps(gan):
    """Steps after which every phase has run; at least 2."""
    return 1 + max(1, *(next(s for s in range(1000) if p.due(s)) for p in gan.phases()))


def check_config(gan):
    """Every named argument of the constructor is in the config, which makes the model again."""
    config = gan.get_config()
    parameters = inspect.signature(type(gan).__init__).parameters.values()
    kinds = inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY
    named = {p.name for p in parameters if p.kind in kinds} - {"self"}
    assert named <= set(config), f"not in get_config: {sorted(named - set(config))}"
    serialized = json.loads(json.dumps(keras.saving.serialize_keras_object(gan)))
    copy = keras.saving.deserialize_keras_object(serialized)
    assert type(copy) is type(gan)
    assert _plain(copy.get_config()) == _plain(config)
    for name, network in networks_of(gan).items():
        other = networks_of(copy)[name]
        assert other.get_config() == network.get_config()
        shapes = {a: tuple(w.shape) for a, w in addresses(network).items()}
        assert {a: tuple(w.shape) for a, w in addresses(other).items()} == shapes


def _plain(config):
    return json.loads(json.dumps(config))  # tuples as lists


def check_precision(make):
    """Under a mixed policy the networks' (first) outputs stay float32."""
    with dtype_policy("mixed_bfloat16"):
        gan = make()
    for network in networks_of(gan).values():
        if isinstance(network, keras.Model) and network.outputs:
            assert keras.tree.flatten(network.outputs)[0].dtype == "float32", network.name


def check_fit(gan, data):
    """Steps of `fit`: both players move, the logs are the declared ones and finite."""
    before = {name: network.get_weights() for name, network in networks_of(gan).items()}
    seen = int(gan.step.numpy())
    history = gan.fit(data, epochs=1, verbose=0).history
    declared = {f"{phase.name}/{term}" for phase in gan.phases() for term in phase.terms}
    assert set(history) == declared | {"d_loss", "g_loss", *gan.state_logs()}
    assert all(np.isfinite(values).all() for values in history.values()), history
    for name, network in networks_of(gan).items():
        moved = [not np.array_equal(a, b) for a, b in zip(before[name], network.get_weights())]
        assert sum(moved) > len(moved) / 2, f"{name}: {sum(moved)} of {len(moved)} weights moved"
        assert all(np.isfinite(w).all() for w in network.get_weights()), name
    assert int(gan.step.numpy()) == seen + int(data.cardinality())


def sample(gan, seed, batch_size):
    """5 samples."""
    labels = None
    if gan.generator.num_attributes:
        labels = np.tile(np.eye(gan.generator.num_attributes, dtype="float32")[0], (5, 1))
    return gan.generate(5, seed=seed, batch_size=batch_size, labels=labels)


@contextlib.contextmanager
def livelier(networks):
    """Kernels of variance >= 1 / inputs inside the block: initial weights may give flat grey."""
    before = [network.get_weights() for network in networks]
    for w in (w for network in networks for w in network.weights if len(w.shape) > 1):
        value, target = w.numpy(), np.prod(w.shape[:-1]) ** -0.5
        if 0 < value.std() < target:
            w.assign(value / value.std() * target)
    try:
        yield
    finally:
        for network, weights in zip(networks, before):
            network.set_weights(weights)


def check_generate(gan, generate):
    """dtype, range and shape; one seed gives one result, whatever the batch size."""
    with livelier([*gan.players()["generator"], *(average for average, _ in gan.averaged())]):
        _check_generate(gan, generate)


def _check_generate(gan, generate):
    first = generate(gan, 3, 2)
    assert isinstance(first, np.ndarray) and first.dtype in (np.uint8, np.float32)
    assert np.isfinite(first).all() and first.std() > 0
    tolerance = 1 if first.dtype == np.uint8 else 1e-4
    again = generate(gan, 3, 5)
    assert again.shape == first.shape
    assert np.abs(first.astype("float64") - again.astype("float64")).max() <= tolerance
    assert not np.array_equal(first, generate(gan, 4, 5)), "two seeds give the same samples"


def check_resume(gan, data, generate):
    """A `.keras` file goes on as the model it was made of, to the last bit."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        gan.save(f"{folder}/gan.keras")
        loaded = keras.saving.load_model(f"{folder}/gan.keras")
    assert type(loaded) is type(gan) and loaded.compiled
    assert_same_state(gan, loaded)
    np.testing.assert_array_equal(generate(gan, 0, 5), generate(loaded, 0, 5))
    for model in (gan, loaded):
        model.fit(data, epochs=1, verbose=0)
    assert_same_state(gan, loaded)


def assert_same_state(a, b):
    """Two models agree to the last bit in everything that training changes."""
    a, b = state_of(a), state_of(b)
    assert sorted(a) == sorted(b)
    for key, value in a.items():
        np.testing.assert_array_equal(value, b[key], err_msg=key)


def check_family_in(where, make, data, *, batch_size=4):
    """Two steps of training under XLA, on two replicas or in bfloat16 (one of `PLACES`)."""
    if where == "mixed_bfloat16":
        with dtype_policy(where):
            return _trains(make, data, batch_size)
    if where == "xla":
        return _trains(make, data, batch_size, jit_compile=True)
    strategy = two_replicas()
    with strategy.scope():
        gan = _trains(make, data, batch_size)
    for network in networks_of(gan).values():
        for v in network.trainable_variables:
            a, b = (x.numpy() for x in strategy.experimental_local_results(v.value))
            np.testing.assert_array_equal(a, b, err_msg=v.path)
    return gan


def _trains(make, data, batch_size, **arguments):
    gan = make()
    gan.compile(**arguments)
    check_fit(gan, batches(data, enough_steps(gan), batch_size))
    return gan
