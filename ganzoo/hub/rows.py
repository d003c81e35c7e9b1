"""The rows of `weights_manifest.json` by name; see `weights_manifest.schema.json`."""

import copy
import difflib
import fnmatch
import functools
import json

from ganzoo import resources
from ganzoo.errors import UnknownModelError


@functools.cache
def _rows() -> dict[str, dict]:
    return json.loads(resources.MANIFEST.read_text("utf-8"))


def manifest() -> dict[str, dict]:
    """Every published model: {name: row}, see `weights_manifest.schema.json`; the caller's own."""
    return copy.deepcopy(_rows())


def full_name(name: str) -> str:
    """The manifest's name of a name or alias.

    Raises: UnknownModelError: with the nearest names.
    """
    rows = _rows()
    if name in rows:
        return name
    for full, row in rows.items():
        if name in row["aliases"]:
            return full
    names = [*rows, *(alias for row in rows.values() for alias in row["aliases"])]
    near = difflib.get_close_matches(str(name), names, n=4, cutoff=0.4)
    hint = f"The nearest names are {near}" if near else "`ganzoo list` shows every name"
    raise UnknownModelError(f"There is no model named {name!r}. {hint}. Received: name={name!r}")


def row_of(name: str) -> dict:
    """The manifest row of a name or alias; the caller's own.

    Raises: UnknownModelError: with the nearest names.
    """
    return copy.deepcopy(_rows()[full_name(name)])


def list_models(
    pattern: str = "*", *, family=None, commercial=None, status: str | None = "available"
) -> list[str]:
    """Sorted names of published models.

    Args:
        pattern: of the shell, for names or aliases: `list_models("*fashion*")`.
        family: file in `families/`, such as `"dcgan"`; also of one that is only planned.
        commercial: `True`: only weights whose licence allows commercial use; `False`: only others.
        status: `"available"`, `"planned"` (ganzoo cannot read them yet), or `None` for both.

    Raises: ValueError: for a family or status that no row has.
    """
    rows = _rows()
    for argument, value in (("family", family), ("status", status)):
        legal = sorted({row[argument] for row in rows.values()})
        if value is not None and value not in legal:
            raise ValueError(f"`{argument}` must be one of {legal}. Received: {argument}={value!r}")
    return sorted(
        name
        for name, row in rows.items()
        if any(fnmatch.fnmatchcase(word, pattern) for word in (name, *row["aliases"]))
        and family in (None, row["family"])
        and status in (None, row["status"])
        and commercial in (None, not row["non_commercial"])
    )


def is_published(name: str) -> bool:
    """Whether it is the name or an alias of a row."""
    return name in _rows() or any(name in row["aliases"] for row in _rows().values())


def published(name) -> dict | None:
    """The row of exactly this name, or `None`; the caller's own."""
    return copy.deepcopy(_rows().get(name))


def forget() -> None:
    """Reads the manifest anew when it is next asked for."""
    _rows.cache_clear()
