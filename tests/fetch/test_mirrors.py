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


CALLS = {
    "fetch": lambda url, **how: fetch.fetch(entry({"url": url}), "model-x", **how),
    "hub mirror": lambda url, **how: fetch.fetch(entry(HUB_MIRROR), "model-x", **how),
    "fetch_url": lambda url, **how: fetch.fetch_url(url, name="model-x", **how),
    "fetch_hf": lambda url, **how: fetch.fetch_hf("o/r", "a.bin", name="model-x", **how),
    "fetch_repo": lambda url, **how: fetch.fetch_repo("o/r", **how),
}
HUB_MIRROR = {"hf": "o/r", "revision": None, "path": "a.bin"}


@pytest.mark.parametrize("call", CALLS)
def test_a_call_may_be_offline_whatever_the_environment_says(hub, url, monkeypatch, call):
    hub.add("o/r", "a.bin", DATA)
    call = CALLS[call]
    with pytest.raises(errors.OfflineError, match="offline=True") as caught:
        call(url, offline=True)
    assert str(fetch.home()) in str(caught.value)
    assert not hub.requests and not fetch.home().exists()
    monkeypatch.setenv("GANZOO_OFFLINE", "1")
    with pytest.raises(errors.OfflineError, match="^(?!.*offline=True)"):
        call(url)
    path = call(url, offline=False)
    hub.requests.clear()
    assert call(url) == path and call(url, offline=True) == path
    assert not hub.requests


def test_a_damaged_file_is_an_error_for_a_call_that_is_offline(hub, url):
    path = fetch.fetch_url(url, sha256=SHA256)
    path.write_bytes(b"x" + DATA[1:])
    with pytest.raises(errors.HashError, match=SHA256):
        fetch.fetch(entry({"url": url}), "m", offline=True)
    assert path.exists() and len(hub.seen()) == 1


def test_packaged_files_are_here_also_offline(monkeypatch, tmp_path):
    monkeypatch.setattr(resources, "WEIGHTS", tmp_path)
    (tmp_path / "a.safetensors").write_bytes(DATA)
    found = fetch.fetch(entry({"package": "a.safetensors"}), "m", offline=True)
    assert found == tmp_path / "a.safetensors"
