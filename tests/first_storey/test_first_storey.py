"""What the commit 30f8870 wrote loads and resumes: `.keras`, `save_pretrained`, run folders.

On the machine that wrote the files resuming gives the same bits (`GANZOO_SAME_MACHINE=1` demands
that). Elsewhere sums are taken in another order, hence the means, which other random numbers, a
phase too much or a forgotten slot exceed tenfold.
"""

import os
import pathlib
import runpy
import shutil

import numpy as np
import pytest

import ganzoo
from ganzoo import recipe as recipes

HERE = pathlib.Path(__file__).parent
WRITER = runpy.run_path(str(HERE / "make.py"))
SAME_MACHINE = os.environ.get("GANZOO_SAME_MACHINE") == "1"
NAMES = sorted(WRITER["SIZES"])


def assert_state(gan, file, *, exact):
    state = WRITER["state_of"](gan)
    with np.load(HERE / file) as expected:
        assert sorted(expected) == sorted(state)
        for key, value in state.items():
            if exact or value.dtype.kind != "f":
                np.testing.assert_array_equal(value, expected[key], err_msg=key)
            else:
                assert value.shape == expected[key].shape, key
                assert np.abs(value - expected[key]).mean() <= 1e-4, key


@pytest.mark.parametrize("name", NAMES)
def test_keras_files(name):
    gan = ganzoo.load(HERE / f"{name}.keras")
    assert_state(gan, f"{name}_saved.npz", exact=True)
    if name == "stylegan2":
        return  # its training is that of the run `pictures`, below
    gan.fit(WRITER["batches"](name, WRITER["STEPS"], WRITER["MORE"]), verbose=0)
    assert_state(gan, f"{name}_resumed.npz", exact=SAME_MACHINE)


def test_save_pretrained():
    gan = ganzoo.load(HERE / "cgan_pretrained")
    whole = ganzoo.load(HERE / "cgan.keras")
    for name, network in whole.networks().items():
        for a, b in zip(network.get_weights(), gan.networks()[name].get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)
    assert gan.get_config() | {"name": ""} == whole.get_config() | {"name": ""}
    np.testing.assert_array_equal(gan.generate(4, seed=1), whole.generate(4, seed=1))
    alone = ganzoo.load_generator(HERE / "cgan_pretrained")
    np.testing.assert_array_equal(alone.generate(4, seed=1), whole.generate(4, seed=1))


@pytest.mark.parametrize("name", ["pictures", "points"])
def test_runs(name, tmp_path, monkeypatch):
    shutil.copytree(HERE / f"run_{name}", tmp_path / "run")
    shutil.copytree(HERE / "pictures", tmp_path / "pictures")
    monkeypatch.chdir(tmp_path)
    recipe = recipes.read(f"{HERE / 'recipe.py'}:{name}")
    gan = recipes.run(recipe, tmp_path / "run", verbose=0)
    lines = (tmp_path / "run/log.csv").read_text().splitlines()
    assert len(lines) == 4  # a header, the two epochs of old, the third
    assert_state(gan, f"run_{name}_resumed.npz", exact=SAME_MACHINE)
    assert (ganzoo.load(tmp_path / "run").generate(2) == gan.generate(2)).all()
