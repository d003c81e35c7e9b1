"""Modules are importable at their old places, and are the same modules."""

import importlib
import subprocess
import sys

import pytest

from ganzoo import moved


@pytest.mark.parametrize("old, new", moved.MOVED.items())
def test_an_old_place_is_the_new_module(old, new):
    module = importlib.import_module(f"ganzoo.{new}")
    assert importlib.import_module(f"ganzoo.{old}") is module
    assert module.__name__ == module.__spec__.name == f"ganzoo.{new}"


def test_in_a_new_process():
    code = (
        "import ganzoo.publish\nfrom ganzoo import cards\nfrom ganzoo.convert import reader\n"
        "from ganzoo.foreign import sources\nimport ganzoo.hub.publish as new\n"
        "assert ganzoo.publish is new and callable(reader.load) and sources()\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_what_never_existed_does_not():
    with pytest.raises(ModuleNotFoundError, match="ganzoo.publsh"):
        importlib.import_module("ganzoo.publsh")
