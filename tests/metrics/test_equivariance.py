import keras
import numpy as np
import pytest
import tensorflow as tf

from ganzoo.families.stylegan3 import StyleGAN3Generator
from ganzoo.generator import StyleGenerator
from ganzoo.layers.alias_free import FourierFeatures
from ganzoo.metrics.arrays import MetricError
from ganzoo.metrics.equivariance import COMPARE, MOTIONS, equivariance


class Waves(StyleGenerator):
    """Sums of sine waves of given frequencies (periods per image): equivariant by construction.

    `shake`: what is added to every moved image.
    """

    def __init__(self, highest, size=64, shake=0.0):
        keras.layers.Layer.__init__(self)  # Keras makes a base of functional models functional
        self.image_size, self.latent_dim, self.shake = size, 6, shake
        random = np.random.RandomState(0)
        angle, radius = random.uniform(0, 7, 12), highest * random.uniform(0.2, 1, 12) ** 0.5
        self.frequencies = np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1)

    def mapping(self, z, labels=None, truncation=1.0, truncation_cutoff=None):
        return z[:, np.newaxis]

    def synthesis(self, ws, noise="const", seed=0, transform=None):
        line = (np.arange(self.image_size) + 0.5) / self.image_size - 0.5
        points = np.stack([*np.meshgrid(line, line), np.ones((len(line),) * 2)], -1)
        moved = np.tile(np.eye(3), (len(ws), 1, 1)) if transform is None else transform
        content = np.einsum("nij,hwj->nhwi", moved, points)[..., :2]
        turns = content @ self.frequencies.T + ws[:, 0, 0].reshape(-1, 1, 1, 1)
        image = np.sin(2 * np.pi * turns).mean(-1, keepdims=True)
        return image + (0 if transform is None else self.shake)


@pytest.mark.parametrize(
    "motion,least", [("integer_translation", 120), ("fractional_translation", 50), ("rotation", 80)]
)
def test_an_equivariant_generator_has_a_high_ratio(motion, least):
    assert equivariance(Waves(12), motion, samples=4) > least


@pytest.mark.parametrize("motion", MOTIONS)
def test_the_ratio_is_that_of_a_known_error(motion):
    found = equivariance(Waves(6, shake=0.02), motion, samples=3)
    np.testing.assert_allclose(found, 20 * np.log10(2 / 0.02), atol=0.3)  # 40 dB


@pytest.mark.parametrize("motion", MOTIONS)
def test_the_wrong_direction_is_told_apart(motion):
    class Backwards(Waves):
        def synthesis(self, ws, noise="const", seed=0, transform=None):
            transform = None if transform is None else np.linalg.inv(transform)
            return super().synthesis(ws, transform=transform)

    assert equivariance(Backwards(6), motion, samples=4) < 25


def test_a_rotation_by_a_right_angle_permutes_pixels():
    image = np.random.RandomState(0).randn(32, 32, 2)
    turned = np.rot90(image)  # anticlockwise; y points down
    wanted, found, mask = COMPARE["rotation"](image, turned, -np.pi / 2)
    assert mask.sum() > 100
    np.testing.assert_allclose(wanted[mask], found[mask], rtol=0, atol=1e-6)
    wanted, found, mask = COMPARE["rotation"](image, turned, np.pi / 2)
    assert np.abs(wanted - found)[mask].max() > 1


def test_a_translation_by_whole_pixels_copies_them():
    image = np.random.RandomState(0).randn(16, 16, 3)
    wanted, _, mask = COMPARE["integer_translation"](image, image, np.array([2 / 16, -1 / 16]))
    np.testing.assert_array_equal(wanted[:-1, 2:], image[1:, :-2])
    assert mask.sum() == 15 * 14 and mask[0, 2] and not mask[-1].any() and not mask[:, :2].any()


# --- networks


class Aliased(StyleGenerator):
    """StyleGAN2's way with the same input: no filters, pointwise leaky ReLU, padding."""

    def __init__(self, size=32, width=16):
        keras.layers.Layer.__init__(self)
        self.image_size, self.latent_dim = size, 8
        self.features = FourierFeatures(width, size // 4, size // 4, 2.0)
        self.convolutions = [
            keras.layers.Conv2D(width, 3, padding="same", kernel_initializer="he_normal")
            for _ in range(6)
        ]
        self.image = keras.layers.Conv2D(3, 1)

    def mapping(self, z, labels=None, truncation=1.0, truncation_cutoff=None):
        return tf.constant(z)[:, tf.newaxis]

    def synthesis(self, ws, noise="const", seed=0, transform=None):
        x = self.features(ws[:, 0], transform=transform)
        for i, layer in enumerate(self.convolutions):
            if i in (2, 4):
                x = tf.image.resize(x, [2 * n for n in x.shape[1:3]], "nearest")
            x = 2**0.5 * tf.nn.leaky_relu(layer(x), 0.2)
        return self.image(x)


@pytest.fixture(scope="module")
def alias_free():
    keras.utils.set_random_seed(0)
    return StyleGAN3Generator(32, 8, 8, channel_base=256, channel_max=16)


def unit_scale(generator):
    """Factor that brings images to a standard deviation of 0.3: the ratio depends on it."""
    images = generator.synthesis(generator.mapping(generator.latents(4, 0)))
    return 0.3 / float(np.std(images))


def ratio(generator, motion):
    """As for images of that deviation."""
    return equivariance(generator, motion, samples=6) - 20 * np.log10(unit_scale(generator))


@pytest.mark.parametrize("motion", ["integer_translation", "fractional_translation"])
def test_stylegan3_is_equivariant_and_a_plain_network_is_not(alias_free, motion):
    keras.utils.set_random_seed(0)
    good, bad = ratio(alias_free, motion), ratio(Aliased(), motion)
    assert good > bad + 15 and good > 35, (good, bad)


# --- faults


@pytest.mark.parametrize(
    "arguments,words",
    [
        (("generator",), "StyleGenerator.*str"),
        ((Waves(4), "shear"), "shear"),
        ((Waves(4), "rotation", 0), "samples"),
        ((Waves(2, size=8), "rotation", 1), "no pixel.*larger"),
    ],
)
def test_faults_are_named(arguments, words):
    generator, *rest = arguments
    options = dict(zip(("motion", "samples"), rest))
    with pytest.raises(MetricError, match=words):
        equivariance(generator, **options)
