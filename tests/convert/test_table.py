"""Tables: transforms against NumPy, strict assignment, and two real layouts end to end."""

import keras
import numpy as np
import pytest
from keras import ops

from ganzoo.checkpoints import reader
from ganzoo.convert import dcgan, wgangp
from ganzoo.convert.table import (
    Rule,
    addresses,
    assign,
    batch_norm,
    conv1d,
    conv2d,
    dense,
    dense_from_nchw,
    dense_to_nhwc,
    keep,
    layer,
)

RNG = np.random.RandomState(0)


class Variable:
    def __init__(self, path, shape):
        self.path = path
        self.shape = shape
        self.value = None

    def assign(self, value):
        self.value = value


class Network:
    """What `addresses` and `assign` need of a network, without building one."""

    name = "net"

    def __init__(self, shapes):
        self.weights = [Variable(path, shape) for path, shape in shapes.items()]

    def values(self):
        return {variable.path: variable.value for variable in self.weights}


# Transforms


def test_dense_and_convolutions():
    x = RNG.normal(size=(5, 3))
    assert keep(x) is x
    assert np.array_equal(dense(x)[2], x[:, 2])
    x = RNG.normal(size=(5, 3, 7, 8))
    assert conv2d(x).shape == (7, 8, 3, 5)
    assert conv2d(x)[6, 2, 1, 4] == x[4, 1, 6, 2]
    x = RNG.normal(size=(5, 3, 7))
    assert conv1d(x).shape == (7, 3, 5)
    assert conv1d(x)[6, 1, 4] == x[4, 1, 6]


def test_dense_to_nhwc_is_linear_then_view_then_transpose():
    weight, bias = RNG.normal(size=(2 * 3 * 4, 5)), RNG.normal(size=(2 * 3 * 4))
    z = RNG.normal(size=(6, 5))
    expected = (z @ weight.T + bias).reshape(6, 2, 3, 4).transpose(0, 2, 3, 1)  # NCHW to NHWC
    transform = dense_to_nhwc(2, 3, 4)
    actual = (z @ transform(weight) + transform(bias)).reshape(6, 3, 4, 2)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-12)


def test_dense_from_nchw_is_flatten_then_linear():
    weight = RNG.normal(size=(5, 2 * 3 * 4))
    image = RNG.normal(size=(6, 2, 3, 4))
    expected = image.reshape(6, -1) @ weight.T
    actual = image.transpose(0, 2, 3, 1).reshape(6, -1) @ dense_from_nchw(2, 3, 4)(weight)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-12)


# Rules


def test_rule_demands_a_reason_for_dropping():
    with pytest.raises(ValueError, match="must say why"):
        Rule("x", None)


def test_rule_demands_a_regular_expression():
    with pytest.raises(ValueError, match="Expected a regular expression"):
        Rule("(x", "y")


def test_prefixes_are_literal():
    sources = [rule.source for rule in batch_norm("a.1", "n") + layer("a.1", "c", conv2d)]
    assert len(sources) == 7
    assert all(source.startswith(r"a\.1\.") for source in sources)


# Addresses


def test_addresses_of_a_keras_network():
    network = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(3, name="up0"), keras.layers.Dropout(0.5)],
        name="generator",
    )
    found = addresses(network)
    assert list(found) == ["up0/kernel", "up0/bias"]
    assert found["up0/kernel"].shape == (4, 3)
    assert any("seed_generator" in variable.path for variable in network.variables)


def test_addresses_with_and_without_the_name_of_the_network():
    network = Network({"net/a/kernel": (1,), "b/kernel": (2,), "net/seed_generator/state": (2,)})
    assert list(addresses(network)) == ["a/kernel", "b/kernel"]


def test_two_variables_of_one_address_are_an_error():
    with pytest.raises(ValueError, match=r"shared addresses=\['a/kernel'\]"):
        addresses(Network({"net/a/kernel": (1,), "a/kernel": (2,)}))


# Assign

SHAPES = {"net/fc/kernel": (3, 2), "net/fc/bias": (2,)}
TABLE = [*layer("l1", "fc", dense), Rule(r".*\.counter", None, why="a counter")]


def arrays(**changes):
    return {"l1.weight": np.arange(6.0).reshape(2, 3), "l1.bias": np.ones(2), **changes}


def test_assign_fills_every_variable():
    network = Network(SHAPES)
    assign(network, arrays(**{"bn.counter": np.array(7)}), TABLE)
    assert network.values()["net/fc/kernel"].tolist() == [[0, 3], [1, 4], [2, 5]]
    assert network.values()["net/fc/bias"].tolist() == [1, 1]


def test_groups_of_a_pattern_reach_the_address():
    network = Network({"net/b4/conv0/kernel": (1, 2)})
    table = [Rule(r"s\.b(\d+)\.conv(\d)\.weight", r"b\1/conv\2/kernel", dense)]
    assign(network, {"s.b4.conv0.weight": np.array([[1.0], [2.0]])}, table)
    assert network.values()["net/b4/conv0/kernel"].tolist() == [[1, 2]]


FAULTS = {
    "missing row": (arrays(), TABLE[:1], r"`l1\.bias` \(2,\) matches 0 rules, not 1"),
    "unfilled": ({"l1.weight": np.ones((2, 3))}, TABLE, r"`fc/bias` \(2,\) receives nothing"),
    "extra array": (
        arrays(**{"l2.weight": np.ones((1, 4))}),
        TABLE,
        r"`l2\.weight` \(1, 4\) matches 0 rules",
    ),
    "wrong shape": (
        arrays(**{"l1.weight": np.ones((3, 2))}),
        TABLE,
        r"`l1\.weight` \(3, 2\) becomes \(2, 3\), but `fc/kernel` is \(3, 2\)",
    ),
    "wrong rank": (
        arrays(**{"l1.weight": np.ones((2, 3))}),
        layer("l1", "fc", conv2d),
        r"`l1\.weight` \(2, 3\) cannot be transformed for `fc/kernel` \(3, 2\)",
    ),
    "two rules": (
        arrays(),
        [*TABLE, Rule(r"l1\.bi.*", "fc/bias")],
        r"`l1\.bias` \(2,\) matches 2 rules, not 1: `l1\\\.bias`, `l1\\\.bi\.\*`",
    ),
    "no such address": (
        arrays(x=np.ones(3)),
        [*TABLE, Rule("x", "fc/gain")],
        r"`x` \(3,\) maps to `fc/gain`, which the network lacks",
    ),
    "one address twice": (
        arrays(x=np.ones(2)),
        [*TABLE, Rule("x", "fc/bias")],
        r"`x` \(2,\) and `l1\.bias` both map to `fc/bias`",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_assign_is_strict_and_assigns_nothing_on_a_fault(fault):
    given, table, message = FAULTS[fault]
    network = Network(SHAPES)
    with pytest.raises(ValueError, match=message):
        assign(network, given, table)
    assert list(network.values().values()) == [None, None]


def test_assign_reports_ten_faults_and_counts_the_rest():
    network = Network({f"net/w{i}": (1,) for i in range(13)})
    with pytest.raises(ValueError) as error:
        assign(network, {}, [])
    lines = str(error.value).splitlines()
    assert "converting to `net`: 13" in lines[0]
    assert lines[1:] == [f"  `w{i}` (1,) receives nothing" for i in range(10)] + ["  and 3 more"]


# pytorch/examples DCGAN

DCGAN = "parity/classics/01_dcgan64"


def dcgan_files(shared):
    folder = shared / DCGAN
    files = [reader.read(folder / f"net{x}_epoch_24.pth") for x in "GD"]
    return files, np.load(folder / "golden.npz")


def up_chain(depth, width, channels, latent_dim):
    layers = [keras.Input((1, 1, latent_dim))]
    for i in range(depth):
        stride, padding = (1, "valid") if i == 0 else (2, "same")
        filters = channels if i == depth - 1 else width * 2 ** (depth - 2 - i)
        layers.append(
            keras.layers.Conv2DTranspose(filters, 4, stride, padding, use_bias=False, name=f"up{i}")
        )
        if i < depth - 1:
            layers.append(keras.layers.BatchNormalization(epsilon=1e-5, name=f"norm{i}"))
            layers.append(keras.layers.ReLU())
    return keras.Sequential([*layers, keras.layers.Activation("tanh")], name="generator")


def down_chain(blocks, width, channels):
    layers = [keras.Input((64, 64, channels))]
    for i in range(blocks):
        layers.append(
            keras.layers.Conv2D(width * 2**i, 4, 2, "same", use_bias=False, name=f"down{i}")
        )
        if i > 0:
            layers.append(keras.layers.BatchNormalization(epsilon=1e-5, name=f"norm{i}"))
        layers.append(keras.layers.LeakyReLU(0.2))
    layers.append(keras.layers.Conv2D(1, 4, use_bias=False, name="logit"))
    return keras.Sequential(layers, name="discriminator")


def test_dcgan_generator_gives_the_recorded_images(shared):
    (weights, _), golden = dcgan_files(shared)
    network = up_chain(5, 16, 3, 100)
    assign(network, weights, dcgan.generator_table(4))
    images = ops.convert_to_numpy(network(golden["z"].transpose(0, 2, 3, 1)))
    np.testing.assert_allclose(images.transpose(0, 3, 1, 2), golden["g_eval"], rtol=0, atol=3e-5)


def test_dcgan_discriminator_gives_the_recorded_logits(shared):
    (_, weights), golden = dcgan_files(shared)
    network = down_chain(4, 16, 3)
    assign(network, weights, dcgan.discriminator_table(4))
    logits = ops.convert_to_numpy(network(golden["x"].transpose(0, 2, 3, 1)))[:, 0, 0, 0]
    np.testing.assert_allclose(logits, golden["d_eval_logit"], rtol=0, atol=2.2e-5)


def test_dcgan_real_checkpoint_gives_the_recorded_images(shared):
    path = shared / "checkpoints/gan_face_generate/weights.tar"
    weights = reader.read(path, pick="netG_state_dict")
    network = up_chain(5, 64, 3, 100)
    assign(network, weights, dcgan.generator_table(4))
    z = np.random.RandomState(0).randn(4, 100).astype("float32")
    images = ops.convert_to_numpy(network(z[:, None, None]))
    expected = [-0.207231, -0.272756, -0.309358, -0.335237]
    np.testing.assert_allclose(images.mean((1, 2, 3)), expected, rtol=0, atol=1e-5)
    np.testing.assert_allclose(images[0, 32, 32], [0.1099, -0.124, -0.13714], rtol=0, atol=2e-5)


def test_dcgan_infer(shared):
    (generator, discriminator), _ = dcgan_files(shared)
    expected = {"image_size": 64, "latent_dim": 100, "width": 16, "channels": 3, "kernel_size": 4}
    assert dcgan.infer(generator) == expected
    with pytest.raises(ValueError, match="A discriminator's state has other indices"):
        dcgan.infer(discriminator)
    with pytest.raises(ValueError, match="Expected the kernels"):
        dcgan.infer({})
    generator["main.6.weight"] = generator["main.6.weight"][:, :31]
    with pytest.raises(ValueError, match="widths halve"):
        dcgan.infer(generator)


def test_dcgan_infer_other_size():
    shapes = [(64, 32, 7, 7), (32, 16, 5, 5), (16, 1, 5, 5)]
    given = {f"main.{3 * i}.weight": np.zeros(shape) for i, shape in enumerate(shapes)}
    expected = {"image_size": 28, "latent_dim": 64, "width": 16, "channels": 1, "kernel_size": 5}
    assert dcgan.infer(given) == expected


# mimicry WGAN-GP

WGANGP = "parity/classics/06_mimicry_wgangp32"


def wgangp_files(shared):
    folder = shared / WGANGP
    files = [reader.read(folder / f"net{x}_100000_steps.pth", pick=wgangp.PICK) for x in "GD"]
    return files, np.load(folder / "golden.npz")


def conv(x, width, name, size=3):
    return keras.layers.Conv2D(width, size, padding="same", name=name)(x)


def norm_relu(x, name):
    return ops.relu(keras.layers.BatchNormalization(epsilon=1e-5, name=name)(x))


def wgangp_generator(blocks, width, latent_dim, channels):
    z = keras.Input((latent_dim,))
    x = keras.layers.Dense(16 * width, name="stem")(z)
    x = keras.layers.Reshape((4, 4, width))(x)
    up = keras.layers.UpSampling2D(interpolation="bilinear")
    for k in range(blocks):
        h = conv(up(norm_relu(x, f"block{k}_norm1")), width, f"block{k}_conv1")
        h = conv(norm_relu(h, f"block{k}_norm2"), width, f"block{k}_conv2")
        x = h + conv(up(x), width, f"block{k}_shortcut", 1)
    return keras.Model(z, ops.tanh(conv(norm_relu(x, "norm"), channels, "image")), name="generator")


def wgangp_discriminator(width, channels):
    pool = keras.layers.AveragePooling2D(2)
    images = keras.Input((32, 32, channels))
    h = ops.relu(conv(images, width, "block0_conv1"))
    x = pool(conv(h, width, "block0_conv2")) + conv(pool(images), width, "block0_shortcut", 1)
    for k in (1, 2, 3):
        x = ops.relu(x)  # mimicry's is in place: the shortcut sees it too
        h = ops.relu(conv(x, width, f"block{k}_conv1"))
        h = conv(h, width, f"block{k}_conv2")
        x = pool(h) + pool(conv(x, width, f"block{k}_shortcut", 1)) if k == 1 else h + x
    features = ops.mean(ops.relu(x), axis=(1, 2))
    return keras.Model(images, keras.layers.Dense(1, name="logit")(features), name="critic")


def test_wgangp_generator_gives_the_recorded_images(shared):
    (weights, _), golden = wgangp_files(shared)
    network = wgangp_generator(3, 20, 64, 3)
    assign(network, weights, wgangp.generator_table(weights))
    images = ops.convert_to_numpy(network(golden["z"]))
    np.testing.assert_allclose(images.transpose(0, 3, 1, 2), golden["g_eval"], rtol=0, atol=2.8e-5)


def test_wgangp_discriminator_gives_the_recorded_values(shared):
    (_, weights), golden = wgangp_files(shared)
    network = wgangp_discriminator(20, 3)
    assign(network, weights, wgangp.discriminator_table(weights))
    values = ops.convert_to_numpy(network(golden["x"].transpose(0, 2, 3, 1)))
    np.testing.assert_allclose(values, golden["d_eval"], rtol=0, atol=1.8e-5)


def test_wgangp_infer(shared):
    (generator, discriminator), _ = wgangp_files(shared)
    expected = {"image_size": 32, "latent_dim": 64, "width": 20, "channels": 3}
    assert wgangp.infer(generator) == expected
    for function in (wgangp.infer, wgangp.generator_table):
        with pytest.raises(ValueError, match=r"missing=\['l1.weight'"):
            function(discriminator)
    with pytest.raises(ValueError, match="Expected the arrays of a mimicry discriminator"):
        wgangp.discriminator_table(generator)
    generator["l1.weight"] = generator["l1.weight"][:-1]
    with pytest.raises(ValueError, match="square image"):
        wgangp.infer(generator)
