import numpy as np
import pytest
import tensorflow as tf
from harness import PLACES, check_config, check_family, check_family_in, images

from ganzoo.ema import EMA
from ganzoo.families.lsgan import LSGAN

IMAGES = images(8, 16)


def make_lsun():
    return LSGAN(16, 6, 4, labels=(-1.0, 1.0, 0.0), channels=3, kernel_size=4, seed=4)


def make_dcgan():
    return LSGAN(
        16, 6, 4, channels=3, networks="dcgan", kernel_size=4, labels=(0.0, 0.9, 1.0),
        critic_steps=2, ema=EMA(half_life_images=20), seed=5,
    )


def test_lsun_family(golden):
    check_family(make_lsun, IMAGES, golden("lsgan.lsun"))


def test_dcgan_family(golden):
    check_family(make_dcgan, IMAGES, golden("lsgan.dcgan"))


def test_dcgan_pair_with_biases_slope_and_prior():
    gan = LSGAN(
        16, 6, 4, networks="dcgan", kernel_size=4, prior="normal", discriminator_width=3,
        use_bias=True, leak=0.01,
    )
    check_config(gan)
    weights = gan.generator.weights + gan.discriminator.weights
    assert [w.path for w in weights if "bias" in w.path] == [
        "generator/up2/bias", "discriminator/down0/bias", "discriminator/logit/bias"
    ]
    assert gan.generator.prior == "normal"
    assert gan.discriminator.get_layer("leaky1").negative_slope == 0.01
    assert gan.discriminator.get_layer("down0").filters == 3


@pytest.mark.slow
@pytest.mark.parametrize("where", PLACES)
@pytest.mark.parametrize("make", [make_lsun, make_dcgan])
def test_elsewhere(make, where):
    check_family_in(where, make, IMAGES)


def test_layers_of_figure_1():
    gan = LSGAN()
    kernels = lambda n: [tuple(w.shape) for w in n.trainable_variables if "kernel" in w.path]  # noqa: E731
    assert kernels(gan.generator) == [
        (1024, 7 * 7 * 256),
        (3, 3, 256, 256), (3, 3, 256, 256),  # 14
        (3, 3, 256, 256), (3, 3, 256, 256),  # 28
        (3, 3, 128, 256),  # 56
        (3, 3, 64, 128),  # 112
        (3, 3, 3, 64),
    ]
    assert kernels(gan.discriminator) == [
        (5, 5, 3, 64), (5, 5, 64, 128), (5, 5, 128, 256), (5, 5, 256, 512), (7 * 7 * 512, 1)
    ]
    steps = [layer.output.shape[1] for layer in gan.generator.layers if "relu" in layer.name]
    assert steps == [7, 14, 14, 28, 28, 56, 112]
    weights = gan.generator.weights + gan.discriminator.weights
    assert [w.path for w in weights if "bias" in w.path] == [
        "generator/to_image/bias", "discriminator/down0/bias", "discriminator/logit/bias"
    ]


@pytest.mark.parametrize("networks", ["lsun", "dcgan"])
@pytest.mark.parametrize("size", [28, 32, 64, 112])
def test_sizes(networks, size):
    gan = LSGAN(size, 8, 2, channels=1, networks=networks)
    assert gan.generator.output.shape == (None, size, size, 1)
    assert gan.discriminator.input.shape == (None, size, size, 1)
    assert gan.discriminator.output.shape == (None, 1)


def test_labels_are_a_b_and_c():
    gan = make_lsun()  # (-1, 1, 0)
    real, fake = tf.constant([[0.5], [0.0]]), tf.constant([[2.0], [1.0]])
    d = 0.5 * ((0.25 + 1) / 2 + (9 + 4) / 2)
    np.testing.assert_allclose(gan.adversarial.discriminator(real, fake), d, rtol=1e-6)
    np.testing.assert_allclose(gan.adversarial.generator(fake), 0.5 * (4 + 1) / 2, rtol=1e-6)


def test_optimizers_and_prior():
    for networks, rate in (("lsun", 1e-3), ("dcgan", 2e-4)):
        gan = LSGAN(16, 6, 2, networks=networks)
        for optimizer in gan.default_optimizers().values():
            np.testing.assert_allclose(float(optimizer.learning_rate), rate, rtol=1e-6)
            assert (optimizer.beta_1, optimizer.epsilon) == (0.5, 1e-8)
        assert gan.generator.prior == "uniform"


def test_wrong_arguments():
    with pytest.raises(ValueError, match="'lsun', 'dcgan'.*networks='vgg'"):
        LSGAN(networks="vgg")
    with pytest.raises(ValueError, match="image_size=72"):
        LSGAN(72)
