"""Progress bars."""

import io
import sys

import pytest
from fetch.served import SHA256

from ganzoo import fetch
from ganzoo.fetch import progress


def test_the_progress_bar(hub, url, monkeypatch, capsys):
    fetch.fetch_url(url, sha256=SHA256, name="model-x")
    assert not capsys.readouterr().err  # no terminal
    fetch.remove("*")
    monkeypatch.setenv("GANZOO_PROGRESS", "1")
    fetch.fetch_url(url, sha256=SHA256, name="model-x")
    shown = capsys.readouterr()
    assert "model-x" in shown.err and "1.50M/1.50M" in shown.err and not shown.out


@pytest.mark.parametrize("chosen", [None, "", "0", "1"])
@pytest.mark.parametrize("terminal", [True, False])
def test_bars_are_for_terminals_and_for_who_wants_them(monkeypatch, chosen, terminal):
    error = io.StringIO()
    error.isatty = lambda: terminal
    monkeypatch.setattr(sys, "stderr", error)
    monkeypatch.delenv("GANZOO_PROGRESS", raising=False)
    if chosen is not None:
        monkeypatch.setenv("GANZOO_PROGRESS", chosen)
    expected = {"0": False, "1": True}.get(chosen, terminal)
    assert progress.shown() is expected
    with progress.bar("steps", 7, unit=" steps", done=2) as bar:
        bar.update(5)
    shown = error.getvalue()
    assert ("steps" in shown and "7/7" in shown) if expected else not shown
