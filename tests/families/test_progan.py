"""ProGAN: the official files' images, scores, losses and gradients; the GAN around them."""

import growing_parity
import harness
import numpy as np
import pytest
import tensorflow as tf

import ganzoo
from ganzoo.convert import progan_tf
from ganzoo.families.progan import ProGAN, ProGANDiscriminator, ProGANGenerator
from ganzoo.growing_gan import Growth
from ganzoo.losses import Wasserstein
from ganzoo.penalties import R1, GradientPenalty

CASES = ("progan_32", "progan_32_growing_unfused")


def small(**options):
    """No argument at its default where that can be."""
    arguments = dict(
        image_size=8, latent_dim=6, channels=2, num_classes=3, channel_base=64, channel_max=6,
        activation="relu", norm="none", epsilon=1e-4, structure="growing",
        discriminator={"group_size": 2, "pooling": "after"}, gradient_penalty=2.0, target=2.0,
        drift=0.1, class_weight=0.5, growth=Growth(4, 4, 0), rate_multipliers={8: 2.0}, seed=3,
    )
    return ProGAN(**{**arguments, **options})


def plain(**options):
    """As the official configuration, small and unconditional."""
    return ProGAN(16, 6, channel_base=64, channel_max=6, **options)


# --- goldens


@pytest.mark.parametrize("case", CASES)
def test_official_files(shared, case):
    found = growing_parity.parity(shared / "parity/stylegan" / case)
    assert len(found) >= 7
    assert not [(name, error) for name, error in found if not error <= 5e-6]


def test_the_stored_level_of_detail(shared):
    gan = ganzoo.load(str(shared / "parity/stylegan/progan_32_growing_unfused/network.pkl"))
    assert gan.lod == pytest.approx(1.4)


@pytest.fixture(scope="module")
def losses(shared):
    return growing_parity.Losses(shared / "parity/stylegan/progan_losses_16", progan_tf)


@pytest.mark.parametrize("phase, lod", [("D_wgangp_acgan", 0.0), ("D_wgangp_acgan_lod0.7", 0.7)])
def test_discriminator_loss(losses, phase, lod):
    gan, held = losses.gan, losses.arrays
    gan.set_lod(lod)
    real = tf.constant(held["reals"])
    fake = gan.generator(held[f"{phase}/latents"])
    penalty = GradientPenalty(10.0, alpha_weighs="fake")
    points = penalty.interpolate(real, fake, held[f"{phase}/mixing_factors"])

    def loss():
        scores = gan.discriminator(real)
        total = Wasserstein().discriminator(scores, gan.discriminator(fake))
        total += penalty.at(gan.discriminator, points)
        return total + 0.001 * tf.reduce_mean(tf.square(scores))

    value, error = losses.error(phase, "discriminator", loss)
    gan.set_lod(0.0)
    np.testing.assert_allclose(value, held[f"{phase}/loss"].mean(), rtol=1e-5)
    assert error < 1


def test_generator_loss(losses):
    gan, held = losses.gan, losses.arrays

    def loss():
        fake = gan.generator(held["G_wgan_acgan/latents"])
        return Wasserstein().generator(gan.discriminator(fake))

    value, error = losses.error("G_wgan_acgan", "generator", loss)
    np.testing.assert_allclose(value, held["G_wgan_acgan/loss"].mean(), rtol=1e-5)
    assert error < 1


def test_r1(losses):
    gan, held = losses.gan, losses.arrays
    value, error = losses.error(
        "r1", "discriminator", lambda: R1(2.0).at(gan.discriminator, tf.constant(held["reals"]))
    )
    np.testing.assert_allclose(value, held["r1_penalty"].mean(), rtol=1e-5)
    assert error < 1


# --- the family


def data(count=12, size=8, channels=2, classes=3):
    return {
        "image": harness.images(count, size, channels),
        "label": np.arange(count, dtype="int32") % classes,
    }


def test_family(golden):
    harness.check_family(small, data(), golden("progan"))


def tiny():
    """The official configuration at 8 pixels, grown up after one step."""
    return ProGAN(8, 6, channel_base=32, channel_max=6, growth=Growth(4, 4, 0), seed=1)


@pytest.mark.slow
def test_the_official_configuration():
    harness.check_family(tiny, harness.images(12, 8))


@pytest.mark.slow
@pytest.mark.parametrize("where", harness.PLACES)
def test_elsewhere(where):
    harness.check_family_in(where, tiny, harness.images(12, 8))


def test_parameter_counts():
    """Of table 2 of the paper: 23.1 million for each, with the layers of the full size's image."""
    for network in (ProGANGenerator(), ProGANDiscriminator()):
        *smaller, _ = [block.rgb for block in network.trunk.blocks]
        idle = {w.path for layer in smaller for w in layer.weights}
        count = sum(np.prod(w.shape) for w in network.trainable_weights if w.path not in idle)
        assert round(count / 1e6, 1) == 23.1


def test_classes():
    """The auxiliary classifier's part of the losses."""
    gan = small(growth=None, class_weight=2.0, seed=0)
    batch = gan.prepare({key: tf.constant(value) for key, value in data(4).items()})
    logits = gan.discriminator(batch["real"])[1]
    label = batch["label"].numpy()
    wanted = -2.0 * tf.nn.log_softmax(logits).numpy()[range(4), label].mean()
    np.testing.assert_allclose(gan.class_loss(batch, logits), wanted, rtol=1e-5)
    assert set(gan.discriminator_losses(batch)) == {
        "adversarial", "gradient_penalty", "drift", "classes",
    }
    assert set(gan.generator_losses(batch)) == {"adversarial", "classes"}


def test_labels_as_numbers_and_one_hot():
    gan = small(growth=None)
    z, labels = gan.generator.latents(4), np.array([2, 0, 1, 1])
    hot = np.eye(3, dtype="float32")[labels]
    np.testing.assert_array_equal(gan.generator([z, labels]), gan.generator([z, hot]))
    np.testing.assert_array_equal(
        gan.generate(latents=z, labels=labels), gan.generate(latents=z, labels=hot)
    )
    scores, classes = gan.discriminator((gan.generator([z, labels]), labels))
    assert scores.shape == (4, 1) and classes.shape == (4, 3)
    with pytest.raises(ValueError, match=r"float \[N, 3\]"):
        gan.generator([z, hot[:, :2]])


def test_unconditional_networks_take_empty_labels_only():
    gan = plain()
    z, empty = gan.generator.latents(2), np.zeros((2, 0), "float32")
    np.testing.assert_array_equal(gan.generator((z, empty)), gan.generator(z))
    np.testing.assert_array_equal(
        gan.generate(latents=z, labels=empty), gan.generate(latents=z)
    )
    with pytest.raises(ValueError, match="there are no classes here"):
        gan.generator((z, np.array([0, 1])))
    with pytest.raises(ValueError, match="has no options of its own"):
        gan.generate(latents=z, truncation=0.5)


def test_a_fixed_structure_has_one_image():
    gan = plain(structure="fixed")
    names = [w.path for w in (*gan.generator.weights, *gan.discriminator.weights)]
    assert sum("rgb/kernel" in name for name in names) == 2
    assert gan.growth is None and gan.lod == 0.0
    assert gan.generate(2).shape == (2, 16, 16, 3)
    assert gan.discriminator(harness.images(4, 16)).shape == (4, 1)


@pytest.mark.parametrize(
    "arguments, words",
    [
        (dict(image_size=24), "`image_size` must be a power of two"),
        (dict(image_size=2), "`image_size` must be a power of two"),
        (dict(activation="swish"), "`activation` must be one of"),
        (dict(channel_base=0), "`channel_base` must be an int >= 1"),
        (dict(drift=-1.0), "`drift` and `class_weight` must be >= 0"),
        (dict(norm="batch"), "`norm` must be one of"),
        (dict(structure="grown"), "`structure` must be one of"),
        (dict(discriminator={"pooling": "max"}), "`pooling` must be one of"),
        (dict(growth=Growth(16, 1, 1)), "cannot grow from 16 to 8 pixels"),
        (dict(target=0.0), "`target` must be > 0"),
    ],
)
def test_bad_arguments(arguments, words):
    with pytest.raises(ValueError) as raised:
        small(**arguments)
    assert words in str(raised.value)
