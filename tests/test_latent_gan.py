import keras
import numpy as np
import pytest
import tensorflow as tf
from harness import batches, images

from ganzoo.augment import Augment
from ganzoo.ema import EMA
from ganzoo.families.cgan import CGAN
from ganzoo.families.dcgan import DCGAN
from ganzoo.families.vanilla_gan import VanillaGAN
from ganzoo.latent_gan import LatentGAN, check_images, split
from ganzoo.penalties import R1, R2, GradientPenalty


def dcgan(**kwargs):
    return DCGAN(16, 5, 4, channels=1, **kwargs)


def conditional():
    return CGAN(8, 5, 4, channels=1, num_classes=3, networks="conv")


# --- data


def test_uint8_becomes_minus_one_to_one():
    x = np.zeros((2, 16, 16, 1), "uint8")
    x[0, 0, 0], x[0, 0, 1] = 255, 127
    real = dcgan().prepare(tf.constant(x))["real"].numpy()
    assert real.dtype == np.float32
    np.testing.assert_allclose(real[0, 0, :3, 0], [1, 127 / 127.5 - 1, -1], atol=1e-6)


def test_floats_stay():
    x = images(2, 16, 1)
    np.testing.assert_array_equal(dcgan().prepare(tf.constant(x))["real"], x)


@pytest.mark.parametrize("form", [tuple, list, lambda pair: dict(zip(("image", "label"), pair))])
def test_labels_from_pairs_and_dicts(form):
    data = form((tf.constant(images(3, 8, 1)), tf.constant([2, 0, 1], tf.int64)))
    batch = conditional().prepare(data)
    assert batch["label"].dtype == tf.int32
    np.testing.assert_array_equal(batch["label"], [2, 0, 1])


def test_split():
    assert split("x") == split(("x",)) == ("x", None)
    assert split(["x", "y"]) == ("x", "y")
    assert split({"image": "x"}) == ("x", None)
    with pytest.raises(ValueError, match=r"needs the key `image`.*\['images', 'label'\]"):
        split({"images": 1, "label": 2})


@pytest.mark.parametrize(
    "x, message",
    [
        (images(4, 15, 1), r"\(None, 16, 16, 1\).*shape \(4, 15, 15, 1\)"),
        (images(4, 16, 3), r"\(None, 16, 16, 1\).*shape \(4, 16, 16, 3\)"),
        (images(4, 16, 1)[..., 0], r"\(None, 16, 16, 1\).*shape \(4, 16, 16\)"),
        (images(4, 16, 1) * 127.5 + 127.5, r"\[-1, 1\].*x / 127.5 - 1.*in \[0\.\d+, 25\d"),
        (images(4, 16, 1) / 2 + 0.5, r"x \* 2 - 1.*values in \[[\d.e-]+, 0\.\d+\]"),
        (images(4, 16, 1) * 1.1, r"values in \[-1\.\d+, 1\.\d+\]"),
    ],
)
@pytest.mark.parametrize("source", ["array", "dataset"])
def test_wrong_images(x, message, source):
    gan = dcgan()
    gan.compile()
    data = x.astype("float32") if source == "array" else batches(x.astype("float32"), 1)
    with pytest.raises(ValueError, match=message):
        gan.fit(data, verbose=0)
    assert int(gan.step.numpy()) == 0


def test_right_images():
    for x in (
        images(4, 16, 1), np.zeros((4, 16, 16, 1), "uint8"), np.full((4, 16, 16, 1), -1.0),
        np.zeros((4, 16, 16, 1)), np.ones((1, 16, 16, 1)),
    ):
        check_images(x, (16, 16, 1))
    check_images(np.array([[3.0, 40.0]]), (2,))  # points have no range
    check_images(images(2, 7, 1), (None, None, 1))


@pytest.mark.parametrize("labels, wrong", [([0, 1, 2, 3], 3), ([0, -1, 2, 1], -1)])
def test_labels_out_of_range(labels, wrong):
    gan = conditional()
    gan.compile()
    with pytest.raises(ValueError, match=rf"\[0, 3\).*Received: {wrong}"):
        gan.fit(images(4, 8, 1), np.array(labels), verbose=0)


def test_no_labels():
    gan = conditional()
    gan.compile()
    with pytest.raises(ValueError, match="CGAN is conditional and needs labels"):
        gan.fit(images(4, 8, 1), verbose=0)


def test_arrays_train_as_they_are():
    gan = conditional()
    gan.compile()
    x = np.random.RandomState(0).randint(0, 256, (6, 8, 8, 1)).astype("uint8")
    gan.fit(x, np.array([0, 1, 2, 0, 1, 2]), batch_size=3, verbose=0)
    assert (int(gan.step.numpy()), int(gan.images_seen.numpy())) == (2, 6)


# --- composition


@pytest.mark.parametrize(
    "wrong, message",
    [
        (dict(critic_steps=0), "critic_steps=0"),
        (dict(critic_steps=True), "critic_steps=True"),
        (dict(critic_steps=2.0), "critic_steps=2.0"),
        (dict(fakes="old"), "'fresh', 'shared'.*fakes='old'"),
    ],
)
def test_wrong_arguments(wrong, message):
    gan = dcgan()
    with pytest.raises(ValueError, match=message):
        LatentGAN(gan.generator, gan.discriminator, loss="hinge", **wrong)


def test_phases_in_order():
    gan = dcgan(penalties=[R1(1.0, interval=4), R2(1.0), GradientPenalty(2.0)], critic_steps=3)
    described = [(p.name, p.player, p.terms, p.interval, p.offsets) for p in gan.phases()]
    assert described == [
        ("discriminator", "discriminator", ("adversarial", "r2", "gradient_penalty"), 1, (0,)),
        ("r1", "discriminator", ("penalty",), 4, (0,)),
        ("generator", "generator", ("adversarial",), 3, (2,)),
    ]


def test_lazy_penalty_on_fakes_trains():
    gan = dcgan(penalties=[R2(1.0, interval=2), GradientPenalty(1.0, interval=2)])
    gan.compile()
    logs = gan.fit(batches(images(8, 16, 1), 2), verbose=0).history
    assert logs["r2/penalty"][0] > 0 and logs["gradient_penalty/penalty"][0] > 0
    assert int(gan.discriminator_optimizer.iterations.numpy()) == 4


@keras.saving.register_keras_serializable(package="tests")
class Flip(Augment):
    """Changes the sign."""

    def call(self, images, seed):
        return -images


def test_augmentation_is_in_front_of_the_critic():
    keras.utils.set_random_seed(0)
    x = tf.constant(images(4, 16, 1))
    gan = dcgan(augment=Flip(name="flip"))
    critic = gan.critic({})
    np.testing.assert_allclose(critic(x), gan.discriminator(-x, training=True), atol=1e-6)
    copy = DCGAN.from_config(gan.get_config())
    assert isinstance(copy.augment, Flip)
    gan.compile()
    gan.fit(batches(images(8, 16, 1), 1), verbose=0)


def test_generator_loss_sees_the_real_logits():
    gan = dcgan(loss="relativistic_average")
    batch = {"real": tf.constant(images(4, 16, 1))}
    value = float(gan.generator_losses(batch)["adversarial"])
    real = gan.discriminator(batch["real"], training=True)
    fake = gan.discriminator(gan.fakes(batch, "generator")[0], training=True)
    np.testing.assert_allclose(value, gan.adversarial.generator(fake, real), rtol=1e-5)
    assert abs(value - float(gan.adversarial.generator(fake, real + 1.0))) > 0.1


def test_fresh_fakes_differ_between_the_players():
    gan, batch = dcgan(variant="paper"), {"real": tf.zeros((4, 16, 16, 1))}
    a, b = (gan.latents(batch, tag).numpy() for tag in ("discriminator", "generator"))
    assert a.shape == (4, 5) and np.abs(a - b).max() > 0.1
    assert a.min() >= -1 and a.max() <= 1


# --- the average


def test_average_starts_as_a_copy_and_is_published():
    gan = dcgan(ema=EMA(decay=0.9))
    assert gan.published is gan.generator_ema and gan.generator_ema is not gan.generator
    assert gan.generator_ema.name == "generator_ema" and not gan.generator_ema.trainable_variables
    for a, b in zip(gan.generator.get_weights(), gan.generator_ema.get_weights()):
        np.testing.assert_array_equal(a, b)
    gan.compile()
    gan.fit(batches(images(8, 16, 1), 2), verbose=0)
    z = gan.generator.latents(2, 1)
    np.testing.assert_array_equal(gan.generate(2, seed=1), gan.generator_ema.generate(latents=z))
    assert np.abs(gan.generator(z) - gan.generator_ema(z)).max() > 0
    np.testing.assert_array_equal(gan(z), gan.generator_ema(z))
    assert list(gan.networks()) == ["generator", "discriminator", "generator_ema"]


def test_without_average_the_generator_is_published():
    gan = dcgan()
    assert gan.published is gan.generator and gan.averaged() == []
    assert list(gan.networks()) == list(gan.provenance) == ["generator", "discriminator"]


def test_points_train():
    gan = VanillaGAN((2,), 3, (4,), output="linear", discriminator_widths=(4,))
    gan.compile()
    gan.fit(np.random.RandomState(0).randn(8, 2) * 5, batch_size=4, verbose=0)
    assert gan.generate(3).shape == (3, 2)
