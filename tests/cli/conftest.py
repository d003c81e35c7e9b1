"""Fixtures of the command line's tests: errors, small models, a manifest, a server, a cache."""

import hashlib
import json

import pytest
from command_line import FACES, HINGE, RECIPE, RING
from hub_server import TOKEN, HubServer

from ganzoo import hub
from ganzoo.families.cgan import CGAN
from ganzoo.families.dcgan import DCGAN
from ganzoo.hub import publish

FID = {"value": 4.4, "source": "the README"}


@pytest.fixture
def fails(run):
    """(arguments) -> the one line of an error, after checking that it is one."""

    def call(*arguments):
        code, out, err = run(*arguments)
        assert code == 2 and "Traceback" not in err + out
        assert err.endswith("\n")
        line = err.splitlines()[-1]
        assert line.startswith(("ganzoo: ", "Error: ")), err
        return line

    return call


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "tiny.py"
    path.write_text(RECIPE)
    return path


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    """Folders of a small model without classes, and of one with three."""
    folder = tmp_path_factory.mktemp("models")
    publish.save(DCGAN(16, 6, 4), folder / "plain")
    publish.save(CGAN(8, 4, 4, num_classes=3, networks="conv"), folder / "classes")
    return folder


@pytest.fixture
def rows(monkeypatch):
    """A manifest of three: one to be had, a planned one, one that is not for commercial use."""
    manifest = json.loads(json.dumps({n: hub.manifest()[n] for n in (FACES, RING, HINGE)}))
    planned = {"status": "planned", "why": "the family is not built yet", "aliases": ["rings"]}
    manifest[RING].update(planned, resolution=[256, 512], published={"fid": FID})
    manifest[RING]["files"][0].update(bytes=None, sha256=None, mirrors=[{"url": "https://a.example/r"}])
    manifest[HINGE].update(non_commercial=True, license="CC-BY-NC-4.0")
    monkeypatch.setattr("ganzoo.hub.rows._rows", lambda: manifest)
    return manifest


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty cache."""
    monkeypatch.setenv("GANZOO_HOME", str(tmp_path / "ganzoo-home"))
    return tmp_path / "ganzoo-home"


@pytest.fixture
def server(home, monkeypatch, tmp_path):
    with HubServer() as server:
        server.use(monkeypatch, tmp_path, token=TOKEN)
        yield server


@pytest.fixture
def remote(rows, server, shared):
    """The faces' row as if they were not shipped: the original file on a web server."""
    data = (shared / "checkpoints/gan_face_generate/weights.tar").read_bytes()
    server.files["weights.tar"] = data
    file = {
        "mirrors": [{"url": f"{server.url}/files/weights.tar"}],
        "bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "converter": "dcgan",
        "pick": "netG_state_dict",
    }
    rows[FACES].update(files=[file], config={}, generator=None)
    return rows[FACES]
