"""csinva's MNIST GAN: the published files give the published numbers."""

import pickle

import numpy as np
import pytest
import tensorflow as tf

import ganzoo
from ganzoo.checkpoints import reader
from ganzoo.convert import csinva
from ganzoo.families.vanilla_gan import VanillaGAN

FOLDER = "checkpoints/csinva_mnist"
# Made with torch from RandomState(0).randn(4, 64).
MEANS = [-0.673131, -0.866068, -0.843361, -0.833151]
STDS = [0.687881, 0.442976, 0.499172, 0.515851]
REAL = [0.265997, 0.111121, 0.064179, 0.103233]  # sigmoid of the discriminator
# Digits of 10,000 images from RandomState(1), as the publisher's LeNet reads them.
DIGITS = [816, 3333, 226, 576, 689, 345, 441, 1688, 396, 1490]


@pytest.fixture(scope="module")
def gan(request, tmp_path_factory):
    """Both published networks, from one file that holds the two."""
    folder = request.getfixturevalue("shared") / FOLDER
    tree = {player: reader.load(folder / f"{player}--300.ckpt") for player in "GD"}
    tree = {player: {k: np.array(v) for k, v in part.items()} for player, part in tree.items()}
    path = tmp_path_factory.mktemp("csinva") / "both.pt"
    path.write_bytes(pickle.dumps(tree, protocol=2))
    return ganzoo.load(path)


def latents(count, seed):
    return np.random.RandomState(seed).randn(count, 64).astype("float32")


def test_generator_file(shared):
    gan = ganzoo.load(shared / FOLDER / "G--300.ckpt")
    assert isinstance(gan, VanillaGAN) and gan.config["widths"] == (256, 256)
    assert gan.provenance["discriminator"] == "initial weights"
    images = gan.generator(latents(4, 0)).numpy()
    np.testing.assert_allclose(images.mean((1, 2, 3)), MEANS, rtol=0, atol=2e-6)
    np.testing.assert_allclose(images.std((1, 2, 3)), STDS, rtol=0, atol=2e-6)
    assert gan.generate(2).shape == (2, 28, 28, 1)


def test_discriminator_file(shared, gan):
    alone = ganzoo.load(shared / FOLDER / "D--300.ckpt")
    assert alone.provenance["generator"] == "initial weights"
    images = gan.generator(latents(4, 0))
    for model in (alone, gan):
        real = tf.sigmoid(model.discriminator(images)).numpy()
        np.testing.assert_allclose(real.ravel(), REAL, rtol=0, atol=2e-6)


def test_digits_of_ten_thousand_images(shared, gan):
    images = gan.generator(latents(10_000, 1))
    weights = reader.load(shared / FOLDER / "lenet_epoch=12_test_acc=0.991.pth")
    found = np.bincount(lenet((images + 1) / 2, weights), minlength=10)
    assert np.abs(found - DIGITS).sum() <= 4, found  # two images on an edge between digits


def lenet(images, weights):
    """Digits that the publisher's classifier sees in images [B, 28, 28, 1] in [0, 1]."""
    x = tf.image.resize(images, (32, 32))  # bilinear, half-pixel centres
    for name in ("c1", "c3", "c5"):
        kernel = np.transpose(weights[f"convnet.{name}.weight"], (2, 3, 1, 0))
        x = tf.nn.relu(tf.nn.conv2d(x, kernel, 1, "VALID") + weights[f"convnet.{name}.bias"])
        x = x if name == "c5" else tf.nn.max_pool2d(x, 2, 2, "VALID")
    x = tf.nn.relu(tf.reshape(x, (-1, 120)) @ weights["fc.f6.weight"].T + weights["fc.f6.bias"])
    x = x @ weights["fc.f7.weight"].T + weights["fc.f7.bias"]
    return tf.argmax(x, 1).numpy()


def linears(*widths):
    pairs = enumerate(zip(widths, widths[1:]))
    found = {f"{2 * i}.weight": np.zeros((b, a)) for i, (a, b) in pairs}
    return found | {f"{2 * i}.bias": np.zeros(b) for i, b in enumerate(widths[1:])}


def test_sizes_are_inferred():
    part = csinva.recognise(linears(5, 6, 7, 8, 100))
    assert (part.network, part.config["shape"], part.config["latent_dim"]) == (
        "generator", (10, 10, 1), 5,
    )
    assert part.config["widths"] == (6, 7, 8)
    part = csinva.recognise(linears(100, 6, 7, 1))
    assert (part.network, part.config["shape"]) == ("discriminator", (10, 10, 1))
    assert part.config["discriminator_widths"] == (6, 7)


@pytest.mark.parametrize(
    "arrays",
    [
        {},
        linears(5, 100),
        linears(784, 256, 10),
        linears(784, 256, 9),
        linears(783, 256, 1),
        linears(5, 6, 100) | {"4.weight": np.zeros((100, 7))},
        linears(5, 6, 100) | {"2.weight": np.zeros((100, 7))},
        linears(5, 6, 100) | {"2.weight": np.zeros((100, 6, 1, 1))},
        {f"main.{name}": value for name, value in linears(5, 6, 100).items()},
    ],
)
def test_other_layouts_are_left_alone(arrays):
    assert csinva.recognise(arrays) is None
