"""A local server for one module's tests, emptied for each."""

import pytest
from fetch.served import DATA
from hub_server import HubServer

from ganzoo.fetch import settings


@pytest.fixture(scope="module")
def server():
    with HubServer() as running:
        yield running


@pytest.fixture
def hub(server, monkeypatch, tmp_path):
    """The server, empty but for `/files/a.pth`, and this process led to it."""
    for contents in "repos branches files faults blobs private gated forbidden".split():
        getattr(server, contents).clear()
    server.requests.clear(), server.commits.clear()
    server.use(monkeypatch, tmp_path)
    monkeypatch.setattr(settings, "BACKOFF", 0.01)
    server.files["a.pth"] = DATA
    return server


@pytest.fixture
def url(hub):
    return f"{hub.url}/files/a.pth"
