"""What is in the cache: listed, found by a pattern, removed."""

import fnmatch
import shutil

from ganzoo import files
from ganzoo.fetch import settings
from ganzoo.fetch.expected import RECORD, STATE
from ganzoo.files import PARTIAL


def entries() -> list[dict]:
    """What the cache holds: path, kind, name, url, bytes, sha256, partial.

    `kind` is "download" (one file), "converted" (a folder) or "hf" (a repository); `sha256` is
    `None` for folders, `url` for what was converted. A partial entry is continued or swept away by
    the next call that needs it.
    """
    listed = [_download_entry(folder) for folder in _folders("downloads")]
    for folder in _folders("converted"):
        listed.append(_entry(folder, "converted", folder.name, None, folder.name.endswith(PARTIAL)))
    for folder in _folders("hf"):
        if folder.name.startswith("models--"):
            repo = folder.name.removeprefix("models--").replace("--", "/", 1)
            partial = any(folder.rglob("*.incomplete"))
            listed.append(_entry(folder, "hf", repo, f"hf://{repo}", partial))
    return listed


def _folders(kind):
    top = settings.home() / kind
    return sorted(path for path in top.glob("*") if path.is_dir()) if top.is_dir() else []


def _entry(path, kind, name, url, partial, sha256=None):
    parts = [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]
    size = sum(p.stat().st_size for p in parts if not p.is_symlink())
    return dict(
        path=path, kind=kind, name=name, url=url, bytes=size, sha256=sha256, partial=partial
    )


def _download_entry(folder):
    record, state = files.read_json(folder / RECORD), files.read_json(folder / STATE)
    facts = {**state, **{key: value for key, value in record.items() if value}}
    whole = folder / record.get("file", "")
    partials = sorted(folder.glob(f"*{PARTIAL}"), key=lambda path: path.stat().st_size)
    path = whole if whole.is_file() else [folder, *partials][-1]
    name = facts.get("name") or facts.get("file") or path.name.removesuffix(PARTIAL)
    digest = record.get("sha256")
    return _entry(path, "download", name, facts.get("url"), not whole.is_file(), digest)


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
        with files.writing(path), files.locked(path):
            shutil.rmtree(path)
        if entry["kind"] == "hf":
            _forget_records(entry["url"])
    return chosen


def _forget_records(url):
    for folder in _folders("records"):
        source = files.read_json(folder / RECORD).get("url", "")
        if source == url or source.startswith((f"{url}@", f"{url}/")):
            with files.writing(folder):
                shutil.rmtree(folder)
