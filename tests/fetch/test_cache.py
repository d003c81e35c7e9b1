"""The list of the cache, and caches that cannot be written."""

import contextlib
import errno
import os

import pytest
from fetch.served import DATA, SHA256, failing, left, partials
from hub_server import Fault

from ganzoo import errors, fetch, files
from ganzoo.fetch import web

# --- the list


def test_the_cache_is_listed_and_removed(hub, url):
    assert fetch.entries() == []
    path = fetch.fetch_url(url, sha256=SHA256, name="model-x")
    hub.add("o/r", "x.bin", DATA)
    fetch.fetch_hf("o/r", "x.bin", sha256=SHA256)
    with fetch.fresh_folder(fetch.converted("key")) as scratch:
        (scratch / "w").write_bytes(b"123")
    hub.files["cut.pth"] = DATA
    hub.faults["/files/cut.pth"] = [Fault(cut=700_000), *[Fault(status=503)] * web.TRIES]
    with contextlib.suppress(errors.DownloadError):
        fetch.fetch_url(f"{hub.url}/files/cut.pth")
    found = {(e["kind"], e["name"]): e for e in fetch.entries()}
    assert set(found) == {
        *(("download", "model-x"), ("download", "cut.pth")),
        *(("converted", "key"), ("hf", "o/r")),
    }
    whole, cut = found["download", "model-x"], found["download", "cut.pth"]
    expected = dict(kind="download", name="model-x", url=url, bytes=len(DATA), sha256=SHA256)
    assert whole == {**expected, "path": path, "partial": False}
    assert cut["partial"] and 0 < cut["bytes"] < len(DATA) and cut["url"].endswith("cut.pth")
    assert found["converted", "key"]["bytes"] == 3
    assert found["hf", "o/r"]["bytes"] >= len(DATA) and found["hf", "o/r"]["url"] == "hf://o/r"
    assert [e["name"] for e in fetch.remove("model-*")] == ["model-x"]
    assert not path.exists() and len(fetch.entries()) == 3
    fetch.remove("o/r")
    hub.requests.clear()
    fetch.fetch_hf("o/r", "x.bin", sha256=SHA256)
    assert hub.requests
    assert len(fetch.remove("*")) == 3 and not fetch.entries() and not fetch.remove("*")


# --- caches that cannot be written


def test_a_cache_below_a_file(hub, url, monkeypatch, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("GANZOO_HOME", str(tmp_path / "file" / "cache"))
    hub.add("o/r", "x.bin", DATA)
    for call in (lambda: fetch.fetch_url(url), lambda: fetch.fetch_hf("o/r", "x.bin")):
        with pytest.raises(errors.CacheError, match="GANZOO_HOME"):
            call()
    with pytest.raises(errors.CacheError), fetch.fresh_folder(fetch.converted("k")):
        pass
    assert not hub.seen("/lfs/*") and not hub.seen("/files/*")


def test_a_full_disk(hub, url, monkeypatch):
    monkeypatch.setattr(web, "_write_all", failing(errno.ENOSPC))
    with pytest.raises(errors.CacheError, match="full") as caught:
        fetch.fetch_url(url, sha256=SHA256)
    assert str(fetch.home()) in str(caught.value) and "a.pth" not in left()


def test_a_disk_that_will_be_full_is_not_filled(hub, url, monkeypatch):
    usage = web.shutil.disk_usage(".")
    monkeypatch.setattr(web.shutil, "disk_usage", lambda _: usage._replace(free=1000))
    with pytest.raises(errors.CacheError, match=f"{len(DATA)} bytes are needed and 1000 are free"):
        fetch.fetch_url(url, sha256=SHA256)
    assert not partials()


def test_a_full_disk_below_the_hubs_client(hub, monkeypatch):
    import huggingface_hub

    hub.add("o/r", "x.bin", DATA)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", failing(errno.ENOSPC))
    with pytest.raises(errors.CacheError, match="full"):
        fetch.fetch_hf("o/r", "x.bin")


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES])
def test_a_read_only_cache(hub, url, monkeypatch, number):
    """Root may write everywhere, so the system call is what refuses here."""
    path = fetch.fetch_url(url, sha256=SHA256)
    os.utime(path, ns=(1, 1))  # verified again, which cannot be remembered
    hub.add("o/r", "x.bin", DATA)
    folder = fetch.fetch_repo("o/r")
    opened = os.open

    def refuse(name, flags, *rest, **more):
        if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            raise OSError(number, os.strerror(number), str(name))
        return opened(name, flags, *rest, **more)

    monkeypatch.setattr(os, "open", refuse)  # what filelock calls
    monkeypatch.setattr(files, "write_json", failing(number))
    assert fetch.fetch_url(url, sha256=SHA256) == path and fetch.fetch_repo("o/r") == folder
    with pytest.raises(errors.CacheError, match="read-only"):
        fetch.fetch_url(f"{hub.url}/files/b.pth")
