"""One file of a URL: requests, resuming, refusals of what is no file."""

import contextlib
import email.utils
import errno
import itertools
import os
import pathlib
import re
import shutil
import time
import urllib.parse

from ganzoo import files
from ganzoo.errors import AccessError, DownloadError, HashError, MissingFileError, first_line
from ganzoo.fetch import bodies, expected, progress, settings
from ganzoo.fetch.expected import RECORD, STATE
from ganzoo.files import PARTIAL

TRIES = 5  # without a new byte
LONGEST_WAIT = 120  # seconds of a server's Retry-After that are waited for
TIMEOUT = (10, 30)  # seconds to connect, and between two packets
CHUNK = 1 << 16  # bytes: what a cut connection loses at most


def fetch_url(
    url,
    *,
    sha256=None,
    sha256_prefix=None,
    size=None,
    name=None,
    filename=None,
    offline: bool | None = None,
) -> pathlib.Path:
    """The verified local copy of a URL's file.

    Args:
        url: `https://...` or `http://...`. A redirect from https to http is refused.
        sha256, sha256_prefix: 64 and some first hex digits, where published.
        size: bytes, where published.
        name: the model, for messages.
        filename: where the URL does not end in one.
        offline: bool. Whether servers may not be asked. Defaults to `None`: as `GANZOO_OFFLINE`
            and `HF_HUB_OFFLINE` say.

    Returns: a path, not to be written to.
    Raises: OfflineError, MissingFileError, AccessError, WrongBodyError, DownloadError, HashError,
        CacheError: with what was found and what to do.
    """
    facts = dict(sha256=sha256, sha256_prefix=sha256_prefix, size=size, name=name)
    file = file_of(url, filename, facts)
    return expected.once(file, lambda: _download(file), offline)


def file_of(url, filename, facts) -> expected.File:
    """Where a URL's file belongs, with what is published of it. Raises: DownloadError."""
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
    folder = settings.home() / "downloads" / expected.key_of(url)
    return expected.File(folder, filename, shown, **facts, url=url)


# --- the whole file


def _download(file):
    """Fetches a file that is not here, under its lock; returns the path."""
    with files.writing(file.folder):
        file.folder.mkdir(parents=True, exist_ok=True)
    resumed = file.partial.exists()
    _receive(file)
    digest = expected.sha256_of(file.partial)
    try:
        file.check(file.partial, digest, "The publisher may have changed it")
        expected.check_recorded(file, digest)
    except HashError:
        _drop(file)
        if resumed:  # the beginning may be to blame
            return _download(file)
        raise
    with files.writing(file.path):
        files.flush(file.partial)
        os.replace(file.partial, file.path)
        (file.folder / STATE).unlink(missing_ok=True)
        expected.record(file, file.path, digest, expected.mark_of(file.path))
        for left in file.folder.glob(f"*.json.*{PARTIAL}"):  # of processes that were killed
            left.unlink(missing_ok=True)
    return file.path


def _drop(file):
    file.partial.unlink(missing_ok=True)  # first: a partial file without its state is worthless
    (file.folder / STATE).unlink(missing_ok=True)


class _Again(Exception):
    """Something that another try may cure, with the seconds that the server asks for."""

    def __init__(self, message, wait=None):
        super().__init__(message)
        self.wait = wait


def _receive(file):
    """Fills the partial file to its end, in as many requests as it takes."""
    tries, most = 0, _length(file.partial)
    while True:
        try:
            return _try(file)
        except _Again as error:
            again = error
        length = _length(file.partial)
        tries = 1 if length > most else tries + 1
        most = max(length, most)
        if tries >= TRIES or (again.wait or 0) > LONGEST_WAIT:
            rest = f"; {length} bytes are kept and the next call continues there" if length else ""
            raise DownloadError(
                f"{file.source} could not be fetched in {tries} tries: {again}{rest}. "
                "Try again later, or see GANZOO_MIRROR for another server"
            )
        _sleep(settings.BACKOFF * 2 ** (tries - 1) if again.wait is None else again.wait)


def _try(file):
    """One request. Raises: _Again; DownloadError: where another try would not help."""
    import requests

    kinds = requests.exceptions
    cured = (kinds.ConnectionError, kinds.Timeout, kinds.ChunkedEncodingError)
    try:
        with requests.Session() as session:
            session.hooks["response"] = _refuse_downgrade
            return _request(session, file)
    except kinds.RequestException as error:
        fault = first_line(error)
        if "CERTIFICATE_VERIFY_FAILED" in str(error) or not isinstance(error, cured):
            raise DownloadError(f"{file.source} cannot be fetched: {fault}") from error
        raise _Again(f"{type(error).__name__}: {fault}") from error


def _sleep(seconds):
    time.sleep(seconds)


def _length(path):
    return path.stat().st_size if path.exists() else 0


# --- one request


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
    url = settings.rewritten(file.url)
    state, length = _resumable(file, url)
    if length and length == state["total"]:
        return
    headers = {"Accept-Encoding": "identity", "User-Agent": "ganzoo"}
    if length:
        headers["Range"] = f"bytes={length}-"
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
            if not length or span != f"bytes {length}-{state['total'] - 1}/{state['total']}":
                _drop(file)
                raise _Again(f"the server continues somewhere else ({span!r})", wait=0)
            return _append(body, file, state["total"])
        head = _first_bytes(body)
        bodies.refuse_wrong(head, _type(response), file)
        total = _announced(response, file)
        _begin(response, file, url, total)
        _append(itertools.chain([head], body), file, total)


def _resumable(file, url):
    """(state, length) of a partial file that may be continued; else both are empty."""
    state, length = files.read_json(file.folder / STATE), _length(file.partial)
    same = state.get("key") == expected.key_of(url) and (state.get("validator") or file.sha256)
    if length and same and state["total"] and length <= state["total"]:
        return state, length
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
        if len(head) >= bodies.HEAD:
            break
    return head


def _type(response):
    return response.headers.get("Content-Type", "no Content-Type").partition(";")[0].strip().lower()


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


# --- the partial file


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
        state = {"key": expected.key_of(url), "validator": validator, "total": total}
        files.write_json(file.folder / STATE, {**state, "name": file.name, "url": file.source})
        file.partial.touch()


def _append(body, file, total):
    """Writes a body behind what is there, up to `total` bytes."""
    limit = total if total is not None else float("inf")
    with contextlib.ExitStack() as stack:
        with files.writing(file.partial):
            stream = stack.enter_context(file.partial.open("ab", buffering=0))
        length = stream.tell()
        bar = progress.bar(file.title, total, done=length, unit="B", scaled=True)
        stack.enter_context(bar)
        for chunk in body:
            length += len(chunk)
            if length > limit:
                break
            with files.writing(file.partial):
                _write_all(stream, chunk)
            bar.update(len(chunk))
    if length > limit:
        _drop(file)
        raise DownloadError(
            f"{file.source} sends more than the {total} bytes that were announced; nothing is kept"
        )
    if total is not None and length < total:
        raise _Again(f"the connection ended after {length} of {total} bytes")


def _write_all(stream, chunk):
    view = memoryview(chunk)
    while view:
        view = view[stream.write(view) :]
