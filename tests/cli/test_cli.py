"""The command line as a whole: help, speed, and errors of one line."""

import subprocess
import sys
import time

import pytest
from command_line import FACES, command, process

from ganzoo.cli import cli
from ganzoo.cli.options import bar, one_line

LIST_SECONDS = 0.5


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["train", "-h"]])
def test_help(run, words):
    code, out, _ = run(*words)
    assert code == 0 and out.startswith("Usage: ganzoo")


@pytest.mark.parametrize("name", sorted(cli.commands))
def test_every_command_explains_itself(run, name):
    code, out, _ = run(name, "--help")
    assert code == 0 and out.startswith(f"Usage: ganzoo {name}") and cli.commands[name].help


def test_unknown_commands_and_values(fails):
    assert "No such command 'lsit'" in fails("lsit")
    assert "Missing argument 'NAME'" in fails("info")
    for words in (["-n", "0"], ["-n", "x"], ["--seed", "-1"], ["--batch-size", "0"]):
        assert f"Invalid value for '{'-n' if words[0] == '-n' else words[0]}'" in fails(
            "generate", FACES, *words
        )


def test_the_error_is_the_last_line_of_a_process(root, models):
    done = process(root, "generate", models / "plain", "--label", "3")
    assert done.returncode == 2 and not done.stdout
    assert done.stderr.splitlines()[-1].startswith("ganzoo: ")
    assert "Traceback" not in done.stderr and "cpu_feature_guard" not in done.stderr


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("one", "one"),
        ("Faults:\n  a is 1\n  b is 2\n", "Faults: a is 1; b is 2"),
        ("a\n\n b", "a; b"),
        ("", ""),
    ],
)
def test_one_line(text, line):
    assert one_line(text) == line


def test_a_bar_elsewhere_than_in_a_terminal_is_a_line_or_nothing(capsys, monkeypatch):
    for elsewhere, err in ((None, ""), ("5 images", "5 images\n")):
        with bar("x", 5, unit=" images", elsewhere=elsewhere) as shown:
            shown.update(5)
        assert capsys.readouterr() == ("", err)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with bar("x", 5, unit=" images", elsewhere="5 images") as shown:
        shown.update(5)
    out, err = capsys.readouterr()
    assert not out and "x: 100%" in err and "5/5" in err and "5 images\n" not in err
    monkeypatch.setenv("GANZOO_PROGRESS", "0")
    with bar("x", 5, unit=" images", elsewhere="5 images") as shown:
        shown.update(5)
    assert capsys.readouterr() == ("", "5 images\n")


def test_list_is_fast_and_loads_no_tensorflow(root):
    words, variables = command(root, "list")
    seconds = []
    for _ in range(5):
        begun = time.perf_counter()
        subprocess.run(words, check=True, capture_output=True, env=variables)
        seconds.append(time.perf_counter() - begun)
    assert min(seconds) < LIST_SECONDS, seconds
    code = (
        "import sys; from ganzoo import __main__ as m; m.main(['list']); "
        "assert not {'tensorflow', 'keras', 'numpy'} & set(sys.modules), 'heavy'"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, env=variables)
