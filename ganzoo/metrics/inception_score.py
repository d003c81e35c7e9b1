"""Inception score: how sure a classifier is of each image, and how evenly it sees its classes."""

import dataclasses

import numpy as np

from ganzoo.errors import TooFewSamplesError
from ganzoo.metrics.arrays import check_choice, check_count, checked_features, checked_probabilities

SHUFFLE_SEED = 2020  # torch-fidelity's rng_seed
REFERENCES = ("improved-gan", "torch-fidelity", "studiogan")


@dataclasses.dataclass(frozen=True)
class InceptionScore:
    """Mean and deviation over splits, and the score of each."""

    mean: float
    std: float
    values: np.ndarray  # float64 [splits]


def inception_score(
    logits, *, splits=10, reference="improved-gan", seed=SHUFFLE_SEED
) -> InceptionScore:
    """exp(E_x KL(p(y|x) || p(y))) per split; higher is better, between 1 and the number of classes.

    Args:
        logits: float array [N, K] of a classifier; for the customary score of the 2015-12-05
            Inception, its 1008 logits *without* bias.
        splits: int > 0. Consecutive parts of N / splits samples. Defaults to 10.
        reference: str. "improved-gan": stored order, std with divisor `splits`. "torch-fidelity"
            (0.4.0): shuffled by `RandomState(seed)`, the same std; its `isc_splits` without shuffle
            is "improved-gan". "studiogan": stored order, std with divisor `splits - 1`.
        seed: int. Of the shuffle. Defaults to 2020.
    Returns: `InceptionScore`. Biased downwards by small splits: compare equal N and splits only;
        says nothing of the data, and a memorised image per class is perfect. Agrees with
        torch-fidelity and StudioGAN on the same logits to 1e-9 relative (test).
    Raises:
        TooFewSamplesError: fewer samples than splits.
        NonFiniteError, MetricError: as `checked_features`; an unknown reference; "studiogan" with
            one split, which has no deviation.
    Reference: Salimans et al. 2016 (arXiv:1606.03498), section 4.
    """
    check_count(splits, "splits")
    logits = checked_features(logits, "logits").astype(np.float64)
    logits = logits - logits.max(axis=1, keepdims=True)
    logs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    return _score(np.exp(logs), logs, splits, reference, seed)


def inception_score_of_probabilities(
    probabilities, *, splits=10, reference="improved-gan", seed=SHUFFLE_SEED
) -> InceptionScore:
    """`inception_score` of what softmax returned; 0 log 0 counts as 0.

    Args: probabilities: float array [N, K], rows sum to 1. The others as in `inception_score`.
    Returns, Raises: as `inception_score`.
    """
    check_count(splits, "splits")
    probabilities = checked_probabilities(probabilities)
    logs = np.log(np.where(probabilities > 0, probabilities, 1.0))
    return _score(probabilities, logs, splits, reference, seed)


def _score(probabilities, logs, splits, reference, seed):
    check_choice(reference, "reference", REFERENCES)
    count = len(probabilities)
    if count < splits or (reference == "studiogan" and splits < 2):
        raise TooFewSamplesError(
            f"{splits} splits need as many samples, and the deviation of 'studiogan' 2 splits; "
            f"pass fewer `splits`. Received: {count} samples, splits={splits}"
        )
    if reference == "torch-fidelity":
        order = np.random.RandomState(seed).permutation(count)
        probabilities, logs = probabilities[order], logs[order]
    values = np.empty(splits)
    for index in range(splits):
        part = slice(index * count // splits, (index + 1) * count // splits)
        marginal = probabilities[part].mean(axis=0)
        # An unseen class has p = 0 in every row, so that its log does not count.
        marginal_logs = np.log(np.where(marginal > 0, marginal, 1.0))
        divergences = (probabilities[part] * (logs[part] - marginal_logs)).sum(axis=1)
        values[index] = np.exp(divergences.mean())
    deviation = values.std(ddof=1 if reference == "studiogan" else 0)
    return InceptionScore(float(values.mean()), float(deviation), values)
