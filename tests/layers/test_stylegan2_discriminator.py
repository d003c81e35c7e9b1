"""StyleGAN2's discriminator apart from its family: architectures, labels, sizes, precision."""

import harness
import keras
import numpy as np
import pytest
import tensorflow as tf

from ganzoo.layers.stylegan2_discriminator import StyleGAN2Discriminator, block_policy, block_sizes


def make(**options):
    arguments = dict(
        channels=2, channel_base=64, channel_max=6, activation="softplus", conv_clamp=300.0,
        group_size=2, std_channels=2, taps=[1, 2, 1], half_precision_blocks=1,
    )
    return StyleGAN2Discriminator(16, **{**arguments, **options})


@pytest.mark.parametrize("architecture", ["resnet", "skip", "orig"])
@pytest.mark.parametrize(
    "labels",
    [
        {},
        dict(num_classes=3, projection_dim=5, mapping={"num_layers": 1}),
        dict(num_classes=3, conditioning="selection"),
    ],
)
def test_network(architecture, labels):
    network = make(architecture=architecture, **labels)
    harness.check_network(network)
    images = harness.images(4, 16, 2)
    inputs = (images, np.array([0, 2, 1, 1])) if labels else images
    assert network(inputs).shape == (4, 1)
    with harness.dtype_policy("mixed_bfloat16"):
        half = make(architecture=architecture, **labels)
    half.set_weights(network.get_weights())
    assert half(inputs).dtype == "float32"
    np.testing.assert_allclose(half(inputs), network(inputs), atol=0.2)


def test_both_kinds_of_labels():
    network = make(num_classes=3)
    images = harness.images(4, 16, 2)
    numbers = np.array([0, 2, 1, 1])
    vectors = np.eye(3, dtype="float32")[numbers]
    np.testing.assert_array_equal(network((images, numbers)), network([images, vectors]))
    with pytest.raises(ValueError, match="needs labels"):
        network(images)


def test_the_smallest_image_of_a_skip_is_not_clipped():
    keras.utils.set_random_seed(0)
    network, images = make(architecture="skip", conv_clamp=0.01), harness.images(2, 4, 2)
    blocks = {side: network.get_layer(f"b{side}") for side in (16, 8, 4)}
    assert np.abs(blocks[4].fromrgb(images)).max() > 0.1
    assert np.abs(blocks[8].fromrgb(harness.images(2, 8, 2))).max() <= 0.01


def test_derivatives():
    keras.utils.set_random_seed(0)
    network, images = make(), tf.constant(harness.images(4, 16, 2))
    harness.check_second_order(lambda xs: network(xs[0]), [images], tolerance=5e-2, step=0.1)


def test_half_precision_blocks():
    with harness.dtype_policy("mixed_float16"):
        policies = [block_policy(side, 64, 2) for side in block_sizes(64)]
        assert [p == "float32" for p in policies] == [True, True, True, False, False]
        assert block_policy(4, 4, 9) == "float32"
