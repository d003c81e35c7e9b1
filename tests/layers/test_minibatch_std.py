import numpy as np
import pytest
import tensorflow as tf
from harness import check_layer

from ganzoo.layers.minibatch_std import MinibatchStd


def data(*shape):
    return np.random.RandomState(0).randn(*shape).astype("float32")


@pytest.mark.parametrize(("group", "channels"), [(2, 1), (4, 2), (None, 3)])
def test_layer(group, channels):
    check_layer(
        lambda: MinibatchStd(group, channels, name="s"), data(4, 3, 2, 6), second_order=True
    )


@pytest.mark.parametrize(
    ("count", "group", "channels"), [(8, 4, 1), (8, 2, 3), (8, None, 2), (2, 4, 1), (6, 3, 6)]
)
def test_members_of_a_group_are_strided(count, group, channels):
    x = data(count, 3, 2, 6) * np.arange(1, count + 1).reshape(-1, 1, 1, 1)
    x = x.astype("float32")
    found = MinibatchStd(group, channels)(x).numpy()
    np.testing.assert_array_equal(found[..., :6], x)
    groups = count // min(group or count, count)
    for n in range(count):
        members = x[n % groups :: groups]
        std = np.sqrt(members.var(axis=0) + 1e-8)
        for f in range(channels):
            part = std[..., f * 6 // channels : (f + 1) * 6 // channels]
            np.testing.assert_allclose(found[n, ..., 6 + f], part.mean(), rtol=1e-5)


def test_any_batch_inside_a_graph():
    layer = MinibatchStd(4)
    run = tf.function(layer, input_signature=[tf.TensorSpec((None, 3, 3, 2))])
    for count in (1, 4, 8):
        x = data(count, 3, 3, 2)
        np.testing.assert_allclose(run(x), layer(x), rtol=1e-6)


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: MinibatchStd(1, 0), "channels=0"),
        (lambda: MinibatchStd(0), "group_size=0"),
        (lambda: MinibatchStd(-1), "group_size=-1"),
        (lambda: MinibatchStd(2, 4)(data(2, 2, 2, 6)), "channels=4"),
        (lambda: MinibatchStd(4)(data(6, 2, 2, 6)), "6 images"),
    ],
)
def test_sizes_must_divide(make, match):
    with pytest.raises(ValueError, match=match):
        make()
