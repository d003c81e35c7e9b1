"""LPIPS against the recorded outputs of lpips 0.1.4, whose heads in the files are the real ones."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from ganzoo.checkpoints import reader
from ganzoo.convert import lpips as convert
from ganzoo.metrics.lpips import CHANNELS, LPIPS, SMALLEST

FOLDERS = {"alex": "10_lpips", "squeeze": "10_lpips", "vgg": "10_lpips_vgg"}
RELATIVE = 1e-4


@pytest.fixture(scope="module")
def case(shared):
    """backbone -> (network, images, images, recorded arrays), made once."""
    made = {}

    def get(backbone):
        if backbone not in made:
            folder = shared / "parity/classics" / FOLDERS[backbone]
            network = LPIPS(backbone)
            heads = reader.read(folder / f"lpips_{backbone}.pth")
            convert.fill(network, reader.read(folder / f"{backbone}_features.pth.xz"), heads)
            with np.load(folder / "golden.npz") as file:
                golden = dict(file)
            pair = (golden[key].transpose(0, 2, 3, 1) for key in ("img0", "img1"))
            made[backbone] = (network, *pair, golden)
        return made[backbone]

    return get


@pytest.mark.parametrize("backbone", FOLDERS)
def test_every_recorded_distance(case, backbone):
    network, first, second, golden = case(backbone)
    layers = network.layer_distances(first, second)
    found = {f"{backbone}/layer{k}": layer for k, layer in enumerate(layers)}
    found[f"{backbone}/lpips"] = network(first, second)
    assert set(found) == {key for key in golden if key.startswith(backbone)}
    for key, value in found.items():
        np.testing.assert_allclose(value, golden[key].ravel(), rtol=RELATIVE, err_msg=key)


@pytest.mark.parametrize("backbone", FOLDERS)
def test_it_is_a_distance(case, backbone):
    network, first, second, _ = case(backbone)
    np.testing.assert_array_equal(network(first, first), 0)
    np.testing.assert_allclose(network(first, second), network(second, first), rtol=1e-6)
    assert (network(first, second).numpy() > 0).all()


def test_an_embeddings_squared_distance_is_lpips(case):
    network, first, second, golden = case("alex")
    a, b = (network.embedding(images).numpy() for images in (first, second))
    squared = np.square(a - b).sum(1)
    np.testing.assert_allclose(squared, golden["alex/lpips"].ravel(), rtol=RELATIVE)


def test_pairs_do_not_mix(case):
    network, first, second, golden = case("squeeze")
    np.testing.assert_allclose(
        network(first[::-1], second[::-1]), golden["squeeze/lpips"].ravel()[::-1], rtol=RELATIVE
    )


def test_more_noise_is_farther(case):
    network, first, _, _ = case("vgg")
    noise = np.random.default_rng(0).normal(size=first.shape).astype("f4")
    near, far = (network(first, first + scale * noise).numpy() for scale in (0.02, 0.2))
    assert (near < far).all()


def test_its_gradient_is_finite_on_an_empty_image(case):
    network, first, _, _ = case("alex")
    images = tf.constant(first[:1])
    with tf.GradientTape() as tape:
        tape.watch(images)
        loss = network(images, tf.zeros_like(images)) + network(images * 0, images)
    gradient = tape.gradient(loss, images).numpy()
    assert np.isfinite(gradient).all() and gradient.any()


def test_a_map_of_zeros_has_a_gradient():
    head = keras.saving.deserialize_keras_object({"class_name": "ganzoo>Head", "config": {}})
    maps = tf.zeros((1, 2, 2, 3))
    with tf.GradientTape() as tape:
        tape.watch(maps)
        loss = tf.reduce_sum(head(maps))
    assert np.isfinite(tape.gradient(loss, maps).numpy()).all()


def test_it_is_not_trained(case):
    network = case("alex")[0]
    assert not network.trainable_weights and len(network.weights) == 15


@pytest.mark.parametrize("backbone", CHANNELS)
def test_the_smallest_image(backbone):
    network, size = LPIPS(backbone), SMALLEST[backbone]
    images = np.zeros((1, size, size, 3), "f4")
    assert network(images, images).shape == (1,)
    with pytest.raises(ValueError, match=f"at least {size} pixels"):
        network(images[:, 1:], images[:, 1:])


@pytest.mark.parametrize("backbone", CHANNELS)
def test_there_is_a_map_for_each_head(backbone):
    maps = LPIPS(backbone).features(np.zeros((1, 35, 36, 3), "f4"))
    assert tuple(m.shape[-1] for m in maps) == CHANNELS[backbone]
    sides = [m.shape[1:3] for m in maps]
    expected = {
        "alex": [(8, 8), (3, 3), (1, 1), (1, 1), (1, 1)],
        "vgg": [(35, 36), (17, 18), (8, 9), (4, 4), (2, 2)],
        # the pools' windows may reach over the border: 17 -> 8 -> 4 -> 2
        "squeeze": [(17, 17), (8, 8), (4, 4), (2, 2), (2, 2), (2, 2), (2, 2)],
    }
    assert sides == expected[backbone]


def test_the_users_policy_does_not_matter():
    images = np.random.default_rng(0).uniform(-1, 1, (1, 32, 32, 3)).astype("f4")
    keras.config.set_dtype_policy("mixed_float16")
    try:
        distance = LPIPS("squeeze")(images, -images)
    finally:
        keras.config.set_dtype_policy("float32")
    assert distance.dtype == tf.float32


def test_shapes_must_agree():
    images = np.zeros((1, 32, 32, 3), "f4")
    with pytest.raises(ValueError, match=r"\(1, 32, 32, 3\) and \(1, 33, 32, 3\)"):
        LPIPS("squeeze")(images, np.zeros((1, 33, 32, 3), "f4"))


def test_an_unknown_backbone():
    with pytest.raises(ValueError, match="backbone='resnet'"):
        LPIPS("resnet")


# The converter


def test_heads_of_another_backbone_are_refused(shared):
    folder = shared / "parity/classics/10_lpips"
    heads = reader.read(folder / "lpips_squeeze.pth")
    with pytest.raises(ValueError, match="head6/kernel(.|\n)*head1/kernel|lin"):
        convert.fill(LPIPS("alex"), reader.read(folder / "alex_features.pth.xz"), heads)


def test_another_backbone_is_refused(shared):
    folder = shared / "parity/classics/10_lpips"
    heads = reader.read(folder / "lpips_alex.pth")
    with pytest.raises(ValueError, match="features.3.squeeze.weight"):
        convert.fill(LPIPS("alex"), reader.read(folder / "squeeze_features.pth.xz"), heads)


def test_the_classifier_is_left_out(shared):
    folder = shared / "parity/classics/10_lpips"
    arrays = reader.read(folder / "squeeze_features.pth.xz")
    arrays["classifier.1.weight"] = np.zeros((1000, 512, 1, 1), "f4")
    convert.fill(LPIPS("squeeze"), arrays, reader.read(folder / "lpips_squeeze.pth"))


def test_negative_heads_are_refused(shared):
    folder = shared / "parity/classics/10_lpips"
    heads = reader.read(folder / "lpips_alex.pth")
    heads["lin2.model.1.weight"] = -heads["lin2.model.1.weight"]
    with pytest.raises(ValueError, match="lin2.model.1.weight"):
        convert.fill(LPIPS("alex"), reader.read(folder / "alex_features.pth.xz"), heads)
