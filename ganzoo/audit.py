"""Whether the files on this machine, in the package and in the cache, are what they should be."""

import contextlib
import hashlib
import os
import pathlib

from ganzoo import fetch, hub
from ganzoo.errors import OfflineError


def verify(names=None):
    """Hashes local files anew, reads them and fits them to their networks; fetches nothing.

    Args: names: published models, or anything else that `hub.load` reads. Defaults to `None`:
        every published model whose files are here, and whatever else the cache holds.
    Yields: (name, {"file": path or name, "ok": bool, "message": str}) for each file.
    """
    seen = set()
    with _looking_only():
        entries = [] if names is not None else [e for e in fetch.entries() if not e["partial"]]
        kept = [e for e in entries if e["kind"] == "converted"]
        # Looked at first: loading a model mends its conversion.
        said = [(e["name"], found) for e in kept for found in _entry(e)]
        for name in [*_local_models()] if names is None else names:
            for found in _model(str(name)):
                seen.add(found["file"])
                yield str(name), found
        yield from said
        for entry in entries:
            if entry not in kept and str(entry["path"]) not in seen:
                yield from ((entry["name"], found) for found in _entry(entry))


@contextlib.contextmanager
def _looking_only():
    """Nothing is fetched, and no licence is recorded as accepted."""
    wanted = {"GANZOO_OFFLINE": "1", "GANZOO_ACCEPT_LICENSE": ",".join(hub.manifest())}
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            os.environ.update({} if value is None else {name: value})


def _local_models():
    """The published models whose files are here, whether they are whole or not."""
    for name in hub.list_models():
        try:
            for file in hub.row_of(name)["files"]:
                fetch.fetch(file, name)
        except OfflineError:
            continue
        except (ValueError, OSError):
            pass  # here and damaged
        yield name


def _model(name):
    """What is to be said of each file of a model."""
    found = hub.verify(name)
    if not all(part["ok"] for part in found):
        return found
    row = hub.manifest().get(name) or {"files": []}
    for file, part in zip(row["files"], found):
        part.update(_hashed(pathlib.Path(part["file"]), file["sha256"], part["message"]))
    return found


def _hashed(path, expected, message):
    """`ok` and `message` of a file; hashed whatever the cache remembers of it."""
    try:
        found = fetch.sha256_of(path)
    except OSError as error:
        return {"ok": False, "message": f"cannot be read: {error.strerror}"}
    if expected in (None, found):
        return {"ok": True, "message": f"{message}, sha256 {found[:12]}"}
    return {"ok": False, "message": f"damaged: sha256 {found} instead of {expected}"}


def _entry(entry):
    """What is to be said of an entry of the cache."""
    path = entry["path"]
    if entry["kind"] == "converted":
        return hub.verify(str(path))
    if entry["kind"] == "download":
        said = _hashed(path, entry["sha256"], "downloaded")
        return [{"file": str(path), **said}]
    return [_blob(blob) for blob in sorted(path.glob("blobs/*")) if "." not in blob.name]


def _blob(path):
    """A file of the Hugging Face client, which is named by its hash: sha256, or Git's."""
    if len(path.name) == 64:
        return {"file": str(path), **_hashed(path, path.name, "from the Hub")}
    data = path.read_bytes()
    good = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest() == path.name
    message = "from the Hub" if good else "damaged: its content has another Git hash than its name"
    return {"file": str(path), "ok": good, "message": message}
