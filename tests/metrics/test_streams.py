"""What a generator draws as a stream, and which labels it draws with."""

import numpy as np
import pytest

from ganzoo.errors import MetricError
from ganzoo.families.cgan import CGAN
from ganzoo.metrics.streams import at_random, extract, in_turn, samples


def network(**sizes):
    return CGAN(8, 4, 4, **{"num_classes": 0, "networks": "conv", **sizes}).generator


@pytest.fixture(scope="module")
def attributes():
    return network(num_attributes=3)


def test_samples_do_not_depend_on_the_batch_size():
    gan = CGAN(8, 4, 4, num_classes=3)
    few, many = (
        [*zip(*samples(gan.generator, 10, batch_size=size, seed=7))] for size in (3, 10)
    )
    np.testing.assert_array_equal(np.concatenate(few[1]), np.arange(10) % 3)
    np.testing.assert_array_equal(np.concatenate(few[0]), np.concatenate(many[0]))


def test_classes_and_attributes_come_in_turn(attributes):
    np.testing.assert_array_equal(in_turn(network(num_classes=3), 5), [0, 1, 2, 0, 1])
    labels = in_turn(attributes, 5)
    np.testing.assert_array_equal(labels, np.eye(3)[[0, 1, 2, 0, 1]])
    assert labels.dtype == np.float32


def test_labels_are_drawn_as_path_lengths_always_did(attributes):
    expected = np.random.RandomState(4).randint(0, 3, 9)
    labels = at_random(network(num_classes=3), 9, np.random.RandomState(4))
    np.testing.assert_array_equal(labels, expected)
    assert labels.dtype == np.int32
    several = at_random(attributes, 9, np.random.RandomState(4))
    assert several.shape == (9, 3) and set(several.flat) == {0.0, 1.0}


def test_an_unconditional_network_takes_no_labels():
    from ganzoo.families.vanilla_gan import VanillaGAN

    generator = VanillaGAN((2,), 4, (8,), output="linear").generator
    assert in_turn(generator, 3) is at_random(generator, 3, np.random.RandomState(0)) is None
    assert [batch.shape for batch in samples(generator, 5, batch_size=3)] == [(3, 2), (2, 2)]


def test_samples_of_attributes_are_those_of_generate(attributes):
    images, labels = map(np.concatenate, zip(*samples(attributes, 7, batch_size=3, seed=2)))
    np.testing.assert_array_equal(labels, in_turn(attributes, 7))
    np.testing.assert_array_equal(images, attributes.generate(7, labels=labels, seed=2))


def test_attributes_are_no_classes(attributes):
    assert extract(samples(attributes, 4), None, ["images"]).count == 4
    with pytest.raises(MetricError, match=r"attributes are none.*\(4, 3\)"):
        extract(samples(attributes, 4), None, ["images", "labels"])
