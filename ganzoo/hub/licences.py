"""Licences that somebody has to agree to before weights are loaded."""

import contextlib
import json
import os

from ganzoo import fetch
from ganzoo.errors import CacheError, LicenseError


def check(name, row, accepted) -> None:
    """Raises: LicenseError: for non-commercial weights, unless accepted now, once before or by
    `GANZOO_ACCEPT_LICENSE`.

    Args: accepted: bool; `None`: the weights are only looked at, so nobody is asked.
    """
    if not row["non_commercial"] or accepted is None:
        return
    record = fetch.home() / "accepted_licenses.json"
    if name in _recorded(record) or _accepted_by_environment(name, row):
        return
    if not accepted:
        raise LicenseError(
            f"{name!r} is published under {row['license']!r} ({row['origin']}), which does not "
            "allow commercial use. If you agree to it: `accept_license=True` once, or "
            f"GANZOO_ACCEPT_LICENSE={name}; on the command line --accept-license"
        )
    with contextlib.suppress(CacheError, OSError), fetch.locked(record):  # else only this once
        scratch = record.with_suffix(f".{os.getpid()}")
        scratch.write_text(json.dumps(sorted({*_recorded(record), name})), "utf-8")
        scratch.replace(record)


def _recorded(record):
    return json.loads(record.read_text("utf-8")) if record.is_file() else []


def _accepted_by_environment(name, row):
    words = [word.strip() for word in os.environ.get("GANZOO_ACCEPT_LICENSE", "").split(",")]
    return any(word in (name, *row["aliases"], row["license"]) for word in words if word)
