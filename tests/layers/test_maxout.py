import keras
import numpy as np
import pytest
from harness import check_layer

from ganzoo.layers.maxout import Maxout


def test_layer():
    x = np.random.RandomState(0).randn(5, 7).astype("float32")
    layer = check_layer(
        lambda: Maxout(3, 4, kernel_initializer=keras.initializers.RandomNormal(), name="m"),
        x, second_order=True,
    )
    assert [tuple(w.shape) for w in layer.weights] == [(7, 12), (12,)]


def test_values():
    layer = Maxout(2, 3, name="m")
    layer.build((None, 1))
    kernel = np.array([[1, -1, 0, 2, 0, -3]], "float32")
    bias = np.array([0, 0, 0.5, 0, 1, 0], "float32")
    layer.set_weights([kernel, bias])
    # unit 0: max(x, -x, 0.5); unit 1: max(2 x, 1, -3 x)
    np.testing.assert_allclose(
        layer(np.array([[2.0], [-1.0], [0.1]], "float32")), [[2, 4], [1, 3], [0.5, 1]], rtol=1e-6
    )


def test_one_unit_at_least():
    with pytest.raises(ValueError, match="units=0"):
        Maxout(0, 5)
