"""What is expected of a file, the records of what was verified, and getting what is not here."""

import contextlib
import dataclasses
import hashlib
import os
import pathlib

from ganzoo import files
from ganzoo.errors import HashError, OfflineError
from ganzoo.fetch import bodies, settings
from ganzoo.files import PARTIAL

RECORD, STATE = "record.json", "partial.json"


@dataclasses.dataclass(frozen=True)
class File:
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
    def path(self) -> pathlib.Path:
        return self.folder / self.filename

    @property
    def partial(self) -> pathlib.Path:
        return self.folder / f"{self.filename}{PARTIAL}"

    @property
    def title(self) -> str:
        return self.name or self.filename

    @property
    def forget(self) -> str:
        """The command that takes it out of the cache."""
        repo = "/".join(self.source.removeprefix("hf://").partition("@")[0].split("/")[:2])
        return f"`ganzoo cache rm {repo if self.kind == 'hf' else self.folder.name}`"

    def check(self, path, digest, hint) -> None:
        """Compares length and sha256 with what is expected.

        Raises: HashError: with what the first bytes look like.
        """
        size = path.stat().st_size
        expected = self.sha256 or (self.sha256_prefix and f"{self.sha256_prefix}...")
        if self.size is not None and size != self.size:
            fault = f"{size} bytes instead of {self.size}"
        elif expected and not digest.startswith(self.sha256 or self.sha256_prefix):
            fault = f"sha256 {digest} instead of {expected}"
        else:
            return
        raise HashError(
            f"{self.source} is not the published file of {self.title!r}: {fault}; {size} bytes "
            f"that look like {bodies.kind_of_file(path)}. {hint}"
        )


def sha256_of(path) -> str:
    """The sha256 of a file, 64 hex digits, in constant memory."""
    digest, buffer = hashlib.sha256(), bytearray(1 << 20)
    view = memoryview(buffer)
    with open(path, "rb", buffering=0) as stream:
        while count := stream.readinto(buffer):
            digest.update(view[:count])
    return digest.hexdigest()


def key_of(text) -> str:
    """The name of a source's folder in the cache."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


# --- records


def verified(file) -> pathlib.Path | None:
    """The file's path if it is here and right, `None` if it is not here.

    Hashing is done once for each size and modification time.

    Raises: HashError: it is here and wrong.
    """
    earlier, path = files.read_json(file.folder / RECORD), _place(file)
    if not path.is_file():
        return None
    mark = mark_of(path)
    if earlier.get("verified") == mark and earlier.get("sha256"):
        digest = earlier["sha256"]
    else:
        digest = sha256_of(path)
        check_recorded(file, digest)
    file.check(path, digest, f"{file.forget} removes it")
    if earlier.get("verified") != mark:
        with contextlib.suppress(OSError):  # a read-only cache: hashed again the next time
            record(file, path, digest, mark)
    return path


def mark_of(path) -> list:
    """Size and modification time: while they stay, a file is not hashed again."""
    stat = path.stat()
    return [stat.st_size, stat.st_mtime_ns]


def _place(file):
    """Where the file lies or would lie."""
    place = files.read_json(file.folder / RECORD).get("file", file.filename)
    return pathlib.Path(os.path.normpath(file.folder / place))


def check_recorded(file, digest) -> None:
    """Compares with the hash of the first download, where none is published. Raises: HashError."""
    recorded = files.read_json(file.folder / RECORD).get("sha256")
    if recorded not in (None, digest) and not file.sha256:
        raise HashError(
            f"{file.source} is not what it was: sha256 {digest} instead of {recorded}, recorded at "
            f"the first download. If you trust the new one, {file.forget} forgets the old"
        )


def record(file, path, digest, mark) -> None:
    """Remembers a verified file; says so where the publisher gives no hash."""
    first = not files.read_json(file.folder / RECORD)
    entry = {
        "kind": file.kind,
        "name": file.name,
        "url": file.source,
        "file": os.path.relpath(path, file.folder),
        "sha256": digest,
        "verified": mark,
    }
    files.write_json(file.folder / RECORD, entry)
    if file.sha256 is None and first and not file.quiet:
        files.say(
            f"{file.title}: the publisher gives no sha256. Recorded for {file.filename}, and "
            f"verified from now on: {digest}"
        )


# --- what is not here


def once(file, download, offline=None) -> pathlib.Path:
    """The file if it is here and right, else `download()`, by one process at a time.

    Raises: OfflineError: it is not here, and servers may not be asked; see `settings.offline`.
    """
    damage = None
    try:
        if path := verified(file):
            return path
    except HashError as error:
        damage = error
    if settings.offline(offline):
        raise damage or offline_error(f"{file.title!r} of {file.source}", file.path, offline)
    with files.locked(file.folder):
        try:
            if path := verified(file):  # another process was quicker
                return path
        except HashError as error:
            files.say(f"{error}. It is fetched again")
            discard(_place(file))
        return download()


def offline_error(what, path, offline) -> OfflineError:
    """What is not here, where it would lie, and who forbids to fetch it."""
    if offline:
        return OfflineError(
            f"{what} is not in the cache, and offline=True forbids fetching it to {str(path)!r}, "
            "as GANZOO_OFFLINE=1 would. Leave it out for the first download"
        )
    return OfflineError(
        f"{what} is not in the cache, and GANZOO_OFFLINE or HF_HUB_OFFLINE forbids fetching it to "
        f"{str(path)!r}. Unset it for the first download"
    )


def discard(path) -> None:
    """Removes a file and what it links to. Raises: CacheError."""
    with files.writing(path):
        if path.is_symlink():
            path.resolve().unlink(missing_ok=True)
        path.unlink(missing_ok=True)
