import numpy as np
from harness import check_layer

from ganzoo.layers.pixel_norm import PixelNorm


def test_layer():
    x = np.random.RandomState(0).randn(2, 3, 4, 5).astype("float32")
    check_layer(lambda: PixelNorm(1e-4, name="p"), x, second_order=True)


def test_vectors_get_a_mean_square_of_one():
    x = 7 * np.random.RandomState(0).randn(3, 4, 4, 64).astype("float32")
    np.testing.assert_allclose(np.square(PixelNorm()(x)).mean(axis=-1), 1.0, rtol=1e-5)
    assert PixelNorm()(np.zeros((1, 2), "float32")).numpy().tolist() == [[0.0, 0.0]]
