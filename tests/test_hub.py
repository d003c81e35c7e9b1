"""ganzoo.hub: published weights give the recorded images; whatever is wrong with a file is said."""

import json
import pickle

import numpy as np
import pytest
import safetensors.numpy
from harness import assert_same_weights

import ganzoo
from ganzoo import hub
from ganzoo.addresses import addresses
from ganzoo.checkpoints import reader
from ganzoo.convert import foreign
from ganzoo.ema import EMA
from ganzoo.errors import HashError, MissingFileError, WeightsError
from ganzoo.families.cgan import CGAN
from ganzoo.families.dcgan import DCGAN
from ganzoo.families.wgangp import WGANGP
from ganzoo.hub import publish

FACES = "dcgan-digiface-64"
# Of the original's images for RandomState(0).randn(4, 100): made with torch, in evaluation mode.
MEANS = [-0.207231, -0.272756, -0.309358, -0.335237]
STDS = [0.266279, 0.291633, 0.382861, 0.316313]
MIDDLE = [0.1099, -0.124, -0.13714]  # x[0, :, 32, 32]


def small(**kwargs):
    return DCGAN(16, 6, 4, channels=1, **kwargs)


def weights_of(network):
    return {address: v.numpy() for address, v in addresses(network).items()}


def assert_same_network(a, b):
    a, b = weights_of(a), weights_of(b)
    assert list(a) == list(b)
    assert_same_weights(list(a.values()), list(b.values()))


def face_images(generator):
    z = np.random.RandomState(0).randn(4, 100).astype("float32")
    return generator(z, training=False).numpy()


# The published faces


@pytest.fixture(scope="module")
def faces():
    return ganzoo.load(FACES)


@pytest.mark.parametrize("bare", [False, True], ids=["load", "load_generator"])
def test_faces_are_the_recorded_ones(faces, bare, record_property):
    images = face_images(ganzoo.load_generator(FACES) if bare else faces.generator)
    axes = (1, 2, 3)
    worst = max(abs(images.mean(axes) - MEANS).max(), abs(images.std(axes) - STDS).max())
    record_property("float16_storage_error", float(worst))
    np.testing.assert_allclose(images.mean(axes), MEANS, rtol=0, atol=1e-4)
    np.testing.assert_allclose(images.std(axes), STDS, rtol=0, atol=1e-4)
    np.testing.assert_allclose(images[0, 32, 32], MIDDLE, rtol=0, atol=2e-3)


def test_faces_from_the_original_file_are_the_recorded_ones(shared):
    gan = ganzoo.load(shared / "checkpoints/gan_face_generate/weights.tar")
    images = face_images(gan.generator)
    np.testing.assert_allclose(images.mean((1, 2, 3)), MEANS, rtol=0, atol=1e-6)
    np.testing.assert_allclose(images.std((1, 2, 3)), STDS, rtol=0, atol=1e-6)
    np.testing.assert_allclose(images[0, 32, 32], MIDDLE, rtol=0, atol=1e-5)


def test_shipped_kernels_are_the_original_rounded_to_half(shared, faces):
    original = ganzoo.load(shared / "checkpoints/gan_face_generate/weights.tar")
    ours, theirs = weights_of(faces.generator), weights_of(original.generator)
    for address, value in theirs.items():
        expected = value.astype("float16").astype("float32") if value.ndim > 1 else value
        np.testing.assert_array_equal(ours[address], expected, err_msg=address)


def test_half_precision_moves_the_images_by_less_than_the_tolerance(shared, tmp_path):
    original = ganzoo.load(shared / "checkpoints/gan_face_generate/weights.tar")
    folder = publish.save(original, tmp_path, networks=["generator"], dtype="float16")
    images = face_images(ganzoo.load_generator(folder))
    np.testing.assert_allclose(images.mean((1, 2, 3)), MEANS, rtol=0, atol=3e-5)
    np.testing.assert_allclose(images.std((1, 2, 3)), STDS, rtol=0, atol=5e-5)
    assert (folder / hub.WEIGHTS).stat().st_size < 7.2e6


def test_generate(faces):
    images = faces.generate(3, seed=0)
    assert images.shape == (3, 64, 64, 3) and images.dtype == np.uint8
    np.testing.assert_array_equal(images, ganzoo.load_generator(FACES).generate(3, seed=0))


def test_provenance_says_where_each_network_is_from(faces):
    assert faces.provenance == {"generator": FACES, "discriminator": "initial weights"}
    averaged = ganzoo.load(FACES, ema=EMA(half_life_images=100), critic_steps=2)
    assert averaged.critic_steps == 2
    assert averaged.provenance["generator_ema"] == f"{FACES}, copied from generator"
    assert_same_network(averaged.generator_ema, faces.generator)


def test_list_models():
    assert FACES in ganzoo.list_models()
    assert ganzoo.list_models(status=None) == sorted(ganzoo.manifest())
    assert ganzoo.list_models("*digiface*") == [FACES]
    assert ganzoo.list_models("no such*") == []


def test_fine_tuning_needs_no_arguments():
    gan = ganzoo.load(FACES)
    gan.compile()
    before = gan.generator.get_weights()
    images = np.random.RandomState(0).randint(0, 256, (4, 64, 64, 3), "uint8")
    gan.fit(images, batch_size=2, epochs=1, verbose=0)
    assert int(gan.step.numpy()) == 2
    assert sum(np.any(a != b) for a, b in zip(before, gan.generator.get_weights())) > 10


# Input that cannot be meant


@pytest.mark.parametrize("load", [ganzoo.load, ganzoo.load_generator])
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("dcgan-digiface-46", f"no model named 'dcgan-digiface-46'.*nearest.*{FACES}"),
        ("zzz", "no model named 'zzz'.*`ganzoo list` shows every name"),
        ("no/such/folder", "no file or folder 'no/such/folder'"),
        ("netG.pth", "no file or folder 'netG.pth'"),
        ("gone.keras", "no file or folder 'gone.keras'"),
    ],
)
def test_unknown_names(load, name, message):
    with pytest.raises(ValueError, match=message):
        load(name)


def test_family_must_exist_and_fit():
    with pytest.raises(ValueError, match=r"nearest \['dcgan'.*Received: family='dcgna'"):
        ganzoo.load(FACES, family="dcgna")
    with pytest.raises(ValueError, match="is of family 'dcgan'. Received: family='wgan'"):
        ganzoo.load(FACES, family="wgan")
    with pytest.raises(ValueError, match="`pick` is for foreign files"):
        ganzoo.load(FACES, pick="netG")


def test_overrides_may_not_change_a_shape_or_be_unknown():
    match = r"`generator/up0/kernel`: .* 512, 100\) in the file"
    with pytest.raises(WeightsError, match=match):
        ganzoo.load(FACES, width=32)
    with pytest.raises(ValueError, match="widht"):
        ganzoo.load(FACES, widht=32)


def test_wrong_latents():
    generator = small().generator
    with pytest.raises(ValueError, match=r"\[count, latent_dim\] = \(3, 6\).*\(3, 7\)"):
        generator.generate(latents=np.zeros((3, 7)))
    with pytest.raises(ValueError, match=r"= \(1, 6\).*shape \(6,\)"):
        generator.generate(1, latents=np.zeros(6))
    with pytest.raises(ValueError, match="Received: count=0"):
        generator.generate(0)


@pytest.fixture(scope="module")
def conditional():
    gan = CGAN(8, 4, 4, num_classes=3, networks="conv")
    gan.compile()
    return gan


@pytest.mark.parametrize("labels", [3, -1, [0, 1, 3]])
def test_labels_out_of_range(conditional, labels):
    match = r"\[0, 3\), one of this model's 3 classes. Received: (3|-1)"
    with pytest.raises(ValueError, match=match):
        conditional.generate(3, labels=labels)


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (np.zeros((4, 8, 8, 1), "uint8"), [0, 1, 2, 3], r"\[0, 3\).*Received: 3"),
        (np.zeros((4, 8, 8, 1), "uint8"), [0, 1, 2, -1], r"\[0, 3\).*Received: -1"),
        (np.full((4, 8, 8, 1), 255.0), [0, 1, 2, 0], r"in \[-1, 1\].*values in \[255, 255\]"),
        (np.full((4, 8, 8, 1), 0.7), [0, 1, 2, 0], r"`x \* 2 - 1` .*values in \[0.7, 0.7\]"),
        (np.zeros((4, 8, 8), "uint8"), [0, 1, 2, 0], r"\(None, 8, 8, 1\).*shape \(4, 8, 8\)"),
        (np.zeros((4, 9, 8, 1), "uint8"), [0, 1, 2, 0], r"\(None, 8, 8, 1\).*shape \(4, 9, 8, 1\)"),
        (np.zeros((4, 8, 8, 3), "uint8"), [0, 1, 2, 0], r"\(None, 8, 8, 1\).*shape \(4, 8, 8, 3\)"),
    ],
)
def test_training_refuses_before_the_first_step(conditional, images, labels, message):
    before = conditional.discriminator.get_weights()
    with pytest.raises(ValueError, match=message):
        conditional.fit(images, np.array(labels), batch_size=2, verbose=0)
    assert int(conditional.step.numpy()) == 0
    assert_same_weights(before, conditional.discriminator.get_weights())


# Damaged files


def test_a_changed_byte_is_found(monkeypatch):
    row = hub.manifest()[FACES]
    found = row["files"][0]["sha256"]
    file = {**row["files"][0], "sha256": "0" * 64}
    monkeypatch.setattr("ganzoo.hub.rows._rows", lambda: {FACES: {**row, "files": [file]}})
    for load in (ganzoo.load, ganzoo.load_generator):
        with pytest.raises(WeightsError, match=f"published file .*sha256 {found} instead of 0000"):
            load(FACES)


def test_a_row_whose_file_is_gone(monkeypatch):
    row = hub.manifest()[FACES]
    file = {**row["files"][0], "mirrors": [{"package": "gone.safetensors"}]}
    monkeypatch.setattr("ganzoo.hub.rows._rows", lambda: {FACES: {**row, "files": [file]}})
    with pytest.raises(MissingFileError, match=r"gone.safetensors' is not there; reinstall"):
        ganzoo.load(FACES)


@pytest.fixture
def folder(tmp_path):
    return publish.save(small(), tmp_path / "model")


@pytest.mark.parametrize("kept", [0, 4, 100, -1], ids=lambda n: f"bytes{n}")
def test_a_truncated_file(folder, kept):
    data = (folder / hub.WEIGHTS).read_bytes()
    (folder / hub.WEIGHTS).write_bytes(data[:kept])
    config = json.loads((folder / hub.CONFIG).read_text())
    assert config.pop("sha256")
    for load in (ganzoo.load, ganzoo.load_generator):
        with pytest.raises(HashError, match="model.safetensors' is corrupt: sha256"):
            load(folder)
    (folder / hub.CONFIG).write_text(json.dumps(config))  # as by hand, without the hash
    for load in (ganzoo.load, ganzoo.load_generator):
        with pytest.raises(WeightsError, match="model.safetensors' is not a whole safetensors"):
            load(folder)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "config.json' is not readable as a model configuration"),
        ("[1]", "lacks .'config', 'family', 'generator'"),
        ('{"family": "dcgan", "config": {}}', r"lacks \['generator'\]"),
        ('{"family": "dcgna", "config": {}, "generator": {}}', "`family` must be one of"),
        ('{"family": "dcgan", "config": {"wdth": 3}, "generator": {}}', "wdth"),
    ],
)
def test_a_damaged_configuration(folder, text, message):
    (folder / hub.CONFIG).write_text(text)
    with pytest.raises(ValueError, match=message):
        ganzoo.load(folder)


def test_a_folder_without_a_model(tmp_path):
    with pytest.raises(WeightsError, match="holds no model: neither config.json with model.safe"):
        ganzoo.load(tmp_path)


def test_every_misfit_is_listed_and_nothing_assigned():
    gan = small()
    arrays = {f"generator/{a}": v + 1 for a, v in weights_of(gan.generator).items()}
    before = gan.generator.get_weights()
    del arrays["generator/up0/kernel"]
    arrays["generator/up9/kernel"] = np.zeros(2, "float32")
    arrays["generator/norm0/gamma"] = np.zeros(7, "float32")
    with pytest.raises(WeightsError) as error:
        hub.fill(gan.networks(), arrays, "x.safetensors")
    message = str(error.value)
    assert "'x.safetensors' do not fit the model in 3 places" in message
    assert "`generator/up0/kernel`: the file lacks it" in message
    assert "`generator/up9/kernel`: the model lacks it" in message
    assert "`generator/norm0/gamma`: (7,) in the file, (8,) in the model" in message
    assert_same_weights(before, gan.generator.get_weights())


# Saving


def test_save_and_load(tmp_path):
    gan = small(variant="paper", loss="hinge", ema=EMA(half_life_images=9), seed=4)
    gan.generator_ema.set_weights([w + 1 for w in gan.generator.get_weights()])
    folder = publish.save(gan, tmp_path / "a" / "model")
    loaded = ganzoo.load(folder)
    assert loaded.provenance == dict.fromkeys(gan.networks(), str(folder))
    for name, network in gan.networks().items():
        assert_same_network(network, loaded.networks()[name])
    wanted, found = (publish.describe(g)["config"] for g in (gan, loaded))
    assert json.dumps(found, default=vars) == json.dumps(wanted, default=vars)
    bare = ganzoo.load_generator(str(folder))
    assert_same_network(bare, gan.generator_ema)
    np.testing.assert_array_equal(bare.generate(2, seed=3), gan.generate(2, seed=3))


def test_one_half_of_the_average_fills_the_other(tmp_path):
    gan = small(ema=EMA(decay=0.5))
    gan.generator_ema.set_weights([w + 1 for w in gan.generator.get_weights()])
    folder = publish.save(gan, tmp_path, networks=["generator_ema"])
    loaded = ganzoo.load(folder)
    assert_same_network(loaded.generator, gan.generator_ema)
    assert loaded.provenance == {
        "generator": f"{folder}, copied from generator_ema",
        "discriminator": "initial weights",
        "generator_ema": str(folder),
    }


def test_a_folder_without_a_generator(tmp_path):
    gan = small()
    folder = publish.save(gan, tmp_path, networks=["discriminator"])
    assert ganzoo.load(folder).provenance["generator"] == "initial weights"
    with pytest.raises(WeightsError, match=r"holds no generator.*\['discriminator'\]"):
        ganzoo.load_generator(folder)


def test_half_precision_rounds_and_refuses_to_overflow(tmp_path):
    gan = small()
    folder = publish.save(gan, tmp_path, dtype="float16")
    stored = safetensors.numpy.load_file(folder / hub.WEIGHTS)
    assert {a.dtype.name for a in stored.values() if a.ndim > 1} == {"float16"}
    assert {a.dtype.name for a in stored.values() if a.ndim < 2} == {"float32"}
    for a, b in zip(gan.generator.get_weights(), ganzoo.load(folder).generator.get_weights()):
        assert b.dtype == np.float32
        rounded = a.astype("float16").astype("float32") if a.ndim > 1 else a
        np.testing.assert_array_equal(rounded, b)
    gan.generator.set_weights([w + 7e4 for w in gan.generator.get_weights()])
    with pytest.raises(ValueError, match="exceeds float16: use dtype='float32'.*7e"):
        publish.save(gan, tmp_path, dtype="float16")


def test_save_refuses_unknown_networks_and_dtypes(tmp_path):
    with pytest.raises(ValueError, match=r"\['generator', 'discriminator'\].*networks=\['ema'\]"):
        publish.save(small(), tmp_path, networks=["ema"])
    with pytest.raises(ValueError, match="dtype='int8'"):
        publish.save(small(), tmp_path, dtype="int8")


def test_ship_adds_a_row_and_keeps_the_others(tmp_path):
    gan = small()
    for name in ("b-x-16", "a-x-16"):
        row = publish.ship(
            gan, name, networks=["generator"], facts={"license": "MIT"}, folder=tmp_path
        )
    rows = json.loads((tmp_path / "weights_manifest.json").read_text())
    assert list(rows) == ["a-x-16", "b-x-16"] and rows["a-x-16"] == json.loads(json.dumps(row))
    file = row["files"][0]
    (mirror,) = file["mirrors"]
    arrays = hub.read_safetensors(tmp_path / "weights" / mirror["package"], sha256=file["sha256"])
    assert set(arrays) == {f"generator/{a}" for a in addresses(gan.generator)}
    assert row["holds"] == ["generator"] and row["license"] == "MIT"


def test_keras_file(tmp_path):
    gan = small(seed=2)
    gan.compile()
    gan.save(tmp_path / "run.keras")
    loaded = ganzoo.load(tmp_path / "run.keras")
    assert_same_network(loaded.discriminator, gan.discriminator)
    assert loaded.provenance["discriminator"] == str(tmp_path / "run.keras")
    assert_same_network(ganzoo.load_generator(tmp_path / "run.keras"), gan.generator)
    with pytest.raises(ValueError, match="loaded as it was saved"):
        ganzoo.load(tmp_path / "run.keras", seed=3)
    (tmp_path / "bad.keras").write_bytes((tmp_path / "run.keras").read_bytes()[:200])
    with pytest.raises(WeightsError, match="bad.keras' is not a readable .keras file"):
        ganzoo.load(tmp_path / "bad.keras")


# Foreign files

EXAMPLES = "parity/classics/01_dcgan64"
MIMICRY = "parity/classics/06_mimicry_wgangp32"


def nchw(images):
    return np.transpose(images, (0, 3, 1, 2))


@pytest.mark.parametrize(
    ("case", "file", "latents", "atol"),
    [
        (EXAMPLES, "netG_epoch_24.pth", (3, 100), 3e-5),
        (MIMICRY, "netG_100000_steps.pth", (3, 64), 3e-5),
    ],
)
def test_foreign_generators_give_the_recorded_images(shared, case, file, latents, atol):
    golden = np.load(shared / case / "golden.npz")
    gan = ganzoo.load(shared / case / file)
    images = gan.generator(golden["z"].reshape(latents), training=False)
    np.testing.assert_allclose(nchw(images), golden["g_eval"], rtol=0, atol=atol)
    where = str(shared / case / file)
    assert gan.provenance == {"generator": where, "discriminator": "initial weights"}
    assert_same_network(ganzoo.load_generator(where), gan.generator)


@pytest.mark.parametrize(
    ("case", "file", "key", "atol"),
    [
        (EXAMPLES, "netD_epoch_24.pth", "d_eval_logit", 3e-5),
        (MIMICRY, "netD_100000_steps.pth", "d_eval", 3e-5),
    ],
)
def test_foreign_discriminators_give_the_recorded_logits(shared, case, file, key, atol):
    golden = np.load(shared / case / "golden.npz")
    gan = ganzoo.load(shared / case / file)
    logits = gan.discriminator(np.transpose(golden["x"], (0, 2, 3, 1)), training=False)
    np.testing.assert_allclose(np.ravel(logits), np.ravel(golden[key]), rtol=0, atol=atol)
    assert gan.provenance["generator"] == "initial weights"
    with pytest.raises(WeightsError, match="holds no generator"):
        ganzoo.load_generator(shared / case / file)


def test_foreign_sizes(shared):
    gan = ganzoo.load(shared / EXAMPLES / "netG_epoch_24.pth", seed=7, ema=EMA(decay=0.9))
    assert (type(gan), gan.seed, gan.config["width"]) == (DCGAN, 7, 16)
    assert gan.provenance["generator_ema"].endswith("copied from generator")
    assert ganzoo.load(shared / EXAMPLES / "netD_epoch_24.pth").config["discriminator_width"] == 16
    gan = ganzoo.load(shared / MIMICRY / "netD_100000_steps.pth")
    assert (gan.config["networks"], gan.config["critic_width"]) == ("mimicry", 20)


def pytorch(network, width=None):
    """A small network of pytorch/examples' layout, as {name: array}: generator or discriminator."""
    gan = small(discriminator_width=width)
    names, found = {}, {}
    for i in range(3):
        names |= {f"up{i}/kernel": f"main.{3 * i}.weight"}
        names |= {f"down{i}/kernel": f"main.{0 if i == 0 else 3 * i - 1}.weight"}
    names["logit/kernel"] = "main.5.weight"
    parts = {"gamma": "weight", "beta": "bias"}
    parts |= {"moving_mean": "running_mean", "moving_variance": "running_var"}
    for i in range(2):
        after = 3 * i + (1 if network == "generator" else 0)
        names |= {f"norm{i}/{ours}": f"main.{after}.{theirs}" for ours, theirs in parts.items()}
    for address, value in weights_of(gan.networks()[network]).items():
        value = value + np.arange(value.size).reshape(value.shape) / 1e4
        found[names[address]] = value.transpose(3, 2, 0, 1) if value.ndim == 4 else value
    return {name: np.ascontiguousarray(value, "float32") for name, value in found.items()}


def pickled(path, tree):
    path.write_bytes(pickle.dumps(tree, protocol=2))
    return path


def wrapped(parts):
    return {f"module.{name}": value for name, value in parts.items()}


@pytest.mark.parametrize(
    "wrap",
    [
        lambda g, d: {"netG_state_dict": g, "netD_state_dict": d, "epoch": 3},
        lambda g, d: {"G": wrapped(g), "D": wrapped(d), "optimizer": {"lr": 0.1}},
        lambda g, d: {"state": {"models": [g, d]}, "losses": np.zeros(9)},
        lambda g, d: [d, g],
    ],
    ids=["keys", "DataParallel", "nested", "list"],
)
def test_every_network_of_a_file_is_found(tmp_path, wrap):
    generator, discriminator = pytorch("generator"), pytorch("discriminator", 3)
    gan = ganzoo.load(pickled(tmp_path / "run.pt", wrap(generator, discriminator)))
    assert gan.config["discriminator_width"] == 3 and gan.config["width"] == 4
    assert gan.provenance == dict.fromkeys(gan.networks(), str(tmp_path / "run.pt"))
    ours = weights_of(gan.generator)["up1/kernel"]
    np.testing.assert_array_equal(ours, generator["main.3.weight"].transpose(2, 3, 1, 0))
    ours = weights_of(gan.discriminator)["down1/kernel"]
    np.testing.assert_array_equal(ours, discriminator["main.2.weight"].transpose(2, 3, 1, 0))


def test_npz_and_npy_folders(tmp_path):
    arrays = pytorch("generator")
    np.savez(tmp_path / "g.npz", **arrays)
    for name, value in arrays.items():
        np.save(tmp_path / f"{name}.npy", value)
    for path in (tmp_path / "g.npz", tmp_path):
        gan = ganzoo.load(path)
        np.testing.assert_array_equal(
            weights_of(gan.generator)["norm0/beta"], arrays["main.1.bias"], err_msg=str(path)
        )


def test_two_generators_need_a_choice(tmp_path):
    first, second = pytorch("generator"), pytorch("generator")
    second["main.1.bias"] = second["main.1.bias"] + 1
    path = pickled(tmp_path / "run.pt", {"netG": first, "netG_ema": second})
    with pytest.raises(WeightsError, match=r"a generator in .*\['netG'\].*`pick=`"):
        ganzoo.load(path)
    gan = ganzoo.load(path, pick="netG_ema")
    np.testing.assert_array_equal(weights_of(gan.generator)["norm0/beta"], second["main.1.bias"])
    with pytest.raises(WeightsError, match=r"has \['netG', 'netG_ema'\]. Received: pick='ema'"):
        ganzoo.load(path, pick="ema")


def test_family_restricts_the_sources(tmp_path):
    path = pickled(tmp_path / "g.pt", pytorch("generator"))
    assert isinstance(ganzoo.load(path, family="dcgan"), DCGAN)
    with pytest.raises(WeightsError, match=r"is of family \['dcgan'\]. Received: family='wgangp'"):
        ganzoo.load(path, family="wgangp")
    with pytest.raises(ValueError, match="`family` must be one of"):
        ganzoo.load(path, family="dcgna")


def test_ambiguous_layouts_need_a_family(tmp_path, monkeypatch):
    class Twin:
        @staticmethod
        def recognise(arrays):
            found = foreign.sources_of_dcgan.recognise(arrays)
            return found and type(found)("wgan", found.network, found.config, found.table)

    known = foreign.sources()
    monkeypatch.setattr(foreign, "sources_of_dcgan", known["dcgan"], raising=False)
    monkeypatch.setattr(foreign, "sources", lambda: {**known, "twin": Twin})
    path = pickled(tmp_path / "g.pt", pytorch("generator"))
    with pytest.raises(WeightsError, match=r"may be of \['dcgan', 'wgan'\]; choose one"):
        ganzoo.load(path)
    assert isinstance(ganzoo.load(path, family="dcgan"), DCGAN)


def test_unrecognised_content_names_the_sources(tmp_path):
    path = pickled(tmp_path / "x.pt", {"a": {"b": np.zeros(3)}})
    match = r"sources .*'dcgan', .*'wgangp'.*1 arrays, such as \['a.b'\]"
    with pytest.raises(WeightsError, match=match):
        ganzoo.load(path)


@pytest.mark.parametrize(
    "file",
    [
        "checkpoints/csinva_mnist/lenet_epoch=12_test_acc=0.991.pth",
        "parity/classics/06_mimicry_cganpd32/netG_100000_steps.pth",
        "parity/classics/06_mimicry_cganpd32/netD_100000_steps.pth",
        "parity/classics/06_mimicry_sagan32/netG_100000_steps.pth",
    ],
)
def test_other_families_are_not_taken_for_these(shared, file):
    found = foreign._recognise(reader.load(shared / file))
    assert not [part for _, part, _ in found if part.family in ("dcgan", "wgangp")]


def test_a_nearly_fitting_file_lists_its_faults(tmp_path):
    arrays = pytorch("generator")
    arrays["main.1.extra"] = np.zeros(3, "float32")
    del arrays["main.4.bias"]
    path = pickled(tmp_path / "g.pt", arrays)
    with pytest.raises(WeightsError, match=r"does not fit DCGAN") as error:
        ganzoo.load(path)
    assert "main.1.extra" in str(error.value) and "norm1/beta" in str(error.value)


def test_damaged_foreign_files(tmp_path, shared):
    data = (shared / EXAMPLES / "netG_epoch_24.pth").read_bytes()
    (tmp_path / "half.pth").write_bytes(data[: len(data) // 2])
    (tmp_path / "text.pth").write_text("version https://git-lfs.github.com/spec/v1\n")
    for name in ("half.pth", "text.pth"):
        with pytest.raises(reader.CorruptCheckpointError, match=name):
            ganzoo.load(tmp_path / name)


def mimicry(network, image_size, latent_dim=5):
    """A narrow network of mimicry's layout, as {name: array}, with the shapes of their classes."""
    wide = {"networks": "mimicry", "width": 16, "critic_width": 32}
    gan = WGANGP(image_size, latent_dim, **wide)
    blocks = len([a for a in addresses(gan.networks()[network]) if a.endswith("_conv1/kernel")])
    first = 2 if network == "generator" else 1
    names = {"norm": f"b{blocks + 2}", "image": f"c{blocks + 2}", "stem": "l1"}
    names |= {"logit": f"l{blocks + 1}"}
    parts = {"conv1": "c1", "conv2": "c2", "shortcut": "c_sc", "norm1": "b1", "norm2": "b2"}
    for k in range(blocks):
        names |= {f"block{k}_{o}": f"block{k + first}.{t}" for o, t in parts.items()}
    kinds = {"kernel": "weight", "gamma": "weight", "bias": "bias", "beta": "bias"}
    kinds |= {"moving_mean": "running_mean", "moving_variance": "running_var"}
    found = {}
    for address, value in weights_of(gan.networks()[network]).items():
        layer, _, kind = address.partition("/")
        turned = value.transpose(3, 2, 0, 1) if value.ndim == 4 else value.T
        found[f"{names[layer]}.{kinds[kind]}"] = np.ascontiguousarray(turned)
    return found, gan


@pytest.mark.parametrize("image_size", [32, 48, 64, 128])
def test_every_size_of_mimicry_is_recognised(tmp_path, image_size):
    generator, gan = mimicry("generator", image_size)
    discriminator, _ = mimicry("discriminator", image_size)
    tree = {"G": {"model_state_dict": generator}, "D": {"model_state_dict": discriminator}}
    loaded = ganzoo.load(pickled(tmp_path / "both.pth", tree))
    assert loaded.config["image_size"] == image_size and loaded.config["critic_width"] == 32
    assert set(loaded.provenance.values()) == {str(tmp_path / "both.pth")}
    alone = {"image_size": 48} if image_size == 48 else {}  # its critic looks like that of 64
    path = pickled(tmp_path / "critic.pth", {"model_state_dict": discriminator})
    images = np.random.RandomState(0).uniform(-1, 1, (2, image_size, image_size, 3))
    logits = [g.discriminator(images).numpy() for g in (loaded, ganzoo.load(path, **alone))]
    np.testing.assert_allclose(logits[0], logits[1], rtol=0, atol=1e-6)
