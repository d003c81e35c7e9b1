"""`load` over real HTTP: web addresses, the Hub, manifest rows whose files are published elsewhere.

The files are really published checkpoints; the server is on this machine.
"""

import hashlib
import json
import re
import shutil

import numpy as np
import pytest
from hub_server import HubServer

import ganzoo
from ganzoo import errors, fetch, hub, resources
from ganzoo.convert import foreign
from ganzoo.families.dcgan import DCGAN
from ganzoo.hub import publish

FACES = "dcgan-digiface-64"
MEANS = (-0.207231, -0.272756, -0.309358, -0.335237)  # ../shared/checkpoints/README.md


@pytest.fixture
def server(monkeypatch, tmp_path):
    with HubServer() as server:
        server.use(monkeypatch, tmp_path)
        yield server


@pytest.fixture
def published(shared):
    return (shared / "checkpoints/gan_face_generate/weights.tar").read_bytes()


@pytest.fixture
def rows(monkeypatch):
    found = json.loads(json.dumps(hub.manifest()))
    monkeypatch.setattr("ganzoo.hub.rows._rows", lambda: found)
    return found


@pytest.fixture
def row(rows, server, published):
    """The faces' row, as if they were not shipped: the original file on a web server."""
    server.files["weights.tar"] = published
    file = {
        "mirrors": [
            {"url": f"{server.url}/files/gone.tar"},
            {"url": f"{server.url}/files/weights.tar"},
        ],
        "bytes": len(published),
        "sha256": hashlib.sha256(published).hexdigest(),
        "converter": "dcgan",
        "pick": "netG_state_dict",
    }
    rows["dcgan-web-64"] = {
        **rows[FACES], "aliases": ["web"], "config": {}, "generator": None, "files": [file],
    }
    return rows["dcgan-web-64"]


def check_faces(generator):
    latents = np.random.RandomState(0).randn(4, 100).astype("float32")
    images = generator.forward([latents]).numpy()
    np.testing.assert_allclose(images.mean((1, 2, 3)), MEANS, rtol=0, atol=1e-6)


def forbid_conversion(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("converted again")

    monkeypatch.setattr(foreign, "load", refuse)


# --- rows


def test_a_row_is_fetched_verified_converted_once_and_kept(row, server, monkeypatch):
    gan = ganzoo.load("web")
    assert gan.provenance == {"generator": "dcgan-web-64", "discriminator": "initial weights"}
    check_faces(gan.generator)
    assert [r.status for r in server.seen("/files/*")] == [404, 200]
    forbid_conversion(monkeypatch)
    check_faces(ganzoo.load_generator("dcgan-web-64"))
    check_faces(ganzoo.load("dcgan-web-64", seed=4).generator)
    assert len(server.seen("/files/*")) == 2
    monkeypatch.setenv("GANZOO_OFFLINE", "1")
    check_faces(ganzoo.load_generator("web"))
    assert [entry["kind"] for entry in fetch.entries()].count("converted") == 1


def test_a_damaged_conversion_is_made_anew(row):
    ganzoo.load_generator("web")
    (folder,) = (e["path"] for e in fetch.entries() if e["kind"] == "converted")
    weights = folder / hub.WEIGHTS
    whole = weights.read_bytes()
    for damage in (whole[:-9], whole[:-9] + bytes(9), b""):
        weights.write_bytes(damage)
        check_faces(ganzoo.load_generator("web"))
        assert weights.read_bytes() == whole
    (folder / hub.CONFIG).unlink()
    check_faces(ganzoo.load("web").generator)


@pytest.mark.parametrize("room, file", [("CONVERT", "dcgan.py"), ("CHECKPOINTS", "reader.py")])
def test_a_changed_converter_or_reader_converts_anew(row, monkeypatch, tmp_path, room, file):
    ganzoo.load_generator("web")
    shutil.copytree(getattr(resources, room), tmp_path / "changed")
    (tmp_path / "changed" / file).write_text("# another version\n")
    monkeypatch.setattr(resources, room, tmp_path / "changed")
    forbid_conversion(monkeypatch)
    with pytest.raises(AssertionError, match="converted again"):
        ganzoo.load_generator("web")


def test_a_wrong_hash_is_never_parsed(row, server, monkeypatch):
    row["files"][0]["sha256"] = "0" * 64
    forbid_conversion(monkeypatch)
    with pytest.raises(errors.DownloadError, match="0000"):
        ganzoo.load("web")
    assert not [e for e in fetch.entries() if not e["partial"]]


def test_download_then_offline(row, monkeypatch):
    (path,) = hub.download("web")
    assert path.is_file() and fetch.sha256_of(path) == row["files"][0]["sha256"]
    monkeypatch.setenv("GANZOO_OFFLINE", "1")
    check_faces(ganzoo.load_generator("web"))


def test_offline_without_the_file(row, monkeypatch):
    monkeypatch.setenv("GANZOO_OFFLINE", "1")
    with pytest.raises(errors.OfflineError, match="GANZOO_OFFLINE"):
        ganzoo.load("web")


def test_verify(row, server):
    (found,) = hub.verify("web")
    assert found["ok"] and "generator" in found["message"]
    path = hub.download("web")[0]
    path.write_bytes(path.read_bytes()[:-9])
    server.files.clear()
    (found,) = hub.verify("web")
    assert not found["ok"]


def test_a_licence_is_asked_for_before_anything_is_fetched(row, server):
    row.update(non_commercial=True, license="CC-BY-NC-4.0")
    with pytest.raises(errors.LicenseError, match="CC-BY-NC-4.0"):
        ganzoo.load("web")
    assert not server.seen("/files/*")
    check_faces(ganzoo.load_generator("web", accept_license=True))


# --- addresses


def test_a_web_address(server, published, monkeypatch):
    server.files["weights.tar"] = published
    url = f"{server.url}/files/weights.tar"
    gan = ganzoo.load(url, pick="netG_state_dict")
    assert gan.provenance["generator"] == url
    check_faces(gan.generator)
    check_faces(ganzoo.load_generator(url))
    forbid_conversion(monkeypatch)
    check_faces(ganzoo.load_generator(url))
    assert len(server.seen("/files/*")) == 1


def test_a_model_on_the_hub(server, tmp_path):
    gan = DCGAN(16, 6, 4, seed=3)
    folder = publish.save(gan, tmp_path / "model")
    for path in folder.iterdir():
        server.add("org/name", path.name, path.read_bytes())
    images = gan.generate(4, seed=1)
    loaded = ganzoo.load("hf://org/name")
    assert loaded.provenance["generator"] == "hf://org/name"
    np.testing.assert_array_equal(loaded.generate(4, seed=1), images)
    pinned = f"hf://org/name@{server.commit_of('org/name')}"
    np.testing.assert_array_equal(ganzoo.load_generator(pinned).generate(4, seed=1), images)
    with pytest.raises(errors.MissingFileError, match="org/name"):
        ganzoo.load("hf://org/name@0123456")
    with pytest.raises(errors.AccessError, match="org/other.*or does not exist"):
        ganzoo.load("hf://org/other")


def test_a_foreign_file_on_the_hub(server, published):
    server.add("org/faces", "ckpt/weights.tar", published)
    check_faces(ganzoo.load("hf://org/faces/ckpt/weights.tar").generator)


def test_a_keras_file_on_the_web(server, tmp_path):
    gan = DCGAN(16, 6, 4, seed=3)
    gan.compile()
    gan.save(tmp_path / "run.keras")
    server.files["run.keras"] = (tmp_path / "run.keras").read_bytes()
    loaded = ganzoo.load(f"{server.url}/files/run.keras")
    np.testing.assert_array_equal(loaded.generate(2, seed=1), gan.generate(2, seed=1))


def test_a_web_page_instead_of_weights(server):
    server.files["netG.pth"] = b"<!DOCTYPE html><html><title>Quota exceeded</title></html>"
    with pytest.raises(errors.WrongBodyError, match="netG.pth"):
        ganzoo.load(f"{server.url}/files/netG.pth")
    assert not [e for e in fetch.entries() if not e["partial"]]


# --- really published models, from their rows in the manifest


@pytest.fixture
def mirrored(server, shared, monkeypatch):
    """Serves the checkpoints that are at hand where the manifest's URLs lead to."""

    def serve(name, folder):
        rules = set()
        for file in hub.row_of(name)["files"]:
            url = file["mirrors"][0]["url"]
            host, path = re.fullmatch(r"(https://[^/]+)/(.+)", url).groups()
            local = shared / "checkpoints" / folder / path.rpartition("/")[2]
            server.files[path] = local.read_bytes()
            rules.add(f"{host}/={server.url}/files/")
        monkeypatch.setenv("GANZOO_MIRROR", ";".join(sorted(rules)))

    return serve


def test_the_mnist_gan_of_csinva(mirrored, server, monkeypatch):
    mirrored("gan-mnist-28", "csinva_mnist")
    gan = ganzoo.load("gan-mnist")
    assert set(gan.provenance.values()) == {"gan-mnist-28"}
    latents = np.random.RandomState(0).randn(4, 64).astype("float32")
    images = gan.generator(latents).numpy()
    wanted = [-0.673131, -0.866068, -0.843361, -0.833151]  # ../shared/checkpoints/README.md
    np.testing.assert_allclose(images.mean((1, 2, 3)), wanted, rtol=0, atol=2e-6)
    real = 1 / (1 + np.exp(-np.ravel(gan.discriminator(images))))
    np.testing.assert_allclose(real, [0.265997, 0.111121, 0.064179, 0.103233], rtol=0, atol=2e-6)
    forbid_conversion(monkeypatch)
    np.testing.assert_array_equal(
        ganzoo.load_generator("gan-mnist").generate(latents=latents), gan.generate(latents=latents)
    )
    assert len(server.seen("/files/*")) == 2


def test_the_house_numbers_of_the_dcgan_paper(mirrored, server, monkeypatch):
    mirrored("dcgan-svhn-32", "dcgan_svhn")
    gan = ganzoo.load("dcgan-svhn")
    assert set(gan.provenance.values()) == {"dcgan-svhn-32"}
    assert len(server.seen("/files/*")) == 18
    images = gan.generate(64, seed=0)
    assert images.shape == (64, 32, 32, 3) and images.astype("float32").std(axis=0).mean() > 20
    share = (np.ravel(gan.discriminator(images / 127.5 - 1.0)) > 0).mean()
    assert share < 0.5, "its own discriminator knows them as fakes"
    forbid_conversion(monkeypatch)
    np.testing.assert_array_equal(ganzoo.load("dcgan-svhn").generate(64, seed=0), images)
