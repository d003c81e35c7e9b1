"""From a model's name to its records, offline."""

import json

import numpy as np
import pytest

import ganzoo
from ganzoo import data, hub, measure
from ganzoo.data import Dataset
from ganzoo.families.cgan import CGAN
from ganzoo.measure import MeasureError
from ganzoo.metrics import records
from ganzoo.metrics.arrays import MetricError
from ganzoo.metrics.classifier import SHIPPED

WGANGP, RING, FACES = "wgangp-fashion-mnist", "gan-ring8-hinge", "dcgan-digiface-64"


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("GANZOO_HOME", str(tmp_path / "home"))
    return tmp_path


def few(name, fashion_dir, **options):
    settings = {"count": 200, "batch_size": 100, "data_dir": fashion_dir, **options}
    return {r.metric: r for r in measure.measure(name, **settings)}


def test_a_shipped_model_is_measured_offline(fashion_dir, home, monkeypatch):
    monkeypatch.setenv("GANZOO_OFFLINE", "1")
    found = few(WGANGP, fashion_dir, command="again")
    known = (*measure.OF_IMAGES, *measure.OF_CLASSES)
    assert list(found) == [f"{name}-fashion" for name in known]
    assert found["kid-fashion"].settings["subset_size"] == 200
    fid = found["fid-fashion"]
    assert (fid.data, fid.split, fid.n_real, fid.n_fake) == ("fashion_mnist", "test", 200, 200)
    assert fid.network == SHIPPED["fashion"].sha256 and fid.ema and fid.command == "again"
    assert fid.weights == hub.row_of(WGANGP)["files"][0]["sha256"]
    assert (fid.model, fid.seed, fid.truncation, fid.labels) == (WGANGP, 0, None, None)


def test_statistics_of_the_reals_are_kept(fashion_dir, home):
    first = few(WGANGP, fashion_dir, metrics=["fid"])
    kept = list((home / "home" / "statistics").glob("*.npz"))
    assert len(kept) == 1
    again = few(WGANGP, fashion_dir, metrics=["fid"])
    assert again["fid-fashion"].value == first["fid-fashion"].value
    few(WGANGP, fashion_dir, metrics=["fid"], split="train")
    assert len(list((home / "home" / "statistics").glob("*.npz"))) == 2


def test_classes_are_drawn_in_turn_and_measured_alone(fashion_dir, home):
    found = few("cgan-fashion-mnist", fashion_dir, metrics=["intra-fid", "coverage"], count=1200)
    assert found["intra-fid-fashion"].labels == "in turn"
    assert found["intra-fid-fashion"].value > 0


def test_a_mixture_is_known_from_the_recipe(home):
    found = {r.metric: r for r in measure.measure(RING, count=1000)}
    assert list(found) == ["modes", "high-quality", "mode-kl"] and found["modes"].value == 8


def test_without_known_data_only_samples_are_measured(home):
    [record] = measure.measure(FACES, count=60)
    assert record.metric == "ms-ssim" and record.data is None
    with pytest.raises(MeasureError, match="--dataset.*ms-ssim"):
        measure.measure(FACES, metrics=["fid"], count=60)


@pytest.fixture
def faces(home):
    """Path of a saved small StyleGAN2 of the size of the avatars."""
    from ganzoo.families.stylegan2 import StyleGAN2

    gan = StyleGAN2(64, 6, 8, channel_base=64, channel_max=4, mapping={"num_layers": 2})
    gan.save(home / "faces.keras")
    return str(home / "faces.keras")


def test_separability_and_path_length_by_the_classifier_of_attributes(faces):
    names = [*measure.SEPARABILITY, "ppl-stylegan2-ada-wend-avatars"]
    options = {"metrics": names, "features": "avatars", "count": 100}
    found = {r.metric: r for r in measure.measure(faces, **options)}
    lengths, z, w = found.values()
    assert list(found) == [names[2], *(f"{name}-avatars" for name in measure.SEPARABILITY)]
    assert {r.network for r in found.values()} == {SHIPPED["avatars"].sha256}
    assert z.settings["keep"] == 50 and 1 <= z.value <= 2**5 and 1 <= w.value <= 2**5
    assert lengths.value > 0 and lengths.resizer == "stylegan-256"
    again = {r.metric: r for r in measure.measure(faces, **options)}
    assert [r.value for r in again.values()] == [r.value for r in found.values()]


def test_separability_needs_attributes_and_w(faces, home):
    with pytest.raises(MeasureError, match=r"--features.*'avatars', 'avatars-32'.*'fashion'"):
        measure.measure(faces, metrics=measure.SEPARABILITY, features="fashion", count=10)
    with pytest.raises(MeasureError, match="has no w.*linear-separability-z"):
        measure.measure(FACES, metrics=measure.SEPARABILITY, features="avatars", count=10)
    with pytest.raises(MeasureError, match="ppl-stylegan-wend.*avatars-32.*ppl-stylegan-wend-cats"):
        measure.measure(faces, metrics=["ppl-stylegan-wend-cats"], count=10)
    with pytest.raises(MetricError, match="'stylegan2-ada'.*torch-fidelity"):
        measure.measure(faces, metrics=["ppl-torch-fidelity-zend-avatars"], count=10)


def test_attributes_are_measured_in_turn(home):
    from ganzoo import pictures

    gan = CGAN(16, 4, 4, networks="conv", num_classes=0, num_attributes=3)
    gan.save(home / "attributes.keras")
    model, folder = str(home / "attributes.keras"), home / "gray"
    for number, image in enumerate(np.random.RandomState(0).randint(0, 256, (5, 16, 16, 1))):
        pictures.write_grid(folder / f"{number}.png", image[np.newaxis].astype("uint8"))
    [record] = measure.measure(model, metrics="swd", count=6, dataset=folder)
    assert (record.labels, record.n_fake, record.n_real) == ("in turn", 6, 5)
    picture, matches = measure.neighbours(
        model, count=3, nearest=2, space="pixels", dataset=folder
    )
    assert picture.shape == (3 * 16, 3 * 16, 1) and matches.indices.shape == (3, 2)
    drawn = gan.generate(3, labels=np.eye(3, dtype="float32"), seed=0)
    np.testing.assert_array_equal(picture[:, :16], drawn.reshape(48, 16, 1))


def test_a_folder_of_images_is_a_data_set(home):
    from ganzoo import pictures

    for number, image in enumerate(np.random.RandomState(0).randint(0, 256, (5, 70, 64, 3))):
        pictures.write_grid(home / "faces" / f"{number}.png", image[np.newaxis].astype("uint8"))
    [record] = measure.measure(FACES, metrics=["swd"], count=6, dataset=home / "faces")
    assert record.data == f"{home / 'faces'} crop=square size=(64, 64) channels=3"
    assert (record.n_real, record.n_fake, record.settings["images"]) == (5, 6, 5)
    assert not (home / "home" / "statistics").exists()


def test_a_trained_folder_knows_its_data(fashion_dir, home):
    from ganzoo import recipe as recipes

    recipe = recipes.Recipe(
        paper="arXiv:1411.1784",
        dataset=Dataset(name="fashion_mnist", label="label", limit=256),
        model=lambda: CGAN(28, 8, 4, channels=1, num_classes=10),
        batch_size=64,
        images=128,
        epoch_images=128,
        metrics=("fid", "modes"),
    )
    gan = recipes.build(recipe)
    watcher = measure.watch(
        recipe.dataset, recipe.metrics, home / "run", count=100, data_dir=fashion_dir
    )
    stream = data.stream(recipe.dataset, 64, data_dir=fashion_dir)
    gan.fit(stream, steps_per_epoch=2, epochs=1, callbacks=[watcher], verbose=0)
    found = records.load(home / "run" / "records.json")
    assert [r.metric for r in found] == ["fid-fashion", "modes-fashion"]
    assert found[0].n_real == 100 and found[0].split == "test"
    best = ganzoo.load(home / "run" / "best")
    np.testing.assert_array_equal(best.generate(3), gan.generate(3))
    plain = {"settings": {"dataset": {"name": "fashion_mnist", "label": "label"}}}
    (home / "run" / "best" / "recipe.json").write_text(json.dumps(plain))
    [record] = measure.measure(
        home / "run" / "best", metrics=["fid"], count=100, data_dir=fashion_dir
    )
    assert record.data == "fashion_mnist" and record.model == str(home / "run" / "best")


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"metrics": ["fidd"]}, MetricError, "fidd"),
        ({"features": "vgg"}, MeasureError, "inception-clean.*Received: features='vgg'"),
        ({"count": 0}, MetricError, "count"),
        ({"n_real": 20_000}, MetricError, "10000 of 20000"),
        ({"truncation": 0.5}, ValueError, "truncation"),
        ({"split": "validation"}, ValueError, "validation"),
        ({"dataset": Dataset(name="fashion_mnist", size=32)}, MetricError, "32"),
    ],
)
def test_bad_input_is_named(fashion_dir, home, options, error, match):
    with pytest.raises(error, match=match):
        few(WGANGP, fashion_dir, **options)


def test_folders_have_no_splits(home):
    with pytest.raises(MeasureError, match="no splits"):
        (home / "faces").mkdir()
        measure.measure(FACES, metrics=["swd"], dataset=home / "faces", split="test", count=2)


def test_path_lengths_are_measured_by_name(fashion_dir, home, shared, monkeypatch):
    from ganzoo.metrics import features

    folder = shared / "parity/classics/10_lpips_vgg"
    files = folder / "vgg_features.pth.xz", folder / "lpips_vgg.pth"
    original = features.similarity
    monkeypatch.setattr(
        features, "similarity", lambda name, **rest: original(name, weights=files, **rest)
    )
    name = "ppl-torch-fidelity-zend"
    found = few(WGANGP, fashion_dir, metrics=f"{name},fid", count=20)
    assert list(found) == [name, "fid-fashion"]
    record = found[name]
    assert record.value > 0 and record.deviation > 0 and record.resizer == "torch-fidelity-64"
    assert record.quantisation == "float" and record.n_fake == 20 and record.data is None
    with pytest.raises(MeasureError, match="ppl-stylegan-wfull.*Received: 'ppl-zfull'"):
        few(WGANGP, fashion_dir, metrics=["ppl-zfull"])


# What is shipped


def shipped():
    rows = hub.manifest().items()
    return [n for n, row in rows if "package" in row["files"][0]["mirrors"][0]]


@pytest.mark.parametrize("name", shipped())
def test_every_shipped_model_has_records(name):
    found = records.of(name)
    row = hub.row_of(name)
    assert {r.metric: {"value": r.value, "command": r.command} for r in found} == row["measured"]
    assert {r.weights for r in found} == {row["files"][0]["sha256"]}
    assert all(r.model == name and r.n_fake == 10_000 for r in found)


def test_the_readme_shows_the_records(root):
    import importlib.util

    spec = importlib.util.spec_from_file_location("results", root / "tools" / "results.py")
    results = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(results)
    text = (root / "README.md").read_text("utf-8")
    assert text == results.between(text, results.BEGIN, results.END, results.results_tables())
    card = (root / "docs" / "classifiers" / "README.md").read_text("utf-8")
    assert card == results.classifiers_card()
    for name in ("real-fashion-mnist", "real-fashion-mnist-blurred"):
        values = {r.metric: r.value for r in records.of(name)}
        best = {r.metric: r.value for r in records.of("cgan-fashion-mnist")}
        floor = name == "real-fashion-mnist"
        assert (values["fid-fashion"] < best["fid-fashion"]) == floor
        assert (values["coverage-fashion"] > best["coverage-fashion"]) == floor
