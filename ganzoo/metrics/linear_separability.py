"""Linear separability of latents: how much a linear cut leaves unknown about an attribute."""

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np

from ganzoo.errors import MetricError, TooFewSamplesError
from ganzoo.metrics.arrays import checked_features, checked_probabilities


@dataclasses.dataclass(frozen=True)
class LinearSeparability:
    """exp of the summed conditional entropies, and the entropy of each attribute in nats."""

    score: float
    entropies: dict[str, float]


def linear_separability(
    latents, attributes: Mapping[str, np.ndarray], *, keep, separate: Callable
) -> LinearSeparability:
    """exp(sum_i H(Y_i | X_i)); lower is better, 1 if every attribute is linear in the latents.

    X is the side of a linear cut that a sample's latent lies on, Y the class that an attribute
    classifier gives its image. Of each attribute only the surest samples are kept.

    Args:
        latents: float array [N, D]; z, or w. 200,000 in the paper.
        attributes: dict of name to probabilities [N, 2] of the classifier.
        keep: int > 1. The surest samples of each attribute; half of N in the paper.
        separate: function of (latents, classes) to the classes that a linear cut, fitted to just
            these, gives them; `linear_svm` is that of the paper. An attribute with one class only
            counts as separated and is not fitted.
    Returns: `LinearSeparability`. Depends on the classifiers: name them. Equal to 2 to the sum of
        bits in StyleGAN's code.
    Raises:
        TooFewSamplesError: `keep` above N or below 2, or no attribute.
        NonFiniteError, MetricError: faulty arrays, or another number of rows or of classes.
    Reference: Karras et al. 2019 (arXiv:1812.04948), section 4.2 and appendix B.
    """
    latents = checked_features(latents, "latents", minimum=2)
    if not attributes or not 2 <= keep <= len(latents):
        raise TooFewSamplesError(
            f"At least one attribute, and 2 to {len(latents)} samples to keep. "
            f"Received: {len(attributes)} attributes, keep={keep}"
        )
    entropies = {}
    for name, probabilities in attributes.items():
        probabilities = checked_probabilities(probabilities, name)
        if probabilities.shape != (len(latents), 2):
            raise MetricError(
                "An attribute has two probabilities per latent. "
                f"Received: {name} {probabilities.shape} for {len(latents)} latents"
            )
        kept = surest(probabilities, keep)
        classes = probabilities[kept].argmax(axis=1)
        one_sided = (classes == classes[0]).all()
        decisions = classes if one_sided else separate(latents[kept], classes)
        entropies[name] = conditional_entropy(decisions, classes)
    return LinearSeparability(float(np.exp(sum(entropies.values()))), entropies)


def surest(probabilities, keep) -> np.ndarray:
    """int [keep], rows with the largest maximum; ties in stored order."""
    return np.argsort(-np.max(probabilities, axis=1), kind="stable")[:keep]


def conditional_entropy(decisions, classes) -> float:
    """H(Y | X) in nats of the classes Y when the decisions X are known; 0 if X settles Y.

    Args: decisions, classes: integer or bool arrays [N] with N > 0.
    Returns: float, at least 0 and at most log of the number of classes.
    Raises: MetricError: other shapes or dtypes.
    """
    decisions, classes = np.asarray(decisions), np.asarray(classes)
    shapes = decisions.ndim == 1 and decisions.shape == classes.shape and len(classes)
    if not shapes or {decisions.dtype.kind, classes.dtype.kind} - set("iub"):
        raise MetricError(
            "Decisions and classes are integers, one of each per sample, at least one. Received: "
            f"{decisions.dtype} {decisions.shape} and {classes.dtype} {classes.shape}"
        )
    _, x = np.unique(decisions, return_inverse=True)
    _, y = np.unique(classes, return_inverse=True)
    joint = np.zeros((x.max() + 1, y.max() + 1))
    np.add.at(joint, (x, y), 1.0 / len(x))
    given = joint / joint.sum(axis=1, keepdims=True)  # p(y | x)
    seen = joint > 0
    return max(float(-np.sum(joint[seen] * np.log(given[seen]))), 0.0)


def linear_svm(latents, classes) -> np.ndarray:
    """Decisions of scikit-learn's `LinearSVC` with its defaults, as in StyleGAN's code.

    Raises: MetricError: scikit-learn is not installed.
    """
    try:
        from sklearn.svm import LinearSVC
    except ImportError:
        raise MetricError(
            "The linear cut of the paper needs scikit-learn: `pip install 'keras-ganzoo[metrics]'`."
        ) from None
    return LinearSVC(random_state=0).fit(latents, classes).predict(latents)
