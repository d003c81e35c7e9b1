"""Data sets of TFDS: features, names, and what is said where there is no network."""

import os
import socket
import subprocess
import sys

import numpy as np
import pytest
from harness import no_network
from support.data_sets import assert_equal, take

from ganzoo import data
from ganzoo.data import Dataset, debian
from ganzoo.data import tfds as of_tfds


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
    monkeypatch.setattr(of_tfds.urllib.request, "getproxies", dict)
    monkeypatch.setattr(debian, "FOLDER", tmp_path / "absent")
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


def test_unknown_splits_list_the_known_ones(fashion_dir):
    with pytest.raises(ValueError, match="'test'.*'train'|'train'.*'test'"):
        data.stream(Dataset(name="fashion_mnist", split="valid"), 2, data_dir=fashion_dir)
