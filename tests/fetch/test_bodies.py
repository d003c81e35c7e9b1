"""Answers that are no file."""

import pytest
from fetch.served import DATA, PAGE, POINTER, SHA256, left
from hub_server import Fault

from ganzoo import errors, fetch

WRONG = {
    "page": (PAGE % (b"Sign in", b"please"), "text/html; charset=utf-8", "titled 'Sign in'"),
    "unlabelled": (b"\n <html><body>hello", "application/octet-stream", "a web page"),
    "labelled": (b"hello", "text/html", "text/html"),
    "quota": (PAGE % (b"Google Drive - Quota exceeded", b""), "text/html", "quota"),
    "virus": (PAGE % (b"Google Drive - Virus scan warning", b""), "text/html", "confirm=t"),
    "pointer": (POINTER, "text/plain", "LFS"),
    "xml": (b"<?xml version='1.0'?><Error>AccessDenied</Error>", "application/xml", "XML"),
    "json": (b'{"error": "Invalid username"}', "application/json", "Invalid username"),
    "empty": (b"", "application/octet-stream", "empty"),
}


@pytest.mark.parametrize("case", WRONG)
@pytest.mark.parametrize("hashed", [True, False])
def test_a_wrong_body_is_never_cached(hub, url, case, hashed):
    body, kind, word = WRONG[case]
    hub.faults["/files/*"] = [Fault(body=body, headers={"Content-Type": kind})]
    with pytest.raises(errors.WrongBodyError, match=word) as caught:
        fetch.fetch_url(url, sha256=SHA256 if hashed else None, size=len(DATA), name="model-x")
    assert url in str(caught.value) and "model-x" in str(caught.value)
    assert not left() and len(hub.seen()) == 1


def test_the_page_of_a_file_names_the_files_address(hub):
    hub.faults["/o/r/blob/*"] = [Fault(body=PAGE % (b"a", b""))]
    with pytest.raises(errors.WrongBodyError, match="`resolve` instead of `blob`"):
        fetch.fetch_url(f"{hub.url}/o/r/blob/main/a.pth")
