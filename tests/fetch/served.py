"""What the local server serves, and what a call leaves in the cache."""

import hashlib
import os
import random

from ganzoo import fetch, files

DATA = random.Random(0).randbytes(1_500_000)
SHA256 = hashlib.sha256(DATA).hexdigest()
PAGE = b"<!DOCTYPE html><html><head><title>%s</title></head><body>%s</body></html>"
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:%064d\nsize 9\n" % 0


def left():
    """Names of the files in the cache, locks apart."""
    return {p.name for p in fetch.home().rglob("*") if p.is_file() and p.suffix != ".lock"}


def partials():
    return [p for p in fetch.home().rglob(f"*{files.PARTIAL}") if p.is_file()]


def entry(*mirrors, sha256=SHA256, size=len(DATA), **more):
    return {"mirrors": list(mirrors), "bytes": size, "sha256": sha256, "converter": None, **more}


def failing(number):
    def fail(*_, **__):
        raise OSError(number, os.strerror(number))

    return fail
