"""ganzoo.data: resume is exact, values are in range, and every refusal says what to do."""

import dataclasses
import gzip
import json
import math
import os
import socket
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from harness import DEBIAN, no_network

from ganzoo import data
from ganzoo.data import Dataset


def take(batches, count):
    """The first `count` batches as dicts of arrays."""
    return list(batches.take(count).as_numpy_iterator())


def assert_equal(left, right):
    assert len(left) == len(right) > 0
    for a, b in zip(left, right, strict=True):
        assert a.keys() == b.keys()
        for key in a:
            np.testing.assert_array_equal(a[key], b[key])


def write_png(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(tf.io.encode_png(np.asarray(image, np.uint8)).numpy())


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


@pytest.fixture
def folder(tmp_path):
    """Seven RGB images of 12 x 10 in two classes; image i has the value 10 i everywhere."""
    for index in range(7):
        name = ("cat", "dog")[index % 2]
        write_png(tmp_path / "set" / name / f"{index}.png", np.full([12, 10, 3], 10 * index))
    return tmp_path / "set"


@pytest.fixture(params=["memory", "disk"])
def place(request, monkeypatch):
    if request.param == "disk":
        monkeypatch.setattr(data, "IN_MEMORY_BYTES", 0)
    return request.param


@pytest.fixture
def tfds():
    return pytest.importorskip("tensorflow_datasets")


# ---------------------------------------------------------------------------- Dataset


def test_dataset_survives_json():
    dataset = Dataset(
        name="celeb_a", crop=108, size=(64, 48), random_crop=(32, 32), attributes=("Smiling",)
    )
    again = Dataset(**json.loads(json.dumps(dataclasses.asdict(dataset))))
    assert again == dataset and hash(again) == hash(dataset)


def test_mixture_defaults_become_explicit():
    assert dataclasses.asdict(Dataset(name="ring"))["std"] == 0.02
    assert Dataset(name="grid").mixture() == data.grid()


@pytest.mark.parametrize(
    "fields, fault",
    [
        ({}, "Received neither"),
        ({"name": ""}, "name="),
        ({"name": "mnist", "folder": "x"}, "exclude each other"),
        ({"folder": "x", "split": "test"}, "split='test'"),
        ({"name": "mnist", "size": 0}, "size=0"),
        ({"name": "mnist", "size": (32, 32, 3)}, "size="),
        ({"name": "mnist", "size": True}, "size=True"),
        ({"name": "mnist", "crop": "centre"}, "crop='centre'"),
        ({"name": "mnist", "size": 8, "random_crop": 9}, "at most size=8"),
        ({"name": "mnist", "channels": 4}, "channels=4"),
        ({"name": "mnist", "limit": 0}, "limit=0"),
        ({"name": "mnist", "flip": 1}, "flip=1"),
        ({"name": "mnist", "resize_method": "sinc"}, "lanczos3"),
        ({"name": "celeb_a", "label": "label", "attributes": ("Smiling",)}, "leave one out"),
        ({"name": "celeb_a", "attributes": "Smiling"}, "tuple of str"),
        ({"name": "ring", "size": 32}, "points, not images"),
        ({"name": "mnist", "modes": 8}, "only the mixtures"),
        ({"name": "grid", "modes": 8}, "square number"),
        ({"name": "ring", "std": 0.0}, "above 0"),
    ],
)
def test_dataset_refuses(fields, fault):
    with pytest.raises(ValueError, match="Received") as error:
        Dataset(**fields)
    assert fault in str(error.value)


def test_dataset_lists_all_faults():
    with pytest.raises(ValueError) as error:
        Dataset(name="mnist", size=0, channels=2, limit=-1)
    assert all(field in str(error.value) for field in ("size=0", "channels=2", "limit=-1"))


# ---------------------------------------------------------------------------- arrays


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


# ---------------------------------------------------------------------------- folders


def test_folder_with_classes(folder, place):
    dataset = Dataset(folder=str(folder), label="label")
    (batch,) = take(data.stream(dataset, 7, epochs=1), -1)
    assert batch["image"].shape == (7, 12, 10, 3) and batch["label"].dtype == np.int32
    value = np.round((batch["image"][:, 0, 0, 0] + 1) * 127.5).astype(int)
    assert sorted(value) == [0, 10, 20, 30, 40, 50, 60]
    np.testing.assert_array_equal(batch["label"], value // 10 % 2)  # cat 0, dog 1


def test_folder_without_labels_takes_all_levels(folder):
    write_png(folder / "top.png", np.full([12, 10, 3], 200))
    (folder / "notes.txt").write_text("not an image")
    write_png(folder / ".hidden" / "h.png", np.zeros([3, 3, 3]))
    batches = list(data.images(Dataset(folder=str(folder)), batch_size=3))
    assert [len(batch) for batch in batches] == [3, 3, 2]
    values = np.concatenate(batches)[:, 0, 0, 0].tolist()
    assert values == [0, 20, 40, 60, 10, 30, 50, 200]  # sorted by path
    with pytest.raises(ValueError, match="top.png"):
        data.stream(Dataset(folder=str(folder), label="label"), 2)


def test_limits(folder):
    dataset = Dataset(folder=str(folder), limit=5)
    assert sum(map(len, data.images(dataset))) == 5
    assert sum(map(len, data.images(dataset, limit=2))) == 2
    assert len(take(data.stream(dataset, 1, epochs=1), -1)) == 5


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
    monkeypatch.setattr(data, "IN_MEMORY_BYTES", 0)
    assert_equal(memory, take(data.stream(dataset, 2), 3))


def test_disk_order_ignores_the_global_seed(folder, monkeypatch):
    monkeypatch.setattr(data, "IN_MEMORY_BYTES", 0)
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


def test_centre_crop(tmp_path):
    image = noise(9, 7, 3)
    write_png(tmp_path / "x.png", image)
    (batch,) = data.images(Dataset(folder=str(tmp_path), crop=4))
    np.testing.assert_array_equal(batch[0], image[2:6, 1:5])
    (batch,) = data.images(Dataset(folder=str(tmp_path), crop="square"))
    np.testing.assert_array_equal(batch[0], image[1:8])
    with pytest.raises(ValueError, match="crop=8"):
        data.images(Dataset(folder=str(tmp_path), crop=8))


def test_resize_filters_and_rounds(tmp_path):
    image = noise(8, 6, 1)
    write_png(tmp_path / "x.png", image)
    (batch,) = data.images(Dataset(folder=str(tmp_path), size=(4, 3), resize_method="area"))
    means = image.reshape(4, 2, 3, 2).mean(axis=(1, 3))
    np.testing.assert_allclose(batch[0, ..., 0], means, atol=0.5)
    (batch,) = data.images(Dataset(folder=str(tmp_path), size=(16, 12), resize_method="nearest"))
    np.testing.assert_array_equal(batch[0, ::2, ::2], image)
    # A checkerboard is grey after a filtered reduction and black or white without the filter.
    write_png(tmp_path / "x.png", np.indices([16, 16]).sum(0)[..., None] % 2 * 255)
    (batch,) = data.images(Dataset(folder=str(tmp_path), size=4))
    assert abs(batch.astype(int) - 127.5).max() < 20


def test_sizes_may_differ_when_they_are_fitted(tmp_path, place):
    for index, (height, width) in enumerate([(8, 12), (20, 10), (9, 9)]):
        write_png(tmp_path / f"{index}.png", np.full([height, width, 3], 50 * index))
    dataset = Dataset(folder=str(tmp_path), crop="square", size=6)
    assert take(data.stream(dataset, 3), 1)[0]["image"].shape == (3, 6, 6, 3)
    (batch,) = data.images(dataset)
    assert batch[:, 0, 0, 0].tolist() == [0, 50, 100]
    with pytest.raises(ValueError, match=r"1\.png.*\(20, 10\)"):
        list(data.images(Dataset(folder=str(tmp_path))))
    with pytest.raises(ValueError, match=r"0\.png.*\(8, 12\)|crop.*\(8, 12\)"):
        list(data.images(Dataset(folder=str(tmp_path), crop=9, size=6)))


def test_channels(tmp_path):
    write_png(tmp_path / "rgb" / "x.png", np.full([2, 2, 3], [200, 100, 0]))
    write_png(tmp_path / "grey" / "x.png", np.full([2, 2, 1], 77))
    rgb, grey = str(tmp_path / "rgb"), str(tmp_path / "grey")
    (batch,) = data.images(Dataset(folder=grey, channels=3))
    assert batch[0, 0, 0].tolist() == [77, 77, 77]
    (batch,) = data.images(Dataset(folder=rgb, channels=1))
    luma = 0.299 * 200 + 0.587 * 100  # ITU-R BT.601
    assert batch.shape == (1, 2, 2, 1) and abs(batch[0, 0, 0, 0] - luma) < 2
    with pytest.raises(ValueError, match=r"rgb/x\.png"):
        list(data.images(Dataset(folder=str(tmp_path), size=2)))  # grey comes first


def test_transparent_images_need_a_decision(tmp_path):
    write_png(tmp_path / "x.png", np.full([2, 2, 4], 50))
    with pytest.raises(ValueError, match="channels=1 or 3"):
        data.images(Dataset(folder=str(tmp_path)))
    (batch,) = data.images(Dataset(folder=str(tmp_path), channels=3))
    assert batch.shape == (1, 2, 2, 3)


@pytest.mark.parametrize("content", [b"no image", b""])
def test_a_corrupt_file_is_named(folder, place, content):
    (folder / "dog" / "broken.png").write_bytes(content)
    dataset = Dataset(folder=str(folder))
    with pytest.raises(ValueError, match=r"dog/broken\.png.*") as error:
        list(data.images(dataset))
    assert "Traceback" not in str(error.value)
    expected = ValueError if place == "memory" else tf.errors.InvalidArgumentError
    with pytest.raises(expected, match=r"broken\.png"):
        take(data.stream(dataset, 8, epochs=2), -1)


def test_a_truncated_file_is_named(tmp_path):
    write_png(tmp_path / "a.png", noise(16, 16, 3))
    write_png(tmp_path / "b.png", noise(16, 16, 3))
    path = tmp_path / "b.png"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(ValueError, match=r"b\.png"):
        list(data.images(Dataset(folder=str(tmp_path))))


def test_missing_and_empty_folders(tmp_path):
    for folder in (tmp_path / "absent", tmp_path):
        with pytest.raises(data.DatasetNotFoundError, match="folder="):
            data.stream(Dataset(folder=str(folder)), 2)


# ---------------------------------------------------------------------------- mixtures


def test_ring_has_eight_places():
    centres = data.ring().centres
    assert centres.shape == (8, 2) and centres.dtype == np.float32
    assert len(np.unique(np.round(centres, 4), axis=0)) == 8
    distances = np.linalg.norm(centres[:, None] - centres, axis=-1) + 9 * np.eye(8)
    np.testing.assert_allclose(distances.min(1), 2 * 2 * math.sin(math.pi / 8), atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(centres, axis=1), 2.0, atol=1e-6)


def test_grid_centres():
    centres = data.grid(16, radius=3.0).centres
    expected = {(x, y) for x in (-3, -1, 1, 3) for y in (-3, -1, 1, 3)}
    assert {tuple(centre) for centre in centres.tolist()} == expected
    assert data.grid().centres.shape == (25, 2)


@pytest.mark.parametrize("mixture", [data.ring(), data.grid(16), data.grid(25)])
def test_score_of_perfect_samples(mixture):
    samples = mixture.sample(20_000, seed=1)
    result = data.score(samples, mixture)
    assert result["modes"] == mixture.modes
    assert abs(result["high_quality"] - (1 - math.exp(-4.5))) < 0.003  # 4 standard deviations
    assert 0 < result["kl"] < 4 * (mixture.modes - 1) / 40_000
    np.testing.assert_array_equal(samples, mixture.sample(20_000, seed=1))
    assert (samples != mixture.sample(20_000, seed=2)).any()


def test_score_of_collapsed_and_bad_samples():
    mixture = data.ring()
    one = np.repeat(mixture.centres[:1], 100, axis=0)
    expected = {"modes": 1, "high_quality": 1.0, "kl": pytest.approx(math.log(8))}
    assert data.score(one, mixture) == expected
    half = np.concatenate([mixture.centres[:4]] * 25 + [np.zeros([100, 2])])
    expected = {"modes": 4, "high_quality": 0.5, "kl": pytest.approx(math.log(2))}
    assert data.score(half, mixture) == expected
    none = {"modes": 0, "high_quality": 0.0, "kl": pytest.approx(math.log(8))}
    assert data.score(np.zeros([10, 2]), mixture) == none
    assert data.score(np.full([10, 2], np.nan), mixture) == none
    near = mixture.centres + np.float32([[0.059, 0]])
    assert data.score(near, mixture)["high_quality"] == 1.0
    far = mixture.centres + np.float32([[0.061, 0]])
    assert data.score(far, mixture)["high_quality"] == 0.0
    with pytest.raises(ValueError, match=r"shape=\(3, 3\)"):
        data.score(np.zeros([3, 3]), mixture)


def test_mixture_stream_resumes_and_is_labelled():
    dataset = Dataset(name="ring", label="label")
    whole = take(data.stream(dataset, 64, seed=5), 6)
    assert_equal(whole[2:], take(data.stream(dataset, 64, seed=5, start=2), 4))
    points = np.concatenate([batch["image"] for batch in whole])
    labels = np.concatenate([batch["label"] for batch in whole])
    assert points.dtype == np.float32 and labels.dtype == np.int32
    assert np.linalg.norm(points - data.ring().centres[labels], axis=1).max() < 0.1
    assert data.score(points, data.ring())["modes"] == 8
    assert (whole[0]["image"] != whole[1]["image"]).all()
    assert list(take(data.stream(Dataset(name="grid"), 4), 1)[0]) == ["image"]


def test_mixtures_have_no_epochs_and_no_images():
    with pytest.raises(ValueError, match="epochs=1"):
        data.stream(Dataset(name="ring"), 4, epochs=1)
    with pytest.raises(ValueError, match="sample"):
        data.images(Dataset(name="ring"))


# ---------------------------------------------------------------------------- TFDS


def test_import_does_not_import_tfds():
    code = "import sys, ganzoo.data; sys.exit('tensorflow_datasets' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    assert subprocess.run([sys.executable, "-c", code], env=environment).returncode == 0


def test_celeb_a_crop_and_attributes(tfds, place):
    dataset = Dataset(
        name="celeb_a", crop=108, size=64, flip=True, attributes=("Smiling", "Eyeglasses")
    )
    with tfds.testing.mock_data(num_examples=9):
        batch = take(data.stream(dataset, 4), 1)[0]
        (raw,) = data.images(Dataset(name="celeb_a"))
        (cropped,) = data.images(Dataset(name="celeb_a", crop=108))
    assert batch["image"].shape == (4, 64, 64, 3) and batch["image"].dtype == np.float32
    assert batch["image"].min() >= -1 and batch["image"].max() <= 1
    assert batch["label"].shape == (4, 2) and batch["label"].dtype == np.float32
    assert set(np.unique(batch["label"])) <= {0.0, 1.0}
    assert raw.shape == (9, 218, 178, 3)
    np.testing.assert_array_equal(cropped, raw[:, 55:163, 35:143])


def test_tfds_stream_resumes_exactly(tfds, place):
    dataset = Dataset(name="cifar10", size=20, random_crop=16, flip=True, label="label", channels=1)
    with tfds.testing.mock_data(num_examples=10):
        whole = take(data.stream(dataset, 4, seed=3), 9)
        assert_equal(whole[5:], take(data.stream(dataset, 4, seed=3, start=5), 4))
    assert whole[0]["image"].shape == (4, 16, 16, 1) and whole[0]["label"].dtype == np.int32


def test_images_of_varying_size_need_a_size(tfds):
    with tfds.testing.mock_data(num_examples=2):
        with pytest.raises(ValueError, match="differ in size; give `size`"):
            data.stream(Dataset(name="lsun/bedroom"), 2)
        dataset = Dataset(name="lsun/bedroom", crop="square", size=16)
        assert take(data.stream(dataset, 2), 1)[0]["image"].shape == (2, 16, 16, 3)


@pytest.mark.parametrize(
    "fields, fault",
    [
        ({"image": "picture"}, "image='picture'"),
        ({"label": "image"}, "label='image'"),
        ({"label": "class"}, "features: .*'label'"),
        ({"attributes": ("Smiling",)}, "Smiling"),
        ({"crop": 33}, "crop=33"),
        ({"random_crop": 33}, "random_crop=33"),
    ],
)
def test_features_that_are_not_there(tfds, fields, fault):
    with tfds.testing.mock_data(num_examples=2), pytest.raises(ValueError, match=fault):
        data.stream(Dataset(name="cifar10", **fields), 2)


def test_misspelt_names_get_a_suggestion(tfds, tmp_path):
    with pytest.raises(data.DatasetNotFoundError, match="near it: fashion_mnist"):
        data.stream(Dataset(name="fashion_mnits"), 2, data_dir=tmp_path)
    with pytest.raises(data.DatasetNotFoundError, match="cycle_gan/horse2zebra"):
        data.stream(Dataset(name="cycle_gan/horse2zebr"), 2, data_dir=tmp_path)


def test_no_network_is_one_clear_line(tfds, tmp_path, monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    monkeypatch.setattr(data.urllib.request, "getproxies", dict)
    monkeypatch.setattr(data, "_DEBIAN_FASHION_MNIST", tmp_path / "absent")
    for name in ("cifar10", "fashion_mnist"):
        with pytest.raises(data.DatasetNotFoundError) as error:
            data.stream(Dataset(name=name), 2, data_dir=tmp_path)
        message = str(error.value)
        assert f"tfds.builder('{name}', data_dir='{tmp_path}').download_and_prepare()" in message
        assert "\n" not in message and "no address for" in message
        assert ("apt-get install dataset-fashion-mnist" in message) == (name == "fashion_mnist")


def test_manual_sets_say_so(tfds, tmp_path):
    with pytest.raises(data.DatasetNotFoundError, match="downloads/manual by hand") as error:
        data.stream(Dataset(name="celeb_a_hq/64"), 2, data_dir=tmp_path)
    assert "\n" not in str(error.value)


# ---------------------------------------------------------------------------- Fashion-MNIST


def test_gzip_header_is_restored():
    plain = gzip.compress(b"abc", mtime=0)
    restored = data._with_gzip_header(plain, "name", 1504176606)
    assert gzip.decompress(restored) == b"abc"
    assert restored[3] == 8 and restored[10:15] == b"name\0"
    assert int.from_bytes(restored[4:8], "little") == 1504176606
    assert data._with_gzip_header(restored, "other", 0) == restored
    with pytest.raises(gzip.BadGzipFile, match="1f 8b 08"):
        data._with_gzip_header(b"PK\3\4" + bytes(20), "name", 0)


def test_fashion_mnist_is_the_published_one(fashion_dir):
    with gzip.open(DEBIAN / "t10k-images-idx3-ubyte.gz") as file:
        published = np.frombuffer(file.read(), np.uint8, offset=16).reshape(10_000, 28, 28, 1)
    dataset = Dataset(name="fashion_mnist", split="test")
    batches = data.images(dataset, data_dir=fashion_dir, batch_size=1000)
    ours = np.concatenate(list(batches))
    assert ours.dtype == np.uint8
    assert {image.tobytes() for image in ours} == {image.tobytes() for image in published}
    assert int(ours.sum()) == int(published.sum())


def test_fashion_mnist_stream(fashion_dir, place):
    dataset = Dataset(name="fashion_mnist", split="test", size=32, flip=True, label="label")
    arguments = dict(seed=1, data_dir=fashion_dir)
    batches = take(data.stream(dataset, 1000, epochs=1, **arguments), -1)
    labels = np.concatenate([batch["label"] for batch in batches])
    assert np.bincount(labels).tolist() == [1000] * 10
    assert batches[0]["image"].shape == (1000, 32, 32, 1)
    assert batches[0]["image"].min() == -1.0 and 0.9 < batches[0]["image"].max() <= 1.0
    # Over the end of the first epoch.
    whole = take(data.stream(dataset, 3000, **arguments), 5)
    assert_equal(whole[2:], take(data.stream(dataset, 3000, start=2, **arguments), 3))


def test_unknown_splits_list_the_known_ones(fashion_dir):
    with pytest.raises(ValueError, match="'test'.*'train'|'train'.*'test'"):
        data.stream(Dataset(name="fashion_mnist", split="valid"), 2, data_dir=fashion_dir)
