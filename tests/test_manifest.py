"""Every row of weights_manifest.json is whole: files, licence, numbers, a family and a source that
reads it, or what is missing; and every shipped model generates.
"""

import collections
import hashlib
import json
import pathlib
import re
import runpy
import time

import jsonschema
import keras
import numpy as np
import pytest

import ganzoo
from ganzoo import errors, hub, resources
from ganzoo.convert import foreign
from ganzoo.hub import publish, store
from ganzoo.metrics import classifier

FILE_LIMIT, PACKAGE_LIMIT = 8_000_000, 40_000_000  # bytes
ROWS = hub.manifest()
SHIPPED = {name: row for name, row in ROWS.items() if "package" in row["files"][0]["mirrors"][0]}
PLANNED = {name: row for name, row in ROWS.items() if row["status"] == "planned"}
FREE = {"Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "MIT"}
NOT_FREE = {"CC-BY-NC-4.0", "Nvidia Source Code License-NC"}
PLAIN_HTTP = {"efrosgans.eecs.berkeley.edu"}  # publishers who offer nothing else
FAMILIES = {path.stem for path in resources.FAMILIES.glob("[!_]*.py")}
each_row = pytest.mark.parametrize("name", sorted(SHIPPED))


def file_of(name):
    (file,) = ROWS[name]["files"]
    (mirror,) = file["mirrors"]
    return file, resources.WEIGHTS / mirror["package"]


def plain(value):
    return json.loads(json.dumps(value))


def test_there_are_rows_in_order(root):
    text = (root / "weights_manifest.json").read_text("utf-8")
    assert ROWS and list(ROWS) == sorted(ROWS)
    assert text == json.dumps(ROWS, indent=2, ensure_ascii=False) + "\n"
    assert text == resources.MANIFEST.read_text("utf-8")


# --- every row


@pytest.fixture(scope="module")
def schema(root):
    return json.loads((root / "ganzoo" / "weights_manifest.schema.json").read_text("utf-8"))


def files():
    """(name of the row, file) of every file of every row."""
    return [(name, file) for name, row in ROWS.items() for file in row["files"]]


def urls():
    """(name of the row, mirror) of every web address."""
    return [(name, m) for name, file in files() for m in file["mirrors"] if "url" in m]


def test_the_schema_holds(schema):
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    faults = [f"{list(e.path)}: {e.message[:200]}" for e in validator.iter_errors(ROWS)]
    assert not faults, "\n".join(faults[:10])
    order = schema["$defs"]["row"]["required"]
    for name, row in ROWS.items():
        assert [key for key in row if key in order] == order, name


@pytest.mark.parametrize(
    "change",
    [
        {"status": "planned"},  # without a reason
        {"why": "the family is not built yet"},  # though available
        {"license": None},
        {"paper": "1406.2661"},
        {"normalization": "frozen"},
        {"files": []},
        {"surprise": 1},
    ],
)
def test_the_schema_refuses(schema, change):
    row = {**ROWS["gan-ring8-hinge"], **change}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"gan-ring8-hinge": row}, schema)


@pytest.mark.parametrize(
    "change",
    [
        {"sha256": "0" * 63},
        {"sha256_prefix": "xyz"},
        {"bytes": 0},
        {"mirrors": [{"hf": "org/repo"}]},
        {"mirrors": [{"url": "file:///weights.pth"}]},
    ],
)
def test_the_schema_refuses_a_file(schema, change):
    row = ROWS["gan-ring8-hinge"]
    row = {**row, "files": [{**row["files"][0], **change}]}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"gan-ring8-hinge": row}, schema)


def test_there_are_the_published_models():
    assert len(ROWS) - len(SHIPPED) >= 300
    families = collections.Counter(row["family"] for row in ROWS.values())
    expected = """biggan cgan cyclegan dcgan hifigan lsgan pix2pix progan r3gan sagan sngan stargan
    stylegan stylegan2 stylegan3 text_to_image_gan vanilla_gan wgan wgangp"""
    assert set(families) == set(expected.split())


def test_names_are_family_dataset_size():
    for name, row in ROWS.items():
        family = row["family"].replace("_", "")
        assert name.startswith((f"{family}-", f"{family.removeprefix('vanilla')}-")), name


def test_every_name_and_alias_is_used_once():
    names = collections.Counter([*ROWS, *(a for row in ROWS.values() for a in row["aliases"])])
    assert [name for name, count in names.items() if count > 1] == []


@pytest.mark.parametrize(
    "alias, name",
    [
        ("stylegan-ffhq", "stylegan-ffhq-1024"),
        ("stylegan2-ffhq", "stylegan2-ffhq-1024"),
        ("stylegan2-ada-ffhq", "stylegan2-ffhq-1024-ada"),
        ("stylegan2-cat", "stylegan2-lsun-cat-256"),
        ("stylegan3-ffhq", "stylegan3-ffhq-1024-t"),
        ("stylegan3-r-ffhq", "stylegan3-ffhq-1024-r"),
        ("progan-celebahq", "progan-celebahq-1024"),
        ("cyclegan-horse2zebra", "cyclegan-horse2zebra-256"),
        ("pix2pix-facades", "pix2pix-facades-label2photo-256"),
        ("biggan-deep-128", "biggan-imagenet-128-deep"),
        ("stargan-celeba", "stargan-celeba-128"),
        ("hifigan-universal", "hifigan-universal-v1"),
        ("stackgan-birds", "texttoimagegan-cub-256-stackgan"),
        ("dcgan-svhn", "dcgan-svhn-32"),
    ],
)
def test_the_names_that_users_type(alias, name):
    assert hub.full_name(alias) == name


def test_an_available_row_has_its_family_and_its_sources():
    sources = {None, *foreign.sources()}
    for name in sorted(set(ROWS) - set(PLANNED)):
        row = ROWS[name]
        assert row["family"] in FAMILIES, name
        assert {file["converter"] for file in row["files"]} <= sources, name
        foreign_file = row["files"][0]["converter"] is not None
        told = row.get("generators", row.get("generator"))
        assert foreign_file == (told is None) == (name not in SHIPPED), name


def test_a_planned_row_is_really_missing_something():
    sources = foreign.sources()
    for name, row in PLANNED.items():
        if row["family"] not in FAMILIES:
            assert f"`{row['family']}` is not built yet" in row["why"], name
            continue
        assert "not built yet" not in row["why"], f"{name}: the family is built"
        if "cannot be read" in row["why"]:
            converters = {file["converter"] for file in row["files"]} & set(sources)
            texts = [pathlib.Path(sources[c].__file__).read_text("utf-8") for c in converters]
            found = [text for text in texts if f'"{row["family"]}"' in text]
            assert not found, f"{name}: {converters} knows its family; say what else it lacks"


def test_a_planned_model_is_refused():
    for name, row in PLANNED.items():
        with pytest.raises(errors.PlannedModelError, match=re.escape(row["why"])):
            ganzoo.load(name, accept_license=True)


def test_published_digits_of_a_hash_are_those_of_the_file_name():
    checked = 0
    for name, file in files():
        for mirror in file["mirrors"]:
            suffix = re.search(r"-([0-9a-f]{7,8})\.pth$", mirror.get("url", ""))
            if suffix:
                assert file["sha256_prefix"] == suffix[1], name
                checked += 1
        if file["sha256"]:
            assert file["sha256"].startswith(file.get("sha256_prefix", "")), name
    assert checked >= 70


def test_one_hash_is_of_one_file():
    known = collections.defaultdict(set)
    for name, file in files():
        if file["sha256"] and name not in SHIPPED:
            known[file["sha256"]].add(str(file["mirrors"]))
    assert [sha for sha, where in known.items() if len(where) > 1] == []


def test_no_file_is_listed_twice():
    """Two rows of one file would be one model under two names."""
    count = collections.Counter(str(m) for _, file in files() for m in file["mirrors"])
    assert [mirror for mirror, n in count.items() if n > 1] == []


def test_licences_are_known_and_flagged():
    for name, row in ROWS.items():
        if row["license"] == "unstated-for-weights":
            continue
        assert row["license"] in FREE | NOT_FREE, name
        assert row["non_commercial"] == (row["license"] in NOT_FREE), name
        url = row.get("license_url")
        assert url or row["license"] in FREE, f"{name}: nobody can read the licence"
    for name, row in ROWS.items():
        nvidia = "nvidia" in str(row["files"]).lower()  # of what they trained, whoever copied it
        assert row["non_commercial"] or not nvidia, name


def test_web_addresses_name_a_file():
    for name, mirror in urls():
        url = mirror["url"]
        host = url.split("/")[2]
        assert url.startswith("https://") or host in PLAIN_HTTP, name
        last = mirror.get("filename") or url.split("/")[-1]
        assert re.fullmatch(r"[\w.=%-]+\.\w+", last) and "?" not in last, (name, last)
        if host == "drive.usercontent.google.com":
            assert re.search(r"[?&]id=[\w-]{20,}&export=download&confirm=t$", url), name


def test_networks_and_numbers():
    for name, row in ROWS.items():
        assert row["holds"] == sorted(row["holds"]), name
        low, high = row["value_range"] or (None, None)
        assert row["value_range"] is None or low < high, name
        if row["family"] == "hifigan":
            assert row["channel_order"] is row["resolution"] is row["channels"] is None, name
        elif name not in SHIPPED:
            assert row["channels"] == {"gray": 1}.get(row["channel_order"], 3), name
            assert row["measured"] == {}, name
        for key, entry in row["published"].items():
            assert re.fullmatch(r"[a-z0-9_]+", key), name
            assert entry["value"] == entry["value"], name  # NaN


def test_it_is_quick_to_read(root):
    text, times = (root / "weights_manifest.json").read_text("utf-8"), []
    for _ in range(5):
        start = time.perf_counter()
        json.loads(text)
        times.append(time.perf_counter() - start)
    assert min(times) < 0.02


def test_the_table_in_the_readme_is_that_of_the_manifest(root):
    script = runpy.run_path(str(root / "tools" / "sources.py"))
    readme = (root / "README.md").read_text("utf-8")
    table = script["sources_table"](ROWS)
    assert readme.count(script["BEGIN"]) == readme.count(script["END"]) == 1
    assert script["with_table"](readme, table) == readme, "run tools/sources.py"
    assert len(table.splitlines()) == 3 + len({script["_publisher"](r) for r in ROWS.values()})


# --- shipped rows


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
    assert sum(file_of(name)[0]["bytes"] for name in SHIPPED) <= PACKAGE_LIMIT
    folder = resources.WEIGHTS
    assert sum(path.stat().st_size for path in folder.rglob("*")) <= PACKAGE_LIMIT
    published = {file_of(name)[1].name for name in SHIPPED}
    published |= {f"{name}-classifier.safetensors" for name in classifier.SHIPPED}
    assert {path.name for path in folder.glob("*.safetensors")} == published


@each_row
def test_licence_and_sources(name):
    row = SHIPPED[name]
    if "license_file" in row:
        assert len((resources.WEIGHTS / row["license_file"]).read_text("utf-8")) > 100
    else:
        assert row["recipe"], "weights that were not made here come with their licence's text"
    if row["recipe"]:
        from ganzoo import recipe

        assert row["recipe"] in recipe.names()


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
    described = plain(publish.describe(gan))
    (network,), (stored,) = (store.generators_of(r).values() for r in (described, row))
    assert list(store.generators_of(described)) == list(store.generators_of(row))
    assert network["class_name"] == stored["class_name"]
    for ours, theirs in (  # arguments newer than the row have their defaults
        (network["config"], stored["config"]),
        (described["config"], row["config"]),
    ):
        assert {key: ours[key] for key in theirs} == theirs
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
