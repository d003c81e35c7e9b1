import keras
import numpy as np
import tensorflow as tf
from harness import check_layer, two_replicas

from ganzoo.layers.dropout import Dropout


def test_layer():
    check_layer(lambda: Dropout(0.3, name="drop"), np.ones((4, 5), "float32"), training=False)


def test_share_and_scale():
    y = Dropout(0.2, name="drop")(tf.ones((100, 200)), training=True).numpy()
    np.testing.assert_allclose((y == 0).mean(), 0.2, atol=0.01)
    np.testing.assert_allclose(y.max(), 1.25, rtol=1e-6)


def test_two_calls_differ():
    drop = Dropout(0.5, name="drop")
    a, b = (drop(tf.ones((9, 9)), training=True).numpy() for _ in range(2))
    assert (a != b).any()


def test_no_mask_outside_training():
    x = np.random.RandomState(0).randn(3, 4).astype("float32")
    np.testing.assert_array_equal(Dropout(0.5, name="drop")(x), x)
    np.testing.assert_array_equal(Dropout(0.0, name="drop")(x, training=True), x)


def test_saved_state(tmp_path):
    def make():
        model = keras.Sequential([keras.Input((50,)), Dropout(0.5, name="drop")])
        return model

    model, other = make(), make()
    x = tf.ones((4, 50))
    model(x, training=True)
    model.save_weights(tmp_path / "m.weights.h5")
    other.load_weights(tmp_path / "m.weights.h5")
    np.testing.assert_array_equal(model(x, training=True), other(x, training=True))


def test_replicas_have_masks_of_their_own():
    strategy = two_replicas()
    with strategy.scope():
        drop = Dropout(0.5, name="drop")
        drop.build((None, 50))
    run = tf.function(lambda: strategy.run(lambda: drop(tf.ones((4, 50)), training=True)))
    for _ in range(2):
        a, b = (x.numpy() for x in strategy.experimental_local_results(run()))
        assert 20 < (a != b).sum() < 180
