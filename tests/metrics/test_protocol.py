"""Which data and which feature network belong to a model."""

import dataclasses

import pytest

from ganzoo import measure
from ganzoo.data import Dataset
from ganzoo.errors import MeasureError
from ganzoo.families.cgan import CGAN
from ganzoo.metrics import features, protocol
from ganzoo.metrics.classifier import SHIPPED

AVATARS = Dataset(name="avatars/pixel_art_64")


def test_every_shipped_classifier_belongs_to_a_data_set():
    assert list(protocol.CLASSIFIERS.values()) == list(SHIPPED)
    assert protocol.features_of(AVATARS) == "avatars"
    assert protocol.features_of(Dataset(name="mnist")) == protocol.features_of(None) == "inception"


def test_nothing_is_fetched_for_what_cannot_be(monkeypatch):
    def fetched(*_, **__):
        raise AssertionError("fetched")

    monkeypatch.setattr(features, "extractor", fetched)
    assert protocol.extractor_for(["swd", "ppl-stylegan-zend"], "inception") is None
    with pytest.raises(MeasureError, match="avatars-32.*Received: features='inception'"):
        protocol.extractor_for(["linear-separability-z", "fid"], "inception")
    with pytest.raises(AssertionError, match="fetched"):
        protocol.extractor_for(["fid"], "inception")
    assert protocol.extractor_for(["linear-separability-z"], "avatars").attributes


def test_data_come_at_the_size_of_what_is_drawn(tmp_path):
    gan = CGAN(8, 4, 4, networks="conv", num_classes=0, num_attributes=3)
    dataset = protocol.at_size_of("mnist", gan.generator)
    assert (dataset.name, dataset.size, dataset.channels) == ("mnist", (8, 8), 1)
    dataset = protocol.at_size_of(str(tmp_path), gan.generator)
    assert (dataset.name, dataset.crop) == ("folder", "square")
    assert protocol.of_split(dataset, None, None) is dataset


def test_a_data_set_is_described_with_what_was_done_to_it():
    dataset = dataclasses.replace(AVATARS, size=32, crop=60, resize_method="area")
    assert protocol.describe(dataset) == "avatars/pixel_art_64 crop=60 size=32 area"


@pytest.mark.parametrize(
    "name",
    ["CLASSIFIERS", "COUNT", "FEATURES", "TFDS_NAMES", "describe", "load_features", "real_images"],
)
def test_measure_has_the_same(name):
    assert getattr(measure, name) is getattr(protocol, name)
