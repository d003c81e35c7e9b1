"""What the environment says: where the cache lies, whether servers are asked, and which."""

import os
import pathlib
import re

from ganzoo.errors import GanzooError

BACKOFF = 0.5  # seconds, doubled with every try
YES = ("1", "true", "yes", "on")


def home() -> pathlib.Path:
    """The cache's folder: `GANZOO_HOME`, else `$XDG_CACHE_HOME/ganzoo`, else `~/.cache/ganzoo`.

    Asking does not create it.
    """
    if chosen := os.environ.get("GANZOO_HOME"):
        return pathlib.Path(chosen).expanduser().absolute()
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return pathlib.Path(cache).expanduser().absolute() / "ganzoo"


def converted(key: str) -> pathlib.Path:
    """The folder for what was converted from a file; not created."""
    return home() / "converted" / key


def offline(chosen: bool | None = None) -> bool:
    """Whether every request is forbidden: `chosen`; where that is `None`, whether `GANZOO_OFFLINE`
    or `HF_HUB_OFFLINE` says so.
    """
    if chosen is not None:
        return chosen
    names = ("GANZOO_OFFLINE", "HF_HUB_OFFLINE")
    return any(os.environ.get(name, "").strip().lower() in YES for name in names)


def rewritten(url) -> str:
    """The address to ask for a URL, by the rules of `GANZOO_MIRROR`."""
    for prefix, target in _rules():
        if url == prefix or url.startswith((f"{prefix}/", f"{prefix}?")):
            return target + url[len(prefix) :]
    return url


def _rules() -> list[tuple[str, str]]:
    """`GANZOO_MIRROR` as [(prefix, what replaces it)], the longest prefix first."""
    rules = []
    for part in os.environ.get("GANZOO_MIRROR", "").split(";"):
        prefix, _, target = (half.strip() for half in part.strip().partition("="))
        if not part.strip():
            continue
        if not all(re.match(r"https?://[^/\s]+", half) for half in (prefix, target)):
            raise GanzooError(
                "GANZOO_MIRROR is `https://a.example/=https://mirror.corp/a/`, several separated "
                f"by `;`. Received: {part.strip()!r}"
            )
        rules.append((prefix.rstrip("/"), target.rstrip("/")))
    return sorted(rules, key=lambda rule: -len(rule[0]))
