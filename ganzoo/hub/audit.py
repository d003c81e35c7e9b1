"""Whether the files on this machine, in the package and in the cache, are what they should be."""

import hashlib
import pathlib
from collections.abc import Iterator

from ganzoo import fetch
from ganzoo.errors import OfflineError
from ganzoo.hub import loading, rows


def verify(names=None) -> Iterator[tuple[str, dict]]:
    """Hashes local files anew, reads them and fits them to their networks; fetches nothing.

    Args: names: published models, or anything else that `hub.load` reads. Defaults to `None`:
        every published model whose files are here, and whatever else the cache holds.
    Yields: (name, {"file": path or name, "ok": bool, "message": str}) for each file.
    """
    seen = set()
    entries = [] if names is not None else [e for e in fetch.entries() if not e["partial"]]
    conversions = [e for e in entries if e["kind"] == "converted"]
    # Looked at first: loading a model mends its conversion.
    of_conversions = [(e["name"], part) for e in conversions for part in _entry(e)]
    for name in [*_local_models()] if names is None else names:
        for part in _model(str(name)):
            seen.add(part["file"])
            yield str(name), part
    yield from of_conversions
    for entry in entries:
        if entry not in conversions and str(entry["path"]) not in seen:
            yield from ((entry["name"], part) for part in _entry(entry))


def _verify(name):
    """Fetches nothing, and asks nobody whether a licence is accepted."""
    return loading.verify(name, offline=True, accept_license=None)


def _local_models():
    """The published models whose files are here, whether they are whole or not."""
    for name in rows.list_models():
        try:
            for file in rows.row_of(name)["files"]:
                fetch.fetch(file, name, offline=True)
        except OfflineError:
            continue
        except (ValueError, OSError):
            pass  # here and damaged
        yield name


def _model(name):
    """What is to be said of each file of a model."""
    parts = _verify(name)
    if not all(part["ok"] for part in parts):
        return parts
    row = rows.published(name) or {"files": []}
    for file, part in zip(row["files"], parts):
        part.update(_hashed(pathlib.Path(part["file"]), file["sha256"], part["message"]))
    return parts


def _hashed(path, expected, message):
    """`ok` and `message` of a file; hashed whatever the cache remembers of it."""
    try:
        sha256 = fetch.sha256_of(path)
    except OSError as error:
        return {"ok": False, "message": f"cannot be read: {error.strerror}"}
    if expected in (None, sha256):
        return {"ok": True, "message": f"{message}, sha256 {sha256[:12]}"}
    return {"ok": False, "message": f"damaged: sha256 {sha256} instead of {expected}"}


def _entry(entry):
    """What is to be said of an entry of the cache."""
    path = entry["path"]
    if entry["kind"] == "converted":
        return _verify(str(path))
    if entry["kind"] == "download":
        return [{"file": str(path), **_hashed(path, entry["sha256"], "downloaded")}]
    return [_blob(blob) for blob in sorted(path.glob("blobs/*")) if "." not in blob.name]


def _blob(path):
    """A file of the Hugging Face client, which is named by its hash: sha256, or Git's."""
    if len(path.name) == 64:
        return {"file": str(path), **_hashed(path, path.name, "from the Hub")}
    data = path.read_bytes()
    good = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest() == path.name
    message = "from the Hub" if good else "damaged: its content has another Git hash than its name"
    return {"file": str(path), "ok": good, "message": message}
