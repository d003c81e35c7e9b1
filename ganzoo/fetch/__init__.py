"""Published files to verified local files: mirrors, resume, locks, the cache.

    GANZOO_HOME       where the cache lies; else `$XDG_CACHE_HOME/ganzoo`, else `~/.cache/ganzoo`
    GANZOO_OFFLINE    1: never ask a server (so does HF_HUB_OFFLINE)
    GANZOO_MIRROR     `https://a.example/=https://mirror.corp/a/;...`: other servers, by prefix
    GANZOO_PROGRESS   0: no progress bars; 1: also where standard error is no terminal

In the cache:

    downloads/<key>/  one file of a URL, its `record.json`; while it comes, `*.partial`
    hf/, records/     the Hugging Face client's own cache, and what was verified in it
    converted/<key>/  what `ganzoo.hub` converted

A file gets its name only when its length, its first bytes and its sha256 are right. A publisher
that gives no sha256 is believed once: the hash is recorded and verified ever after. A partial file
is continued only where the server says by ETag or date that it is still the same file.
"""

from ganzoo.fetch.cache import entries, matching, remove
from ganzoo.fetch.expected import sha256_of
from ganzoo.fetch.huggingface import fetch_hf, fetch_repo
from ganzoo.fetch.mirrors import fetch
from ganzoo.fetch.settings import converted, home, offline
from ganzoo.fetch.web import fetch_url
from ganzoo.files import fresh_folder, locked

__all__ = [
    "converted",
    "entries",
    "fetch",
    "fetch_hf",
    "fetch_repo",
    "fetch_url",
    "fresh_folder",
    "home",
    "locked",
    "matching",
    "offline",
    "remove",
    "sha256_of",
]
