"""Published files to verified local files: mirrors, resume, locks, the cache.

    GANZOO_HOME       where the cache lies; else `$XDG_CACHE_HOME/ganzoo`, else `~/.cache/ganzoo`
    GANZOO_OFFLINE    1: never ask a server (so does HF_HUB_OFFLINE)
    GANZOO_MIRROR     `https://a.example/=https://mirror.corp/a/;...`: other servers, by prefix
    GANZOO_PROGRESS   0: no progress bars; 1: also where standard error is no terminal

In the cache:

    downloads/<key>/  one file of a URL, its `record.json`; while it comes, `*.partial`
    hf/, records/     the Hugging Face client's own cache, and what was verified in it
    converted/<key>/  what `ganzoo.hub` converted

A file gets its name only when its length, its first bytes and its sha256 are right. A publisher
that gives no sha256 is believed once: the hash is recorded and verified ever after. A partial file
is continued only where the server says by ETag or date that it is still the same file.
"""

import contextlib
import dataclasses
import email.utils
import errno
import fnmatch
import hashlib
import itertools
import os
import pathlib
import re
import shutil
import sys
import time
import urllib.parse

from ganzoo import files, resources
from ganzoo.errors import (
    AccessError,
    DownloadError,
    GanzooError,
    HashError,
    MissingFileError,
    OfflineError,
    WrongBodyError,
)
from ganzoo.files import PARTIAL, fresh_folder, locked  # noqa: F401 - public here too

HUB = "https://huggingface.co"
TRIES = 5  # without a new byte
HUB_TRIES = 4
BACKOFF = 0.5  # seconds, doubled with every try
LONGEST_WAIT = 120  # seconds of a server's Retry-After that are waited for
TIMEOUT = (10, 30)  # seconds to connect, and between two packets
PATIENT = 5  # seconds after which the Hub's client has tried again itself
CHUNK = 1 << 16  # bytes: what a cut connection loses at most
HEAD = 1 << 16  # bytes that are looked at before anything is written
RECORD, STATE = "record.json", "partial.json"
MODEL_SUFFIXES = tuple(".safetensors .bin .pth .pt .pkl .ckpt .tar .npz .h5 .keras .pb".split())
MANY = 4  # foreign files of a repository beyond which one must be chosen
YES = ("1", "true", "yes", "on")


# --- settings


def home() -> pathlib.Path:
    """The cache's folder: `GANZOO_HOME`, else `$XDG_CACHE_HOME/ganzoo`, else `~/.cache/ganzoo`.

    Asking does not create it.
    """
    if chosen := os.environ.get("GANZOO_HOME"):
        return pathlib.Path(chosen).expanduser().absolute()
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return pathlib.Path(cache).expanduser().absolute() / "ganzoo"


def offline() -> bool:
    """Whether `GANZOO_OFFLINE` or `HF_HUB_OFFLINE` forbids every request."""
    names = ("GANZOO_OFFLINE", "HF_HUB_OFFLINE")
    return any(os.environ.get(name, "").strip().lower() in YES for name in names)


def converted(key: str) -> pathlib.Path:
    """The folder for what was converted from a file; not created."""
    return home() / "converted" / key


def _rules() -> list[tuple[str, str]]:
    """`GANZOO_MIRROR` as [(prefix, what replaces it)], the longest prefix first."""
    rules = []
    for part in os.environ.get("GANZOO_MIRROR", "").split(";"):
        prefix, _, target = (half.strip() for half in part.strip().partition("="))
        if not part.strip():
            continue
        if not all(re.match(r"https?://[^/\s]+", half) for half in (prefix, target)):
            raise GanzooError(
                "GANZOO_MIRROR is `https://a.example/=https://mirror.corp/a/`, several separated "
                f"by `;`. Received: {part.strip()!r}"
            )
        rules.append((prefix.rstrip("/"), target.rstrip("/")))
    return sorted(rules, key=lambda rule: -len(rule[0]))


def _rewritten(url):
    for prefix, target in _rules():
        if url == prefix or url.startswith((f"{prefix}/", f"{prefix}?")):
            return target + url[len(prefix) :]
    return url


# --- a file of the manifest


def fetch(file: dict, name: str) -> pathlib.Path:
    """The verified local copy of a manifest's file; its mirrors are tried in order.

    Args:
        file: `mirrors`, `bytes`, `sha256` and perhaps `sha256_prefix`, as the manifest's schema
            says.
        name: the model, for messages.

    Returns: a path, not to be written to.
    Raises: DownloadError: for each mirror what happened; its subtype where all agree, such as
        OfflineError. HashError: no mirror has the published file. CacheError: it cannot be stored.
    """
    wanted = {"sha256": file["sha256"], "sha256_prefix": file.get("sha256_prefix")}
    wanted |= {"size": file["bytes"], "name": name}
    for mirror in file["mirrors"]:  # one in the cache goes before an earlier one that is not
        with contextlib.suppress(HashError):
            if "package" not in mirror and (path := _verified(_file_of(mirror, wanted))):
                return path
    errors = []
    for mirror in file["mirrors"]:
        try:
            return _fetch_mirror(mirror, wanted)
        except (DownloadError, HashError) as error:
            errors.append(error)
    if len(errors) == 1:
        raise errors[0]
    kinds = {type(error) for error in errors}
    kind = kinds.pop() if len(kinds) == 1 else DownloadError
    listed = "".join(f"\n  {number}. {error}" for number, error in enumerate(errors, 1))
    raise kind(f"None of the {len(errors)} mirrors of {name!r} gave its file:{listed}")


def _fetch_mirror(mirror, wanted):
    if "package" in mirror:
        return _packaged(mirror["package"], wanted)
    if "hf" in mirror:
        return fetch_hf(mirror["hf"], mirror["path"], mirror["revision"], **wanted)
    return fetch_url(mirror["url"], filename=mirror.get("filename"), **wanted)


def _file_of(mirror, wanted):
    if "hf" in mirror:
        return _hub_file(mirror["hf"], mirror["path"], mirror["revision"], wanted)
    return _url_file(mirror["url"], mirror.get("filename"), wanted)


def _packaged(name, wanted):
    file = _File(resources.WEIGHTS, name, f"the packaged {name!r}", **wanted)
    if not file.path.is_file():
        raise MissingFileError(f"{str(file.path)!r} is not there; reinstall keras-ganzoo")
    file.check(file.path, sha256_of(file.path), "Reinstall keras-ganzoo")
    return file.path


# --- what is expected of a file


@dataclasses.dataclass(frozen=True)
class _File:
    """Where one file belongs and how it is recognised."""

    folder: pathlib.Path
    filename: str
    source: str  # for messages
    sha256: str | None = None
    sha256_prefix: str | None = None
    size: int | None = None
    name: str | None = None
    url: str | None = None
    kind: str = "download"
    quiet: bool = False  # about a hash that is not published

    @property
    def path(self):
        return self.folder / self.filename

    @property
    def partial(self):
        return self.folder / f"{self.filename}{PARTIAL}"

    @property
    def title(self):
        return self.name or self.filename

    @property
    def forget(self):
        """The command that takes it out of the cache."""
        repo = "/".join(self.source.removeprefix("hf://").partition("@")[0].split("/")[:2])
        return f"`ganzoo cache rm {repo if self.kind == 'hf' else self.folder.name}`"

    def check(self, path, found, hint):
        """Compares length and sha256 with what is expected.

        Raises: HashError: with what the first bytes look like.
        """
        size = path.stat().st_size
        expected = self.sha256 or (self.sha256_prefix and f"{self.sha256_prefix}...")
        if self.size is not None and size != self.size:
            fault = f"{size} bytes instead of {self.size}"
        elif expected and not found.startswith(self.sha256 or self.sha256_prefix):
            fault = f"sha256 {found} instead of {expected}"
        else:
            return
        with path.open("rb") as stream:
            kind = _kind(stream.read(HEAD))
        raise HashError(
            f"{self.source} is not the published file of {self.title!r}: {fault}; {size} bytes "
            f"that look like {kind}. {hint}"
        )


def _verified(file) -> pathlib.Path | None:
    """The file's path if it is here and right, `None` if it is not here.

    Hashing is done once for each size and modification time.

    Raises: HashError: it is here and wrong.
    """
    record, path = files.read_json(file.folder / RECORD), _place(file)
    if not path.is_file():
        return None
    stat = path.stat()
    mark = [stat.st_size, stat.st_mtime_ns]
    if record.get("verified") == mark and record.get("sha256"):
        found = record["sha256"]
    else:
        found = sha256_of(path)
        _check_known(file, found, record.get("sha256"))
    file.check(path, found, f"{file.forget} removes it")
    if record.get("verified") != mark:
        with contextlib.suppress(OSError):  # a read-only cache: hashed again the next time
            _record(file, path, found, mark)
    return path


def _place(file):
    """Where the file lies or would lie."""
    place = files.read_json(file.folder / RECORD).get("file", file.filename)
    return pathlib.Path(os.path.normpath(file.folder / place))


def _check_known(file, found, known):
    """Compares with the hash of the first download, where none is published."""
    if known not in (None, found) and not file.sha256:
        raise HashError(
            f"{file.source} is not what it was: sha256 {found} instead of {known}, recorded at the "
            f"first download. If you trust the new one, {file.forget} forgets the old"
        )


def _record(file, path, sha256, mark):
    """Remembers a verified file; says so where the publisher gives no hash."""
    before = files.read_json(file.folder / RECORD)
    record = {
        "kind": file.kind,
        "name": file.name,
        "url": file.source,
        "file": os.path.relpath(path, file.folder),
        "sha256": sha256,
        "verified": mark,
    }
    files.write_json(file.folder / RECORD, record)
    if file.sha256 is None and not before and not file.quiet:
        files.say(
            f"{file.title}: the publisher gives no sha256. Recorded for {file.filename}, and "
            f"verified from now on: {sha256}"
        )


def sha256_of(path) -> str:
    """The sha256 of a file, 64 hex digits, in constant memory."""
    digest, buffer = hashlib.sha256(), bytearray(1 << 20)
    view = memoryview(buffer)
    with open(path, "rb", buffering=0) as stream:
        while count := stream.readinto(buffer):
            digest.update(view[:count])
    return digest.hexdigest()


# --- a URL


def fetch_url(
    url,
    *,
    sha256=None,
    sha256_prefix=None,
    size=None,
    name=None,
    filename=None,
) -> pathlib.Path:
    """The verified local copy of a URL's file.

    Args:
        url: `https://...` or `http://...`. A redirect from https to http is refused.
        sha256, sha256_prefix: 64 and some first hex digits, where published.
        size: bytes, where published.
        name: the model, for messages.
        filename: where the URL does not end in one.

    Returns: a path, not to be written to.
    Raises: OfflineError, MissingFileError, AccessError, WrongBodyError, DownloadError, HashError,
        CacheError: with what was found and what to do.
    """
    wanted = dict(sha256=sha256, sha256_prefix=sha256_prefix, size=size, name=name)
    file = _url_file(url, filename, wanted)
    return _once(file, lambda: _download(file))


def _once(file, download):
    """The file if it is here and right, else `download()`, by one process at a time."""
    damage = None
    try:
        if path := _verified(file):
            return path
    except HashError as error:
        damage = error
    if offline():
        raise damage or _offline_error(f"{file.title!r} of {file.source}", file.path)
    with locked(file.folder):
        try:
            if path := _verified(file):  # another process was quicker
                return path
        except HashError as error:
            files.say(f"{error}. It is fetched again")
            _discard(_place(file))
        return download()


def _offline_error(what, path):
    return OfflineError(
        f"{what} is not in the cache, and GANZOO_OFFLINE or HF_HUB_OFFLINE forbids fetching it to "
        f"{str(path)!r}. Unset it for the first download"
    )


def _url_file(url, filename, wanted):
    refusal = DownloadError(f"Files are fetched from https:// or http://. Received: url={url!r}")
    try:
        split = urllib.parse.urlsplit(str(url))
    except ValueError as error:
        raise refusal from error
    if split.scheme not in ("http", "https") or not split.hostname:
        raise refusal
    filename = filename or urllib.parse.unquote(split.path.rsplit("/", 1)[-1])
    filename = re.sub(r"[^\w.+=@ -]", "_", filename, flags=re.ASCII).strip(" .")[-128:] or "file"
    if filename in (RECORD, STATE) or filename.endswith(PARTIAL):
        filename = f"_{filename}_"
    shown = split._replace(netloc=split.netloc.rpartition("@")[2]).geturl()  # without a password
    folder = home() / "downloads" / _key(url)
    return _File(folder, filename, shown, **wanted, url=url)


def _key(text):
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class _Again(Exception):
    """Something that another try may cure, with the seconds that the server asks for."""

    def __init__(self, message, wait=None):
        super().__init__(message)
        self.wait = wait


def _download(file):
    """Fetches a file that is not here, under its lock; returns the path."""
    with files.writing(file.folder):
        file.folder.mkdir(parents=True, exist_ok=True)
    resumed = file.partial.exists()
    _receive(file)
    found = sha256_of(file.partial)
    try:
        file.check(file.partial, found, "The publisher may have changed it")
        _check_known(file, found, files.read_json(file.folder / RECORD).get("sha256"))
    except HashError:
        _drop(file)
        if resumed:  # the beginning may be to blame
            return _download(file)
        raise
    with files.writing(file.path):
        files.flush(file.partial)
        os.replace(file.partial, file.path)
        (file.folder / STATE).unlink(missing_ok=True)
        stat = file.path.stat()
        _record(file, file.path, found, [stat.st_size, stat.st_mtime_ns])
        for left in file.folder.glob(f"*.json.*{PARTIAL}"):  # of processes that were killed
            left.unlink(missing_ok=True)
    return file.path


def _drop(file):
    file.partial.unlink(missing_ok=True)  # first: a partial file without its state is worthless
    (file.folder / STATE).unlink(missing_ok=True)


def _receive(file):
    """Fills the partial file to its end, in as many requests as it takes."""
    import requests

    tries, most = 0, _length(file.partial)
    kinds = requests.exceptions
    cured = (kinds.ConnectionError, kinds.Timeout, kinds.ChunkedEncodingError)
    while True:
        try:
            with requests.Session() as session:
                session.hooks["response"] = _refuse_downgrade
                return _request(session, file)
        except kinds.RequestException as error:
            if "CERTIFICATE_VERIFY_FAILED" in str(error) or not isinstance(error, cured):
                fault = files.first_line(error)
                raise DownloadError(f"{file.source} cannot be fetched: {fault}") from error
            again = _Again(f"{type(error).__name__}: {files.first_line(error)}")
        except _Again as error:
            again = error
        held = _length(file.partial)
        tries = 1 if held > most else tries + 1
        most = max(held, most)
        if tries >= TRIES or (again.wait or 0) > LONGEST_WAIT:
            kept = f"; {held} bytes are kept and the next call continues there" if held else ""
            raise DownloadError(
                f"{file.source} could not be fetched in {tries} tries: {again}{kept}. "
                "Try again later, or see GANZOO_MIRROR for another server"
            )
        _sleep(BACKOFF * 2 ** (tries - 1) if again.wait is None else again.wait)


def _length(path):
    return path.stat().st_size if path.exists() else 0


def _refuse_downgrade(response, **_):
    target = response.headers.get("Location", "")
    secure = response.url.lower().startswith("https:")
    if response.is_redirect and secure and target.lower().startswith("http:"):
        raise DownloadError(
            f"{response.url} redirects from https to {target}, which anybody on the way could "
            "change; fetch the file by hand and load it by its path"
        )


def _request(session, file):
    """One request, from where the partial file ends."""
    url = _rewritten(file.url)
    state, held = _resumable(file, url)
    if held and held == state["total"]:
        return
    headers = {"Accept-Encoding": "identity", "User-Agent": "ganzoo"}
    if held:
        headers["Range"] = f"bytes={held}-"
        if state["validator"]:
            headers["If-Range"] = state["validator"]
    with session.get(url, headers=headers, stream=True, timeout=TIMEOUT) as response:
        if response.status_code == 416:
            _drop(file)
            raise _Again("the server refuses to continue (416)", wait=0)
        _raise_for_status(response, file)
        body = response.iter_content(CHUNK)
        if response.status_code == 206:
            span = response.headers.get("Content-Range", "")
            if not held or span != f"bytes {held}-{state['total'] - 1}/{state['total']}":
                _drop(file)
                raise _Again(f"the server continues somewhere else ({span!r})", wait=0)
            return _append(body, file, state["total"])
        head = _first_bytes(body)
        _refuse_wrong_body(response, file, head)
        total = _announced(response, file)
        _begin(response, file, url, total)
        _append(itertools.chain([head], body), file, total)


def _resumable(file, url):
    """(state, bytes held) of a partial file that may be continued; else both are empty."""
    state, held = files.read_json(file.folder / STATE), _length(file.partial)
    same = state.get("key") == _key(url) and (state.get("validator") or file.sha256)
    if held and same and state["total"] and held <= state["total"]:
        return state, held
    with files.writing(file.partial):
        _drop(file)
    return {}, 0


def _raise_for_status(response, file):
    status, reason = response.status_code, f"{response.status_code} {response.reason}"
    if status in (200, 206):
        return
    if status in (401, 403):
        raise AccessError(
            f"{file.source} answers {reason}: it wants a login or an accepted agreement. Fetch the "
            "file with a browser and load it by its path"
        )
    if status in (404, 410):
        raise MissingFileError(f"{file.source} answers {reason}: the file is not there any more")
    if status in (408, 425, 429) or status >= 500:
        raise _Again(f"the server answers {reason}", _retry_after(response))
    raise DownloadError(f"{file.source} answers {reason}, which is no file")


def _retry_after(response):
    value = response.headers.get("Retry-After", "").strip()
    if value.isdigit():
        return int(value)
    with contextlib.suppress(ValueError, TypeError):
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    return None


def _first_bytes(body):
    head = b""
    for chunk in body:
        head += chunk
        if len(head) >= HEAD:
            break
    return head


def _announced(response, file):
    """The length that the server announces; `None` where the end tells itself."""
    total = response.headers.get("Content-Length", "")
    if response.headers.get("Content-Encoding", "identity") != "identity":
        return file.size  # the length is that of the compressed body
    if total.isdigit():
        if file.size is not None and int(total) != file.size:
            _drop(file)
            raise HashError(
                f"{file.source} is not the published file of {file.title!r}: {total} bytes "
                f"instead of {file.size}. The publisher may have changed it"
            )
        return int(total)
    chunked = response.headers.get("Transfer-Encoding", "").lower() == "chunked"
    if chunked or file.size is not None or file.sha256:
        return file.size
    raise DownloadError(
        f"{file.source} comes without a length, so that a cut connection would look like its end. "
        "Fetch it by hand and load it by its path"
    )


def _begin(response, file, url, total):
    """Starts the partial file anew: what it is the beginning of, then nothing else."""
    tag = response.headers.get("ETag", "")
    validator = tag if tag.startswith('"') else response.headers.get("Last-Modified")
    if response.headers.get("Content-Encoding", "identity") != "identity":
        total = validator = None
    with files.writing(file.partial):
        _drop(file)
        free = shutil.disk_usage(file.folder).free
        if total is not None and free < total:
            raise OSError(errno.ENOSPC, f"{total} bytes are needed and {free} are free")
        state = {"key": _key(url), "validator": validator, "total": total}
        files.write_json(file.folder / STATE, {**state, "name": file.name, "url": file.source})
        file.partial.touch()


def _append(body, file, total):
    """Writes a body behind what is held, up to `total` bytes."""
    limit = total if total is not None else float("inf")
    with contextlib.ExitStack() as stack:
        with files.writing(file.partial):
            stream = stack.enter_context(file.partial.open("ab", buffering=0))
        held = stream.tell()
        bar = stack.enter_context(_bar(file.title, total, held))
        for chunk in body:
            held += len(chunk)
            if held > limit:
                break
            with files.writing(file.partial):
                _write_all(stream, chunk)
            bar.update(len(chunk))
    if held > limit:
        _drop(file)
        raise DownloadError(
            f"{file.source} sends more than the {total} bytes that were announced; nothing is kept"
        )
    if total is not None and held < total:
        raise _Again(f"the connection ended after {held} of {total} bytes")


def _write_all(stream, chunk):
    view = memoryview(chunk)
    while view:
        view = view[stream.write(view) :]


# --- what a body is


def _refuse_wrong_body(response, file, head):
    kind = _kind(head)
    html = _type(response) == "text/html" and kind.startswith("bytes")
    pointer = head.startswith(b"version https://git-lfs")
    wrong = ("a web page", "an XML message", "a JSON error", "nothing")
    if not (html or pointer or kind.startswith(wrong)):
        return
    text = head.decode("utf-8", "replace").lower()
    hint = "Open the address in a browser to see what it wants"
    if pointer:
        hint = "The address is that of the Git repository; the file itself lies in its LFS storage"
    elif "quota exceeded" in text or "too many users have viewed" in text:
        hint = "Google Drive's quota for the file is used up; try again tomorrow or another mirror"
    elif "virus" in text:
        hint = "Google Drive wants a confirmation: its address needs `&confirm=t`"
    elif "/blob/" in file.source:
        hint = "The address is that of a page about the file: write `resolve` instead of `blob`"
    raise WrongBodyError(
        f"{file.source} sends {kind} ({_type(response)}) instead of the file of {file.title!r}. "
        f"{hint}"
    )


def _type(response):
    return response.headers.get("Content-Type", "no Content-Type").partition(";")[0].strip().lower()


_SIGNATURES = (
    (b"PK\x03\x04", "a zip archive (torch, .keras or .npz)"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\x89HDF\r\n", "an HDF5 file"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"\x80\x8a", "a legacy torch file"),
    (b"\x80", "a pickle"),
    (b"version https://git-lfs", "a Git-LFS pointer"),
)


def _kind(head) -> str:
    """What the first bytes of a file look like, in words."""
    for signature, kind in _SIGNATURES:
        if head.startswith(signature):
            return kind
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    lower = text[:512].lower()
    if lower.startswith((b"<!doctype html", b"<html", b"<head", b"<body")) or b"<html" in lower:
        title = re.search(rb"<title[^>]*>\s*(.*?)\s*</title>", text, re.IGNORECASE | re.DOTALL)
        called = f" titled {title[1].decode('utf-8', 'replace')[:80]!r}" if title else ""
        return f"a web page{called}"
    if lower.startswith(b"<?xml"):
        return "an XML message"
    if lower.startswith(b"{"):
        error = re.match(rb'\{\s*"(error|message|detail)', lower)
        return f"a JSON error {text[:120]!r}" if error else "a JSON text"
    if len(head) > 16 and head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 1 << 27:
        return "a safetensors file"
    if not head:
        return "nothing: it is empty"
    return f"bytes beginning {head[:16]!r}"


# --- the Hugging Face Hub


def fetch_hf(
    repo,
    path,
    revision=None,
    *,
    sha256=None,
    sha256_prefix=None,
    size=None,
    name=None,
) -> pathlib.Path:
    """The verified local copy of a file of a Hugging Face repository.

    What was fetched once is not asked for again, whatever became of the branch.

    Args:
        repo, path: `org/name`, and the file's path in it.
        revision: a commit, branch or tag. Defaults to `None`, the branch `main`.
        sha256, sha256_prefix, size, name: as for `fetch_url`.

    Returns: a path, not to be written to.
    Raises: as `fetch_url`.
    """
    wanted = dict(sha256=sha256, sha256_prefix=sha256_prefix, size=size, name=name)
    return _fetch_hub_file(_hub_file(repo, path, revision, wanted), repo, path, revision)


def _fetch_hub_file(file, repo, path, revision):
    def call(client, **where):
        files.sweep(pathlib.Path(where["cache_dir"]).glob("models--*/blobs/*.incomplete"))
        return client.hf_hub_download(repo, path, revision=revision, **where)

    return _once(file, lambda: _accept(file, pathlib.Path(_from_hub(file.source, call))))


def fetch_repo(repo, revision=None) -> pathlib.Path:
    """A local folder with the model files at the top of a Hugging Face repository.

    Of a repository in ganzoo's form: `config.json`, the safetensors and the card; of any other: its
    checkpoints and JSON files. The Hub is asked for the newest commit; where it cannot be reached,
    the last one fetched is used.

    Args: repo, revision: as for `fetch_hf`.
    Returns: a folder, not to be written to.
    Raises: as `fetch_url`; DownloadError too where the repository holds many checkpoints.
    """
    source = _hub_source(repo, revision)
    folder = home() / "records" / _key(source)
    known = _known_snapshot(folder)
    if offline():
        if known is None:
            raise _offline_error(source, home() / "hf")
        return known

    def call(client, endpoint, **_):
        api = client.HfApi(endpoint=endpoint)
        return api.model_info(repo, revision=revision, files_metadata=True)

    try:
        info = _from_hub(source, call)
    except DownloadError as error:
        if known is None or isinstance(error, (AccessError, MissingFileError)):
            raise
        files.say(f"{error}\nThe copy in the cache is used: {known}")
        return known
    snapshot = _fetch_snapshot(repo, source, info)
    if snapshot != known:
        with files.writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            place = os.path.relpath(snapshot, folder)
            files.write_json(folder / RECORD, {"kind": "hf", "url": source, "snapshot": place})
    return snapshot


def _known_snapshot(folder):
    place = files.read_json(folder / RECORD).get("snapshot")
    path = place and pathlib.Path(os.path.normpath(folder / place))
    return path if path and path.is_dir() else None


def _fetch_snapshot(repo, source, info):
    """Fetches the model's files of one commit; returns their folder."""
    siblings = {sibling.rfilename: sibling for sibling in info.siblings}
    for name in _model_files(list(siblings), source):
        lfs = siblings[name].lfs  # what lies in Git itself, such as config.json, has none
        wanted = {"sha256": lfs.sha256 if lfs else None, "size": siblings[name].size, "name": repo}
        file = _hub_file(repo, name, info.sha, {**wanted, "quiet": True})
        path = _fetch_hub_file(file, repo, name, info.sha)
    return path.parent


def _model_files(names, source):
    """Which files of a repository make up the model."""
    top = sorted(name for name in names if "/" not in name)
    ours = [name for name in top if name.endswith(".safetensors")]
    if ours and "config.json" in top:
        return ["config.json", *ours, *(name for name in top if name == "README.md")]
    models = [name for name in top if name.endswith(MODEL_SUFFIXES)]
    arrays = [name for name in top if name.endswith(".npy")]  # together one model
    if not models and not arrays:
        raise MissingFileError(
            f"{source} holds no model at its top: it has {sorted(names)[:10]}. One file further "
            f"down is loaded as `{source}/<path>`"
        )
    if len(models) > MANY:
        raise DownloadError(
            f"{source} holds {len(models)} checkpoints: {models[:20]}. Load one as "
            f"`{source}/{models[0]}`"
        )
    return [*(models or arrays), *(name for name in top if name.endswith(".json"))]


def _hub_source(repo, revision):
    return f"hf://{repo}@{revision}" if revision else f"hf://{repo}"


def _hub_file(repo, path, revision, wanted):
    source = f"{_hub_source(repo, revision)}/{path}"
    folder = home() / "records" / _key(source)
    return _File(folder, path.rsplit("/", 1)[-1], source, **wanted, kind="hf")


def _accept(file, path):
    """Records a file that the client fetched; one that is wrong is taken out of its cache.

    Raises: WrongBodyError, HashError.
    """
    known = files.read_json(file.folder / RECORD).get("sha256")
    found, stat = sha256_of(path), path.stat()
    try:
        with path.open("rb") as stream:
            kind = _kind(stream.read(HEAD))
        if kind.startswith(("a Git-LFS", "a web page")) and path.suffix != ".md":
            raise WrongBodyError(f"{file.source} is {kind} instead of the file of {file.title!r}")
        file.check(path, found, "The publisher may have changed it")
        _check_known(file, found, known)
    except (WrongBodyError, HashError):
        _discard(path)
        raise
    with files.writing(file.folder):
        file.folder.mkdir(parents=True, exist_ok=True)
        _record(file, path, found, [stat.st_size, stat.st_mtime_ns])
    return path


def _discard(path):
    """Removes a file and what it links to."""
    with files.writing(path):
        if path.is_symlink():
            path.resolve().unlink(missing_ok=True)
        path.unlink(missing_ok=True)


def _from_hub(source, call):
    """`call(huggingface_hub, endpoint=..., cache_dir=...)`, with our errors; tried a few times."""
    import huggingface_hub as client
    from huggingface_hub import errors

    endpoint = _rewritten((os.environ.get("HF_ENDPOINT") or HUB).rstrip("/"))
    where = {"endpoint": endpoint, "cache_dir": str(home() / "hf")}
    for tries in range(HUB_TRIES):
        start = time.monotonic()
        try:
            with _hub_bars():
                return call(client, **where)
        except (errors.HTTPError, OSError, ValueError, RuntimeError) as error:
            wrapped, temporary = _hub_error(error, source)
            patient = time.monotonic() - start > PATIENT  # newer clients try again themselves
            if not temporary or patient or tries == HUB_TRIES - 1:
                raise wrapped from error
            _sleep(BACKOFF * 2**tries)


def _hub_error(error, source):
    """(our error for one of the client's, whether another try may help)."""
    from huggingface_hub import errors

    chain = [error]
    while chain[-1].__cause__ is not None:
        chain.append(chain[-1].__cause__)
    answers = [e for e in chain if isinstance(e, errors.HfHubHTTPError) and e.response is not None]
    status = answers[0].response.status_code if answers else None
    telling = (answers or chain[-1:])[0]
    text = " ".join(str(telling).split())[:300] or type(telling).__name__
    if isinstance(error, OSError) and error.errno in files.DISK:
        return files.cache_error(home() / "hf", error), False
    if isinstance(chain[-1], errors.OfflineModeIsEnabled):
        return OfflineError(f"{source}: huggingface_hub was imported offline. {text}"), False
    if status in (401, 403):
        return AccessError(
            f"{source} needs a login or an accepted agreement, or does not exist ({status}): "
            f"{text}. Accept its terms on the Hub, then `hf auth login` or set HF_TOKEN"
        ), False
    missing = (errors.RevisionNotFoundError, errors.RepositoryNotFoundError)
    if status in (404, 410) or isinstance(error, missing):
        return MissingFileError(f"{source} does not exist ({status}): {text}"), False
    temporary = not isinstance(error, errors.HFValidationError)
    return DownloadError(f"{source} cannot be fetched: {text}. Try again later"), temporary


@contextlib.contextmanager
def _hub_bars():
    """The client's progress bars, where ours would show."""
    from huggingface_hub import utils

    if _bars_show() or utils.are_progress_bars_disabled():
        yield
        return
    utils.disable_progress_bars()
    try:
        yield
    finally:
        utils.enable_progress_bars()


# --- messages


def _sleep(seconds):
    time.sleep(seconds)


def _bars_show():
    chosen = os.environ.get("GANZOO_PROGRESS", "").strip().lower()
    return chosen in YES or (not chosen and sys.stderr is not None and sys.stderr.isatty())


def _bar(title, total, held):
    from tqdm import tqdm

    return tqdm(
        total=total,
        initial=held,
        desc=title,
        unit="B",
        unit_scale=True,
        disable=not _bars_show(),
    )


# --- what is in the cache


def entries() -> list[dict]:
    """What the cache holds: path, kind, name, url, bytes, sha256, partial.

    `kind` is "download" (one file), "converted" (a folder) or "hf" (a repository); `sha256` is
    `None` for folders, `url` for what was converted. A partial entry is continued or swept away by
    the next call that needs it.
    """
    found = [_download_entry(folder) for folder in _folders("downloads")]
    for folder in _folders("converted"):
        found.append(_entry(folder, "converted", folder.name, None, folder.name.endswith(PARTIAL)))
    for folder in _folders("hf"):
        if folder.name.startswith("models--"):
            repo = folder.name.removeprefix("models--").replace("--", "/", 1)
            partial = any(folder.rglob("*.incomplete"))
            found.append(_entry(folder, "hf", repo, f"hf://{repo}", partial))
    return found


def _folders(kind):
    top = home() / kind
    return sorted(path for path in top.glob("*") if path.is_dir()) if top.is_dir() else []


def _entry(path, kind, name, url, partial, sha256=None):
    parts = [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]
    size = sum(p.stat().st_size for p in parts if not p.is_symlink())
    return dict(
        path=path, kind=kind, name=name, url=url, bytes=size, sha256=sha256, partial=partial
    )


def _download_entry(folder):
    record, state = files.read_json(folder / RECORD), files.read_json(folder / STATE)
    known = {**state, **{key: value for key, value in record.items() if value}}
    whole = folder / record.get("file", "")
    partials = sorted(folder.glob(f"*{PARTIAL}"), key=_length)
    path = whole if whole.is_file() else [folder, *partials][-1]
    name = known.get("name") or known.get("file") or path.name.removesuffix(PARTIAL)
    hashed = record.get("sha256")
    return _entry(path, "download", name, known.get("url"), not whole.is_file(), hashed)


def matching(pattern) -> list[dict]:
    """The entries whose name, URL, file name or folder name matches a shell pattern."""
    return [
        entry
        for entry in entries()
        if any(
            fnmatch.fnmatch(text, pattern)
            for text in (
                entry["name"],
                entry["url"] or "",
                entry["path"].name,
                _folder_of(entry).name,
            )
        )
    ]


def _folder_of(entry):
    return entry["path"] if entry["path"].is_dir() else entry["path"].parent


def remove(pattern) -> list[dict]:
    """Removes the entries that `matching` finds, and returns them; lock files stay.

    Raises: CacheError: the cache is read-only.
    """
    chosen = matching(pattern)
    for entry in chosen:
        path = _folder_of(entry)
        with files.writing(path), locked(path):
            shutil.rmtree(path)
        if entry["kind"] == "hf":
            _forget_records(entry["url"])
    return chosen


def _forget_records(url):
    for folder in _folders("records"):
        known = files.read_json(folder / RECORD).get("url", "")
        if known == url or known.startswith((f"{url}@", f"{url}/")):
            with files.writing(folder):
                shutil.rmtree(folder)
