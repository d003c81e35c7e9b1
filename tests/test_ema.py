import contextlib

import keras
import numpy as np
import pytest
from harness import assert_same_weights, batches, images, two_replicas

from ganzoo.ema import EMA
from ganzoo.families.dcgan import DCGAN


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({}, "exactly one.*decay=None, half_life_images=None"),
        (dict(decay=0.9, half_life_images=10), "exactly one.*decay=0.9"),
        (dict(decay=1.0), "decay=1.0"),
        (dict(decay=-0.1), "decay=-0.1"),
        (dict(half_life_images=0), "half_life_images=0"),
    ],
)
def test_wrong_arguments(wrong, message):
    with pytest.raises(ValueError, match=message):
        EMA(**wrong)


def test_decay():
    assert float(EMA(decay=0.99).decay_at(5, 8)) == np.float32(0.99)
    half = EMA(half_life_images=1000)
    np.testing.assert_allclose(half.decay_at(0, 1000), 0.5, rtol=1e-6)
    np.testing.assert_allclose(half.decay_at(10**9, 64), 0.5 ** (64 / 1000), rtol=1e-6)
    ramped = EMA(half_life_images=1000, rampup=0.05)
    np.testing.assert_allclose(ramped.decay_at(8000, 64), 0.5 ** (64 / 400), rtol=1e-6)
    np.testing.assert_allclose(ramped.decay_at(10**6, 64), 0.5 ** (64 / 1000), rtol=1e-6)
    np.testing.assert_allclose(ramped.decay_at(0, 64), 0.0, atol=1e-30)  # no old average yet


def test_config():
    ema = EMA(half_life_images=7, rampup=0.3)
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(ema))
    assert copy.get_config() == ema.get_config() == {
        "decay": None, "half_life_images": 7, "rampup": 0.3,
    }


def test_networks_that_do_not_match():
    small, large = (keras.Sequential([keras.Input((2,)), *layers]) for layers in (
        [keras.layers.Dense(3)], [keras.layers.Dense(3), keras.layers.Dense(3)],
    ))  # fmt: skip
    for pair in ((small, large), (large, small)):
        with pytest.raises(ValueError, match="zip"):
            EMA(decay=0.9).update_all([pair], 8, 8)


class Replica(keras.callbacks.Callback):
    """The average in NumPy."""

    def on_train_begin(self, logs=None):
        generator = self.model.generator
        self.average = [w.copy() for w in generator.get_weights()]
        self.trainable = [w.trainable for w in generator.weights]
        self.seen = 0

    def on_train_batch_end(self, batch, logs=None):
        self.seen += 8
        decay = 0.5 ** (8 / min(50, self.seen * 0.5))
        for i, w in enumerate(self.model.generator.get_weights()):
            moved = w + (self.average[i] - w) * decay
            self.average[i] = moved if self.trainable[i] else w


@pytest.mark.parametrize("replicas", [1, 2])
def test_equals_numpy(replicas):
    strategy = two_replicas() if replicas == 2 else None
    with strategy.scope() if strategy else contextlib.nullcontext():
        keras.utils.set_random_seed(0)
        gan = DCGAN(16, 5, 4, channels=1, ema=EMA(half_life_images=50, rampup=0.5))
        gan.compile(keras.optimizers.SGD(0.05), keras.optimizers.SGD(0.05))
    replica = Replica()
    gan.fit(batches(images(32, 16, 1), 6, 8), verbose=0, callbacks=[replica])
    assert replica.trainable.count(False) == 4  # two batch normalisations
    assert_same_weights(replica.average, gan.generator_ema.get_weights(), atol=1e-6)
    for w, a, trainable in zip(
        gan.generator.get_weights(), gan.generator_ema.get_weights(), replica.trainable
    ):
        assert (np.abs(w - a).max() > 1e-4) == trainable
    if strategy:
        for v, source in zip(gan.generator_ema.weights, gan.generator.weights):
            if source.trainable:
                a, b = (x.numpy() for x in strategy.experimental_local_results(v.value))
                np.testing.assert_array_equal(a, b)


def test_images_of_this_step_are_counted():
    seen = []

    class Spy(EMA):
        def update_all(self, pairs, images_seen, batch_size):
            seen.append((int(batch_size), int(images_seen)))
            super().update_all(pairs, images_seen, batch_size)

    gan = DCGAN(16, 5, 4, channels=1, ema=Spy(decay=0.5))
    gan.compile(run_eagerly=True)
    gan.fit(batches(images(8, 16, 1), 2, 4), verbose=0)
    assert seen == [(4, 4), (4, 8)]
