import numpy as np
import pytest

from ganzoo.errors import MetricError, TooFewSamplesError
from ganzoo.metrics.classification_accuracy import classification_accuracy_score


def nearest_mean(images, labels):
    """A small classifier: the class whose mean image is nearest."""
    flat = images.reshape(len(images), -1)
    means = np.stack([flat[labels == k].mean(axis=0) for k in range(labels.max() + 1)])

    def scores(batch):
        return -np.square(batch.reshape(len(batch), 1, -1) - means).sum(axis=-1)

    return scores


def draw(count, seed, shifts=(0.0, 4.0, 8.0)):
    labels = np.arange(count) % 3
    noise = np.random.default_rng(seed).standard_normal((count, 2, 2, 1))
    return noise + np.take(shifts, labels)[:, None, None, None], labels


def test_good_samples_teach_and_bad_ones_do_not():
    test = draw(300, 1)
    good = classification_accuracy_score(*draw(300, 0), *test, train=nearest_mean)
    assert good.accuracy > 0.97 and good.per_class.min() > 0.9
    # Class 2 is drawn like class 1: the test images of one of them are lost.
    bad = classification_accuracy_score(*draw(300, 0, (0, 4, 4)), *test, train=nearest_mean)
    assert bad.accuracy < 0.75 and bad.per_class[0] > 0.9


def test_class_numbers_serve_as_well_as_scores():
    samples, test = draw(60, 0), draw(60, 1)

    def train(images, labels):
        scores = nearest_mean(images, labels)
        return lambda batch: scores(batch).argmax(axis=1)

    expected = classification_accuracy_score(*samples, *test, train=nearest_mean)
    found = classification_accuracy_score(*samples, *test, train=train)
    assert found.accuracy == expected.accuracy


def test_a_class_without_test_images_has_no_accuracy():
    images, labels = draw(60, 0)
    found = classification_accuracy_score(
        images, labels, images[labels < 2], labels[labels < 2], train=nearest_mean
    )
    assert np.isnan(found.per_class[2]) and not np.isnan(found.per_class[:2]).any()


def test_faulty_input():
    images, labels = draw(60, 0)

    def score(*arrays, train=nearest_mean):
        return classification_accuracy_score(*arrays, train=train)

    with pytest.raises(MetricError, match="`labels` holds one class number per image"):
        score(images, labels[:5], images, labels)
    with pytest.raises(MetricError, match="float64"):
        score(images, labels, images, labels.astype(float))
    with pytest.raises(MetricError, match="one shape"):
        score(images, labels, images[:, :1], labels)
    with pytest.raises(TooFewSamplesError, match="`test_labels` is empty"):
        score(images, labels, images[:0], labels[:0])
    with pytest.raises(MetricError, match=r"\(3,\) for 60"):
        score(images, labels, images, labels, train=lambda *_: lambda batch: np.zeros(3))
    with pytest.raises(MetricError, match=">= 0"):
        score(images, labels - 1, images, labels)
