"""Classifiers: those that are shipped, their training, and what they refuse."""

import dataclasses
import json

import numpy as np
import pytest
from harness import two_replicas

from ganzoo import data, fetch
from ganzoo.errors import HashError, MetricError
from ganzoo.metrics import classifier
from ganzoo.metrics.classification_accuracy import classification_accuracy_score
from ganzoo.metrics.classifier import (
    SHIPPED,
    WEIGHTS,
    Classifier,
    ClassifierExtractor,
    accuracy_trainer,
    load_classifier,
    save_classifier,
    train_classifier,
)
from ganzoo.metrics.evaluate import extract

TINY = {"image_size": 8, "channels": 1, "classes": 3, "widths": (4, 6)}


def stripes(count, seed=0):
    """Noise with bright rows (class 0), with bright columns (1) and without (2)."""
    random = np.random.RandomState(seed)
    labels = random.randint(0, 3, count)
    images = random.randint(0, 60, (count, 8, 8, 1))
    for image, label in zip(images, labels):
        place = random.randint(0, 2)
        rows, columns = [(slice(place, None, 3), slice(None)), (slice(None), slice(place, None, 3)),
                         (slice(0), slice(0))][label]
        image[rows, columns] += 150
    return images.astype("uint8"), labels


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_files_are_small_and_as_their_card_says(name, root):
    file = WEIGHTS / f"{name}-classifier.safetensors"
    result = json.loads((root / "docs/classifiers" / name / "result.json").read_text("utf-8"))
    assert file.stat().st_size == result["bytes"] < 2e6
    assert fetch.sha256_of(file) == result["sha256"] == SHIPPED[name].sha256
    card = (root / "docs/classifiers/README.md").read_text("utf-8")
    assert f"{100 * result['test_accuracy']:.2f} %" in card and result["sha256"] in card


def test_the_fashion_classifier_is_right_on_the_test_split(fashion_dir, root):
    dataset = data.Dataset(name="fashion_mnist", split="test", label="label")
    batches = data.labelled_images(dataset, data_dir=fashion_dir, batch_size=500)
    images, labels = (np.concatenate(parts) for parts in zip(*batches))
    probabilities = load_classifier("fashion").probabilities(images)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, atol=1e-6)
    accuracy = (probabilities.argmax(axis=1) == labels).mean()
    result = json.loads((root / "docs/classifiers/fashion/result.json").read_text("utf-8"))
    assert accuracy >= 0.93
    assert accuracy == pytest.approx(result["test_accuracy"], abs=5e-4)  # half precision


@pytest.mark.parametrize("name, size", [("avatars", 64), ("avatars-32", 32)])
def test_the_avatar_classifiers_are_right_on_drawn_people(name, size):
    pytest.importorskip("dicebear", reason="extra avatars")
    from ganzoo.data import avatars

    people = list(avatars.people("pixel-art", 60, seed="unseen"))
    images = np.stack([avatars.render(person, size) for person in people])
    found = load_classifier(name).probabilities(images)
    assert tuple(found) == avatars.ATTRIBUTES
    for attribute, probabilities in found.items():
        has = np.array([person.attributes[attribute] for person in people])
        assert 10 < has.sum() < 50 and ((probabilities[:, 1] > 0.5) == has).mean() > 0.95


def test_it_is_an_extractor():
    network = load_classifier("fashion")
    images = np.random.RandomState(0).randint(0, 256, (5, 28, 28, 1)).astype("uint8")
    features, logits = network(images)
    assert features.shape == (5, network.dim) and logits.shape == (5, network.classes) == (5, 10)
    assert features.dtype == np.float32 and (features >= 0).all()
    alone = np.concatenate([network(images[k : k + 1]).features for k in range(5)])
    np.testing.assert_allclose(features, alone, rtol=1e-4, atol=1e-5)
    with two_replicas().scope():
        shared = extract([images], network, ["features"]).features
    np.testing.assert_allclose(features, shared, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", [(2, 32, 32, 1), (2, 28, 28, 3)])
def test_other_sizes_are_refused(shape):
    with pytest.raises(MetricError, match=r"\(28, 28, 1\).*inception.*Received"):
        load_classifier("fashion")(np.full(shape, 7, "uint8"))


def test_unknown_names_and_damaged_files_are_refused(monkeypatch, tmp_path):
    with pytest.raises(MetricError, match="fashion.*Received: name='mnist'"):
        load_classifier("mnist")
    whole = (WEIGHTS / "fashion-classifier.safetensors").read_bytes()
    (tmp_path / "fashion-classifier.safetensors").write_bytes(whole[:-1] + b"x")
    monkeypatch.setattr(classifier, "WEIGHTS", tmp_path)
    load_classifier.cache_clear()
    with pytest.raises(HashError, match="fashion-classifier.*install"):
        load_classifier("fashion")
    load_classifier.cache_clear()


def test_a_saved_classifier_comes_back_in_half_precision(monkeypatch, tmp_path):
    network = Classifier(**TINY)
    sha256 = save_classifier(network, tmp_path / "tiny-classifier.safetensors")
    monkeypatch.setattr(classifier, "WEIGHTS", tmp_path)
    shipped = dataclasses.replace(SHIPPED["fashion"], sha256=sha256, sizes=TINY)
    monkeypatch.setitem(SHIPPED, "tiny", shipped)
    images = stripes(4)[0]
    expected = ClassifierExtractor(network, sha256, "tiny")(images)
    found = load_classifier("tiny")(images)
    np.testing.assert_allclose(found.logits, expected.logits, atol=2e-3)


def test_training_learns_and_repeats():
    options = {"epochs": 3, "widths": (8, 12), "seed": 3, "flip": True, "shift": 0}
    first, second = (train_classifier(*stripes(12_800), **options) for _ in range(2))
    images, labels = stripes(200, seed=9)
    logits = first.logits_only().predict(images.astype("float32"), verbose=0)
    assert (logits.argmax(axis=1) == labels).mean() > 0.9
    np.testing.assert_array_equal(first.get_weights()[0], second.get_weights()[0])


def test_attributes_are_independent():
    images, labels = stripes(12_800)
    attributes = np.stack([labels == 0, labels == 2], axis=1)
    network = train_classifier(images, attributes, epochs=3, widths=(8, 12), shift=0)
    found = ClassifierExtractor(network, "0" * 64, "tiny", ("rows", "none"))
    assert found.classes == 0
    fresh, fresh_labels = stripes(200, seed=9)
    probabilities = found.probabilities(fresh)
    assert set(probabilities) == {"rows", "none"} and probabilities["rows"].shape == (200, 2)
    assert ((probabilities["rows"][:, 1] > 0.5) == (fresh_labels == 0)).mean() > 0.9
    assert ((probabilities["none"][:, 1] > 0.5) == (fresh_labels == 2)).mean() > 0.9


def test_the_accuracy_score_trains_a_new_classifier():
    train = accuracy_trainer(epochs=3, widths=(8, 12), shift=0)
    good = classification_accuracy_score(*stripes(12_800), *stripes(200, seed=9), train=train)
    images, labels = stripes(12_800)
    shuffled = np.random.RandomState(0).permutation(labels)
    bad = classification_accuracy_score(images, shuffled, *stripes(200, seed=9), train=train)
    assert good.accuracy > 0.9 > 0.7 > bad.accuracy


@pytest.mark.parametrize(
    ("images", "labels", "match"),
    [
        (np.full((20, 8, 8, 1), 9, "uint8"), np.zeros(20, int), "at least 128"),
        (np.full((200, 8, 6, 1), 9, "uint8"), np.zeros(200, int), "square"),
        (np.full((200, 8, 8, 1), 9, "uint8"), np.zeros(100, int), "a label of each"),
        (np.full((200, 8, 8, 1), 0.5), np.zeros(200, int), "uint8"),
    ],
)
def test_faulty_sets_are_not_trained_on(images, labels, match):
    with pytest.raises(MetricError, match=match):
        train_classifier(images, labels)


def test_configurations_give_the_same_network():
    network = Classifier(**TINY)
    again = Classifier.from_config(network.get_config())
    assert [w.shape for w in again.get_weights()] == [w.shape for w in network.get_weights()]
