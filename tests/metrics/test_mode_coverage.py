import math

import numpy as np
import pytest

from ganzoo import data
from ganzoo.errors import MetricError, NonFiniteError, TooFewSamplesError
from ganzoo.metrics.mode_coverage import label_coverage, mixture_coverage


def sure(labels, classes=4, share=0.97):
    probabilities = np.full((len(labels), classes), (1 - share) / (classes - 1))
    probabilities[np.arange(len(labels)), labels] = share
    return probabilities


def test_a_mixture_is_scored_as_its_data_module_does():
    mixture = data.ring(8)
    samples = mixture.sample(2000, seed=1)
    found = mixture_coverage(samples, mixture)
    assert {**data.score(samples, mixture), "possible": 8} == vars(found)
    assert found.modes == 8 and found.high_quality == pytest.approx(0.989, abs=0.01)
    with pytest.raises(NonFiniteError):
        mixture_coverage(samples * np.nan, mixture)


def test_even_labels_cover_everything():
    found = label_coverage(sure(np.arange(40) % 4))
    assert (found.modes, found.possible, found.high_quality) == (4, 4, 1.0)
    assert found.kl == pytest.approx(0.0, abs=1e-12)


def test_one_label_is_one_mode():
    found = label_coverage(sure(np.zeros(40, int)))
    assert found.modes == 1 and found.kl == pytest.approx(math.log(4))


def test_a_sample_of_no_clear_class_counts_for_none():
    probabilities = np.concatenate([sure([0, 0, 1, 1]), [[0.1, 0.1, 0.4, 0.4]]])
    found = label_coverage(probabilities)
    assert found.modes == 2 and found.high_quality == pytest.approx(0.8)
    assert found.kl == pytest.approx(math.log(2))
    everything = label_coverage(probabilities, confidence=0.0)
    assert everything.modes == 3 and everything.high_quality == 1.0


def test_no_sample_of_high_quality_is_the_worst():
    found = label_coverage(np.full((10, 4), 0.25))
    assert (found.modes, found.high_quality) == (0, 0.0)
    assert found.kl == pytest.approx(math.log(4))


def test_the_divergence_is_from_the_expected_shares():
    labels = np.repeat([0, 1, 2, 3], [10, 20, 30, 40])
    assert label_coverage(sure(labels), expected=[0.1, 0.2, 0.3, 0.4]).kl == pytest.approx(0.0)
    assert label_coverage(sure(labels)).kl > 0.1
    missing = label_coverage(sure([1, 1, 3, 3]), expected=[0.1, 0.2, 0.3, 0.4])
    assert missing.kl == pytest.approx(math.log(0.5 / 0.2) / 2 + math.log(0.5 / 0.4) / 2)


@pytest.mark.parametrize("expected", [[0.5, 0.5], [0.0, 0.3, 0.3, 0.4], [0.5, 0.5, 0.5, 0.5]])
def test_faulty_shares(expected):
    with pytest.raises(MetricError, match="4 shares"):
        label_coverage(sure([0, 1]), expected=expected)


def test_faulty_input():
    with pytest.raises(MetricError, match="softmax"):
        label_coverage(10 * sure([0, 1]))
    with pytest.raises(MetricError, match="confidence=2"):
        label_coverage(sure([0, 1]), confidence=2)
    with pytest.raises(TooFewSamplesError):
        label_coverage(np.zeros((0, 4)))
