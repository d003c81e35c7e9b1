"""Classification accuracy score: what a classifier learns from samples about real images."""

import dataclasses
from collections.abc import Callable

import numpy as np

from ganzoo.errors import MetricError, TooFewSamplesError


@dataclasses.dataclass(frozen=True)
class ClassificationAccuracy:
    """Accuracy on real test images, overall and per class (NaN for a class without test image)."""

    accuracy: float
    per_class: np.ndarray  # float64 [K]


def classification_accuracy_score(
    images, labels, test_images, test_labels, *, train: Callable
) -> ClassificationAccuracy:
    """Accuracy on real test data of a classifier trained on samples; higher is better.

    Compare with the same call on real training images: the gap is what the generator lost. Classes
    with the lowest accuracy are those that it models worst.

    Args:
        images, labels: arrays [N, ...] and integers [N]: samples and the classes asked for.
        test_images, test_labels: arrays [T, ...] and integers [T] of real data.
        train: function of (images, labels) that returns a function of images to class numbers [B]
            or to scores [B, K]. It builds a new small classifier, so that nothing leaks.
    Returns: `ClassificationAccuracy`. Depends on classifier, its seed, and N: name them.
    Raises:
        TooFewSamplesError: no samples or no test images.
        MetricError: labels that do not fit, images of another shape, or predictions of another.
    Reference: Ravuri and Vinyals 2019 (arXiv:1905.10887), section 3.
    """
    labels = _checked_labels(images, labels, "labels")
    test_labels = _checked_labels(test_images, test_labels, "test_labels")
    if np.shape(images)[1:] != np.shape(test_images)[1:]:
        raise MetricError(
            "Samples and test images need one shape. "
            f"Received: {np.shape(images)[1:]} and {np.shape(test_images)[1:]}"
        )
    predicted = np.asarray(train(images, labels)(test_images))
    if predicted.ndim == 2:
        predicted = predicted.argmax(axis=1)
    if predicted.shape != test_labels.shape:
        raise MetricError(
            "`train` returns a function of images to class numbers [B] or scores [B, K]. "
            f"Received: predictions of shape {predicted.shape} for {len(test_labels)} images"
        )
    right = predicted == test_labels
    classes = 1 + max(labels.max(), test_labels.max())
    counts = np.bincount(test_labels, minlength=classes)
    hits = np.bincount(test_labels, weights=right, minlength=classes)
    per_class = np.divide(hits, counts, out=np.full(classes, np.nan), where=counts > 0)
    return ClassificationAccuracy(float(right.mean()), per_class)


def _checked_labels(images, labels, name):
    labels = np.asarray(labels)
    if labels.ndim != 1 or labels.dtype.kind not in "iu" or len(labels) != len(images):
        raise MetricError(
            f"`{name}` holds one class number per image. "
            f"Received: shape={labels.shape}, dtype={labels.dtype} for {len(images)} images"
        )
    if len(labels) == 0:
        raise TooFewSamplesError(f"`{name}` is empty; there is nothing to learn or to measure.")
    if labels.min() < 0:
        raise MetricError(f"`{name}` are class numbers >= 0. Received: {labels.min()}")
    return labels.astype(np.int64)
