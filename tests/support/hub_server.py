"""A local server that speaks the Hugging Face Hub's API and serves files, with faults on order.

    with HubServer() as hub:
        hub.add("org/name", "config.json", b"{}")         # hf://org/name
        hub.files["a.pth"] = data                          # hub.url + "/files/a.pth"
        hub.faults["/files/a.pth"] = [Fault(status=503), Fault(cut=1000)]
        hub.use(monkeypatch, tmp_path)                     # HF_ENDPOINT, GANZOO_HOME and so on

Every request takes the next fault of the first pattern (shell style) that matches its path. Large
files are redirected to a second port, as the Hub redirects to its storage. Revisions are branches
or commits; a repository's commit is a hash of its files, so that changing `hub.repos` moves it.
"""

import base64
import dataclasses
import fnmatch
import hashlib
import http.server
import json
import threading
import time
import urllib.parse

TOKEN = "hf_test"
LARGE_SUFFIXES = (".safetensors", ".bin", ".pth", ".pt", ".pkl", ".h5", ".npz", ".png")
MODIFIED = "Mon, 02 Jan 2023 03:04:05 GMT"
API = "/api/models/"


@dataclasses.dataclass
class Fault:
    """What goes wrong with one request; `Fault()` is a request that works.

    Args:
        status, headers, body: the answer instead of the file's. With `body` alone the status is
            200; with `headers` alone they replace the file's, and the value `None` leaves one out.
        cut: close the connection after so many bytes of the body.
        pause, piece: sleep `pause` seconds after each `piece` bytes.
        stall: seconds to wait before the answer.
        ignore_range: answer 200 with everything.
        length: "header" (Content-Length), "chunked" or "none" (the closed connection ends it).
        method: the method it applies to; other requests pass it by.
    """

    status: int | None = None
    headers: dict = dataclasses.field(default_factory=dict)
    body: bytes | None = None
    cut: int | None = None
    pause: float = 0.0
    piece: int = 1 << 16
    stall: float = 0.0
    ignore_range: bool = False
    length: str = "header"
    method: str = "GET"


@dataclasses.dataclass
class Request:
    """One line of `hub.requests`."""

    method: str
    path: str
    query: str
    headers: dict
    status: int = 0
    sent: int = 0


class HubServer:
    """The server; a context manager.

    Attributes:
        url, cdn_url: where it listens, without a final slash.
        repos: {"org/name": {path: bytes}}, the branch `main`; may be changed at any time.
        branches: {"org/name": {branch: {path: bytes}}}, the other branches.
        files: {path: bytes} below `/files/`.
        faults: {path pattern: [Fault, ...]}.
        requests: a list of `Request`.
        private, gated: repositories that need the token, and that need an agreement as well.
        forbidden: organisations that the token may not write to.
        commits: [(repository, branch, summary), ...] of the pushed commits.
    """

    def __init__(self):
        self.repos, self.branches, self.files = {}, {}, {}
        self.faults, self.requests, self.commits = {}, [], []
        self.private, self.gated, self.forbidden = set(), set(), set()
        self.snapshots, self.blobs, self.lock = {}, {}, threading.RLock()

    def __enter__(self):
        self._servers = [_Server(self), _Server(self)]
        self.url, self.cdn_url = [f"http://127.0.0.1:{s.server_port}" for s in self._servers]
        for server in self._servers:
            threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_):
        for server in self._servers:
            server.shutdown()
            server.server_close()

    def add(self, repo, path, data):
        """Puts a file on the branch `main`; makes the repository where there is none."""
        self.repos.setdefault(repo, {})[path] = bytes(data)

    def seen(self, pattern="*", method="GET"):
        """The requests of a method whose path matches."""
        return [r for r in self.requests if r.method == method and fnmatch.fnmatch(r.path, pattern)]

    def environment(self, home, *, token=None):
        """The variables that lead a process here; `None` is a variable to remove."""
        return {
            "HF_ENDPOINT": self.url,
            "HF_HOME": str(home / "hf-home"),
            "HF_TOKEN": token,
            "HF_TOKEN_PATH": str(home / "no-token"),
            "HF_HUB_DISABLE_XET": "1",  # its storage protocol is not spoken here
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "GANZOO_HOME": str(home / "ganzoo-home"),
            "NO_PROXY": "127.0.0.1",
            **dict.fromkeys(("GANZOO_OFFLINE", "HF_HUB_OFFLINE", "GANZOO_MIRROR")),
            **dict.fromkeys(("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "no_proxy")),
        }

    def use(self, monkeypatch, home, *, token=None):
        """Leads this process here, what huggingface_hub read at its import included."""
        from huggingface_hub import constants

        for name, value in self.environment(home, token=token).items():
            monkeypatch.delenv(name, raising=False)
            if value is not None:
                monkeypatch.setenv(name, value)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True, raising=False)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", True)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(home / "no-token"))
        registry = home / "harnesses.json"  # or else the client asks the real Hub for it
        registry.write_text('{"standardEnvVars": [], "harnesses": {}}')
        monkeypatch.setattr(constants, "AGENT_HARNESSES_PATH", str(registry), raising=False)

    # --- revisions

    def commit_of(self, repo, revision="main"):
        """The commit of a branch or of an abbreviated commit; `None` where there is none."""
        branches = {"main": self.repos[repo], **self.branches.get(repo, {})}
        for files in branches.values():
            self.snapshots.setdefault(repo, {})[_commit(files)] = dict(files)
        if revision in branches:
            return _commit(branches[revision])
        known = [c for c in self.snapshots[repo] if len(revision) >= 7 and c.startswith(revision)]
        return known[0] if known else None

    def branch(self, repo, name):
        """The files of a branch, to be changed; `None` where there is none."""
        return self.repos[repo] if name == "main" else self.branches.get(repo, {}).get(name)


def is_large(path, data):
    """Whether the Hub keeps a file in its large-file storage."""
    return path.endswith(LARGE_SUFFIXES) or len(data) > 1 << 20


def _commit(files):
    text = [f"{path} {hashlib.sha1(data).hexdigest()}" for path, data in sorted(files.items())]
    return hashlib.sha1("\n".join(text).encode()).hexdigest()


def _blob(data):
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def _sha256(data):
    return hashlib.sha256(data).hexdigest()


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, hub):
        self.hub = hub
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request, client_address):
        """A client that went away is no news here."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.hub = self.server.hub
        split = urllib.parse.urlsplit(self.path)
        self.route = urllib.parse.unquote(split.path)
        self.query = urllib.parse.parse_qs(split.query)
        self.record = Request(self.command, self.route, split.query, dict(self.headers))
        self.content = self._read_body()
        with self.hub.lock:
            self.hub.requests.append(self.record)
            self.fault = self._next_fault()
        time.sleep(self.fault.stall)
        if self.fault.status is not None or self.fault.body is not None:
            return self._send(self.fault.status or 200, self.fault.body or b"")
        self._answer()

    do_HEAD = do_POST = do_PUT = do_DELETE = do_GET

    def log_message(self, *_):
        pass

    def _next_fault(self):
        for pattern, faults in self.hub.faults.items():
            if faults and fnmatch.fnmatch(self.route, pattern) and faults[0].method == self.command:
                return faults.pop(0)
        return Fault()

    def _read_body(self):
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        pieces = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            pieces.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(pieces)

    # --- what to answer

    def _answer(self):
        route = self.route
        if route.startswith("/files/"):
            data = self.hub.files.get(route.removeprefix("/files/"))
            return self._fail(404) if data is None else self._send_file(data)
        if route.startswith("/lfs/"):
            if self.command == "PUT":
                return self._store_blob(route.removeprefix("/lfs/"))
            data = self._find_blob(route.removeprefix("/lfs/"))
            return self._fail(404) if data is None else self._send_file(data)
        if "/resolve/" in route:
            return self._resolve()
        if route.endswith(".git/info/lfs/objects/batch"):
            return self._lfs_batch(route.removesuffix(".git/info/lfs/objects/batch").strip("/"))
        if route.startswith(API):
            return self._model_api(route.removeprefix(API))
        return self._account_api(route)

    def _find_blob(self, oid):
        with self.hub.lock:
            if oid in self.hub.blobs:
                return self.hub.blobs[oid]
            trees = list(self.hub.repos.values())
            trees += [tree for all_ in self.hub.snapshots.values() for tree in all_.values()]
            return next((d for t in trees for d in t.values() if _sha256(d) == oid), None)

    def _store_blob(self, oid):
        if _sha256(self.content) != oid:
            return self._fail(400, message="the content is not the announced one")
        self.hub.blobs[oid] = self.content
        self._send(200, b"")

    def _resolve(self):
        repo, rest = self.route.strip("/").split("/resolve/", 1)
        revision, _, path = rest.partition("/")
        commit = self._readable(repo, revision)
        if commit is None:
            return
        data = self.hub.snapshots[repo][commit].get(path)
        headers = {"X-Repo-Commit": commit}
        if data is None:
            return self._fail(404, "EntryNotFound", headers=headers)
        if is_large(path, data):
            headers["Location"] = f"{self.hub.cdn_url}/lfs/{_sha256(data)}"
            headers["X-Linked-Etag"] = f'"{_sha256(data)}"'
            headers["X-Linked-Size"] = str(len(data))
            return self._send(302, b"", headers)
        self._send_file(data, {**headers, "ETag": f'"{_blob(data)}"'})

    def _readable(self, repo, revision):
        """The commit, or `None` after an error was sent."""
        with self.hub.lock:
            token = self.headers.get("Authorization") == f"Bearer {TOKEN}"
            if repo not in self.hub.repos or (repo in self.hub.private and not token):
                return self._fail(404 if token else 401, "RepoNotFound", "Repository not found")
            if repo in self.hub.gated:
                return self._fail(403 if token else 401, "GatedRepo", f"Access to {repo} is gated")
            commit = self.hub.commit_of(repo, revision)
            return commit or self._fail(404, "RevisionNotFound", f"Invalid rev id: {revision}")

    def _writable(self, organisation):
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self._fail(401, message="Invalid username or password.")
            return False
        if organisation in self.hub.forbidden:
            self._fail(403, message=f"You don't have the rights to write to {organisation}")
            return False
        return True

    def _model_api(self, rest):
        parts = rest.split("/")
        repo, call, revision = "/".join(parts[:2]), "".join(parts[2:3]), "".join(parts[3:4])
        if call in ("preupload", "commit", "branch"):
            if not self._writable(parts[0]):
                return None
            if repo not in self.hub.repos:
                return self._fail(404, "RepoNotFound", "Repository not found")
            return {"preupload": self._preupload, "commit": self._push, "branch": self._branch}[
                call
            ](repo, revision)
        commit = self._readable(repo, revision or "main")
        if commit is None:
            return None
        files = self.hub.snapshots[repo][commit]
        if call == "tree":
            return self._json(_tree(files, "/".join(parts[4:])))
        if call == "paths-info":
            asked = urllib.parse.parse_qs(self.content.decode()).get("paths", [])
            if self.headers.get("Content-Type", "").startswith("application/json"):
                asked = json.loads(self.content)["paths"]
            return self._json([e for e in _tree(files, "") if e["path"] in asked])
        if call == "refs":
            names = ["main", *self.hub.branches.get(repo, {})]
            refs = [
                {"name": n, "ref": f"refs/heads/{n}", "targetCommit": self.hub.commit_of(repo, n)}
                for n in names
            ]
            return self._json({"branches": refs, "tags": [], "converts": []})
        return self._json(_info(repo, commit, files, repo in self.hub.private))

    def _account_api(self, route):
        if route == "/api/whoami-v2":
            if self._writable(None):
                self._json({"type": "user", "name": "tester", "orgs": [], "auth": {"type": "t"}})
        elif route == "/api/validate-yaml":
            self._json({"errors": [], "warnings": []})
        elif route == "/api/repos/create":
            body = json.loads(self.content)
            organisation = body.get("organization") or "tester"
            repo = f"{organisation}/{body['name']}"
            if not self._writable(organisation):
                return
            answer = {"url": f"{self.hub.url}/{repo}", "name": repo}
            if repo in self.hub.repos:
                return self._json({"error": "You already created this model repo", **answer}, 409)
            self.hub.repos[repo] = {".gitattributes": b"*.safetensors filter=lfs\n"}
            if body.get("private") or body.get("visibility") == "private":
                self.hub.private.add(repo)
            self._json(answer)
        else:
            self._fail(404)

    # --- uploads

    def _preupload(self, repo, revision):
        known = self.hub.branch(repo, revision)
        if known is None:
            return self._fail(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        answer = []
        for file in json.loads(self.content)["files"]:
            path, held = file["path"], known.get(file["path"])
            large = path.endswith(LARGE_SUFFIXES) or file["size"] > 1 << 20
            oid = None if held is None else _sha256(held) if large else _blob(held)
            mode = "lfs" if large else "regular"
            answer.append({"path": path, "uploadMode": mode, "shouldIgnore": False, "oid": oid})
        self._json({"files": answer})

    def _lfs_batch(self, repo):
        if not self._writable(repo.split("/")[0]):
            return
        objects = []
        for item in json.loads(self.content)["objects"]:
            upload = {"upload": {"href": f"{self.hub.cdn_url}/lfs/{item['oid']}"}}
            held = self._find_blob(item["oid"]) is not None
            objects.append(dict(item) if held else {**item, "actions": upload})
        self._json({"transfer": "basic", "objects": objects})

    def _push(self, repo, revision):
        lines = [json.loads(line) for line in self.content.splitlines() if line.strip()]
        with self.hub.lock:
            files = self.hub.branch(repo, revision)
            if files is None:
                return self._fail(404, "RevisionNotFound", f"Invalid rev id: {revision}")
            summary = ""
            for key, value in ((line["key"], line["value"]) for line in lines):
                if key == "header":
                    summary = value["summary"]
                elif key == "file":
                    files[value["path"]] = base64.b64decode(value["content"])
                elif key == "lfsFile":
                    files[value["path"]] = self._find_blob(value["oid"])
                elif key == "deletedFile":
                    del files[value["path"]]
                elif key == "deletedFolder":
                    for path in [p for p in files if p.startswith(value["path"])]:
                        del files[path]
            oid = self.hub.commit_of(repo, revision)
            self.hub.commits.append((repo, revision, summary))
        url = f"{self.hub.url}/{repo}/commit/{oid}"
        self._json({"success": True, "commitOid": oid, "commitUrl": url, "hookOutput": ""})

    def _branch(self, repo, name):
        if self.hub.branch(repo, name) is not None:
            return self._fail(409, message=f"Reference already exists: {name}")
        start = json.loads(self.content or b"{}").get("startingPoint", "main")
        files = self.hub.snapshots[repo][self.hub.commit_of(repo, start)]
        self.hub.branches.setdefault(repo, {})[name] = dict(files)
        self._json({})

    # --- how to send it

    def _json(self, value, status=200):
        body = json.dumps(value).encode()
        self._send(status, body, {"Content-Type": "application/json; charset=utf-8"})

    def _fail(self, status, code=None, message="Not found", headers=None):
        extra = {"X-Error-Message": message, **(headers or {})}
        if code:
            extra["X-Error-Code"] = code
        extra["Content-Type"] = "application/json"
        self._send(status, json.dumps({"error": message}).encode(), extra)

    def _send_file(self, data, headers=None):
        tag = f'"{hashlib.sha1(data).hexdigest()}"'
        headers = {"ETag": tag, "Last-Modified": MODIFIED, "Accept-Ranges": "bytes"} | (
            headers or {}
        )
        headers |= {k: v for k, v in self.fault.headers.items() if k in headers}
        wanted = self.headers.get("Range", "")
        condition = self.headers.get("If-Range")
        unchanged = condition in (None, headers["ETag"], headers["Last-Modified"])
        if not wanted.startswith("bytes=") or self.fault.ignore_range or not unchanged:
            return self._send(200, data, headers)
        first, _, last = wanted.removeprefix("bytes=").partition("-")
        start, stop = int(first), min(int(last or len(data)), len(data) - 1) + 1
        if start >= len(data):
            return self._send(416, b"", {**headers, "Content-Range": f"bytes */{len(data)}"})
        span = f"bytes {start}-{stop - 1}/{len(data)}"
        self._send(206, data[start:stop], {**headers, "Content-Range": span})

    def _send(self, status, body, headers=None):
        fault = self.fault
        headers = {"Content-Type": "application/octet-stream", **(headers or {}), **fault.headers}
        if fault.length == "header":
            headers.setdefault("Content-Length", str(len(body)))
        elif fault.length == "chunked":
            headers["Transfer-Encoding"] = "chunked"
        if fault.length == "none" or fault.cut is not None:
            headers["Connection"] = "close"
            self.close_connection = True
        self.record.status = status
        self.send_response(status)
        for name, value in headers.items():
            if value is not None:
                self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self._write(body)

    def _write(self, body):
        fault = self.fault
        end = len(body) if fault.cut is None else min(fault.cut, len(body))
        for start in range(0, end, fault.piece):
            piece = body[start : min(start + fault.piece, end)]
            chunked = fault.length == "chunked"
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece)
            self.record.sent += len(piece)
            time.sleep(fault.pause)
        if fault.length == "chunked" and fault.cut is None:
            self.wfile.write(b"0\r\n\r\n")


def _tree(files, below):
    entries = []
    for path, data in sorted(files.items()):
        if below and not path.startswith(f"{below}/"):
            continue
        entry = {"type": "file", "oid": _blob(data), "size": len(data), "path": path}
        if is_large(path, data):
            entry["lfs"] = {"oid": _sha256(data), "size": len(data), "pointerSize": 130}
        entries.append(entry)
    return entries


def _info(repo, commit, files, private):
    siblings = []
    for path, data in sorted(files.items()):
        sibling = {"rfilename": path, "size": len(data), "blobId": _blob(data)}
        if is_large(path, data):
            sibling["lfs"] = {"sha256": _sha256(data), "size": len(data), "pointerSize": 130}
        siblings.append(sibling)
    return {
        **{"_id": "0", "id": repo, "modelId": repo, "sha": commit, "siblings": siblings},
        **{"private": private, "gated": False, "disabled": False, "tags": [], "likes": 0},
        **{"downloads": 0, "createdAt": "2023-01-02T03:04:05.000Z"},
    }
