"""docs/own_family.md: its files and excerpts are those of the tests, its commands and code run."""

import pathlib
import re
import shlex
import shutil
import sys

import pytest

HERE = pathlib.Path(__file__).parent
BLOCKS = re.findall(
    r"^```(\w+) ?(\S*)\n(.*?)\n```$",
    (HERE.parents[1] / "docs/own_family.md").read_text("utf-8"),
    re.M | re.S,
)


def test_what_is_shown_is_what_is_tested():
    shown = [(place.partition("="), text) for _, place, text in BLOCKS if place]
    assert {name for (_, _, name), _ in shown} == {
        "encoder.py", "two_way.py", "captioned.py", "vocoder.py"
    }
    for (kind, _, name), text in shown:
        whole = (HERE / name).read_text("utf-8")
        assert whole == f"{text}\n" if kind == "file" else text in whole, text


def test_what_is_typed_works(pictures, run, monkeypatch):
    for name in ("encoder.py", "vocoder.py"):
        shutil.copyfile(HERE / name, pictures / name)
    monkeypatch.syspath_prepend(pictures)
    monkeypatch.delitem(sys.modules, "encoder", raising=False)
    names = {}
    for language, place, text in BLOCKS:
        if language == "console":
            for line in text.splitlines():
                command, *arguments = shlex.split(line)
                code, _, errors = run(*arguments)
                assert command == "ganzoo" and code == 0, (line, errors)
        elif not place:
            exec(text, names)
    assert pathlib.Path("drawn.png").stat().st_size > 500
    assert names["z"].shape == (4, 8) and names["alone"].name == "encoder"
    assert type(names["gan"]).__module__ == "encoder"
    assert pathlib.Path("runs/vocoder/samples.png").is_file()


@pytest.mark.parametrize("name", ["players", "generators", "kinds", "variant", "before_step"])
def test_the_contract_is_that_of_the_class(name):
    from ganzoo.gan import GAN

    assert hasattr(GAN, name)
