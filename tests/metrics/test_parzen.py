import numpy as np
import pytest

from ganzoo.errors import MetricError, TooFewSamplesError
from ganzoo.metrics import arrays
from ganzoo.metrics.parzen import log_likelihoods, parzen_likelihood


def draw(count, seed, dimension=3):
    return np.random.default_rng(seed).random((count, dimension))


def test_equals_the_density_in_tiles(monkeypatch):
    monkeypatch.setattr(arrays, "TILE_ROWS", 4)
    monkeypatch.setattr(arrays, "TILE_COLUMNS", 5)
    samples, points, sigmas = draw(13, 0), draw(9, 1), [0.1, 0.5]
    found = log_likelihoods(samples, points, sigmas)
    squared = np.square(points[:, np.newaxis] - samples).sum(axis=-1)
    for index, sigma in enumerate(sigmas):
        density = np.exp(-squared / (2 * sigma**2)) / (2 * np.pi * sigma**2) ** 1.5
        np.testing.assert_allclose(found[:, index], np.log(density.mean(axis=1)))


def test_far_points_stay_finite():
    found = log_likelihoods(np.zeros((4, 784)), np.full((2, 784), 100.0), [0.1])
    expected = -(784 * 100**2) / (2 * 0.01) - 784 * np.log(0.1 * np.sqrt(2 * np.pi))
    np.testing.assert_allclose(found, expected)


def test_sigma_is_chosen_on_the_validation_set():
    samples, validation, test = draw(200, 0), draw(60, 1), draw(50, 2)
    sigmas = (0.01, 0.1, 1.0)
    found = parzen_likelihood(samples, validation, test, sigmas=sigmas)
    means = log_likelihoods(samples, validation, sigmas).mean(axis=0)
    assert found.sigma == sigmas[means.argmax()] == 0.1
    values = log_likelihoods(samples, test, [0.1])[:, 0]
    assert found.mean == pytest.approx(values.mean())
    assert found.standard_error == pytest.approx(values.std() / np.sqrt(50))


def test_the_right_distribution_is_likelier():
    validation, test = draw(60, 1), draw(60, 2)
    good = parzen_likelihood(draw(300, 0), validation, test).mean
    collapsed = parzen_likelihood(0.05 * draw(300, 0), validation, test).mean
    assert good > collapsed


def test_faulty_input():
    with pytest.raises(MetricError, match="above 0"):
        log_likelihoods(draw(3, 0), draw(3, 1), [0.0])
    with pytest.raises(MetricError, match="`points` needs 3 dimensions"):
        log_likelihoods(draw(3, 0), draw(3, 1, 4), [0.1])
    with pytest.raises(TooFewSamplesError, match="`samples`"):
        parzen_likelihood(np.zeros((0, 3)), draw(3, 1), draw(3, 1))
