"""The official goldens of the StyleGAN line: arrays in NHWC, and how far ours are from them."""

import functools
import json
import pathlib

import keras
import numpy as np
import pytest

import ganzoo
from ganzoo.errors import WeightsError


@functools.cache
def arrays(folder, name="golden.npz"):
    """{key: array} of a case; every array of rank 4 becomes NHWC, as if it were an image."""
    with np.load(pathlib.Path(folder) / name, allow_pickle=False) as file:
        return {key: nhwc(file[key]) for key in file.files}


def nhwc(x):
    """NCHW to NHWC; other ranks as they are."""
    return np.ascontiguousarray(np.moveaxis(x, 1, -1)) if x.ndim == 4 else x


@functools.cache
def manifest(folder):
    """The case's description."""
    return json.loads((pathlib.Path(folder) / "manifest.json").read_text(encoding="utf-8"))


@functools.cache
def network(folder):
    """The `GAN` of a case's file."""
    return ganzoo.load(str(pathlib.Path(folder) / "network.pkl"))


def error(found, wanted):
    """max |found - wanted| / max(1, max |wanted|)."""
    found = np.asarray(keras.ops.convert_to_numpy(found), "float64")
    wanted = np.asarray(wanted, "float64")
    assert found.shape == wanted.shape, (found.shape, wanted.shape)
    if not wanted.size:
        return 0.0
    return float(np.abs(found - wanted).max() / max(1.0, np.abs(wanted).max()))


def gradient_error(found, wanted, largest):
    """max |found - wanted| as a share of what the goldens allow: <= 1 is good.

    Args: largest: max |any gradient of the phase|.
    """
    found, wanted = np.asarray(found, "float64"), np.asarray(wanted, "float64")
    assert found.shape == wanted.shape, (found.shape, wanted.shape)
    allowed = 1e-3 * np.abs(wanted).max() + 1e-5 * largest
    return float(np.abs(found - wanted).max() / allowed)


def refusal(load, name, change):
    """What loading a changed file says; `load`: the fixture."""
    with pytest.raises(WeightsError) as raised:
        load(name, change)
    return str(raised.value)
