"""What stands between a name and its weights: aliases, planned rows, licences, altered sizes."""

import json
import sys
import warnings
import zipfile

import numpy as np
import pytest

import ganzoo
from ganzoo import errors, hub
from ganzoo.addresses import addresses
from ganzoo.families.cgan import CGAN
from ganzoo.families.dcgan import DCGAN
from ganzoo.hub import publish

FACES = "dcgan-digiface-64"
FIXTURE = "gan-ring8-hinge"  # a small shipped file


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GANZOO_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("GANZOO_ACCEPT_LICENSE", raising=False)
    return tmp_path / "home"


@pytest.fixture
def rows(monkeypatch):
    """The manifest, as a dict that a test may change."""
    found = json.loads(json.dumps(hub.manifest()))
    monkeypatch.setattr("ganzoo.hub.rows._rows", lambda: found)
    return found


def weights_of(network):
    return {address: variable.numpy() for address, variable in addresses(network).items()}


# --- names


def test_an_alias_is_the_full_name(rows):
    rows[FIXTURE]["aliases"] = ["ring"]
    assert hub.full_name("ring") == FIXTURE and hub.row_of("ring") == rows[FIXTURE]
    assert ganzoo.load("ring").provenance["discriminator"] == FIXTURE
    assert ganzoo.list_models("ring") == [FIXTURE]


def test_an_alias_may_be_misspelt(rows):
    rows[FIXTURE]["aliases"] = ["stylegan-rings"]
    with pytest.raises(errors.UnknownModelError, match="nearest names are .*'stylegan-rings'"):
        ganzoo.load("stylegan-ring")


def test_a_folder_named_like_a_model_does_not_hide_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / FIXTURE).mkdir()
    assert ganzoo.load(FIXTURE).provenance["discriminator"] == FIXTURE


def test_list_models_filters(rows):
    rows[FACES]["non_commercial"] = True
    rows[FIXTURE]["status"] = "planned"
    rows[FIXTURE]["why"] = "the family is not built yet"
    assert FACES not in ganzoo.list_models(commercial=True)
    assert FACES in ganzoo.list_models(commercial=False)
    assert FIXTURE not in ganzoo.list_models()
    assert FIXTURE in ganzoo.list_models(status="planned")
    assert FIXTURE in ganzoo.list_models(status=None)
    families = {hub.manifest()[name]["family"] for name in ganzoo.list_models(family="cgan")}
    assert families == {"cgan"}
    with pytest.raises(ValueError, match=r"`family` must be one of .*'dcgan'.*family='dcgna'"):
        ganzoo.list_models(family="dcgna")


def test_a_planned_model_says_what_is_missing(rows):
    rows[FIXTURE].update(status="planned", why="the family `stylegan` is not built yet")
    for load in (ganzoo.load, ganzoo.load_generator, hub.download):
        with pytest.raises(errors.PlannedModelError, match=f"{FIXTURE}.*`stylegan` is not built"):
            load(FIXTURE)


# --- licences


@pytest.fixture
def guarded(rows):
    rows[FIXTURE].update(non_commercial=True, license="CC-BY-NC-4.0", aliases=["ring"])
    return FIXTURE


def test_non_commercial_weights_name_their_licence(guarded):
    for load in (ganzoo.load, ganzoo.load_generator, hub.download):
        with pytest.raises(errors.LicenseError, match="CC-BY-NC-4.0.*accept_license=True"):
            load(guarded)


def test_a_licence_is_accepted_once(guarded, cache):
    ganzoo.load("ring", accept_license=True)
    assert json.loads((cache / "accepted_licenses.json").read_text()) == [guarded]
    assert ganzoo.load_generator(guarded).name == "generator_ema"


@pytest.mark.parametrize("value", [FIXTURE, "ring", "other-name, ring", "CC-BY-NC-4.0"])
def test_a_licence_is_accepted_by_the_environment(guarded, monkeypatch, value):
    monkeypatch.setenv("GANZOO_ACCEPT_LICENSE", value)
    ganzoo.load_generator(guarded)


@pytest.mark.parametrize("value", ["", " ", "other", "*"])
def test_other_words_accept_nothing(guarded, monkeypatch, value):
    monkeypatch.setenv("GANZOO_ACCEPT_LICENSE", value)
    with pytest.raises(errors.LicenseError):
        ganzoo.load_generator(guarded)


# --- altered sizes


def test_more_classes_keep_all_other_weights(tmp_path):
    gan = CGAN(8, 4, 4, num_classes=3, networks="conv")
    publish.save(gan, tmp_path)
    with pytest.warns(UserWarning, match="keep their initial values.*`gan.unmatched`"):
        altered = ganzoo.load(tmp_path, num_classes=5)
    assert altered.generator.num_classes == 5 and altered.unmatched
    before, after = weights_of(gan.generator), weights_of(altered.generator)
    changed = {key.partition("/")[2] for key in altered.unmatched if key.startswith("generator/")}
    assert changed and changed < set(after)
    for address in set(after) - changed:
        np.testing.assert_array_equal(after[address], before[address])
    assert all("in the file" in why for why in altered.unmatched.values())
    assert altered.generate(5, labels=[0, 1, 2, 3, 4]).shape == (5, 8, 8, 1)


def test_other_channels_and_resolution():
    with pytest.warns(UserWarning, match="do not fit the altered model"):
        grey = ganzoo.load(FACES, channels=1)
    assert set(grey.unmatched) == {"generator/up4/kernel"}
    assert grey.generate(1).shape == (1, 64, 64, 1)
    with pytest.warns(UserWarning, match="do not fit"):
        larger = ganzoo.load("dcgan-fashion-mnist", resolution=56, width=32)
    assert larger.generate(1).shape == (1, 56, 56, 1)
    kept = set(weights_of(larger.generator_ema)) - {
        key.removeprefix("generator_ema/") for key in larger.unmatched
    }
    assert {"up0/kernel", "up1/kernel", "norm0/gamma", "norm1/gamma"} <= kept


def test_a_foreign_file_can_be_altered(shared):
    path = shared / "checkpoints/gan_face_generate/weights.tar"
    with pytest.warns(UserWarning, match="weights.tar' do not fit the altered model"):
        gan = ganzoo.load(path, channels=1)
    assert set(gan.unmatched) == {"generator/up4/kernel"}


def test_unaltered_loading_warns_of_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert ganzoo.load(FACES, seed=3).unmatched == {}


def test_nothing_of_the_generator_fits():
    with pytest.raises(errors.WeightsError, match="do not fit the model"):
        ganzoo.load(FACES, width=24)


# --- memory and integrity


def test_arrays_are_read_one_at_a_time(tmp_path):
    publish.save(DCGAN(16, 6, 4), tmp_path)
    arrays = hub.read_safetensors(tmp_path / hub.WEIGHTS)
    key = "generator/up0/kernel"
    first = arrays[key]
    assert first.shape == arrays.shape(key) and first is not arrays[key]
    assert len(arrays) == len(set(arrays))


def test_a_saved_folder_notices_a_flipped_bit(tmp_path):
    folder = publish.save(DCGAN(16, 6, 4), tmp_path)
    data = bytearray((folder / hub.WEIGHTS).read_bytes())
    data[-5] ^= 1
    (folder / hub.WEIGHTS).write_bytes(data)
    with pytest.raises(errors.HashError, match="is corrupt: sha256"):
        ganzoo.load(folder)


@pytest.mark.parametrize(
    "change",
    [
        {"module": "antigravity", "class_name": "Flight", "config": {}},
        {"module": "os", "class_name": "system", "config": "true"},
        {"module": "builtins", "class_name": "function", "config": "exec"},
        {"module": "keras.layers", "class_name": "Lambda", "config": {}},
        {"module": "kerasx", "class_name": "Adam", "config": {}},
    ],
    ids=lambda change: f"{change['module']}.{change['class_name']}",
)
def test_a_keras_file_that_names_another_class_is_refused(tmp_path, change):
    gan = DCGAN(16, 6, 4)
    gan.compile()
    gan.save(tmp_path / "good.keras")
    assert ganzoo.load(tmp_path / "good.keras").published.latent_dim == 6
    with zipfile.ZipFile(tmp_path / "good.keras") as good:
        parts = {name: good.read(name) for name in good.namelist()}
    config = json.loads(parts[hub.CONFIG])
    config["config"]["penalties"] = [{"deep": [change]}]
    with zipfile.ZipFile(tmp_path / "bad.keras", "w") as bad:
        for name, data in {**parts, hub.CONFIG: json.dumps(config)}.items():
            bad.writestr(name, data)
    before = set(sys.modules)
    with pytest.raises(errors.UnsafeCheckpointError, match=f"bad.keras.*{change['class_name']}"):
        ganzoo.load(tmp_path / "bad.keras")
    assert not {"antigravity", "kerasx"} & (set(sys.modules) - before)


@pytest.mark.parametrize(
    "name", ["hf://", "hf://justone", "hf://a/b@", "hf://a@b/c/d@e"]
)
def test_a_malformed_hub_address(name):
    with pytest.raises(ValueError, match="is `hf://org/repo`"):
        ganzoo.load(name)
