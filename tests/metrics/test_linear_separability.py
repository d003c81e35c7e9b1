import numpy as np
import pytest

from ganzoo.errors import MetricError, TooFewSamplesError
from ganzoo.metrics.linear_separability import (
    conditional_entropy,
    linear_separability,
    linear_svm,
    surest,
)


def by_least_squares(latents, classes):
    """A linear cut without a library."""
    inputs = np.column_stack([latents, np.ones(len(latents))])
    weights = np.linalg.lstsq(inputs, 2.0 * classes - 1, rcond=None)[0]
    return (inputs @ weights > 0).astype(np.int64)


def attribute(logits):
    probability = 1 / (1 + np.exp(-logits))
    return np.stack([probability, 1 - probability], axis=1)


def test_entropies_of_tables():
    assert conditional_entropy([0, 0, 1, 1], [0, 0, 1, 1]) == 0.0
    assert conditional_entropy([0, 0, 1, 1], [1, 1, 0, 0]) == 0.0
    assert conditional_entropy([0, 1, 0, 1], [0, 0, 1, 1]) == pytest.approx(np.log(2))
    # Side 0 holds 3 + 1 samples, side 1 holds 4 of one class.
    found = conditional_entropy([0] * 4 + [1] * 4, [0, 0, 0, 1, 1, 1, 1, 1])
    quarter = -(0.75 * np.log(0.75) + 0.25 * np.log(0.25))
    assert found == pytest.approx(quarter / 2)


def test_bits_and_nats_give_one_score():
    # StyleGAN's code: 2 to the sum of H(Y) - I(X; Y) in bits.
    random = np.random.default_rng(0)
    decisions, classes = random.integers(0, 2, (2, 50))
    joint = np.histogram2d(decisions, classes, bins=2)[0] / 50
    x, y = joint.sum(axis=1), joint.sum(axis=0)
    bits = -(y * np.log2(y)).sum() - (joint * np.log2(joint / np.outer(x, y))).sum()
    assert np.exp(conditional_entropy(decisions, classes)) == pytest.approx(2**bits)


def test_a_linear_attribute_is_free_and_a_round_one_is_not():
    latents = np.random.default_rng(0).standard_normal((2000, 3))
    attributes = {
        "linear": attribute(5 * latents[:, 0]),
        "round": attribute(5 * (np.square(latents).sum(axis=1) - 2.4)),
    }
    found = linear_separability(latents, attributes, keep=1000, separate=by_least_squares)
    assert found.entropies["linear"] < 0.05
    assert 0.4 < found.entropies["round"] <= np.log(2)
    assert found.score == pytest.approx(np.exp(sum(found.entropies.values())))


def test_only_the_surest_are_kept():
    latents = np.random.default_rng(0).standard_normal((400, 2))
    noisy = 8 * latents[:, 0] * (np.abs(latents[:, 0]) > 0.7) - 0.1 * np.sign(latents[:, 0])
    attributes = {"a": attribute(noisy)}
    few = linear_separability(latents, attributes, keep=100, separate=by_least_squares)
    every = linear_separability(latents, attributes, keep=400, separate=by_least_squares)
    assert few.score == pytest.approx(1.0) and every.score > 1.3
    assert surest(np.float64([[0.5, 0.5], [0.1, 0.9], [0.8, 0.2]]), 2).tolist() == [1, 2]


def test_one_class_counts_as_separated():
    latents = np.zeros((10, 2))
    found = linear_separability(latents, {"a": attribute(np.ones(10))}, keep=5, separate=None)
    assert found.score == 1.0


def test_the_svm_of_the_paper():
    pytest.importorskip("sklearn")
    latents = np.random.default_rng(0).standard_normal((200, 3))
    classes = (latents[:, 1] > 0).astype(int)
    assert (linear_svm(latents, classes) == classes).mean() > 0.95


def test_faulty_input():
    latents, attributes = np.zeros((10, 2)), {"smile": attribute(np.arange(10.0))}
    with pytest.raises(TooFewSamplesError, match="keep=11"):
        linear_separability(latents, attributes, keep=11, separate=by_least_squares)
    with pytest.raises(TooFewSamplesError, match="0 attributes"):
        linear_separability(latents, {}, keep=5, separate=by_least_squares)
    with pytest.raises(MetricError, match=r"smile \(10, 2\) for 8 latents"):
        linear_separability(latents[:8], attributes, keep=5, separate=by_least_squares)
    with pytest.raises(MetricError, match="integers"):
        conditional_entropy([0.5, 0.5], [0, 1])
