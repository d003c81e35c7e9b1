import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from harness import PLACES, check_family, check_family_in, check_network, dtype_policy, images

from ganzoo.checkpoints.reader import read
from ganzoo.convert import table
from ganzoo.convert import wgangp as rows
from ganzoo.ema import EMA
from ganzoo.families.wgangp import WGANGP, WGANGPDiscriminator, WGANGPGenerator
from ganzoo.layers.normalization import BatchNormalization
from ganzoo.losses import Wasserstein
from ganzoo.penalties import GradientPenalty

IMAGES = images(16, 14, 1)


def make():
    return WGANGP(
        14,
        6,
        4,
        channels=1,
        networks="dcgan",
        critic_width=3,
        generator_norm="none",
        critic_norm="layer",
        gradient_penalty=2.5,
        critic_steps=2,
        ema=EMA(half_life_images=20, rampup=0.5),
        seed=5,
    )


def test_family(golden):
    check_family(make, IMAGES, golden("wgangp"))


@pytest.mark.slow
@pytest.mark.parametrize("where", PLACES)
def test_elsewhere(where):
    check_family_in(where, make, IMAGES)


# --- mimicry's weights


class Case:
    """A mimicry checkpoint in this library's networks, and what the official code makes of it."""

    def __init__(self, folder):
        self.options = json.loads((folder / "case.json").read_text(encoding="utf-8"))
        self.floors = {
            k: v.get("f32_vs_f64_maxabs", 0.0) for k, v in self.options["arrays"].items()
        }
        self.golden = dict(np.load(folder / "golden.npz"))
        state = {p: read(folder / f"net{p}_100000_steps.pth", pick=rows.PICK) for p in "GD"}
        config = rows.infer(state["G"])
        self.generator = WGANGPGenerator(**config, networks="mimicry")
        self.discriminator = WGANGPDiscriminator(
            config["image_size"], self.options["options"]["D_kwargs"]["ndf"], networks="mimicry"
        )
        table.assign(self.generator, state["G"], rows.generator_table(state["G"]))
        table.assign(self.discriminator, state["D"], rows.discriminator_table(state["D"]))

    def compare(self, name, actual):
        wanted = self.golden[name]
        actual = np.asarray(actual)
        if actual.ndim == 4:
            actual = actual.transpose(0, 3, 1, 2)
        atol = max(1e-5, 20 * self.floors[name])
        np.testing.assert_allclose(actual, wanted, rtol=0, atol=atol, err_msg=name)

    def images(self, name):
        return tf.constant(self.golden[name].transpose(0, 2, 3, 1))


@pytest.fixture(scope="module", params=["06_mimicry_wgangp32"])
def case(request, shared):
    return Case(shared / "parity" / "classics" / request.param)


def test_generator_is_mimicrys(case):
    case.compare("g_eval", case.generator(case.golden["z"], training=False))


def test_generator_on_batch_statistics_is_mimicrys(case):
    before = case.generator.get_weights()
    case.compare("g_bn_batchstats", case.generator(case.golden["z"], training=True))
    case.generator.set_weights(before)


def test_critic_is_mimicrys(case):
    case.compare("d_eval", case.discriminator(case.images("x")))


def test_critic_blocks_are_mimicrys(case):
    for name in sorted(n for n in case.golden if n.startswith("d_block")):
        layer = case.discriminator.get_layer(f"block{int(name[-1]) - 1}")
        part = keras.Model(case.discriminator.input, layer.output)
        case.compare(name, part(case.images("x")[:1]))


def test_penalty_and_its_gradient_are_mimicrys(case):
    penalty = GradientPenalty(10.0)
    points = penalty.interpolate(case.images("x"), case.images("x_fake"), case.golden["gp_alpha"])
    last = case.discriminator.get_layer("logit").kernel
    with tf.GradientTape() as tape:
        value = penalty.at(case.discriminator, points)
    np.testing.assert_allclose(value, case.golden["gp_loss"], rtol=0, atol=1e-5)
    gradient = tape.gradient(value, last.value)
    np.testing.assert_allclose(gradient, case.golden["gp_dparam_last_f64"].T, rtol=0, atol=1e-5)
    norms = penalty.norms(case.discriminator, points)
    np.testing.assert_allclose(norms, case.golden["gp_grad_norms_f64"], rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    "image_size,side,generator,critic",
    [  # maps of the stem and the blocks; the critic's maps and sides: wgan_gp_<size>.py
        (32, 4, [16, 16, 16, 16], [(16, 16), (16, 8), (16, 8), (16, 8)]),
        (48, 6, [16, 8, 4, 2], [(1, 24), (2, 12), (4, 6), (8, 3), (16, 3)]),
        (64, 4, [16, 8, 4, 2, 1], [(1, 32), (2, 16), (4, 8), (8, 4), (16, 2)]),
        (128, 4, [16, 16, 8, 4, 2, 1], [(1, 64), (2, 32), (4, 16), (8, 8), (16, 4), (16, 4)]),
    ],
)
def test_mimicry_sizes(image_size, side, generator, critic):
    g = WGANGPGenerator(image_size, 5, 16, networks="mimicry")
    maps = [g.get_layer("stem_map").output.shape[1:]]
    maps += [g.get_layer(f"block{k}").output.shape[1:] for k in range(len(generator) - 1)]
    assert maps == [(side * 2**k, side * 2**k, n) for k, n in enumerate(generator)]
    d = WGANGPDiscriminator(image_size, 16, networks="mimicry")
    found = [d.get_layer(f"block{k}").output.shape[1:] for k in range(len(critic))]
    assert found == [(s, s, n) for n, s in critic]
    assert f"block{len(critic)}" not in [layer.name for layer in d.layers]
    shortcuts = {
        layer.name
        for layer in d.layers
        if layer.name.endswith("_shortcut") and "pool" not in layer.name
    }
    expected = {
        f"block{k}_shortcut" for k in range(len(critic)) if k == 0 or critic[k] != critic[k - 1]
    }
    assert shortcuts == expected


# --- the official networks


KINDS = [
    ("dcgan", 14, "none"),
    ("dcgan", 14, "layer"),
    ("resnet", 16, "none"),
    ("resnet", 16, "layer"),
    ("resnet", 48, "layer"),
    ("mimicry", 32, "none"),
]


@pytest.mark.parametrize("networks,image_size,norm", KINDS)
def test_networks(networks, image_size, norm, golden):
    generator_norm = "none" if norm == "none" and networks != "mimicry" else "batch"
    kind = golden(f"wgangp_{networks}{image_size}_{norm}")
    check_network(
        WGANGPGenerator(image_size, 5, 2, channels=1, networks=networks, norm=generator_norm),
        kind.part("generator"),
    )
    check_network(
        WGANGPDiscriminator(image_size, 2, channels=1, networks=networks, norm=norm),
        kind.part("discriminator"),
    )


@pytest.mark.parametrize("networks", ["dcgan", "resnet"])
@pytest.mark.parametrize("image_size,channels", [(28, 1), (32, 3), (48, 1), (64, 3), (128, 3)])
def test_sizes(networks, image_size, channels):
    generator = WGANGPGenerator(image_size, 5, 2, channels=channels, networks=networks)
    made = generator.generate(2, seed=1)
    assert made.shape == (2, image_size, image_size, channels) and made.std() > 0
    critic = WGANGPDiscriminator(image_size, 2, channels=channels, networks=networks)
    assert critic(made.astype("float32") / 127.5 - 1).shape == (2, 1)


def count(network):
    return sum(int(np.prod(w.shape)) for w in network.trainable_variables)


def dense(a, b):
    return a * b + b


def conv(k, a, b, bias=True):
    return k * k * a * b + bias * b


def test_parameter_counts():
    # summed from the layers of the scripts
    mnist = dict(channels=1, networks="dcgan")
    assert count(WGANGPGenerator(28, 128, 64, norm="none", **mnist)) == (
        dense(128, 4096) + conv(5, 256, 128) + conv(5, 128, 64) + conv(5, 64, 1)
    )
    assert count(WGANGPDiscriminator(28, 64, **mnist)) == (
        conv(5, 1, 64) + conv(5, 64, 128) + conv(5, 128, 256) + dense(4096, 1)
    )
    assert count(WGANGPGenerator(32, 128, 128, networks="resnet")) == (
        dense(128, 2048)
        + 3 * (2 * conv(3, 128, 128) + conv(1, 128, 128) + 4 * 128)
        + 2 * 128
        + conv(3, 128, 3)
    )
    assert count(WGANGPDiscriminator(32, 128, networks="resnet")) == (
        conv(3, 3, 128)
        + 7 * conv(3, 128, 128)
        + conv(1, 3, 128)
        + conv(1, 128, 128)
        + dense(128, 1)
    )
    up = [(512, 512), (512, 256), (256, 128), (128, 64)]
    assert count(WGANGPGenerator(64, 128, 64, networks="resnet")) == (
        dense(128, 8192)
        + sum(
            conv(3, a, b, bias=False) + conv(3, b, b) + conv(1, a, b) + 2 * a + 2 * b for a, b in up
        )
        + 2 * 64
        + conv(3, 64, 3)
    )
    down = [(64, 128), (128, 256), (256, 512), (512, 512)]
    assert count(WGANGPDiscriminator(64, 64, networks="resnet", norm="layer")) == (
        conv(3, 3, 64)
        + sum(conv(3, a, a, bias=False) + conv(3, a, b) + conv(1, a, b) + 4 * a for a, b in down)
        + dense(8192, 1)
    )


def test_layer_norm_is_over_each_sample():
    critic = WGANGPDiscriminator(14, 3, networks="dcgan", norm="layer")
    layer = critic.get_layer("norm1")
    random = np.random.RandomState(0)
    gain, bias = random.randn(2, 6).astype("float32")
    layer.set_weights([gain, bias])
    x = random.randn(2, 4, 4, 6).astype("float32") * 3 + 1
    mean, variance = x.mean((1, 2, 3), keepdims=True), x.var((1, 2, 3), keepdims=True)
    wanted = (x - mean) / np.sqrt(variance + 1e-5) * gain + bias
    np.testing.assert_allclose(layer(x), wanted, rtol=0, atol=1e-5)


# --- the penalty's own derivative


def critic_in_float64(networks, image_size, norm):
    """(critic, its weights); with a last layer of its own, for the network's is float32."""
    before = keras.config.floatx()
    keras.config.set_floatx("float64")
    try:
        with dtype_policy("float64"):
            network = WGANGPDiscriminator(image_size, 3, channels=1, networks=networks, norm=norm)
            features = keras.Model(network.input, network.get_layer("logit").input)
    finally:
        keras.config.set_floatx(before)
    random = np.random.RandomState(1)
    for w in features.trainable_variables:
        w.assign(w.value + 0.3 * random.randn(*w.shape))
    last = tf.constant(random.randn(features.output.shape[-1], 1))
    return (lambda x: features(x) @ last), features.trainable_variables


@pytest.mark.parametrize("networks,image_size,norm", KINDS)
def test_parameter_gradient_of_the_penalty(networks, image_size, norm):
    critic, weights = critic_in_float64(networks, image_size, norm)
    random = np.random.RandomState(2)
    points = tf.constant(random.uniform(-1, 1, (3, image_size, image_size, 1)))
    # all networks get a norm near 1
    scale = 1.5 / float(tf.reduce_mean(GradientPenalty().norms(critic, points)))
    penalty = tf.function(lambda: GradientPenalty(10.0).at(lambda x: scale * critic(x), points))
    with tf.GradientTape() as tape:
        value = penalty()
    gradients = tape.gradient(value, [w.value for w in weights])
    assert value.dtype == tf.float64
    directions = [random.randn(*w.shape) for w in weights]
    # the bias before the last layer moves no gradient
    along = sum(float(tf.reduce_sum(g * d)) for g, d in zip(gradients, directions) if g is not None)
    values, step = [w.numpy() for w in weights], 1e-7
    ends = []
    for sign in (1, -1):
        for w, v, d in zip(weights, values, directions):
            w.assign(v + sign * step * d)
        ends.append(float(penalty()))
    assert abs(along) > 1e-3
    np.testing.assert_allclose(along, (ends[0] - ends[1]) / (2 * step), rtol=1e-5)


# --- the game


def test_generator_moves_every_fifth_step():
    gan = WGANGP(14, 6, 2, channels=1, networks="dcgan")
    gan.compile()
    moves = []

    class Watch(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            self.before = [n.get_weights()[0] for n in (gan.generator, gan.discriminator)]

        def on_train_batch_end(self, batch, logs=None):
            after = [n.get_weights()[0] for n in (gan.generator, gan.discriminator)]
            moves.append([not np.array_equal(a, b) for a, b in zip(self.before, after)])

    gan.fit(
        np.tile(IMAGES, (2, 1, 1, 1))[:22], batch_size=2, epochs=1, verbose=0, callbacks=[Watch()]
    )
    assert [i for i, (g, _) in enumerate(moves) if g] == [4, 9]
    assert all(d for _, d in moves)


def test_what_is_fixed():
    gan = make()
    assert isinstance(gan.adversarial, Wasserstein)
    assert [(type(p), p.weight, p.target) for p in gan.penalties] == [(GradientPenalty, 2.5, 1.0)]
    assert not {"loss", "penalties"} & set(gan.get_config())
    assert not any(isinstance(layer, BatchNormalization) for layer in gan.discriminator.layers)


@pytest.mark.parametrize(
    "networks,image_size,rate,beta_1",
    [
        ("dcgan", 28, 1e-4, 0.5),
        ("dcgan", 48, 1e-4, 0.5),
        ("dcgan", 64, 1e-4, 0.0),
        ("resnet", 32, 2e-4, 0.0),
        ("resnet", 64, 1e-4, 0.0),
        ("mimicry", 32, 2e-4, 0.0),
        ("mimicry", 64, 2e-4, 0.0),
    ],
)
def test_published_optimizers(networks, image_size, rate, beta_1):
    for adam in WGANGP(image_size, 4, 16, networks=networks).default_optimizers().values():
        assert float(adam.learning_rate) == pytest.approx(rate)
        assert (adam.beta_1, adam.beta_2, adam.epsilon) == (beta_1, 0.9, 1e-8)


@pytest.mark.parametrize(
    "arguments,widths",
    [
        (dict(image_size=28), (64, 64)),
        (dict(image_size=28, width=6), (6, 6)),
        (dict(image_size=28, width=6, critic_width=5), (6, 5)),
        (dict(image_size=28, critic_width=5), (64, 5)),
    ],
)
def test_widths(arguments, widths):
    config = WGANGP(latent_dim=4, channels=1, **arguments).get_config()
    assert (config["width"], config["critic_width"]) == widths


@pytest.mark.parametrize(
    "arguments,message",
    [
        (dict(networks="mlp"), "`networks` must be one of .*mimicry.* Received: networks='mlp'"),
        (
            dict(image_size=28, networks="mimicry"),
            r"image sizes \(32, 48, 64, 128\).*Received: image_size=28",
        ),
        (
            dict(image_size=64, width=8, networks="mimicry"),
            "`width` must be >= 16.*Received: width=8",
        ),
        (
            dict(image_size=32, width=8, networks="mimicry", critic_norm="layer"),
            "no normalisation.*Received",
        ),
        (dict(image_size=27), "`image_size` must be even.*Received: image_size=27"),
        (dict(image_size=36, networks="resnet"), "`image_size` must be.*Received: image_size=36"),
        (dict(generator_norm="layer"), "`norm` must be one of .*Received: norm='layer'"),
        (dict(critic_norm="batch"), "`norm` must be one of .*Received: norm='batch'"),
        (dict(gradient_penalty=-1.0), "`weight` must be >= 0"),
    ],
)
def test_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        WGANGP(**{"width": 4, **arguments})
