"""Pairs get the same crop and mirror; unpaired sides run on by themselves, and both resume."""

import numpy as np
import pytest
from support.data_sets import assert_equal, noise, take, write_png

from ganzoo import data
from ganzoo.data import Dataset, Pairs, Unpaired, streams


def write_pairs(folder, count, height=12, width=10, seed=0):
    """Files whose right half is the negative of the left."""
    for index in range(count):
        left = noise(height, width, 3, seed=seed + index)
        write_png(folder / f"{index:02}.png", np.concatenate([left, 255 - left], axis=1))
    return folder


@pytest.fixture
def halves(tmp_path):
    return write_pairs(tmp_path / "pairs", 7)


@pytest.fixture
def two_folders(tmp_path):
    """Four grey levels below 100, and seven above."""
    for name, levels in (("low", range(0, 40, 10)), ("high", range(100, 170, 10))):
        for level in levels:
            write_png(tmp_path / name / f"{level:03}.png", np.full([6, 6, 1], level))
    return Dataset(folder=str(tmp_path / "low")), Dataset(folder=str(tmp_path / "high"))


def levels(batches, key):
    values = np.concatenate([batch[key][:, 0, 0, 0] for batch in batches])
    return np.round((values + 1) * 127.5).astype(int).tolist()


# ---------------------------------------------------------------------------- pairs


def test_both_pictures_get_the_same_crop_and_mirror(halves, place):
    dataset = Pairs(folder=str(halves), random_crop=(8, 7), flip=True)
    batches = take(data.stream(dataset, 5, seed=2), 6)
    for batch in batches:
        assert list(batch) == ["a", "b"] and batch["a"].shape == (5, 8, 7, 3)
        assert batch["a"].dtype == np.float32
        np.testing.assert_allclose(batch["a"], -batch["b"], atol=1e-6)
    assert len({image.tobytes() for batch in batches for image in batch["a"]}) > 20


def test_sides_are_what_they_are_called(halves):
    (both,) = Pairs(folder=str(halves)).examples()
    (turned,) = Pairs(folder=str(halves), a="right", b="left").examples()
    np.testing.assert_array_equal(both["a"][0], noise(12, 10, 3))
    np.testing.assert_array_equal(both["a"], turned["b"])
    np.testing.assert_array_equal(both["b"], turned["a"])


def test_images_are_those_of_one_side_in_stored_order(halves):
    dataset = Pairs(folder=str(halves), crop=8, random_crop=4, limit=5)
    (both,) = dataset.examples()
    assert both["a"].shape == (5, 4, 4, 3) and dataset.count() == 5
    np.testing.assert_array_equal(np.concatenate(list(data.images(dataset))), both["b"])
    (given,) = dataset.images(side="a", limit=2)
    np.testing.assert_array_equal(given, both["a"][:2])
    np.testing.assert_array_equal(given[0], noise(12, 10, 3)[4:8, 3:7])
    with pytest.raises(ValueError, match="side='c'"):
        dataset.images(side="c")


def test_pairs_are_resized_alike(halves, place):
    dataset = Pairs(folder=str(halves), crop="square", size=6, channels=1)
    (batch,) = take(data.stream(dataset, 7, epochs=1), -1)
    assert batch["a"].shape == (7, 6, 6, 1)
    np.testing.assert_allclose(batch["a"], -batch["b"], atol=2 / 127.5)


@pytest.mark.parametrize("start", [1, 4])
def test_pairs_resume_exactly(halves, place, start):
    dataset = Pairs(folder=str(halves), size=9, random_crop=6, flip=True)
    whole = take(data.stream(dataset, 3, seed=7), start + 3)
    assert_equal(whole[start:], take(data.stream(dataset, 3, seed=7, start=start), 3))


def test_labels_of_pairs(halves, tmp_path):
    write_pairs(tmp_path / "set" / "x", 2)
    write_pairs(tmp_path / "set" / "y", 3)
    dataset = Pairs(folder=str(tmp_path / "set"), label="label")
    (batch,) = take(data.stream(dataset, 5, epochs=1), -1)
    assert sorted(batch["label"].tolist()) == [0, 0, 1, 1, 1]
    [(images, labels)] = data.labelled_images(dataset)
    assert images.shape == (5, 12, 10, 3) and labels.tolist() == [0, 0, 1, 1, 1]
    with pytest.raises(ValueError, match="give the data set `label=`"):
        data.labelled_images(Pairs(folder=str(halves)))


def test_odd_and_unlike_files_are_named(tmp_path):
    folder = write_pairs(tmp_path, 2)
    write_png(folder / "1.png", noise(12, 21, 3))
    with pytest.raises(ValueError, match=r"equally wide.*1\.png' of \(12, 21\)"):
        list(data.images(Pairs(folder=str(folder))))
    write_png(folder / "1.png", noise(12, 22, 3))
    with pytest.raises(ValueError, match=r"give `size`.*1\.png' of \(12, 11\)"):
        list(data.images(Pairs(folder=str(folder))))
    with pytest.raises(ValueError, match="crop=11"):
        data.stream(Pairs(folder=str(folder), crop=11), 2)


def test_features_that_are_not_there_are_named(tfds):
    dataset = Pairs(name="cifar10", a="image", b="label")
    with tfds.testing.mock_data(num_examples=4):
        with pytest.raises(ValueError, match="b='label' is no feature of 8 bit images"):
            data.stream(dataset, 2)


def test_avatars_with_their_label_maps(tmp_path, place):
    pytest.importorskip("dicebear", reason="needs the extra `avatars`")
    pytest.importorskip("resvg_py", reason="needs the extra `avatars`")
    from ganzoo.data import avatars

    builder = avatars.Avatars(config="pixel_art_32", data_dir=tmp_path)
    with pytest.MonkeyPatch().context() as context:
        context.setattr(builder.builder_config, "counts", {"train": 6, "test": 4})
        builder.download_and_prepare()
    dataset = Pairs(
        name="avatars/pixel_art_32", split="test", a="label_map", b="image", attributes=("hat",)
    )
    assert data.splits(dataset, data_dir=tmp_path) == ["test", "train"]
    (both,) = dataset.examples(data_dir=tmp_path)
    assert both["a"].shape == (4, 32, 32, 1) and both["b"].shape == (4, 32, 32, 3)
    assert both["label"].shape == (4, 1)
    drawn = {person.seed: person for person in avatars.people("pixel-art", 4, seed="test")}
    expected = {avatars.render(p, 32).tobytes(): p for p in drawn.values()}
    for label_map, image in zip(both["a"], both["b"], strict=True):
        person = expected[image.tobytes()]
        np.testing.assert_array_equal(label_map[..., 0], avatars.label_map(person, 32))
    batch = take(data.stream(dataset, 4, data_dir=tmp_path), 1)[0]
    assert batch["a"].shape == (4, 32, 32, 1) and batch["label"].dtype == np.float32


@pytest.mark.parametrize(
    "fields, fault",
    [
        ({}, "Received neither"),
        ({"name": 3}, "name=3"),
        ({"name": "x", "folder": "y", "a": "p", "b": "q"}, "exclude each other"),
        ({"folder": "x", "a": "image"}, "'left' and 'right'"),
        ({"folder": "x", "a": "right"}, "two different"),
        ({"name": "x"}, "names of image features"),
        ({"name": "x", "a": "p", "b": ""}, "two different"),
        ({"folder": "x", "split": "test"}, "split='test'"),
        ({"folder": "x", "size": 0, "flip": 1}, "flip=1"),
        ({"folder": "x", "size": 4, "random_crop": 5}, "at most size=4"),
    ],
)
def test_pairs_refuse(fields, fault):
    with pytest.raises(ValueError, match="Pairs does not fit together") as error:
        Pairs(**fields)
    assert fault in str(error.value) and "Received" in str(error.value)


# ---------------------------------------------------------------------------- unpaired


def test_each_side_runs_through_its_own_epochs(two_folders, place):
    batches = take(data.stream(Unpaired(*two_folders), 2), 14)
    low, high = levels(batches, "a"), levels(batches, "b")
    for epoch in range(7):
        assert sorted(low[4 * epoch : 4 * epoch + 4]) == [0, 10, 20, 30]
    for epoch in range(4):
        assert sorted(high[7 * epoch : 7 * epoch + 7]) == list(range(100, 170, 10))


def test_the_sides_of_one_set_are_in_another_order(two_folders):
    batches = take(data.stream(Unpaired(two_folders[1], two_folders[1]), 7), 4)
    assert levels(batches, "a") != levels(batches, "b")
    alone = take(data.stream(two_folders[1], 7), 4)
    np.testing.assert_array_equal(batches[3]["a"], alone[3]["image"])


@pytest.mark.parametrize("start", [0, 1, 5])
def test_unpaired_sets_resume_exactly_and_end(two_folders, place, start):
    dataset = Unpaired(*two_folders)
    arguments = dict(seed=3, epochs=2)
    whole = take(data.stream(dataset, 3, **arguments), -1)
    assert len(whole) == 4 and dataset.count() == 7  # 2 passes over the longer side
    rest = data.stream(dataset, 3, start=start, **arguments)
    assert int(rest.cardinality()) == len(take(rest, -1)) == max(0, 4 - start)
    endless = take(data.stream(dataset, 3, seed=3), start + 3)
    assert_equal(endless[:4], whole[: start + 3])
    assert_equal(endless[start:], take(data.stream(dataset, 3, seed=3, start=start), 3))


def test_unpaired_images_are_those_of_a_side(two_folders):
    dataset = Unpaired(*two_folders)
    assert sum(map(len, data.images(dataset))) == 7
    assert sum(map(len, dataset.images(side="a"))) == 4
    with pytest.raises(ValueError, match="side='left'"):
        dataset.images(side="left")


def test_unpaired_points():
    (batch,) = take(data.stream(Unpaired(data.ring(), data.grid()), 6), 1)
    assert batch["a"].shape == batch["b"].shape == (6, 2)


def test_unpaired_sides_are_of_one_kind(halves, two_folders):
    with pytest.raises(data.DatasetKindError, match="'images' or 'points' is needed.*'pairs'"):
        Unpaired(Pairs(folder=str(halves)), two_folders[0])
    with pytest.raises(data.DatasetKindError, match="'images' is needed.*'points'"):
        Unpaired(two_folders[0], data.ring())


# ---------------------------------------------------------------------------- shards


@pytest.mark.parametrize(
    "shards, arguments",
    [(2, {}), (4, {"start": 2}), (2, {"epochs": 2}), (4, {"epochs": 3, "start": 1})],
)
def test_shards_are_slices_of_every_batch(halves, two_folders, place, shards, arguments):
    pairs = Pairs(folder=str(halves), random_crop=8, flip=True)
    images = Dataset(folder=str(halves), random_crop=8, flip=True)
    for dataset in (images, pairs, Unpaired(*two_folders)):
        whole = take(data.stream(dataset, 4, seed=5, **arguments).take(5), -1)
        parts = [
            data.stream(dataset, 4, seed=5, shard=(i, shards), **arguments) for i in range(shards)
        ]
        assert len({int(part.cardinality()) for part in parts}) == 1
        parts = [take(part.take(5), -1) for part in parts]
        joined = [
            {key: np.concatenate([part[key] for part in batch]) for key in batch[0]}
            for batch in zip(*parts, strict=True)
        ]
        assert_equal(joined, whole)


def test_shards_of_arrays_and_points():
    arguments = dict(batch_size=6, seed=2, flip=True)
    images, labels = noise(10, 4, 4, 1), np.arange(10)
    (whole,) = take(data.from_arrays(images, labels, start=1, **arguments), 1)
    points = take(data.stream(Dataset(name="ring", label="label"), 6, seed=4), 2)[1]
    for i in range(3):
        rows = slice(2 * i, 2 * i + 2)
        (part,) = take(data.from_arrays(images, labels, start=1, shard=(i, 3), **arguments), 1)
        assert_equal([part], [{key: value[rows] for key, value in whole.items()}])
        dataset = Dataset(name="ring", label="label")
        part = take(data.stream(dataset, 6, seed=4, shard=(i, 3)), 2)[1]
        assert_equal([part], [{key: value[rows] for key, value in points.items()}])


@pytest.mark.parametrize("shard", [(2, 2), (-1, 2), (0, 0), 1, (0, 1, 2), (0.0, 2), (True, 2)])
def test_bad_shards_are_refused(shard):
    with pytest.raises(ValueError, match=r"`shard` is \(i, n\)"):
        data.stream(data.ring(), 4, shard=shard)


def test_a_batch_that_cannot_be_divided_names_both():
    for dataset in (data.ring(), Dataset(folder="absent"), Unpaired(data.ring(), data.ring())):
        with pytest.raises(ValueError, match=r"batch_size=10, shard=\(0, 3\)"):
            data.stream(dataset, 10, shard=(0, 3))


def test_large_pairs_stay_on_disk(halves, monkeypatch):
    monkeypatch.setattr(streams, "IN_MEMORY_BYTES", 7 * 12 * 10 * 3 * 2 - 1)
    decoded = []
    monkeypatch.setattr(streams, "_load", lambda source: decoded.append(source) or source)
    data.stream(Pairs(folder=str(halves)), 2)
    data.stream(Dataset(folder=str(halves), size=(12, 10)), 2)
    assert len(decoded) == 1
