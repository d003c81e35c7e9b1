"""Every requirement names the lowest version with which `make test-lowest` passes."""

import configparser
import runpy

import pytest


@pytest.fixture(scope="module")
def floors(root):
    return runpy.run_path(str(root / "tools" / "floors.py"))["floors"]


def settings(root):
    parser = configparser.ConfigParser()
    parser.read(root / "setup.cfg", encoding="utf-8")
    return parser


def test_every_requirement_of_the_package_has_a_floor(root, floors):
    lines = settings(root)["options"]["install_requires"].splitlines()
    names = {line.partition(">=")[0].strip() for line in lines if line and line[0] != "#"}
    assert names <= {pin.partition("==")[0] for pin in floors()}


def test_a_floor_becomes_a_pin_once(tmp_path, floors):
    file = tmp_path / "setup.cfg"
    text = "[options]\ninstall_requires =\n # why\n a >= 1.2\n b\n[options.extras_require]\nx =\n"
    file.write_text(f"{text} a >= 1.2\n c == 3\n", encoding="utf-8")
    assert floors(file) == ["a==1.2"]
    file.write_text(f"{text} a >= 1.3\n", encoding="utf-8")
    with pytest.raises(ValueError, match="`a` has two floors. Received: 1.2, 1.3"):
        floors(file)


def test_classifiers_name_the_pythons_that_are_admitted(root):
    parser = settings(root)
    named = [line.rpartition(" ")[2] for line in parser["metadata"]["classifiers"].splitlines()]
    versions = sorted(int(v.partition(".")[2]) for v in named if v.startswith("3."))
    assert versions == list(range(versions[0], versions[-1] + 1))
    required = parser["options"]["python_requires"]
    assert required == f">= 3.{versions[0]}, < 3.{versions[-1] + 1}"
    options = parser["tool:ruff"]["options"]
    assert f"--target-version py3{versions[0]} " in options
