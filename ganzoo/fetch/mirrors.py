"""A file of the manifest, from the first of its mirrors that has it."""

import contextlib
import pathlib

from ganzoo import resources
from ganzoo.errors import DownloadError, HashError, MissingFileError
from ganzoo.fetch import expected, huggingface, web


def fetch(file: dict, name: str, *, offline: bool | None = None) -> pathlib.Path:
    """The verified local copy of a manifest's file; its mirrors are tried in order.

    Args:
        file: `mirrors`, `bytes`, `sha256` and perhaps `sha256_prefix`, as the manifest's schema
            says.
        name: the model, for messages.
        offline: bool. Whether servers may not be asked. Defaults to `None`: as `GANZOO_OFFLINE`
            and `HF_HUB_OFFLINE` say.

    Returns: a path, not to be written to.
    Raises: DownloadError: for each mirror what happened; its subtype where all agree, such as
        OfflineError. HashError: no mirror has the published file. CacheError: it cannot be stored.
    """
    facts = {"sha256": file["sha256"], "sha256_prefix": file.get("sha256_prefix")}
    facts |= {"size": file["bytes"], "name": name}
    for mirror in file["mirrors"]:  # one in the cache goes before an earlier one that is not
        with contextlib.suppress(HashError):
            if "package" not in mirror and (path := expected.verified(_file_of(mirror, facts))):
                return path
    errors = []
    for mirror in file["mirrors"]:
        try:
            return _fetch_mirror(mirror, facts, offline)
        except (DownloadError, HashError) as error:
            errors.append(error)
    if len(errors) == 1:
        raise errors[0]
    kinds = {type(error) for error in errors}
    kind = kinds.pop() if len(kinds) == 1 else DownloadError
    listed = "".join(f"\n  {number}. {error}" for number, error in enumerate(errors, 1))
    raise kind(f"None of the {len(errors)} mirrors of {name!r} gave its file:{listed}")


def _fetch_mirror(mirror, facts, offline):
    if "package" in mirror:
        return _packaged(mirror["package"], facts)
    facts = {**facts, "offline": offline}
    if "hf" in mirror:
        return huggingface.fetch_hf(mirror["hf"], mirror["path"], mirror["revision"], **facts)
    return web.fetch_url(mirror["url"], filename=mirror.get("filename"), **facts)


def _file_of(mirror, facts):
    if "hf" in mirror:
        return huggingface.file_of(mirror["hf"], mirror["path"], mirror["revision"], facts)
    return web.file_of(mirror["url"], mirror.get("filename"), facts)


def _packaged(name, facts):
    file = expected.File(resources.WEIGHTS, name, f"the packaged {name!r}", **facts)
    if not file.path.is_file():
        raise MissingFileError(f"{str(file.path)!r} is not there; reinstall keras-ganzoo")
    file.check(file.path, expected.sha256_of(file.path), "Reinstall keras-ganzoo")
    return file.path
