"""Every row of weights_manifest.json is whole: file, licence, numbers, a model that generates."""

import hashlib
import json
import re

import keras
import numpy as np
import pytest

import ganzoo
from ganzoo import hub

FILE_LIMIT, PACKAGE_LIMIT = 8_000_000, 40_000_000  # bytes
ROWS = hub.manifest()
each_row = pytest.mark.parametrize("name", sorted(ROWS))


def file_of(name):
    (file,) = ROWS[name]["files"]
    return file, hub.HERE / "weights" / file["package"]


def plain(value):
    return json.loads(json.dumps(value))


def test_there_are_rows_in_order(root):
    text = (root / "weights_manifest.json").read_text("utf-8")
    assert ROWS and list(ROWS) == sorted(ROWS)
    assert text == json.dumps(ROWS, indent=2, ensure_ascii=False) + "\n"
    assert text == (hub.HERE / "weights_manifest.json").read_text("utf-8")


@each_row
def test_names_are_family_dataset_size(name):
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9.]+)+", name)
    family = ROWS[name]["family"].replace("_", "")
    assert name.startswith((f"{family}-", f"{family.removeprefix('vanilla')}-"))


@each_row
def test_file_is_as_the_row_says(name):
    file, path = file_of(name)
    data = path.read_bytes()
    assert len(data) == file["bytes"] <= FILE_LIMIT
    assert re.fullmatch("[0-9a-f]{64}", file["sha256"])
    assert hashlib.sha256(data).hexdigest() == file["sha256"]
    arrays = hub.read_safetensors(path, sha256=file["sha256"])
    assert sorted({key.split("/")[0] for key in arrays}) == sorted(ROWS[name]["holds"])
    assert all(np.isfinite(array).all() for array in arrays.values())
    kinds = {array.dtype.name for array in arrays.values() if array.ndim > 1}
    assert kinds == {file["dtype"]}


def test_the_package_stays_small():
    assert sum(file_of(name)[0]["bytes"] for name in ROWS) <= PACKAGE_LIMIT
    folder = hub.HERE / "weights"
    assert sum(path.stat().st_size for path in folder.rglob("*")) <= PACKAGE_LIMIT
    published = {file_of(name)[1].name for name in ROWS}
    assert {path.name for path in folder.glob("*.safetensors")} == published


@each_row
def test_licence_and_sources(name):
    row = ROWS[name]
    assert row["license"] and isinstance(row["non_commercial"], bool)
    if "license_file" in row:
        assert len((hub.HERE / "weights" / row["license_file"]).read_text("utf-8")) > 100
    else:
        assert row["recipe"], "weights that were not made here come with their licence's text"
    assert re.fullmatch(r"arXiv:\d{4}\.\d{4,5}", row["paper"])
    assert row["dataset"] and row["origin"]
    if row["recipe"]:
        from ganzoo import recipe

        assert row["recipe"] in recipe.names()


@each_row
@pytest.mark.parametrize("kind", ["measured", "published"])
def test_numbers_are_numbers_or_null(name, kind):
    assert isinstance(ROWS[name][kind], dict)
    for key, entry in ROWS[name][kind].items():
        if isinstance(entry, dict):  # with the command that measured it
            assert isinstance(entry["command"], str), key
            entry = entry["value"]
        assert entry is None or type(entry) in (int, float), key


def shape_of(row):
    size = row["resolution"]
    return (2,) if size is None else (size, size, row["channels"])


@each_row
def test_load(name):
    row = ROWS[name]
    gan = ganzoo.load(name)
    assert type(gan) is hub.family_class(row["family"])
    held = {network for network, origin in gan.provenance.items() if origin == name}
    assert held == set(row["holds"])
    assert gan.published.name in held
    described = plain(hub.describe(gan))
    assert described["generator"] == row["generator"]
    assert {k: described["config"][k] for k in row["config"]} == row["config"]
    assert gan.published.output_shape[1:] == shape_of(row)


@each_row
def test_generate(name):
    generator = ganzoo.load_generator(name)
    images = generator.generate(16, seed=0)
    assert images.shape[1:] == shape_of(ROWS[name])
    if images.ndim == 2:
        assert images.dtype == np.float32
        assert 0.1 < np.abs(images).max() < 4, "points far from every mode"
    else:
        assert images.dtype == np.uint8
        assert images.std() > 10, "no contrast"
        assert 5 < images.astype("float32").std(axis=0).mean() < 127, "every image is the same"
    gan = ganzoo.load(name)
    np.testing.assert_array_equal(images[:4], gan.generate(16, seed=0)[:4])


@each_row
def test_a_loaded_model_can_be_trained_on(name):
    gan = ganzoo.load(name)
    gan.compile()
    assert gan.generator_optimizer is not None
    assert isinstance(gan, keras.Model) and gan.trainable_of("generator")
