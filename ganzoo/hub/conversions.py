"""Other people's files as models, each converted once: the result is kept in the cache."""

import hashlib
import json
import pathlib
from typing import Any

from ganzoo import fetch, resources
from ganzoo.errors import CheckpointError, WeightsError
from ganzoo.hub import store


def build(place, family=None, overrides=None) -> tuple[Any, set[str]]:
    """(GAN, names of the networks that the files hold), read from the files themselves."""
    from ganzoo.convert import foreign

    row = place.row or {}
    return foreign.load(
        place.files,
        family=family or row.get("family"),
        config={**row.get("config", {}), **(overrides or {})},
        channel_order=row.get("channel_order"),
        where=place.origin,
    )


def adapted(place, family, overrides) -> tuple[Any, set[str], bool]:
    """`build`, of a file of the user's: the overrides settle what shapes do not tell.

    Returns: (GAN, names), or (GAN without the overrides, names) and whether they are still to be
        applied.
    """
    try:
        return *build(place, family, overrides), False
    except CheckpointError:
        raise
    except WeightsError:
        if not overrides:
            raise
        return *build(place, family), True


def kept(place, family=None) -> pathlib.Path:
    """The folder in which the conversion of a downloaded file lies, or will lie."""
    return fetch.converted(_key(place, family))


def read(folder) -> tuple[dict, store.Arrays] | None:
    """(row, arrays) of a conversion; `None` if there is none, or it is damaged."""
    try:
        row = store.read_config(folder / store.CONFIG)
        return row, store.read_safetensors(folder / store.WEIGHTS, sha256=row.get("sha256"))
    except (WeightsError, OSError):
        return None


def keep(gan, networks, folder) -> None:
    """Writes a conversion, unless another process has done so meanwhile."""
    with fetch.locked(folder):
        if read(folder) is None:
            with fetch.fresh_folder(folder) as scratch:
                store.save(gan, scratch, networks=sorted(networks))


def code() -> bytes:
    """The sources that read and convert foreign files; conversions of other ones are made anew."""
    folders = resources.CHECKPOINTS, resources.CONVERT
    return b"".join(p.read_bytes() for folder in folders for p in sorted(folder.glob("*.py")))


def _key(place, family):
    """Changes with the files, with what was asked for and with the code that reads and converts."""
    row = place.row or {}
    name = row.get("family") or family or "foreign"
    digest = hashlib.sha256()
    for file in place.files:
        sha256 = file.get("sha256") or fetch.sha256_of(file["path"])
        settings = [file.get(key) for key in ("converter", "pick", "channel_order")]
        digest.update(f"{sha256} {settings} ".encode())
    digest.update(f"{family} {json.dumps(row.get('config'))}".encode())
    digest.update(code())
    return f"{name}-{digest.hexdigest()[:24]}"
