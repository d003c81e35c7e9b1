import keras
import numpy as np
import pytest
import tensorflow as tf
from harness import PLACES, check_family, check_family_in, images

from ganzoo.families.vanilla_gan import VanillaGAN, VanillaGANDiscriminator, VanillaGANGenerator

POINTS = np.random.RandomState(0).randn(16, 2).astype("float32") * 3


def make_images():
    return VanillaGAN(
        (6, 5, 3), 7, (11, 12), activation="elu", output="tanh", prior="uniform",
        discriminator_widths=(5, 4), dropout=(0.1, 0.3), initializer="he_normal", loss="hinge",
        critic_steps=2, seed=3,
    )


def make_points():
    return VanillaGAN(
        (2,), 7, (11, 12), activation="tanh", output="linear", discriminator="leaky_relu",
        discriminator_widths=(5, 4), dropout=(0.0, 0.0), loss="minimax",
        initializer=keras.initializers.Orthogonal(1.4), seed=4,
    )


def test_family_of_images(golden):
    check_family(make_images, images(8, 6)[:, :, :5], golden("vanilla_gan"))


def test_family_of_points():
    check_family(make_points, POINTS)


@pytest.mark.slow
@pytest.mark.parametrize("where", PLACES)
def test_elsewhere(where):
    check_family_in(where, make_points, POINTS)


def test_parameters_of_the_paper():
    gan = VanillaGAN()
    dense_parameters = lambda *n: sum((a + 1) * b for a, b in zip(n, n[1:]))  # noqa: E731
    assert gan.generator.count_params() == dense_parameters(100, 1200, 1200, 784)
    d = (784 + 1) * 240 * 5 + (240 + 1) * 240 * 5 + 241
    assert gan.discriminator.count_params() == d
    spread = np.abs(gan.generator.get_layer("hidden1").kernel.numpy()).max()
    assert 0.049 < spread <= 0.05
    spread = np.abs(gan.discriminator.get_layer("hidden1").kernel.numpy()).max()
    assert 0.0049 < spread <= 0.005
    samples = gan.generate(4)
    assert samples.shape == (4, 28, 28, 1) and samples.dtype == np.uint8
    rates = [gan.default_optimizers()[f"{p}_optimizer"] for p in ("generator", "discriminator")]
    rates = [[float(o._learning_rate(step)) for step in (0, 10_000)] for o in rates]
    np.testing.assert_allclose(
        rates, np.outer([0.1, 0.05], [1, 1.000004**-10_000]), rtol=1e-5
    )


def test_sigmoid_is_stretched():
    generator = VanillaGANGenerator((2, 2, 1), 3, (4,))
    weights = [np.zeros_like(w) for w in generator.get_weights()]
    weights[-1][:] = [-100, 0, np.log(3), 100]
    generator.set_weights(weights)
    x = generator(np.ones((1, 3), "float32")).numpy().ravel()
    np.testing.assert_allclose(x, [-1, 0, 0.5, 1], atol=1e-6)


def test_points_are_floats():
    samples = make_points().generate(3)
    assert samples.shape == (3, 2) and samples.dtype == np.float32


def test_dropout_drops_inputs_and_hidden_units_by_their_own_shares():
    network = VanillaGANDiscriminator((1000,), (1000,), hidden="relu", dropout=(0.2, 0.5))
    x = tf.ones((20, 1000))
    for name, keep in (("drop0", 0.8), ("drop1", 0.5)):
        y = network.get_layer(name)(x, training=True).numpy()
        np.testing.assert_allclose((y > 0).mean(), keep, atol=0.02)
        np.testing.assert_allclose(y.max(), 1 / keep, rtol=1e-6)
    np.testing.assert_array_equal(network(x), network(x, training=False))


def test_unknown_output():
    with pytest.raises(ValueError, match="'sigmoid', 'tanh', 'linear'.*output='softmax'"):
        VanillaGAN(output="softmax")
