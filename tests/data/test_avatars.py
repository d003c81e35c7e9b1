"""Procedural faces: the same pixels everywhere, and attributes that are what they say."""

import zlib

import numpy as np
import pytest

pytest.importorskip("tensorflow_datasets")
pytest.importorskip("dicebear", reason="needs the extra `avatars`")
pytest.importorskip("resvg_py", reason="needs the extra `avatars`")

from ganzoo import data  # noqa: E402
from ganzoo.data import Dataset, avatars  # noqa: E402
from ganzoo.data.avatars import (  # noqa: E402
    ATTRIBUTES,
    LABELS,
    STYLES,
    Avatars,
    PackageError,
    Person,
    caption,
    changed,
    label_map,
    people,
    render,
)

TRAIN, TEST = 40, 12


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A data_dir with small splits under the name of the large ones."""
    folder = tmp_path_factory.mktemp("tfds")
    builder = Avatars(config="pixel_art_32", data_dir=folder)
    with pytest.MonkeyPatch().context() as context:
        context.setattr(builder.builder_config, "counts", {"train": TRAIN, "test": TEST})
        builder.download_and_prepare()
    return folder


def plain(style):
    return Person(
        style=style, seed="x", hair_color="brown", attributes=dict.fromkeys(ATTRIBUTES, False)
    )


def test_pixels_are_those_of_the_pinned_versions():
    drawn = np.stack([render(person, 32) for person in people("pixel-art", 400)])
    assert drawn.dtype == np.uint8 and drawn.shape == (400, 32, 32, 3)
    assert f"{zlib.crc32(drawn.tobytes()):08x}" == "5a7dec45"


@pytest.mark.parametrize("style", STYLES)
def test_attributes_are_even_and_independent(style):
    rows = np.array([list(p.attributes.values()) for p in people(style, 2000)], float)
    even = [0.5, 0.5, 0.5, 0.5, 0.25 if style == "avataaars" else 0.5]
    np.testing.assert_allclose(rows.mean(axis=0), even, atol=0.05)
    together = np.corrcoef(rows[:, :4].T) - np.eye(4)
    assert np.abs(together).max() < 0.08


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("name", ATTRIBUTES)
def test_one_attribute_changes_a_part_of_the_picture(style, name):
    before = plain(style)
    after = changed(before, **{name: True})
    difference = (render(before, 64) != render(after, 64)).any(axis=-1)
    assert 0.001 < difference.mean() < 0.45
    again = changed(after, **{name: False})
    assert again == before
    np.testing.assert_array_equal(render(again, 64), render(before, 64))


def test_hair_color_changes_the_hair_alone():
    before = plain("pixel-art")
    after = changed(before, hair_color="red")
    difference = (render(before, 64) != render(after, 64)).any(axis=-1)
    hair = label_map(before, 64) == LABELS.index("hair")
    assert difference.any() and difference[~hair].mean() < 0.01


@pytest.mark.parametrize("style", STYLES)
def test_label_maps_show_what_is_there(style):
    person = changed(plain(style), glasses=True)
    labels = label_map(person, 64)
    assert labels.shape == (64, 64) and labels.max() < len(LABELS)
    shares = np.bincount(labels.ravel(), minlength=len(LABELS)) / labels.size
    for name in ("background", "skin", "hair", "accessories"):
        assert shares[LABELS.index(name)] > 0.005, name
    sky = np.all(render(person, 64) == [0xB6, 0xE3, 0xF4], axis=-1)
    assert (labels[sky] == 0).mean() > 0.98


def test_captions_tell_the_attributes():
    person = changed(plain("pixel-art"), smiling=True, hat=True, hair_color="blond")
    assert caption(person) == "a smiling person with short blond hair, a hat"
    words = caption(changed(plain("pixel-art"), glasses=True, facial_hair=True, long_hair=True))
    assert words == "a sad person with long brown hair, glasses, a beard"


def test_the_data_set_streams(prepared):
    dataset = Dataset(name="avatars/pixel_art_32", attributes=("hat", "glasses"))
    batch = next(iter(data.stream(dataset, 16, data_dir=prepared)))
    assert batch["image"].shape == (16, 32, 32, 3) and batch["label"].shape == (16, 2)
    colors = Dataset(name="avatars/pixel_art_32", label="hair_color", split="test")
    [(images, labels)] = data.labelled_images(colors, data_dir=prepared)
    assert images.shape == (TEST, 32, 32, 3) and set(labels) <= {0, 1, 2, 3}
    assert data.splits(dataset, data_dir=prepared) == ["test", "train"]
    maps = Dataset(name="avatars/pixel_art_32", image="label_map")
    assert next(data.images(maps, data_dir=prepared)).max() < len(LABELS)


def test_examples_are_of_the_people_of_their_split(prepared):
    builder = Avatars(config="pixel_art_32", data_dir=prepared)
    examples = {
        split: {e["seed"].decode(): e for e in builder.as_dataset(split=split).as_numpy_iterator()}
        for split in ("train", "test")
    }
    assert not set(examples["train"]) & set(examples["test"])
    assert (len(examples["train"]), len(examples["test"])) == (TRAIN, TEST)
    for person in people("pixel-art", 5, seed="train"):
        example = examples["train"][person.seed]
        np.testing.assert_array_equal(example["image"], render(person, 32))
        np.testing.assert_array_equal(example["label_map"][..., 0], label_map(person, 32))
        assert {k: bool(v) for k, v in example["attributes"].items()} == person.attributes
        assert example["caption"].decode() == caption(person)
    assert builder.info.metadata["packages"] == avatars.PACKAGES


def test_other_versions_are_refused(monkeypatch, tmp_path):
    avatars._check_packages.cache_clear()
    monkeypatch.setitem(avatars.PACKAGES, "resvg-py", "9.9.9")
    with pytest.raises(PackageError, match=r"resvg-py 9.9.9 \(0.5.0\).*keras-ganzoo\[avatars\]"):
        render(plain("pixel-art"), 32)
    with pytest.raises(data.DatasetNotFoundError, match=r"PackageError.*keras-ganzoo\[avatars\]"):
        next(data.images(Dataset(name="avatars/pixel_art_64"), data_dir=tmp_path))
    monkeypatch.undo()
    avatars._check_packages.cache_clear()


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: changed(plain("pixel-art"), glases=True), "glases"),
        (lambda: changed(plain("pixel-art"), hair_color="green"), "green"),
        (lambda: Person(style="x", seed="", hair_color="red", attributes={}), "style='x'"),
        (lambda: Person(style="avataaars", seed="", hair_color="red", attributes={}), "glasses"),
    ],
)
def test_unknown_words_are_named(make, match):
    with pytest.raises(ValueError, match=match):
        make()
