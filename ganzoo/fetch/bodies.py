"""What a file's first bytes look like, and answers that are no file: pages, pointers, messages."""

import re

from ganzoo.errors import WrongBodyError

HEAD = 1 << 16  # bytes that are looked at before anything is written
_SIGNATURES = (
    (b"PK\x03\x04", "a zip archive (torch, .keras or .npz)"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\x89HDF\r\n", "an HDF5 file"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"\x80\x8a", "a legacy torch file"),
    (b"\x80", "a pickle"),
    (b"version https://git-lfs", "a Git-LFS pointer"),
)


def kind_of(head) -> str:
    """What the first bytes of a file look like, in words."""
    for signature, kind in _SIGNATURES:
        if head.startswith(signature):
            return kind
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    lower = text[:512].lower()
    if lower.startswith((b"<!doctype html", b"<html", b"<head", b"<body")) or b"<html" in lower:
        title = re.search(rb"<title[^>]*>\s*(.*?)\s*</title>", text, re.IGNORECASE | re.DOTALL)
        called = f" titled {title[1].decode('utf-8', 'replace')[:80]!r}" if title else ""
        return f"a web page{called}"
    if lower.startswith(b"<?xml"):
        return "an XML message"
    if lower.startswith(b"{"):
        error = re.match(rb'\{\s*"(error|message|detail)', lower)
        return f"a JSON error {text[:120]!r}" if error else "a JSON text"
    if len(head) > 16 and head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 1 << 27:
        return "a safetensors file"
    if not head:
        return "nothing: it is empty"
    return f"bytes beginning {head[:16]!r}"


def kind_of_file(path) -> str:
    """What a file's first bytes look like, in words."""
    with open(path, "rb") as stream:
        return kind_of(stream.read(HEAD))


def refuse_wrong(head, content_type, file) -> None:
    """Refuses an answer that is no file.

    Args:
        head: the first bytes.
        content_type: what the server calls it, in lower case.
        file: what is expected; its `source` and `title` are named.

    Raises: WrongBodyError: with what came and what may be done.
    """
    kind = kind_of(head)
    html = content_type == "text/html" and kind.startswith("bytes")
    pointer = head.startswith(b"version https://git-lfs")
    wrong = ("a web page", "an XML message", "a JSON error", "nothing")
    if not (html or pointer or kind.startswith(wrong)):
        return
    raise WrongBodyError(
        f"{file.source} sends {kind} ({content_type}) instead of the file of {file.title!r}. "
        f"{_hint(head, pointer, file)}"
    )


def _hint(head, pointer, file):
    text = head.decode("utf-8", "replace").lower()
    if pointer:
        return "The address is that of the Git repository; the file itself lies in its LFS storage"
    if "quota exceeded" in text or "too many users have viewed" in text:
        return "Google Drive's quota for the file is used up; try again tomorrow or another mirror"
    if "virus" in text:
        return "Google Drive wants a confirmation: its address needs `&confirm=t`"
    if "/blob/" in file.source:
        return "The address is that of a page about the file: write `resolve` instead of `blob`"
    return "Open the address in a browser to see what it wants"
