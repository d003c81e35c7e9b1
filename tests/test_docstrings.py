"""The examples of the docstrings run, without a network, and give what they show."""

import doctest
import importlib
import pathlib
import socket

import pytest
import tensorflow_datasets as tfds
from harness import no_network

import ganzoo

PACKAGE = pathlib.Path(ganzoo.__file__).parent
FILES = {  # that examples read: the fixture of a folder, and where in it
    "dcgan.keras": ("root", "tests/first_storey/dcgan.keras"),
    "weights.tar": ("shared", "checkpoints/gan_face_generate/weights.tar"),
}


class Parser(doctest.DocTestParser):
    """An example ends where its indentation does, as in our docstrings, or at an empty line."""

    def parse(self, string, name="<string>"):
        lines, depth = [], 0
        for line in string.splitlines():
            inside = len(line) - len(line.lstrip())
            if line.lstrip().startswith(">>> "):
                depth = inside
            elif line.strip() and inside < depth:
                lines.append("")
                depth = 0
            lines.append(line)
        return super().parse("\n".join(lines), name)


def examples():
    """Every docstring of the package with a `>>>`; only files that hold one are imported."""
    finder = doctest.DocTestFinder(parser=Parser())
    for file in sorted(PACKAGE.rglob("*.py")):
        if ">>> " in file.read_text(encoding="utf-8"):
            parts = file.relative_to(PACKAGE.parent).with_suffix("").parts
            module = importlib.import_module(".".join(parts).removesuffix(".__init__"))
            yield from (docstring for docstring in finder.find(module) if docstring.examples)


EXAMPLES = {docstring.name: docstring for docstring in examples()}


def failures(docstring):
    """What differs from what the docstring shows."""
    report = []
    runner = doctest.DocTestRunner(verbose=False, optionflags=doctest.NORMALIZE_WHITESPACE)
    runner.run(docstring, out=report.append)
    return "".join(report)


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_example(name, request, tmp_path, monkeypatch):
    text = "".join(example.source for example in EXAMPLES[name].examples)
    monkeypatch.chdir(tmp_path)
    if "fashion_mnist" in text:
        folder = request.getfixturevalue("fashion_dir")
        monkeypatch.setattr(tfds.core.constants, "DATA_DIR", str(folder))
    for file, (folder, place) in FILES.items():
        if file in text:
            (tmp_path / file).symlink_to(request.getfixturevalue(folder) / place)
    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    assert not failures(EXAMPLES[name])


def test_there_are_examples_and_they_can_fail():
    assert len(EXAMPLES) >= 12
    text = "    Example:\n        >>> 1 + 1\n        3\n    Reference: none."
    wrong = Parser().get_doctest(text, {}, "wrong", None, 0)
    assert "Got:\n    2" in failures(wrong)
