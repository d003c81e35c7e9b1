"""Errors of reconstructions, from pictures whose differences are known."""

import numpy as np
import pytest

from ganzoo.errors import MetricError, TooFewSamplesError
from ganzoo.metrics.reconstruction import cycle_error, l1, lpips, psnr

BLACK = np.zeros((4, 8, 6, 3), "uint8")


def shifted(*by):
    return BLACK + np.array(by, "uint8")[:, np.newaxis, np.newaxis, np.newaxis]


def test_l1_is_the_mean_difference_whatever_its_sign():
    found = l1([(BLACK + np.uint8(100), shifted(90, 110, 100, 104))])
    assert found.mean == 6.0 and found.count == 4 and found.equal == 1
    assert found.standard_error == pytest.approx(np.std([10, 10, 0, 4], ddof=1) / 2)


def test_batches_of_any_size_give_the_same():
    pairs = BLACK, shifted(1, 2, 3, 4)
    parts = [(a[i : i + 1], b[i : i + 1]) for a, b in [pairs] for i in range(4)]
    assert l1([pairs]) == l1(parts) and psnr([pairs]) == psnr(parts)


def test_psnr_of_a_shift_by_s_is_20_log_255_over_s():
    found = psnr([(BLACK, shifted(1, 5, 25, 255))])
    assert found.mean == pytest.approx(np.mean(20 * np.log10(255 / np.array([1, 5, 25, 255]))))


def test_equal_images_have_no_finite_ratio():
    found = psnr([(BLACK, shifted(0, 0, 5, 5))])
    assert (found.count, found.equal) == (4, 2)
    assert found.mean == pytest.approx(20 * np.log10(51))
    alone = psnr([(BLACK, BLACK)])
    assert alone.mean == np.inf and alone.equal == alone.count == 4


def test_lpips_is_the_mean_of_the_network():
    found = lpips([(BLACK, shifted(0, 1, 2, 3))] * 2, lambda a, b: np.float32(b[:, 0, 0, 0]) / 10)
    assert found.mean == pytest.approx(0.15) and found.equal == 2 and found.count == 8


def test_a_cycle_compares_with_the_beginning():
    def there(x):
        return x + np.uint8(7)

    def back(x):
        return x - np.uint8(5)

    assert cycle_error([BLACK, BLACK], there, back).mean == 2.0
    assert cycle_error([BLACK], there, lambda x: x - np.uint8(7)).equal == 4


@pytest.mark.parametrize("metric", [l1, psnr, lambda pairs: lpips(pairs, None)])
def test_faulty_pairs_are_refused(metric):
    with pytest.raises(TooFewSamplesError, match="empty"):
        metric([])
    with pytest.raises(MetricError, match="one shape"):
        metric([(BLACK, BLACK[:2])])
    with pytest.raises(MetricError, match=r"\[0, 1\]"):
        metric([(BLACK, BLACK / 255.0)])
