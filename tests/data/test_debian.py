"""Fashion-MNIST from Debian's package is the published one."""

import gzip

import numpy as np
import pytest
from harness import DEBIAN
from support.data_sets import assert_equal, take

from ganzoo import data
from ganzoo.data import Dataset, debian


def test_gzip_header_is_restored():
    plain = gzip.compress(b"abc", mtime=0)
    restored = debian.with_gzip_header(plain, "name", 1504176606)
    assert gzip.decompress(restored) == b"abc"
    assert restored[3] == 8 and restored[10:15] == b"name\0"
    assert int.from_bytes(restored[4:8], "little") == 1504176606
    assert debian.with_gzip_header(restored, "other", 0) == restored
    with pytest.raises(gzip.BadGzipFile, match="1f 8b 08"):
        debian.with_gzip_header(b"PK\3\4" + bytes(20), "name", 0)


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
