import numpy as np
import pytest

from ganzoo.errors import MetricError, NonFiniteError, TooFewSamplesError
from ganzoo.metrics.inception_score import inception_score, inception_score_of_probabilities


def test_sure_and_even_is_the_number_of_classes():
    logits = 1e4 * np.eye(7)[np.arange(70) % 7]
    assert inception_score(logits, splits=1).mean == pytest.approx(7.0, rel=1e-9)


def test_one_class_or_no_idea_is_one():
    collapsed = 1e4 * np.eye(7)[np.zeros(70, int)]
    assert inception_score(collapsed).mean == pytest.approx(1.0)
    assert inception_score(np.zeros((70, 7))).mean == pytest.approx(1.0)


def test_certain_probabilities_give_no_nan():
    found = inception_score_of_probabilities(np.eye(4)[np.arange(40) % 4], splits=2)
    assert found.mean == pytest.approx(4.0) and found.std == pytest.approx(0.0)


def test_splits_are_consecutive_and_deviations_named():
    logits = np.random.default_rng(0).standard_normal((25, 5))
    population = inception_score(logits, splits=3)
    expected = [inception_score(part, splits=1).mean for part in np.split(logits, [8, 16])]
    np.testing.assert_allclose(population.values, expected)
    assert population.std == pytest.approx(np.std(expected))
    sample = inception_score(logits, splits=3, reference="studiogan")
    assert sample.std == pytest.approx(np.std(expected, ddof=1)) and sample.mean == population.mean


def test_only_torch_fidelity_shuffles():
    logits = 3 * np.eye(5)[np.repeat(np.arange(5), 10)]
    stored = inception_score(logits, splits=5)
    shuffled = inception_score(logits, splits=5, reference="torch-fidelity")
    assert stored.mean == pytest.approx(1.0) and shuffled.mean > 1.5
    other = inception_score(logits, splits=5, reference="torch-fidelity", seed=1)
    assert other.mean != shuffled.mean


def test_a_constant_added_to_the_logits_changes_nothing():
    logits = np.random.default_rng(0).standard_normal((30, 5))
    moved = logits + 1e3 * np.arange(30)[:, np.newaxis]
    assert inception_score(moved).mean == pytest.approx(inception_score(logits).mean)


def test_faulty_input():
    logits = np.zeros((9, 4))
    with pytest.raises(TooFewSamplesError, match="9 samples, splits=10"):
        inception_score(logits)
    with pytest.raises(TooFewSamplesError, match="studiogan"):
        inception_score(logits, splits=1, reference="studiogan")
    with pytest.raises(MetricError, match="improved-gan"):
        inception_score(logits, splits=1, reference="mine")
    with pytest.raises(NonFiniteError):
        inception_score(np.full((9, 4), np.inf), splits=1)
    with pytest.raises(MetricError, match="softmax"):
        inception_score_of_probabilities(np.ones((9, 4)), splits=1)
    with pytest.raises(MetricError, match="splits=0"):
        inception_score(logits, splits=0)
