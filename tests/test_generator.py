import keras
import numpy as np
import pytest
import tensorflow as tf

from ganzoo.generator import Generator, check_label_range, to_uint8


class Copy(Generator):
    """Latents [B, 4] to images [B, 2, 2, 1]; classes and attributes are added on."""

    def __init__(self, num_classes=0, num_attributes=0, prior="normal", size=4):
        z = keras.Input((size,))
        image = keras.layers.Reshape((2, 2, size // 4))(z)
        inputs = z
        if num_classes or num_attributes:
            if num_classes:
                label = add = keras.Input((), dtype="int32")
            else:
                label = keras.Input((num_attributes,))
                add = keras.ops.sum(label, -1)
            inputs = [z, label]
            image = image + keras.ops.reshape(keras.ops.cast(add, "float32"), (-1, 1, 1, 1))
        super().__init__(inputs, image)
        self.latent_dim, self.prior = size, prior
        self.num_classes, self.num_attributes = num_classes, num_attributes


def test_rounding():
    values = [-1.0, 1.0, 0.0, -0.5, 1e-7, 2.0, -2.0, 1 / 127.5, 0.5 / 127.5, -0.5 / 127.5]
    #                     127.5 rounds up
    expected = [0, 255, 128, 64, 128, 255, 0, 129, 128, 127]
    got = to_uint8(values)
    assert got.dtype == np.uint8
    np.testing.assert_array_equal(got, expected)
    codes = np.arange(256, dtype="uint8")
    np.testing.assert_array_equal(to_uint8(codes / 127.5 - 1.0), codes)


def test_latents_are_those_of_randomstate():
    z = Copy().latents(3, seed=5)
    assert z.dtype == np.float32
    np.testing.assert_array_equal(z, np.random.RandomState(5).randn(3, 4).astype("float32"))
    u = Copy(prior="uniform", size=400).latents(5, seed=5)
    assert -1 <= u.min() < -0.9 and 0.9 < u.max() <= 1


@pytest.mark.parametrize("prior, deviation", [("normal", 1.0), ("uniform", 3**-0.5)])
def test_draw(prior, deviation):
    generator = Copy(prior=prior, size=100)
    z = generator.draw(tf.constant(200), tf.constant([1, 2])).numpy()
    assert z.shape == (200, 100) and z.dtype == np.float32
    np.testing.assert_allclose([z.mean(), z.std()], [0, deviation], atol=0.02)
    np.testing.assert_array_equal(z, generator.draw(200, [1, 2]))
    assert np.abs(z - generator.draw(200, [1, 3])).min(axis=0).max() > 0


def test_generate_is_the_rounded_output_for_any_batch_size():
    generator = Copy()
    expected = to_uint8(generator.latents(7, 3).reshape(7, 2, 2, 1))
    for batch_size in (1, 3, 7, 100):
        got = generator.generate(7, seed=3, batch_size=batch_size)
        assert got.dtype == np.uint8
        np.testing.assert_array_equal(got, expected)
    np.testing.assert_array_equal(generator.generate(seed=3), generator.generate(1, seed=3))


def test_own_latents():
    z = np.random.RandomState(0).randn(5, 4)
    got = Copy().generate(latents=z)
    np.testing.assert_array_equal(got, to_uint8(z.reshape(5, 2, 2, 1)))


def test_labels_in_turn():
    generator, z = Copy(num_classes=3), np.zeros((5, 4))
    expect = lambda labels: to_uint8(np.reshape(labels, (-1, 1, 1, 1)) + np.zeros((5, 2, 2, 1)))  # noqa: E731
    np.testing.assert_array_equal(generator.generate(latents=z), expect([0, 1, 2, 0, 1]))
    np.testing.assert_array_equal(generator.generate(latents=z, labels=2), expect([2] * 5))
    np.testing.assert_array_equal(
        generator.generate(latents=z, labels=[1, 0, 2, 2, 1]), expect([1, 0, 2, 2, 1])
    )
    assert generator.generate(labels=[1, 0]).shape == (2, 2, 2, 1)


def test_attributes():
    generator, z = Copy(num_attributes=2), np.zeros((3, 4))
    one = generator.generate(latents=z, labels=[0.25, 0.25])
    np.testing.assert_array_equal(one, to_uint8(np.full((3, 2, 2, 1), 0.5)))
    rows = np.array([[0, 0], [0.5, 0], [0.5, 0.5]])
    got = generator.generate(latents=z, labels=rows)
    np.testing.assert_array_equal(got[:, 0, 0, 0], to_uint8([0, 0.5, 1]))


@pytest.mark.parametrize(
    "make, arguments, message",
    [
        (Copy, dict(count=0), "count=0"),
        (Copy, dict(count=True), "count=True"),
        (Copy, dict(count=2.0), "count=2.0"),
        (Copy, dict(count=2, batch_size=0), "batch_size=0"),
        (Copy, dict(count=2, seed=-1), "seed=-1"),
        (Copy, dict(count=2, seed=2**32), "seed=4294967296"),
        (Copy, dict(count=2, seed=1.5), "seed=1.5"),
        (Copy, dict(count=2, latents=np.zeros((3, 4))), r"\(2, 4\).*\(3, 4\)"),
        (Copy, dict(latents=np.zeros((3, 5))), r"\(3, 4\).*\(3, 5\)"),
        (Copy, dict(count=2, truncation=0.5), r"Copy.generate has no options.*truncation"),
        (lambda: Copy(3), dict(count=2, labels=[0, 3]), r"\[0, 3\).*Received: 3"),
        (lambda: Copy(3), dict(count=2, labels=-1), r"Received: -1"),
        (lambda: Copy(3), dict(count=2, labels=[0, 1, 2]), r"\(2,\).*shape \(3,\)"),
        (lambda: Copy(3), dict(count=2, labels=[0.0, 1.0]), "float64"),
        (lambda: Copy(0, 2), dict(count=2), r"\(2, 2\).*labels=None"),
        (lambda: Copy(0, 2), dict(count=2, labels=np.zeros((2, 3))), r"\(2, 2\).*shape \(2, 3\)"),
    ],
)
def test_wrong_arguments(make, arguments, message):
    with pytest.raises(ValueError, match=message):
        make().generate(**arguments)


def test_unconditional_network_refuses_labels():
    with pytest.raises(ValueError, match="labels"):
        Copy().generate(2, labels=[0, 1])


def test_label_range():
    check_label_range(np.array([0, 2]), 3)
    with pytest.raises(ValueError, match="3 classes. Received: 7"):
        check_label_range(np.array([[0, 7], [9, 1]]), 3)
