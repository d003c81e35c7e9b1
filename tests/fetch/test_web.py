"""One URL: real HTTP against a local server that fails in every way."""

import http.server
import io
import threading
import time
import urllib.request

import pytest
import requests
from fetch.served import DATA, SHA256, left, partials
from hub_server import Fault

from ganzoo import errors, fetch
from ganzoo.fetch import expected, web

# --- addresses


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
        file = web.file_of(f"{hub.url}/files/a.pth", given, {})
        assert file.path.parent.parent == fetch.home() / "downloads"
        assert file.path.name not in (expected.RECORD, expected.STATE) and file.partial != file.path
    assert web.file_of(f"{hub.url}/d?id=1", "n.pkl", {}).filename == "n.pkl"
    assert web.file_of(f"{hub.url}/a%2Fb%20c.pth", None, {}).filename == "a_b c.pth"


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
    monkeypatch.setattr(web, "_sleep", waits.append)
    hub.faults["/files/*"] = [Fault(status=503)] * 9
    with pytest.raises(errors.DownloadError, match="503") as caught:
        fetch.fetch_url(url)
    assert waits == [0.01, 0.02, 0.04, 0.08] and len(hub.seen()) == web.TRIES
    assert type(caught.value) is errors.DownloadError and url in str(caught.value)


def test_retry_after_is_honoured(hub, url, monkeypatch):
    waits = []
    monkeypatch.setattr(web, "_sleep", waits.append)
    later = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 30))
    hub.faults["/files/*"] = [
        Fault(status=429, headers={"Retry-After": "7"}),
        Fault(status=503, headers={"Retry-After": later}),
        Fault(status=503, headers={"Retry-After": "soon"}),
    ]
    fetch.fetch_url(url, sha256=SHA256)
    assert waits[0] == 7 and 25 < waits[1] <= 30 and waits[2] == 0.04


def test_a_server_that_wants_an_hour_is_not_waited_for(hub, url, monkeypatch):
    monkeypatch.setattr(web, "_sleep", lambda seconds: pytest.fail(f"waits {seconds} s"))
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
    monkeypatch.setattr(web, "TIMEOUT", (1, 0.2))
    hub.faults["/files/*"] = [Fault(stall=0.6)]
    assert fetch.fetch_url(url, sha256=SHA256).read_bytes() == DATA
    assert len(hub.seen()) == 2


# --- continuing


def test_a_cut_connection_is_continued(hub, url):
    hub.faults["/files/*"] = [Fault(cut=400_000), Fault(cut=300_000), Fault(status=503)]
    assert fetch.fetch_url(url).read_bytes() == DATA
    ranges = [r.headers.get("Range") for r in hub.seen()]
    assert ranges[0] is None and len(set(ranges)) == 3
    assert all(r.headers["If-Range"].startswith('"') for r in hub.seen()[1:])
    assert sum(r.sent for r in hub.seen()) < len(DATA) * 1.2


def test_what_a_failed_call_leaves_is_continued_by_the_next(hub, url):
    hub.faults["/files/*"] = [Fault(cut=700_000), *[Fault(status=503)] * web.TRIES]
    with pytest.raises(errors.DownloadError, match="the next call continues there"):
        fetch.fetch_url(url)
    assert left() == {"a.pth.partial", "partial.json"}
    hub.requests.clear(), hub.faults.clear()
    assert fetch.fetch_url(url).read_bytes() == DATA
    assert hub.seen()[0].status == 206 and left() == {"a.pth", "record.json"}


def test_a_file_that_changes_on_the_way_starts_anew(hub, url):
    hub.faults["/files/*"] = [Fault(cut=700_000), *[Fault(status=503)] * web.TRIES]
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
    hub.faults["/files/*"] = [Fault(cut=700_000), *[Fault(status=503)] * web.TRIES]
    with pytest.raises(errors.DownloadError):
        fetch.fetch_url(url)
    (partial,) = [p for p in partials() if p.name == "a.pth.partial"]
    partial.write_bytes(bytes(1000) if published else bytes(len(DATA) + 1))
    hub.faults.clear()
    assert fetch.fetch_url(url, sha256=SHA256 if published else None).read_bytes() == DATA


# --- lengths


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


# --- redirects and proxies


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
