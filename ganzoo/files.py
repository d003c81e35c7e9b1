"""Files and folders that appear whole or not at all, locks between processes, full disks.

What is being written lies beside its place under a name that ends in `.partial` and takes its own
name at the end, so that a process may be killed at any moment.
"""

import contextlib
import errno
import glob
import json
import os
import pathlib
import shutil
import sys
import time
import uuid
from collections.abc import Iterator

from ganzoo.errors import CacheError, GanzooError, first_line

PARTIAL = ".partial"
PATIENCE = 5  # seconds to wait for another process before saying so
STALE = 86400  # seconds after which a scratch file or folder is nobody's any more
DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR)


# --- files


@contextlib.contextmanager
def fresh_file(path) -> Iterator[pathlib.Path]:
    """A scratch path beside `path` that takes its name at success and is removed at failure.

    An existing `path` is replaced. What is written is on the disk before it has its name.

    Raises: OSError: it cannot be written.
    """
    path = pathlib.Path(path)
    sweep(path.parent.glob(f"{glob.escape(path.name)}.*{PARTIAL}"))
    scratch = path.with_name(f"{path.name}.{_unique()}{PARTIAL}")
    try:
        yield scratch
        flush(scratch)
        os.replace(scratch, path)
    except BaseException:
        scratch.unlink(missing_ok=True)
        raise


def flush(path) -> None:
    """Waits until the disk holds a file that was written and closed."""
    with open(path, "rb+") as stream:
        os.fsync(stream.fileno())


def write_text(path, text) -> None:
    """Writes a text as UTF-8, whole or not at all. Raises: OSError: it cannot be written."""
    with fresh_file(path) as scratch:
        scratch.write_text(text, "utf-8")


def write_bytes(path, data) -> None:
    """Writes bytes, whole or not at all. Raises: OSError: it cannot be written."""
    with fresh_file(path) as scratch:
        scratch.write_bytes(data)


def write_json(path, value, *, indent=None) -> None:
    """Writes a value as JSON and a line end, whole or not at all; `indent` as in `json.dumps`.

    Raises: OSError: it cannot be written.
    """
    write_text(path, json.dumps(value, indent=indent) + "\n")


def read_json(path) -> dict:
    """The object in a JSON file of ours; `{}` where there is none, or the file is damaged."""
    try:
        value = json.loads(pathlib.Path(path).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


# --- folders


@contextlib.contextmanager
def fresh_folder(target) -> Iterator[pathlib.Path]:
    """A scratch folder beside `target` that takes its name at success and is removed at failure.

    An existing `target` is replaced.

    Raises: CacheError: the disk is full or read-only.
    """
    target = pathlib.Path(target)
    scratch = _beside(target)
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        sweep(target.parent.glob(f".{glob.escape(target.name)}.*{PARTIAL}"))
        scratch.mkdir()
    try:
        yield scratch
        replace_folder(scratch, target)
    except GanzooError:
        raise
    except Exception as error:
        full = "(os error 28)" in str(error)  # safetensors' way to say it
        if full or isinstance(error, OSError) and error.errno in DISK:
            raise cache_error(target, error) from error
        raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def replace_folder(scratch, target) -> None:
    """Gives a folder another's name and removes the other, if there is one."""
    try:
        os.rename(scratch, target)
    except OSError:
        if not target.exists():
            raise
        old = _beside(target)
        os.rename(target, old)
        os.rename(scratch, target)
        shutil.rmtree(old, ignore_errors=True)


def sweep(paths) -> None:
    """Removes what processes that were killed left so long ago that nobody writes it any more."""
    for path in paths:
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > STALE:
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def _beside(target):
    return target.parent / f".{target.name}.{_unique()}{PARTIAL}"


def _unique():
    return uuid.uuid4().hex[:8]


# --- locks


@contextlib.contextmanager
def locked(path) -> Iterator[None]:
    """Keeps other processes out of `path`, by a lock file beside it, which stays.

    Raises: CacheError: the lock file cannot be written.
    """
    import filelock

    path = pathlib.Path(path)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(path.parent / f"{path.name}.lock")
    try:
        try:
            lock.acquire(timeout=PATIENCE)
        except filelock.Timeout:
            say(f"Another process is busy with {path}; waiting for it")
            lock.acquire()
    except (OSError, NotImplementedError) as error:
        raise cache_error(path, error) from error
    try:
        yield
    finally:
        lock.release()


# --- errors and messages


@contextlib.contextmanager
def writing(path) -> Iterator[None]:
    """Turns an OSError into a CacheError that names `path`; other errors of ours pass."""
    try:
        yield
    except GanzooError:
        raise
    except OSError as error:
        raise cache_error(path, error) from error


def cache_error(path, error) -> CacheError:
    """The CacheError of a path in the cache: what is wrong with its disk, and what to do."""
    number = error.errno if isinstance(error, OSError) else None
    fault = "cannot be written"
    if number in (errno.EROFS, errno.EACCES, errno.EPERM):
        fault = "is read-only for this user"
    elif "(os error 28)" in str(error) or number in (errno.ENOSPC, errno.EDQUOT):
        fault = "is on a disk that is full"
    return CacheError(
        f"The cache {str(path)!r} {fault}: {first_line(error)}. Make room with `ganzoo cache rm`, "
        "or set GANZOO_HOME to another folder"
    )


def say(message) -> None:
    """Prints a message of this package on standard error."""
    print(f"ganzoo: {message}", file=sys.stderr, flush=True)
