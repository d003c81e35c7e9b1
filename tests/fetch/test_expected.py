"""Hashes, and the records of what was verified."""

import hashlib
import os
import re
import subprocess
import time

import pytest
from fetch.served import DATA, SHA256, left

from ganzoo import errors, fetch
from ganzoo.fetch import expected


def test_sha256_agrees_with_hashlib(tmp_path):
    for data in (b"", b"a", DATA, DATA[: 1 << 20]):
        (tmp_path / "f").write_bytes(data)
        assert fetch.sha256_of(tmp_path / "f") == hashlib.sha256(data).hexdigest()


def test_hashing_speed(tmp_path, record_property):
    path = tmp_path / "f"
    path.write_bytes(DATA * 40)
    fetch.sha256_of(path)
    start = time.perf_counter()
    fetch.sha256_of(path)
    ours = path.stat().st_size / (time.perf_counter() - start) / 1e9
    start = time.perf_counter()
    subprocess.run(["sha256sum", str(path)], check=True, stdout=subprocess.DEVNULL)
    theirs = path.stat().st_size / (time.perf_counter() - start) / 1e9
    record_property("gigabytes_per_second", ours)
    print(f"hashing: {ours:.2f} GB/s, sha256sum {theirs:.2f} GB/s")


def test_a_file_is_fetched_once_and_verified_once(hub, url, monkeypatch):
    path = fetch.fetch_url(url, sha256=SHA256, size=len(DATA), name="m")
    assert path.read_bytes() == DATA and path.name == "a.pth"
    assert left() == {"a.pth", "record.json"}
    monkeypatch.setattr(expected, "sha256_of", lambda path: pytest.fail("hashed again"))
    assert fetch.fetch_url(url, sha256=SHA256) == path
    assert len(hub.seen()) == 1


def test_a_touched_file_is_verified_again(hub, url, monkeypatch):
    path = fetch.fetch_url(url, sha256=SHA256)
    os.utime(path, ns=(1, 1))
    hashed = []
    original = fetch.sha256_of
    monkeypatch.setattr(expected, "sha256_of", lambda p: hashed.append(p) or original(p))
    assert fetch.fetch_url(url, sha256=SHA256) == path
    assert fetch.fetch_url(url, sha256=SHA256) == path
    assert hashed == [path] and len(hub.seen()) == 1


@pytest.mark.parametrize("published", [True, False])
def test_a_damaged_file_is_fetched_again(hub, url, capsys, published):
    wanted = {"sha256": SHA256} if published else {}
    path = fetch.fetch_url(url, **wanted)
    path.write_bytes(b"x" + DATA[1:])
    assert fetch.fetch_url(url, **wanted).read_bytes() == DATA
    assert len(hub.seen()) == 2 and "fetched again" in capsys.readouterr().err


def test_a_damaged_file_offline_is_an_error(hub, url, monkeypatch):
    path = fetch.fetch_url(url, sha256=SHA256)
    path.write_bytes(b"x" + DATA[1:])
    monkeypatch.setenv("GANZOO_OFFLINE", "1")
    with pytest.raises(errors.HashError, match=SHA256):
        fetch.fetch_url(url, sha256=SHA256)
    assert path.exists()


def test_a_wrong_hash_says_what_came(hub, url):
    hub.files["a.pth"] = b"PK\x03\x04" + bytes(100)
    with pytest.raises(errors.HashError) as caught:
        fetch.fetch_url(url, sha256=SHA256, name="model-x")
    for part in (url, SHA256, "zip archive", "model-x", "104 bytes"):
        assert part in str(caught.value)
    assert not left()


def test_the_prefix_of_a_hash_is_checked(hub, url):
    assert fetch.fetch_url(url, sha256_prefix=SHA256[:8]).read_bytes() == DATA
    fetch.remove("*")
    with pytest.raises(errors.HashError, match="00000000"):
        fetch.fetch_url(url, sha256_prefix="00000000")


def test_a_hash_that_nobody_publishes_is_recorded_and_kept(hub, url, capsys):
    path = fetch.fetch_url(url)
    assert capsys.readouterr().err.count(SHA256) == 1
    assert fetch.fetch_url(url) == path
    os.utime(path, ns=(1, 1))
    assert fetch.fetch_url(url) == path
    assert not capsys.readouterr().err
    path.unlink()
    hub.files["a.pth"] = DATA[::-1]
    with pytest.raises(errors.HashError, match="recorded at the first download"):
        fetch.fetch_url(url)
    assert left() == {"record.json"}


def test_a_change_is_accepted_by_the_command_that_the_error_names(hub, url):
    fetch.fetch_url(url).unlink()
    hub.files["a.pth"] = DATA[::-1]
    with pytest.raises(errors.HashError) as caught:
        fetch.fetch_url(url)
    handle = re.search(r"`ganzoo cache rm (\w+)`", str(caught.value))[1]
    assert len(fetch.remove(handle)) == 1
    assert fetch.fetch_url(url).read_bytes() == DATA[::-1]
