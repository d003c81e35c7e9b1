"""A file of the manifest, from its mirrors, the package or the cache."""

import pytest
from fetch.served import DATA, PAGE, SHA256, entry
from hub_server import Fault

from ganzoo import errors, fetch, resources


def test_mirrors_are_tried_in_order(hub, url):
    gone = {"url": f"{hub.url}/files/gone"}
    assert fetch.fetch(entry(gone, {"url": url}), "m").read_bytes() == DATA
    assert [r.path for r in hub.seen()] == ["/files/gone", "/files/a.pth"]
    hub.requests.clear()
    assert fetch.fetch(entry(gone, {"url": url}), "m").read_bytes() == DATA
    assert not hub.requests


def test_every_mirror_is_told_where_none_works(hub, url):
    hub.faults["/files/page"] = [Fault(body=PAGE % (b"a", b""))]
    mirrors = [{"url": f"{hub.url}/files/{name}"} for name in ("gone", "page")]
    with pytest.raises(errors.DownloadError) as caught:
        fetch.fetch(entry(*mirrors, {"hf": "o/none", "revision": None, "path": "x"}), "model-x")
    assert type(caught.value) is errors.DownloadError
    for part in ("3 mirrors", "model-x", "gone", "404", "a web page", "hf://o/none"):
        assert part in str(caught.value)
    with pytest.raises(errors.MissingFileError):
        fetch.fetch(entry(mirrors[0], mirrors[0]), "model-x")


def test_a_damaged_mirror_is_passed_over(hub, url):
    hub.files["bad"] = DATA[::-1]
    found = fetch.fetch(entry({"url": f"{hub.url}/files/bad"}, {"url": url}), "m")
    assert found.read_bytes() == DATA


def test_packaged_files(hub, monkeypatch, tmp_path, url):
    monkeypatch.setattr(resources, "WEIGHTS", tmp_path / "package" / "weights")
    packaged = tmp_path / "package" / "weights" / "a.safetensors"
    with pytest.raises(errors.MissingFileError, match="reinstall"):
        fetch.fetch(entry({"package": "a.safetensors"}), "m")
    packaged.parent.mkdir(parents=True)
    packaged.write_bytes(DATA)
    assert fetch.fetch(entry({"package": "a.safetensors"}), "m") == packaged
    packaged.write_bytes(DATA[::-1])
    with pytest.raises(errors.HashError, match=SHA256):
        fetch.fetch(entry({"package": "a.safetensors"}), "m")
    assert fetch.fetch(entry({"package": "a.safetensors"}, {"url": url}), "m") != packaged
    assert not fetch.home().joinpath("records").exists()


@pytest.mark.parametrize("name", ["GANZOO_OFFLINE", "HF_HUB_OFFLINE"])
def test_offline_uses_the_cache_and_asks_nobody(hub, url, monkeypatch, name):
    monkeypatch.setenv(name, "1")
    mirrors = [{"url": url}, {"hf": "o/r", "revision": None, "path": "a.pth"}]
    with pytest.raises(errors.OfflineError) as caught:
        fetch.fetch(entry(*mirrors), "model-x")
    assert "model-x" in str(caught.value) and str(fetch.home()) in str(caught.value)
    with pytest.raises(errors.OfflineError, match="hf://o/r"):
        fetch.fetch_repo("o/r")
    assert not hub.requests and not fetch.home().exists()
    monkeypatch.delenv(name)
    path = fetch.fetch_url(url, sha256=SHA256)
    monkeypatch.setenv(name, "1")
    assert fetch.fetch(entry(*reversed(mirrors)), "model-x") == path
