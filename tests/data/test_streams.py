"""Streams: resume is exact, values are in range, and shards are slices of one order."""

import numpy as np
import pytest
import tensorflow as tf
from support.data_sets import assert_equal, noise, take, write_png

from ganzoo import data
from ganzoo.data import Dataset, streams


def test_arrays_are_scaled_and_complete():
    images = noise(10, 4, 5)
    images[0, 0, :2] = 0, 255
    labels = np.arange(10)
    batches = take(data.from_arrays(images, labels, batch_size=3, epochs=1), -1)
    assert len(batches) == 3  # the remainder is dropped
    first = batches[0]
    assert first["image"].shape == (3, 4, 5, 1) and first["image"].dtype == np.float32
    assert first["label"].shape == (3,) and first["label"].dtype == np.int32
    seen = np.concatenate([batch["label"] for batch in batches])
    assert len(set(seen.tolist())) == 9 and seen.tolist() != sorted(seen.tolist())
    values = np.concatenate([batch["image"] for batch in batches])[..., 0]
    np.testing.assert_allclose(values, images[seen] / 127.5 - 1.0, atol=1e-6)


def test_extremes_are_exact():
    images = np.zeros([2, 2, 2, 3], "uint8")
    images[1] = 255
    batch = take(data.from_arrays(images, batch_size=2), 1)[0]
    assert list(batch) == ["image"]
    assert batch["image"].min() == -1.0 and batch["image"].max() == 1.0


def test_float_arrays_pass_unchanged():
    images = np.random.default_rng(0).uniform(-1, 1, [4, 3, 3, 1])
    batch = take(data.from_arrays(images, np.arange(4), batch_size=4), 1)[0]
    np.testing.assert_array_equal(batch["image"], images[batch["label"]].astype("float32"))


def test_every_epoch_is_another_permutation():
    batches = take(data.from_arrays(noise(8, 2, 2, 1), np.arange(8), batch_size=8, epochs=4), -1)
    orders = [tuple(batch["label"].tolist()) for batch in batches]
    assert len(orders) == len(set(orders)) == 4
    assert all(sorted(order) == list(range(8)) for order in orders)


def test_seed_decides_the_stream_and_the_global_seed_does_not():
    def run(seed):
        return take(data.from_arrays(noise(9, 4, 4, 1), batch_size=4, seed=seed, flip=True), 6)

    tf.random.set_seed(1)
    first = run(3)
    tf.random.set_seed(2)
    assert_equal(first, run(3))
    assert any((a["image"] != b["image"]).any() for a, b in zip(first, run(4), strict=True))


def test_batches_do_not_change_the_order_of_examples():
    images, labels = noise(10, 4, 4, 1), np.arange(10)
    threes = take(data.from_arrays(images, labels, batch_size=3, flip=True), 8)
    fours = take(data.from_arrays(images, labels, batch_size=4, flip=True), 6)
    for key in ("image", "label"):
        left = np.concatenate([batch[key] for batch in threes])
        np.testing.assert_array_equal(left, np.concatenate([batch[key] for batch in fours]))


def test_flip_mirrors_half_of_the_images():
    images = np.zeros([1, 1, 2, 1], "uint8")
    images[0, 0, 1] = 255
    batch = take(data.from_arrays(images, batch_size=2000, flip=True), 1)[0]["image"]
    mirrored = batch[:, 0, 0, 0] == 1.0
    np.testing.assert_array_equal(batch[:, 0, 1, 0], np.where(mirrored, -1.0, 1.0))
    assert abs(mirrored.mean() - 0.5) < 0.05  # 4.5 standard deviations


@pytest.mark.parametrize("start", [0, 1, 4, 5, 23])
def test_arrays_resume_exactly(start):
    def run(start):
        arguments = dict(batch_size=3, start=start, flip=True)
        return data.from_arrays(noise(10, 4, 4, 1), np.arange(10), **arguments)

    assert_equal(take(run(0), start + 5)[start:], take(run(start), 5))


def test_epochs_end_where_they_should_after_a_start():
    arguments = dict(batch_size=3, epochs=2)
    images = noise(10, 2, 2, 1)
    assert len(take(data.from_arrays(images, **arguments), -1)) == 6
    assert len(take(data.from_arrays(images, start=4, **arguments), -1)) == 2
    assert take(data.from_arrays(images, start=6, **arguments), -1) == []


@pytest.mark.parametrize(
    "images, labels, fault",
    [
        (np.zeros([4, 2, 2, 1]) + 255.0, None, r"in \[255, 255\]"),
        (np.full([4, 2, 2, 1], np.nan), None, r"in \[nan, nan\]"),
        (np.full([4, 2, 2, 1], -1.01), None, r"images / 127.5 - 1"),
        (np.zeros([4, 2, 2, 1], "int64"), None, "dtype=int64"),
        (np.zeros([4, 2], "uint8"), None, r"shape=\(4, 2\)"),
        (np.zeros([0, 2, 2], "uint8"), None, r"shape=\(0, 2, 2, 1\)"),
        (np.zeros([4, 2, 2], "uint8"), [0, 1], r"shape=\(2,\) for 4 images"),
        (np.zeros([4, 2, 2], "uint8"), np.zeros([4, 10], int), r"shape=\(4, 10\)"),
        (np.zeros([4, 2, 2], "uint8"), np.zeros(4), "dtype=float64"),
    ],
)
def test_arrays_refuse(images, labels, fault):
    with pytest.raises(ValueError, match=fault):
        data.from_arrays(images, labels, batch_size=2)


def test_arrays_in_0_1_warn():
    with pytest.warns(UserWarning, match=r"images \* 2 - 1"):
        data.from_arrays(np.full([4, 2, 2, 1], 0.5), batch_size=2)


@pytest.mark.parametrize(
    "arguments",
    [{"batch_size": 0}, {"start": -1}, {"epochs": 0}, {"seed": 0.5}, {"batch_size": 2.0}],
)
def test_streams_refuse_bad_counts(arguments):
    with pytest.raises(ValueError, match=next(iter(arguments))):
        data.from_arrays(noise(4, 2, 2, 1), **{"batch_size": 2, **arguments})


@pytest.mark.parametrize("start", [0, 2, 9])
def test_a_stream_that_ends_says_how_long_it_is(folder, place, start):
    batches = data.stream(Dataset(folder=str(folder)), 3, epochs=2, start=start)
    assert int(batches.cardinality()) == len(take(batches, -1)) == max(0, 14 // 3 - start)
    assert int(data.stream(Dataset(folder=str(folder)), 3).cardinality()) < 0


@pytest.mark.parametrize("start", [1, 3, 11])
def test_stream_resumes_exactly(tmp_path, place, start):
    for index in range(10):
        write_png(tmp_path / "c" / f"{index}.png", noise(12, 10, 3, seed=index))
    dataset = Dataset(
        folder=str(tmp_path), size=(9, 8), random_crop=(6, 5), flip=True, label="label"
    )
    whole = take(data.stream(dataset, 3, seed=7), start + 4)
    assert whole[0]["image"].shape == (3, 6, 5, 3)
    assert_equal(whole[start:], take(data.stream(dataset, 3, seed=7, start=start), 4))
    other = take(data.stream(dataset, 3, seed=8), 1)[0]
    assert (other["image"] != whole[0]["image"]).any()


def test_memory_and_disk_agree_on_a_set_of_one_order(folder, monkeypatch):
    dataset = Dataset(folder=str(folder), size=5, random_crop=3, flip=True, limit=1)
    memory = take(data.stream(dataset, 2), 3)
    monkeypatch.setattr(streams, "IN_MEMORY_BYTES", 0)
    assert_equal(memory, take(data.stream(dataset, 2), 3))


def test_disk_order_ignores_the_global_seed(folder, monkeypatch):
    monkeypatch.setattr(streams, "IN_MEMORY_BYTES", 0)
    dataset = Dataset(folder=str(folder))
    tf.random.set_seed(1)
    first = take(data.stream(dataset, 7), 3)
    tf.random.set_seed(2)
    assert_equal(first, take(data.stream(dataset, 7), 3))
    assert (first[0]["image"] != first[1]["image"]).any()


def test_random_crops_are_windows_everywhere(tmp_path):
    image = np.arange(30, dtype=np.uint8).reshape(5, 6, 1)
    write_png(tmp_path / "x.png", image)
    dataset = Dataset(folder=str(tmp_path), random_crop=(4, 3))
    crops = take(data.stream(dataset, 400), 1)[0]["image"]
    crops = np.round((crops + 1) * 127.5).astype(int)
    corners = crops[:, 0, 0, 0]
    places, counts = np.unique(corners, return_counts=True)
    assert places.tolist() == [0, 1, 2, 3, 6, 7, 8, 9]  # 2 rows x 4 columns
    assert counts.min() > 25 and counts.max() < 85  # 50 each; 3.7 and 5.3 standard deviations
    for corner, crop in zip(corners, crops, strict=True):
        row, column = divmod(corner, 6)
        np.testing.assert_array_equal(crop, image[row : row + 4, column : column + 3])
    (centre,) = data.images(dataset)
    np.testing.assert_array_equal(centre[0], image[0:4, 1:4])
