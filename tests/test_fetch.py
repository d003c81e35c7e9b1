"""Fetching: real HTTP against a local server, the Hub through the real huggingface_hub client."""

import contextlib
import errno
import hashlib
import http.server
import io
import json
import os
import pathlib
import random
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request

import pytest
import requests
from hub_server import TOKEN, Fault, HubServer

from ganzoo import errors, fetch, files, resources

DATA = random.Random(0).randbytes(1_500_000)
SHA256 = hashlib.sha256(DATA).hexdigest()
PAGE = b"<!DOCTYPE html><html><head><title>%s</title></head><body>%s</body></html>"
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:%064d\nsize 9\n" % 0


@pytest.fixture(scope="module")
def server():
    with HubServer() as running:
        yield running


@pytest.fixture
def hub(server, monkeypatch, tmp_path):
    """The server, empty but for `/files/a.pth`, and this process led to it."""
    for held in (server.repos, server.branches, server.files, server.faults, server.blobs):
        held.clear()
    for held in (server.private, server.gated, server.forbidden, server.requests, server.commits):
        held.clear()
    server.use(monkeypatch, tmp_path)
    monkeypatch.setattr(fetch, "BACKOFF", 0.01)
    server.files["a.pth"] = DATA
    return server


@pytest.fixture
def url(hub):
    return f"{hub.url}/files/a.pth"


def left():
    """Names of the files in the cache, locks apart."""
    return {p.name for p in fetch.home().rglob("*") if p.is_file() and p.suffix != ".lock"}


def partials():
    return [p for p in fetch.home().rglob(f"*{fetch.PARTIAL}") if p.is_file()]


def entry(*mirrors, sha256=SHA256, size=len(DATA), **more):
    return {"mirrors": list(mirrors), "bytes": size, "sha256": sha256, "converter": None, **more}


# --- settings


def test_the_home_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("GANZOO_HOME", str(tmp_path / "g"))
    assert fetch.home() == tmp_path / "g"
    monkeypatch.delenv("GANZOO_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "x"))
    assert fetch.home() == tmp_path / "x" / "ganzoo"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert fetch.home() == tmp_path / ".cache" / "ganzoo"
    assert fetch.converted("k") == fetch.home() / "converted" / "k"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["GANZOO_OFFLINE", "HF_HUB_OFFLINE"])
def test_offline_is_a_word_of_consent(monkeypatch, name):
    monkeypatch.delenv("GANZOO_OFFLINE", raising=False)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    for value, expected in {"1": True, "True": True, "on": True, "0": False, "": False}.items():
        monkeypatch.setenv(name, value)
        assert fetch.offline() is expected


def test_importing_it_is_light():
    heavy = ["requests", "huggingface_hub", "tqdm", "filelock", "numpy", "keras"]
    code = f"import ganzoo.fetch, sys; print([m for m in {heavy} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).stdout == b"[]\n"


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


# --- one URL


def test_a_file_is_fetched_once_and_verified_once(hub, url, monkeypatch):
    path = fetch.fetch_url(url, sha256=SHA256, size=len(DATA), name="m")
    assert path.read_bytes() == DATA and path.name == "a.pth"
    assert left() == {"a.pth", "record.json"}
    monkeypatch.setattr(fetch, "sha256_of", lambda path: pytest.fail("hashed again"))
    assert fetch.fetch_url(url, sha256=SHA256) == path
    assert len(hub.seen()) == 1


def test_a_touched_file_is_verified_again(hub, url, monkeypatch):
    path = fetch.fetch_url(url, sha256=SHA256)
    os.utime(path, ns=(1, 1))
    hashed = []
    original = fetch.sha256_of
    monkeypatch.setattr(fetch, "sha256_of", lambda p: hashed.append(p) or original(p))
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


def test_a_size_that_differs_is_told_before_the_download(hub, url):
    with pytest.raises(errors.HashError, match=f"{len(DATA)} bytes instead of 5"):
        fetch.fetch_url(url, size=5)
    assert not left()


@pytest.mark.parametrize(
    "bad", ["file:///etc/passwd", "ftp://a/b", "a.pth", "https://", "https://[", "", None]
)
def test_only_web_addresses_are_fetched(hub, bad):
    with pytest.raises(errors.DownloadError, match="https://"):
        fetch.fetch_url(bad)
    assert not hub.requests


def test_names_cannot_leave_the_cache(hub):
    for given in ("../../x", "a/b", "..", "record.json", "x.partial", "\0"):
        file = fetch._url_file(f"{hub.url}/files/a.pth", given, {})
        assert file.path.parent.parent == fetch.home() / "downloads"
        assert file.path.name not in (fetch.RECORD, fetch.STATE) and file.partial != file.path
    assert fetch._url_file(f"{hub.url}/d?id=1", "n.pkl", {}).filename == "n.pkl"
    assert fetch._url_file(f"{hub.url}/a%2Fb%20c.pth", None, {}).filename == "a_b c.pth"


def test_a_password_is_not_shown(hub):
    secret = hub.url.replace("://", "://user:hidden@") + "/files/none"
    with pytest.raises(errors.MissingFileError) as caught:
        fetch.fetch_url(secret)
    assert "hidden" not in str(caught.value)


# --- servers that fail


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504, 408])
def test_a_server_that_is_busy_is_asked_again(hub, url, status):
    hub.faults["/files/*"] = [Fault(status=status)] * 3
    assert fetch.fetch_url(url, sha256=SHA256).read_bytes() == DATA
    assert [r.status for r in hub.seen()] == [status] * 3 + [200]


def test_back_off_doubles_and_gives_up(hub, url, monkeypatch):
    waits = []
    monkeypatch.setattr(fetch, "_sleep", waits.append)
    hub.faults["/files/*"] = [Fault(status=503)] * 9
    with pytest.raises(errors.DownloadError, match="503") as caught:
        fetch.fetch_url(url)
    assert waits == [0.01, 0.02, 0.04, 0.08] and len(hub.seen()) == fetch.TRIES
    assert type(caught.value) is errors.DownloadError and url in str(caught.value)


def test_retry_after_is_honoured(hub, url, monkeypatch):
    waits = []
    monkeypatch.setattr(fetch, "_sleep", waits.append)
    later = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 30))
    hub.faults["/files/*"] = [
        Fault(status=429, headers={"Retry-After": "7"}),
        Fault(status=503, headers={"Retry-After": later}),
        Fault(status=503, headers={"Retry-After": "soon"}),
    ]
    fetch.fetch_url(url, sha256=SHA256)
    assert waits[0] == 7 and 25 < waits[1] <= 30 and waits[2] == 0.04


def test_a_server_that_wants_an_hour_is_not_waited_for(hub, url, monkeypatch):
    monkeypatch.setattr(fetch, "_sleep", lambda seconds: pytest.fail(f"waits {seconds} s"))
    hub.faults["/files/*"] = [Fault(status=429, headers={"Retry-After": "3600"})]
    with pytest.raises(errors.DownloadError, match="429"):
        fetch.fetch_url(url)
    assert len(hub.seen()) == 1


@pytest.mark.parametrize(
    "status, kind",
    [(401, "AccessError"), (403, "AccessError"), (404, "MissingFileError")]
    + [(410, "MissingFileError"), (400, "DownloadError"), (204, "DownloadError")],
)
def test_a_refusal_is_final(hub, url, status, kind):
    hub.faults["/files/*"] = [Fault(status=status)]
    with pytest.raises(getattr(errors, kind), match=str(status)) as caught:
        fetch.fetch_url(url)
    assert type(caught.value).__name__ == kind and url in str(caught.value)
    assert len(hub.seen()) == 1 and not left()


def test_nobody_listens(hub):
    with pytest.raises(errors.DownloadError, match="tries"):
        fetch.fetch_url("http://127.0.0.1:9/a.pth")


def test_a_server_that_hangs(hub, url, monkeypatch):
    monkeypatch.setattr(fetch, "TIMEOUT", (1, 0.2))
    hub.faults["/files/*"] = [Fault(stall=0.6)]
    assert fetch.fetch_url(url, sha256=SHA256).read_bytes() == DATA
    assert len(hub.seen()) == 2


def test_a_cut_connection_is_continued(hub, url):
    hub.faults["/files/*"] = [Fault(cut=400_000), Fault(cut=300_000), Fault(status=503)]
    assert fetch.fetch_url(url).read_bytes() == DATA
    ranges = [r.headers.get("Range") for r in hub.seen()]
    assert ranges[0] is None and len(set(ranges)) == 3
    assert all(r.headers["If-Range"].startswith('"') for r in hub.seen()[1:])
    assert sum(r.sent for r in hub.seen()) < len(DATA) * 1.2


def test_what_a_failed_call_leaves_is_continued_by_the_next(hub, url):
    hub.faults["/files/*"] = [Fault(cut=700_000), *[Fault(status=503)] * fetch.TRIES]
    with pytest.raises(errors.DownloadError, match="the next call continues there"):
        fetch.fetch_url(url)
    assert left() == {"a.pth.partial", "partial.json"}
    hub.requests.clear(), hub.faults.clear()
    assert fetch.fetch_url(url).read_bytes() == DATA
    assert hub.seen()[0].status == 206 and left() == {"a.pth", "record.json"}


def test_a_file_that_changes_on_the_way_starts_anew(hub, url):
    hub.faults["/files/*"] = [Fault(cut=700_000), *[Fault(status=503)] * fetch.TRIES]
    with pytest.raises(errors.DownloadError):
        fetch.fetch_url(url)
    hub.files["a.pth"] = DATA[::-1]
    assert fetch.fetch_url(url).read_bytes() == DATA[::-1]


def test_a_changed_file_is_noticed_by_its_date(hub, url):
    plain = {"ETag": 'W/"weak"'}
    hub.faults["/files/*"] = [Fault(cut=700_000, headers=plain), Fault(headers=plain)]
    assert fetch.fetch_url(url).read_bytes() == DATA
    assert "GMT" in hub.seen()[1].headers["If-Range"] and hub.seen()[1].status == 206


def test_without_a_validator_nothing_is_continued(hub, url):
    none = {"ETag": None, "Last-Modified": None}
    hub.faults["/files/*"] = [Fault(cut=700_000, headers=none), Fault(headers=none)]
    assert fetch.fetch_url(url).read_bytes() == DATA
    assert "Range" not in hub.seen()[1].headers


def test_a_server_without_ranges(hub, url):
    hub.faults["/files/*"] = [Fault(cut=700_000), Fault(ignore_range=True)]
    assert fetch.fetch_url(url).read_bytes() == DATA
    assert "Range" in hub.seen()[1].headers and hub.seen()[1].status == 200


def test_a_server_that_cuts_always_at_the_same_place(hub, url):
    hub.faults["/files/*"] = [Fault(cut=700_000, ignore_range=True)] * 20
    with pytest.raises(errors.DownloadError, match="tries"):
        fetch.fetch_url(url)
    assert len(hub.seen()) < 10


def test_a_wrong_range_is_not_believed(hub, url):
    shifted = {"Content-Range": f"bytes 5-{len(DATA) - 1}/{len(DATA)}"}
    hub.faults["/files/*"] = [Fault(cut=700_000), Fault(headers=shifted)]
    assert fetch.fetch_url(url).read_bytes() == DATA
    assert len(hub.seen()) == 3


def test_a_refused_range_starts_anew(hub, url):
    hub.faults["/files/*"] = [Fault(cut=700_000), Fault(status=416)]
    assert fetch.fetch_url(url).read_bytes() == DATA


@pytest.mark.parametrize("published", [True, False])
def test_a_partial_file_that_somebody_changed(hub, url, published):
    """With a hash it is found out and fetched anew; a partial that is too long never counts."""
    hub.faults["/files/*"] = [Fault(cut=700_000), *[Fault(status=503)] * fetch.TRIES]
    with pytest.raises(errors.DownloadError):
        fetch.fetch_url(url)
    (partial,) = [p for p in partials() if p.name == "a.pth.partial"]
    partial.write_bytes(bytes(1000) if published else bytes(len(DATA) + 1))
    hub.faults.clear()
    assert fetch.fetch_url(url, sha256=SHA256 if published else None).read_bytes() == DATA


def test_chunked_bodies(hub, url):
    hub.faults["/files/*"] = [Fault(length="chunked", cut=500_000), Fault(length="chunked")]
    assert fetch.fetch_url(url).read_bytes() == DATA


def test_a_body_that_ends_early_is_no_file(hub, url):
    hub.faults["/files/*"] = [Fault(body=DATA[:1000], length="chunked")]
    assert fetch.fetch_url(url, size=len(DATA)).read_bytes() == DATA
    assert len(hub.seen()) == 2


def test_a_body_without_end_needs_a_hash(hub, url):
    hub.faults["/files/*"] = [Fault(length="none")]
    with pytest.raises(errors.DownloadError, match="without a length"):
        fetch.fetch_url(url)
    hub.faults["/files/*"] = [Fault(length="none", cut=1000), Fault(length="none")]
    with pytest.raises(errors.HashError):
        fetch.fetch_url(url, sha256=SHA256)
    assert fetch.fetch_url(url, sha256=SHA256).read_bytes() == DATA


def test_more_bytes_than_announced(hub, url):
    hub.faults["/files/*"] = [Fault(body=DATA + b"more", length="chunked")]
    with pytest.raises(errors.DownloadError, match=f"more than the {len(DATA)} bytes"):
        fetch.fetch_url(url, size=len(DATA))
    assert not left()


def test_a_redirect_is_followed_but_not_to_plain_http(hub, url, monkeypatch):
    hub.faults["/files/b"] = [Fault(status=302, headers={"Location": url})]
    path = fetch.fetch_url(f"{hub.url}/files/b", sha256=SHA256, filename="b.pth")
    assert path.name == "b.pth" and path.read_bytes() == DATA

    def send(adapter, request, **_):
        answer = requests.Response()
        answer.status_code, answer.url, answer.request = 302, request.url, request
        answer.headers["Location"], answer.raw = url, io.BytesIO()
        return answer

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", send)
    hub.requests.clear()
    with pytest.raises(errors.DownloadError, match="from https to http"):
        fetch.fetch_url("https://a.example/c.pth")
    assert not hub.requests


def test_a_redirect_to_a_local_file_is_refused(hub):
    hub.faults["/files/b"] = [Fault(status=302, headers={"Location": "file:///etc/passwd"})]
    with pytest.raises(errors.DownloadError):
        fetch.fetch_url(f"{hub.url}/files/b")


# --- bodies that are no file

WRONG = {
    "page": (PAGE % (b"Sign in", b"please"), "text/html; charset=utf-8", "titled 'Sign in'"),
    "unlabelled": (b"\n <html><body>hello", "application/octet-stream", "a web page"),
    "labelled": (b"hello", "text/html", "text/html"),
    "quota": (PAGE % (b"Google Drive - Quota exceeded", b""), "text/html", "quota"),
    "virus": (PAGE % (b"Google Drive - Virus scan warning", b""), "text/html", "confirm=t"),
    "pointer": (POINTER, "text/plain", "LFS"),
    "xml": (b"<?xml version='1.0'?><Error>AccessDenied</Error>", "application/xml", "XML"),
    "json": (b'{"error": "Invalid username"}', "application/json", "Invalid username"),
    "empty": (b"", "application/octet-stream", "empty"),
}


@pytest.mark.parametrize("case", WRONG)
@pytest.mark.parametrize("hashed", [True, False])
def test_a_wrong_body_is_never_cached(hub, url, case, hashed):
    body, kind, word = WRONG[case]
    hub.faults["/files/*"] = [Fault(body=body, headers={"Content-Type": kind})]
    with pytest.raises(errors.WrongBodyError, match=word) as caught:
        fetch.fetch_url(url, sha256=SHA256 if hashed else None, size=len(DATA), name="model-x")
    assert url in str(caught.value) and "model-x" in str(caught.value)
    assert not left() and len(hub.seen()) == 1


def test_the_page_of_a_file_names_the_files_address(hub):
    hub.faults["/o/r/blob/*"] = [Fault(body=PAGE % (b"a", b""))]
    with pytest.raises(errors.WrongBodyError, match="`resolve` instead of `blob`"):
        fetch.fetch_url(f"{hub.url}/o/r/blob/main/a.pth")


# --- mirrors


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


def test_company_mirrors_rewrite_prefixes(hub, monkeypatch):
    real = "https://weights.example/nets/a.pth"
    rules = f"https://weights.example/={hub.url}/wrong/;https://weights.example/nets/={hub.url}/files"
    monkeypatch.setenv("GANZOO_MIRROR", rules)
    assert fetch.fetch_url(real, sha256=SHA256).read_bytes() == DATA
    assert fetch.entries()[0]["url"] == real
    monkeypatch.setenv("GANZOO_MIRROR", "")
    assert fetch.fetch_url(real, sha256=SHA256).read_bytes() == DATA
    assert [r.path for r in hub.seen()] == ["/files/a.pth"]


def test_a_prefix_ends_at_a_slash(monkeypatch):
    monkeypatch.setenv("GANZOO_MIRROR", "https://a.example=https://m.corp/a")
    assert fetch._rewritten("https://a.example/x?y=z") == "https://m.corp/a/x?y=z"
    assert fetch._rewritten("https://a.example.evil/x") == "https://a.example.evil/x"


@pytest.mark.parametrize("value", ["https://a.example/", "a=b", "https://a/=file:///x", "=", "x"])
def test_a_malformed_mirror_setting(hub, url, monkeypatch, value):
    monkeypatch.setenv("GANZOO_MIRROR", f"https://ok.example/=https://b/;{value}")
    with pytest.raises(errors.GanzooError, match="GANZOO_MIRROR is") as caught:
        fetch.fetch(entry({"url": url}, {"url": url}), "m")
    assert repr(value) in str(caught.value)


class _Proxy(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.seen.append(self.path)
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        body = direct.open(self.path, timeout=5).read()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def test_proxies_of_the_environment_are_honoured(hub, url, monkeypatch):
    proxy = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Proxy)
    proxy.seen = []
    threading.Thread(target=proxy.serve_forever, args=(0.02,), daemon=True).start()
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.server_port}")
    try:
        path = fetch.fetch_url(url, sha256=SHA256)
    finally:
        proxy.shutdown()
        proxy.server_close()
    assert path.read_bytes() == DATA and proxy.seen == [url]


# --- offline, progress


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


def test_the_progress_bar(hub, url, monkeypatch, capsys):
    fetch.fetch_url(url, sha256=SHA256, name="model-x")
    assert not capsys.readouterr().err  # no terminal
    fetch.remove("*")
    monkeypatch.setenv("GANZOO_PROGRESS", "1")
    fetch.fetch_url(url, sha256=SHA256, name="model-x")
    shown = capsys.readouterr()
    assert "model-x" in shown.err and "1.50M/1.50M" in shown.err and not shown.out


# --- the Hub


@pytest.mark.parametrize("path", ["config.json", "model.safetensors", "deep/er/x.bin"])
@pytest.mark.parametrize("revision", [None, "main", "commit", "short"])
def test_hub_files(hub, path, revision):
    hub.add("o/r", path, DATA)
    commit = hub.commit_of("o/r")
    revision = {"commit": commit, "short": commit[:9]}.get(revision, revision)
    found = fetch.fetch_hf("o/r", path, revision, sha256=SHA256, size=len(DATA), name="m")
    assert found.read_bytes() == DATA and found.is_relative_to(fetch.home() / "hf")
    count = len(hub.requests)
    assert fetch.fetch_hf("o/r", path, revision, sha256=SHA256) == found
    assert len(hub.requests) == count


def test_a_pinned_commit_stays(hub):
    hub.add("o/r", "x.bin", DATA)
    commit = hub.commit_of("o/r")
    hub.add("o/r", "x.bin", DATA[::-1])
    assert fetch.fetch_hf("o/r", "x.bin", commit).read_bytes() == DATA
    assert fetch.fetch_hf("o/r", "x.bin").read_bytes() == DATA[::-1]


def test_the_hubs_address_may_be_mirrored(hub, monkeypatch):
    hub.add("o/r", "x.bin", DATA)
    monkeypatch.delenv("HF_ENDPOINT")
    monkeypatch.setenv("GANZOO_MIRROR", f"https://huggingface.co/={hub.url}/")
    assert fetch.fetch_hf("o/r", "x.bin", sha256=SHA256).read_bytes() == DATA


def test_private_and_gated_repositories(hub, monkeypatch):
    hub.add("o/r", "x.bin", DATA)
    hub.private.add("o/r")
    for call in (lambda: fetch.fetch_hf("o/r", "x.bin"), lambda: fetch.fetch_repo("o/r")):
        with pytest.raises(errors.AccessError, match="hf auth login"):
            call()
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert fetch.fetch_hf("o/r", "x.bin", sha256=SHA256).read_bytes() == DATA
    hub.gated.add("o/r")
    with pytest.raises(errors.AccessError, match="gated"):
        fetch.fetch_hf("o/r", "y.bin")
    storage = hub.seen("/lfs/*")
    assert storage and not any("Authorization" in request.headers for request in storage)


@pytest.mark.parametrize(
    "repo, path, revision",
    [("o/none", "x.bin", None), ("o/r", "none.bin", None), ("o/r", "x.bin", "0123456789")],
)
def test_what_is_not_on_the_hub(hub, monkeypatch, repo, path, revision):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    hub.add("o/r", "x.bin", DATA)
    with pytest.raises(errors.MissingFileError, match=f"hf://{repo}"):
        fetch.fetch_hf(repo, path, revision)


@pytest.mark.parametrize("repo", ["none", "a/b/c", "a b/c", "", "../x"])
def test_a_name_that_is_no_repository(hub, repo):
    with pytest.raises(errors.DownloadError):
        fetch.fetch_repo(repo)
    with pytest.raises(errors.DownloadError):
        fetch.fetch_hf(repo, "x.bin")


def test_a_busy_hub_is_asked_again(hub):
    hub.add("o/r", "x.bin", DATA)
    hub.faults["/lfs/*"] = [Fault(status=503), Fault(cut=1000)]
    hub.faults["/o/r/resolve/*"] = [Fault(status=429, headers={"Retry-After": "0"}, method="HEAD")]
    assert fetch.fetch_hf("o/r", "x.bin", sha256=SHA256).read_bytes() == DATA


@pytest.mark.parametrize("body, kind", [(POINTER, "WrongBodyError"), (DATA[::-1], "HashError")])
def test_a_wrong_hub_file_is_taken_out_of_the_cache(hub, body, kind):
    hub.add("o/r", "x.bin", body)
    with pytest.raises(getattr(errors, kind)):
        fetch.fetch_hf("o/r", "x.bin", sha256=SHA256)
    assert not [p for p in fetch.home().rglob("blobs/*") if p.stat().st_size]
    assert not list(fetch.home().rglob("x.bin")) and not list(fetch.home().rglob("record.json"))
    hub.add("o/r", "x.bin", DATA)
    assert fetch.fetch_hf("o/r", "x.bin", sha256=SHA256).read_bytes() == DATA


def test_a_hub_file_that_changed_after_the_first_download(hub):
    hub.add("o/r", "x.bin", DATA)
    path = fetch.fetch_hf("o/r", "x.bin")
    hub.add("o/r", "x.bin", DATA[::-1])
    assert fetch.fetch_hf("o/r", "x.bin").read_bytes() == DATA  # nobody was asked
    path.resolve().unlink()
    with pytest.raises(errors.HashError, match="`ganzoo cache rm o/r`"):
        fetch.fetch_hf("o/r", "x.bin")
    fetch.remove("o/r")
    assert fetch.fetch_hf("o/r", "x.bin").read_bytes() == DATA[::-1]


def test_a_damaged_hub_file_is_fetched_again(hub, capsys):
    hub.add("o/r", "x.bin", DATA)
    path = fetch.fetch_hf("o/r", "x.bin", hub.commit_of("o/r"))
    assert SHA256 in capsys.readouterr().err
    path.resolve().write_bytes(b"damage")
    path = fetch.fetch_hf("o/r", "x.bin", hub.commit_of("o/r"))
    assert path.read_bytes() == DATA and "fetched again" in capsys.readouterr().err


def test_a_repository_as_a_folder(hub, capsys, monkeypatch):
    for name in ("config.json", "README.md", "model.safetensors", "samples.png", "run/x.bin"):
        hub.add("o/r", name, name.encode() * 9)
    folder = fetch.fetch_repo("o/r")
    assert {p.name for p in folder.rglob("*") if p.is_file()} == {
        *("config.json", "README.md", "model.safetensors")
    }
    assert (folder / "config.json").read_bytes() == b"config.json" * 9
    assert not capsys.readouterr().err
    hub.requests.clear()
    assert fetch.fetch_repo("o/r") == folder and len(hub.requests) == 1
    monkeypatch.setenv("GANZOO_OFFLINE", "1")
    assert fetch.fetch_repo("o/r") == folder and len(hub.requests) == 1


def test_a_repository_that_moves_on(hub, capsys, monkeypatch):
    hub.add("o/r", "pytorch_model.bin", DATA)
    first = fetch.fetch_repo("o/r")
    hub.add("o/r", "pytorch_model.bin", DATA[::-1])
    second = fetch.fetch_repo("o/r")
    assert (first / "pytorch_model.bin").read_bytes() == DATA
    assert (second / "pytorch_model.bin").read_bytes() == DATA[::-1]
    monkeypatch.setattr(fetch, "HUB_TRIES", 1)
    hub.faults["/api/*"] = [Fault(status=500)]
    assert fetch.fetch_repo("o/r") == second
    assert "The copy in the cache is used" in capsys.readouterr().err


def test_a_branch_of_a_repository(hub):
    hub.add("o/r", "a.bin", DATA)
    hub.branches["o/r"] = {"dev": {"a.bin": DATA[::-1]}}
    assert (fetch.fetch_repo("o/r", "dev") / "a.bin").read_bytes() == DATA[::-1]


def test_a_repository_without_or_with_many_models(hub):
    hub.add("o/r", "README.md", b"#")
    hub.add("o/r", "run/x.bin", DATA)
    with pytest.raises(errors.MissingFileError, match="run/x.bin"):
        fetch.fetch_repo("o/r")
    for number in range(9):
        hub.add("o/r", f"{number}.pkl", b"\x80")
    with pytest.raises(errors.DownloadError, match="9 checkpoints.*`hf://o/r/0.pkl`"):
        fetch.fetch_repo("o/r")


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


def failing(number):
    def fail(*_, **__):
        raise OSError(number, os.strerror(number))

    return fail


def test_a_full_disk(hub, url, monkeypatch):
    monkeypatch.setattr(fetch, "_write_all", failing(errno.ENOSPC))
    with pytest.raises(errors.CacheError, match="full") as caught:
        fetch.fetch_url(url, sha256=SHA256)
    assert str(fetch.home()) in str(caught.value) and "a.pth" not in left()


def test_a_disk_that_will_be_full_is_not_filled(hub, url, monkeypatch):
    usage = fetch.shutil.disk_usage(".")
    monkeypatch.setattr(fetch.shutil, "disk_usage", lambda _: usage._replace(free=1000))
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


def test_what_a_killed_hub_client_left_is_swept(hub):
    hub.add("o/r", "x.bin", DATA)
    path = fetch.fetch_hf("o/r", "x.bin")
    old, new = (path.resolve().with_name(f"{name}.incomplete") for name in ("old", "new"))
    old.touch(), new.touch()
    os.utime(old, (1, 1))
    hub.add("o/r", "y.bin", DATA[::-1])
    fetch.fetch_hf("o/r", "y.bin")
    assert new.exists() and not old.exists() and path.read_bytes() == DATA


# --- the list of the cache


def test_the_cache_is_listed_and_removed(hub, url):
    assert fetch.entries() == []
    path = fetch.fetch_url(url, sha256=SHA256, name="model-x")
    hub.add("o/r", "x.bin", DATA)
    fetch.fetch_hf("o/r", "x.bin", sha256=SHA256)
    with fetch.fresh_folder(fetch.converted("key")) as scratch:
        (scratch / "w").write_bytes(b"123")
    hub.files["cut.pth"] = DATA
    hub.faults["/files/cut.pth"] = [Fault(cut=700_000), *[Fault(status=503)] * fetch.TRIES]
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


# --- several processes, killed processes

CALL = """
import sys, ganzoo.fetch as f
f.CHUNK = f.HEAD = 1 << 14
print(f.{call})
assert "tensorflow" not in sys.modules and "numpy" not in sys.modules
"""


def start(hub, home, call, **more):
    variables = {**os.environ, **hub.environment(home), **more}
    variables = {k: v for k, v in variables.items() if v is not None}
    code = CALL.replace("{call}", call)
    pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    return subprocess.Popen([sys.executable, "-c", code], env=variables, **pipes)


@pytest.mark.parametrize("kind", ["url", "hf"])
def test_ten_processes_download_once(hub, url, tmp_path, kind):
    hub.add("o/r", "x.bin", DATA)
    hub.faults["*/a.pth"], hub.faults["/lfs/*"] = [Fault(pause=0.05)], [Fault(pause=0.05)]
    call = f"fetch_url({url!r})" if kind == "url" else "fetch_hf('o/r', 'x.bin')"
    running = [start(hub, tmp_path, call) for _ in range(10)]
    outputs = [process.communicate(timeout=60) for process in running]
    assert {process.returncode for process in running} == {0}, outputs
    (path,) = {out.strip() for out, _ in outputs}
    assert pathlib.Path(path).read_bytes() == DATA
    assert len(hub.seen("/files/a.pth") + hub.seen("/lfs/*")) == 1
    assert sum(SHA256 in err for _, err in outputs) == 1


@pytest.mark.parametrize("published", [True, False])
def test_killed_again_and_again(hub, url, tmp_path, published):
    """Wherever it dies, nothing has the final name before it is whole, and the next continues."""
    generator = random.Random(1)
    call = f"fetch_url({url!r}, sha256={SHA256 if published else None!r})"
    slow = Fault(pause=0.02, piece=20_000)
    kills, final = 0, fetch._url_file(url, None, {}).path
    while kills < (10 if published else 20):
        hub.faults["/files/*"] = [slow]
        count = len(hub.seen("/files/*"))
        process = start(hub, tmp_path, call)
        while len(hub.seen("/files/*")) == count and process.poll() is None:
            time.sleep(0.002)
        time.sleep(generator.uniform(0, 0.15))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        if process.returncode == -signal.SIGKILL:
            kills += 1
        if final.exists():
            assert final.read_bytes() == DATA
            fetch.remove("*")
    hub.faults.clear()
    assert fetch.fetch_url(url, sha256=SHA256 if published else None).read_bytes() == DATA
    assert [r for r in hub.seen() if r.status == 206]
    assert left() == {"a.pth", "record.json"}


@pytest.mark.parametrize("step", ["replace", "write_text", "unlink", "fsync"])
def test_killed_at_every_step(hub, url, tmp_path, step):
    """A process that dies before its n-th file operation, for every n."""
    code = """
import os, pathlib, signal, sys
import ganzoo.fetch as f
left = int(sys.argv[1])
owner = pathlib.Path if "{step}" in ("write_text", "unlink") else os
original = getattr(owner, "{step}")
def die(*a, **k):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return original(*a, **k)
setattr(owner, "{step}", die)
f.fetch_url(sys.argv[2])
""".replace("{step}", step)
    variables = {k: v for k, v in {**os.environ, **hub.environment(tmp_path)}.items() if v}
    for number in range(9):
        hub.faults["/files/*"] = [Fault(cut=700_000)]
        command = [sys.executable, "-c", code, str(number), url]
        died = subprocess.run(command, env=variables, capture_output=True).returncode
        assert fetch.fetch_url(url).read_bytes() == DATA
        assert json.loads((fetch.entries()[0]["path"].parent / fetch.RECORD).read_text())
        fetch.remove("*")
        if died == 0:
            break
    assert died == 0 and number > 0
