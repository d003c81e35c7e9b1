"""Extractors end to end: uint8 images to the numbers that the references' pipelines give."""

import pathlib

import numpy as np
import pytest
import tensorflow as tf

from ganzoo import fetch
from ganzoo.errors import HashError, MetricError, OfflineError, WeightsError
from ganzoo.metrics import features
from ganzoo.metrics.arrays import checked_images
from ganzoo.metrics.features import (
    FRONT_ENDS,
    InceptionExtractor,
    Outputs,
    extractor,
    similarity,
)

RELATIVE = 1e-4
REFERENCES = {
    "inception": "torchfidelity",
    "inception-clean": "cleanfid",
    "inception-torch": "pytorchfid",
}


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    """The tests' own cache, and no server."""
    with pytest.MonkeyPatch.context() as patch:
        home = tmp_path_factory.mktemp("cache")
        patch.setenv("GANZOO_HOME", str(home))
        patch.setenv("GANZOO_OFFLINE", "1")
        yield home


@pytest.fixture(scope="module")
def weights(shared):
    return shared / "parity/classics/10_fid_inception/pt_inception-random.pth.xz"


@pytest.fixture(scope="module")
def made(weights):
    """name -> extractor; the second and third one come from the cache."""
    return {name: extractor(name, weights=weights) for name in FRONT_ENDS}


@pytest.fixture(scope="module")
def recorded(shared):
    with np.load(shared / "parity/classics/10_fid_inception/golden.npz") as file:
        return dict(file)


def error(found, expected):
    return np.abs(found - expected).max() / np.abs(expected).max()


@pytest.mark.parametrize("name", FRONT_ENDS)
@pytest.mark.parametrize("image", ["img0", "img1", "img2", "img3"])
def test_recorded_pipelines(made, recorded, name, image):
    found = made[name](recorded[image][None])
    reference = REFERENCES[name]
    assert found.features.dtype == found.logits.dtype == np.float32
    assert found.features.shape == (1, 2048) and found.logits.shape == (1, 1008)
    assert error(found.features[0], recorded[f"{image}/{reference}_2048"]) < RELATIVE
    if reference == "torchfidelity":
        expected = recorded[f"{image}/torchfidelity_logits_unbiased"]
        assert error(found.logits[0], expected) < RELATIVE


def test_the_attributes_of_the_protocol(made, weights):
    sha256 = fetch.sha256_of(weights)
    for name, made_one in made.items():
        assert (made_one.name, made_one.sha256) == (name, sha256)
        assert (made_one.dim, made_one.classes) == (2048, 1008)
        assert made_one.resizer == FRONT_ENDS[name].resizer
    assert len({made_one.resizer for made_one in made.values()}) == 3


@pytest.mark.parametrize("layer, dim", [("64", 64), ("192", 192), ("768", 768)])
def test_other_layers(weights, recorded, layer, dim):
    one = extractor("inception", layer=layer, weights=weights)
    found = one(recorded["img1"][None])
    assert (one.name, one.dim, one.classes) == (f"inception-{layer}", dim, 0)
    assert found.logits.shape == (1, 0)
    assert error(found.features[0], recorded[f"img1/torchfidelity_{layer}"]) < RELATIVE


def test_images_of_a_batch_do_not_mix(made):
    images = np.random.default_rng(0).integers(0, 256, (3, 40, 30, 3), dtype="uint8")
    whole = made["inception"](images)
    for i in range(3):
        alone = made["inception"](images[i : i + 1])
        assert error(alone.features[0], whole.features[i]) < 1e-5


def test_gray_is_three_equal_channels(made):
    images = np.random.default_rng(1).integers(0, 256, (1, 28, 28, 1), dtype="uint8")
    one, three = (made["inception"](x) for x in (images, np.repeat(images, 3, axis=-1)))
    np.testing.assert_array_equal(one.features, three.features)


def test_one_trace_for_all_batches_of_a_size(made):
    one = InceptionExtractor(made["inception"].network, "0" * 64)
    for count in (1, 2, 3):
        one(np.full((count, 8, 8, 3), 100, "uint8"))
    (function,) = one._compiled.values()
    assert function.experimental_get_tracing_count() == 1


def test_it_runs_under_a_strategy(made, recorded):
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    images = np.stack([recorded["img0"], recorded["img0"][::-1]])
    data = tf.data.Dataset.from_tensor_slices(images).batch(2)
    batch = next(iter(strategy.experimental_distribute_dataset(data)))
    run = tf.function(lambda x: strategy.run(made["inception"].forward, (x,)))
    found, _ = run(batch)
    found = np.concatenate([part.numpy() for part in strategy.experimental_local_results(found)])
    expected = recorded["img0/torchfidelity_2048"]
    assert found.shape == (2, 2048) and error(found[0], expected) < RELATIVE


def test_the_conversion_is_kept_and_damage_is_named(weights, cache, monkeypatch):
    (folder,) = (cache / "converted").glob("inception-*[!k]")
    file = folder / "model.safetensors"
    before = file.stat().st_mtime_ns

    def unexpected(*_):
        raise AssertionError("read again")

    monkeypatch.setattr("ganzoo.checkpoints.reader.read", unexpected)
    extractor(weights=weights)
    assert file.stat().st_mtime_ns == before
    whole = file.read_bytes()
    try:
        file.write_bytes(whole[:1000])
        with pytest.raises(WeightsError, match="model.safetensors"):
            extractor(weights=weights)
    finally:
        file.write_bytes(whole)


def test_published_weights_are_fetched_by_their_hash(weights, monkeypatch):
    asked = []

    def fake(file, name):
        asked.append((file, name))
        return pathlib.Path(weights)

    monkeypatch.setattr(fetch, "fetch", fake)
    one = extractor()
    ((file, _),) = asked
    assert one.sha256 == file["sha256"] == features.INCEPTION_SHA256
    assert file["sha256"].startswith("6726825d") and file["bytes"] == 95_628_359
    assert all("6726825d.pth" in mirror["url"] for mirror in file["mirrors"])
    assert {mirror["url"].split("/")[3] for mirror in file["mirrors"]} == {"mseitzer", "toshas"}


def test_without_a_network_the_next_step_is_told():
    with pytest.raises(OfflineError, match="GANZOO_OFFLINE"):
        extractor()


def test_every_published_file_has_a_hash():
    files = [features.INCEPTION_FILE, *(f for pair in features.LPIPS_FILES.values() for f in pair)]
    assert len(files) == 7
    for file in files:
        known = file["sha256"] or file["sha256_prefix"]
        assert len(known) in (8, 64)
        assert all(mirror["url"].startswith("https://") for mirror in file["mirrors"])


def test_published_heads_are_those_of_the_goldens(shared):
    for backbone, (_, heads) in features.LPIPS_FILES.items():
        folder = "10_lpips_vgg" if backbone == "vgg" else "10_lpips"
        path = shared / "parity/classics" / folder / f"lpips_{backbone}.pth"
        assert heads["sha256"] == fetch.sha256_of(path) and heads["bytes"] == path.stat().st_size


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"name": "resnet"}, "name='resnet'"),
        ({"name": "tf1"}, "inception-clean"),
        ({"weights": "no/such.pth"}, "no/such.pth"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        extractor(**arguments)


@pytest.mark.parametrize("layer", ["2047", "logits"])
def test_bad_layers(made, layer):
    with pytest.raises(ValueError, match=f"layer='{layer}'"):
        InceptionExtractor(made["inception"].network, "0" * 64, layer=layer)


def test_a_file_of_something_else(tmp_path):
    path = tmp_path / "page.pth"
    path.write_text("<!DOCTYPE html><html></html>")
    with pytest.raises(WeightsError, match="page.pth"):
        extractor(weights=path)


def test_hash_errors_are_not_swallowed(monkeypatch):
    def fake(file, name):
        raise HashError("sha256 differs")

    monkeypatch.setattr(fetch, "fetch", fake)
    with pytest.raises(HashError):
        extractor()


# Images


def noise(*shape):
    return np.random.default_rng(3).integers(0, 256, shape, dtype="uint8")


@pytest.mark.parametrize(
    "images, message",
    [
        (noise(2, 4, 4, 3) / 255, r"`np.rint\(255 \* images\)"),
        (noise(2, 4, 4, 3) / 127.5 - 1, r"`np.rint\(127.5 \* \(images \+ 1\)\)"),
        (noise(2, 4, 4, 3).astype("f4"), "round them and say so"),
        (np.full((1, 4, 4, 3), np.nan), "There is NaN"),
        (noise(2, 4, 4, 3).astype("i8"), "dtype=int64"),
        (noise(4, 4, 3), r"shape=\(4, 4, 3\)"),
        (noise(2, 3, 4, 4), r"1 or 3 channels last.*\(2, 3, 4, 4\)"),
        (noise(0, 4, 4, 3), r"at least 1 image"),
        ([noise(4, 4, 3), noise(5, 4, 3)], r"one size.*\[\(4, 4, 3\), \(5, 4, 3\)\]"),
        ([], "dtype=float64"),
    ],
)
def test_bad_images(made, images, message):
    with pytest.raises(MetricError, match=message):
        made["inception"](images)


def test_good_images():
    assert checked_images([noise(4, 4, 3)] * 2).shape == (2, 4, 4, 3)
    assert checked_images(tf.constant(noise(1, 4, 4, 1))).dtype == np.uint8
    checked_images(np.zeros((1, 4, 4, 3), "uint8"))  # a black image is no mistake


def test_floats_that_were_cast_are_noticed():
    with pytest.warns(UserWarning, match="multiplying by 255"):
        checked_images(np.ones((1, 4, 4, 3), "uint8"))


def test_anything_with_the_attributes_is_an_extractor():
    class Mean:
        name, sha256, resizer, dim, classes = "mean", "0" * 64, "none", 3, 0

        def __call__(self, images):
            means = checked_images(images).mean((1, 2), dtype="f4")
            return Outputs(means, means[:, :0])

    found = Mean()(noise(5, 4, 4, 3))
    assert found.features.shape == (5, 3) and found.logits.shape == (5, 0)


# LPIPS


@pytest.fixture(scope="module")
def lpips(shared):
    folder = shared / "parity/classics/10_lpips_vgg"
    paths = folder / "vgg_features.pth.xz", folder / "lpips_vgg.pth"
    return lambda **arguments: similarity("vgg", weights=paths, **arguments)


@pytest.fixture(scope="module")
def pair(shared):
    with np.load(shared / "parity/classics/10_lpips_vgg/golden.npz") as file:
        images = (file[key].transpose(0, 2, 3, 1) for key in ("img0", "img1"))
        return (*(np.clip(x * 127.5 + 127.5, 0, 255) for x in images), file["vgg/lpips"].ravel())


def test_similarity_of_floats_is_the_recorded_one(lpips, pair):
    first, second, expected = pair
    one = lpips()
    np.testing.assert_allclose(one(first, second), expected, rtol=RELATIVE)
    assert one.name == "lpips-vgg" and len(one.sha256) == 64


def test_similarity_of_uint8_differs_by_rounding_only(lpips, pair):
    first, second = (np.rint(x).astype("uint8") for x in pair[:2])
    np.testing.assert_allclose(lpips()(first, second), pair[2], rtol=0.02)


def squares(images, side):
    """Means of whole squares of pixels."""
    count, height, width, channels = images.shape
    shape = count, height // side, side, width // side, side, channels
    return images.reshape(shape).mean((2, 4)).astype("f4")


def test_the_resizers_of_path_lengths(lpips):
    images = noise(1, 512, 512, 3).astype("f4")
    stylegan, fidelity = (
        features.SIMILARITY_RESIZERS[name] for name in ("stylegan-256", "torch-fidelity-64")
    )
    np.testing.assert_allclose(stylegan(images), squares(images, 2), rtol=1e-5)
    np.testing.assert_array_equal(stylegan(images[:, :300, :300]), images[:, :300, :300])
    np.testing.assert_allclose(fidelity(images), squares(images, 8), rtol=1e-5)
    flat = images[:, :32]  # one side is not longer than 64: bilinear
    np.testing.assert_array_equal(fidelity(flat), features.resize_float(flat, 64, "torch"))
    pair = images[:, :128, :128], images[:, 128:256, :128]
    small = (squares(x, 2) for x in pair)
    found = lpips(resizer="torch-fidelity-64")(*pair)
    np.testing.assert_allclose(found, lpips()(*small), rtol=1e-4)
    with pytest.raises(ValueError, match="resizer='ada'"):
        lpips(resizer="ada")


def test_similarity_takes_black_and_gray(lpips):
    one, black = lpips(), np.zeros((2, 32, 32, 3), "f4")
    gray = noise(2, 32, 32, 1)
    np.testing.assert_array_equal(one(black, black), 0)
    np.testing.assert_array_equal(one(gray, black), one(np.repeat(gray, 3, -1), black))
    with pytest.raises(ValueError, match="one shape"):
        one(gray, black[:, 1:])


@pytest.mark.parametrize("scale, shift", [(1 / 255, 0), (1 / 127.5, -1), (2, 0)])
def test_similarity_refuses_other_ranges(lpips, pair, scale, shift):
    images = np.float32(pair[0] * scale + shift)
    with pytest.raises(MetricError, match=r"\[0, 255\]"):
        lpips()(images, images)


def test_both_files_are_needed():
    with pytest.raises(ValueError, match="two paths"):
        similarity("vgg", weights=("one.pth",))
