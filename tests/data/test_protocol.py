"""Kinds, descriptions and configs: of our data sets, and of one of the user's own."""

import dataclasses
import json
import re

import numpy as np
import pytest
import tensorflow as tf
from support.data_sets import assert_equal, take

from ganzoo import data
from ganzoo.data import Dataset, DataSource, Pairs, Unpaired

OURS = [
    (Dataset(name="celeb_a", size=(64, 48), random_crop=(32, 32), attributes=("X",)), "images"),
    (Dataset(folder="x", crop="square", size=8, label="label"), "images"),
    (Dataset(name="ring", modes=4), "points"),
    (data.grid(16, std=0.1), "points"),
    (Pairs(folder="x", a="right", b="left", size=(8, 6), random_crop=(4, 4), flip=True), "pairs"),
    (Pairs(name="avatars/pixel_art_32", a="label_map", b="image", attributes=("hat",)), "pairs"),
    (Unpaired(Dataset(folder="x", size=8), Dataset(name="cifar10", split="test")), "unpaired"),
    (Unpaired(data.ring(), Dataset(name="grid")), "unpaired"),
]


@dataclasses.dataclass(frozen=True)
class Stripes:
    """A data set of the user's own, which inherits nothing."""

    size: int = 8
    kind = "images"

    def stream(self, batch_size, *, seed=0, start=0, epochs=None, shard=(0, 1), data_dir=None):
        def draw(step):
            lines = tf.random.stateless_uniform([batch_size, 1, self.size, 1], [seed, step])
            return {"image": tf.repeat(lines, self.size, axis=1) * 2 - 1}

        return tf.data.Dataset.range(start, 1 << 62).map(draw)

    def images(self, *, limit=None, data_dir=None, batch_size=64, labels=False):
        yield np.zeros([limit or self.count(), self.size, self.size, 1], "uint8")

    def count(self, *, data_dir=None):
        return 100

    def describe(self):
        return f"stripes size={self.size}"

    def get_config(self):
        return {"kind": "stripes", "size": self.size}


@pytest.mark.parametrize("dataset, kind", OURS)
def test_kinds(dataset, kind):
    assert isinstance(dataset, DataSource) and dataset.kind == kind
    assert data.check_kind(dataset, kind) is dataset
    assert data.check_kind(dataset, ["other", kind]) is dataset
    with pytest.raises(data.DatasetKindError, match=f"kind 'sound'.*Received: kind='{kind}'"):
        data.check_kind(dataset, "sound")


@pytest.mark.parametrize("kind", data.KINDS)
def test_another_kind_is_told_what_to_build(kind):
    other = Dataset(name="mnist") if kind != "images" else data.ring()
    with pytest.raises(ValueError, match=f"kind '{kind}' is needed. Give `") as error:
        data.check_kind(other, kind)
    assert data.KINDS[kind] in str(error.value)
    for name in re.findall(r"(\w+)\(", data.KINDS[kind]):
        assert callable(getattr(data, name))


@pytest.mark.parametrize("value", ["mnist", None, tf.data.Dataset.range(3)])
def test_what_is_no_data_set_is_refused(value):
    with pytest.raises(data.DatasetKindError, match=r"DataSource.*Dataset\(name='fashion_mnist'"):
        data.check_kind(value, "images")


@pytest.mark.parametrize("dataset, kind", OURS)
def test_configs_survive_json(dataset, kind):
    again = data.from_config(json.loads(json.dumps(dataset.get_config())))
    assert again == dataset and type(again) is type(dataset) and hash(again) == hash(dataset)


def test_configs_of_the_past_are_read():
    """A `recipe.json` holds the fields of a `Dataset`, perhaps not all that there are now."""
    dataset = Dataset(name="ring", modes=4)
    assert "kind" not in dataset.get_config()
    assert data.from_config(dataclasses.asdict(dataset)) == dataset
    assert data.from_config({"name": "mnist", "label": "label"}).size is None
    config = data.ring().get_config()
    assert config == {"kind": "ring", "modes": 8, "radius": 2.0, "std": 0.02}  # as in records


def test_a_foreign_config_is_refused():
    with pytest.raises(ValueError, match="data set itself. Received: kind='stripes'"):
        data.from_config(Stripes().get_config())
    with pytest.raises(ValueError, match="'colour'"):
        data.from_config({"name": "mnist", "colour": 1})


def test_a_data_set_of_ones_own_goes_everywhere():
    own = Stripes()
    assert data.check_kind(own, "images") is own
    whole = take(data.stream(own, 4, seed=1), 3)
    assert_equal(whole[1:], take(data.stream(own, 4, seed=1, start=1), 2))
    assert data.count(own) == 100 and data.splits(own) == []
    assert next(data.images(own, limit=3)).shape == (3, 8, 8, 1)
    both = Unpaired(own, Dataset(folder="x"))
    assert both.describe().startswith("stripes size=8 / ")
    assert take(data.stream(Unpaired(own, Stripes()), 4, epochs=1), -1)[24]["b"].shape[0] == 4
    assert both.get_config()["a"] == {"kind": "stripes", "size": 8}


def test_tfds_sets_are_described_as_ever():
    assert Dataset(name="fashion_mnist", label="label").describe() == "fashion_mnist"
    dataset = Dataset(name="celeb_a", crop=108, size=64, channels=1, limit=5, random_crop=32)
    assert dataset.describe() == "celeb_a crop=108 size=64 random_crop=32 channels=1 limit=5"
    assert Dataset(name="mnist", size=8, resize_method="area").describe() == "mnist size=8 area"


def test_folders_of_one_name_are_told_apart(tmp_path, monkeypatch):
    described = [Dataset(folder=str(tmp_path / who / "train"), size=8).describe() for who in "ab"]
    assert described[0] == f"{(tmp_path / 'a' / 'train').resolve()} size=8" != described[1]
    monkeypatch.chdir(tmp_path)
    assert Dataset(folder="a/train", size=8).describe() == described[0]


def test_other_kinds_are_described():
    pairs = Pairs(name="x", a="p", b="q", size=8)
    assert pairs.describe() == "x a=p b=q size=8"
    assert Dataset(name="ring").describe() == "ring modes=8 radius=2.0 std=0.02"
    assert data.grid(4, radius=1.0).describe() == "grid modes=4 radius=1.0 std=0.05"
    halves = [Dataset(name="cycle_gan/apple2orange", split=f"train{side}") for side in "AB"]
    expected = "cycle_gan/apple2orange split=trainA / cycle_gan/apple2orange split=trainB"
    assert Unpaired(*halves).describe() == expected
