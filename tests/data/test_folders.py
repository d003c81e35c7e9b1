"""Folders of images: order, classes, sizes and channels, and files that are no images."""

import numpy as np
import pytest
import tensorflow as tf
from support.data_sets import noise, take, write_png

from ganzoo import data
from ganzoo.data import Dataset


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
