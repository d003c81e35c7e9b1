"""Fixtures of the tests of data sets."""

import numpy as np
import pytest
from support.data_sets import write_png

from ganzoo.data import streams


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
        monkeypatch.setattr(streams, "IN_MEMORY_BYTES", 0)
    return request.param


@pytest.fixture
def tfds():
    return pytest.importorskip("tensorflow_datasets")
