"""oneDNN is on wherever ganzoo is imported first, and one line says so where it is not."""

import os
import platform
import subprocess
import sys

import pytest

from ganzoo import onednn

pytestmark = pytest.mark.skipif(
    platform.machine() not in ("x86_64", "AMD64"), reason="TensorFlow decides otherwise elsewhere"
)
AVX2 = "processor\t: 0\nflags\t\t: fpu sse2 avx avx2 fma\n\nprocessor\t: 1\n"
VNNI = AVX2.replace("fma", "fma avx512f avx512_vnni")
SHOW = "import os\nprint(os.environ.get('TF_ENABLE_ONEDNN_OPTS'))\n"


def python(root, code, setting=None, filters=("-W", "always")):
    """(stdout, stderr) of a fresh interpreter with the variable set so, or not set."""
    variables = {k: v for k, v in os.environ.items() if k != "TF_ENABLE_ONEDNN_OPTS"}
    variables |= {"PYTHONPATH": str(root), "CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "0"}
    variables |= {} if setting is None else {"TF_ENABLE_ONEDNN_OPTS": setting}
    command = [sys.executable, *filters, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, env=variables, check=True)
    return done.stdout.strip(), done.stderr.strip()


def tensorflow_first(cpuinfo):
    """Code that imports ganzoo where TensorFlow is loaded and /proc/cpuinfo has this text."""
    return f"""
import builtins, io, sys, types
sys.modules["tensorflow"] = types.ModuleType("tensorflow")
genuine = builtins.open
def faked(path, *arguments, **options):
    if path != "/proc/cpuinfo":
        return genuine(path, *arguments, **options)
    text = {cpuinfo!r}
    if text is None:
        raise FileNotFoundError(path)
    return io.StringIO(text)
builtins.open = faked
import ganzoo
import ganzoo.errors
{SHOW}"""


@pytest.mark.parametrize(("setting", "expected"), [(None, "1"), ("0", "0"), ("1", "1"), ("", "")])
def test_the_users_setting_wins(root, setting, expected):
    assert python(root, f"import ganzoo\n{SHOW}", setting) == (expected, "")


def test_children_inherit_it(root):
    child = f"import subprocess, sys, ganzoo\nsubprocess.run([sys.executable, '-c', {SHOW!r}])"
    assert python(root, child) == ("1", "")


def test_the_command_line_has_it(root):
    """Its module is run as the program, behind the package's own `__init__`."""
    code = f"import runpy\nrunpy.run_module('ganzoo.__main__', run_name='command')\n{SHOW}"
    assert python(root, code) == ("1", "")


@pytest.mark.slow
@pytest.mark.parametrize(("setting", "state"), [(None, True), ("0", False)])
def test_tensorflow_obeys(root, setting, state):
    code = (
        "import ganzoo, tensorflow\n"
        "from tensorflow.python.util import _pywrap_util_port as port\n"
        "print(port.IsMklEnabled())"
    )
    assert python(root, code, setting)[0] == str(state)


def test_one_line_where_tensorflow_came_first(root):
    shown, message = python(root, tensorflow_first(AVX2), filters=())
    assert shown == "None"  # too late; the children of this process compute as it does
    assert message.count("UserWarning") == 1
    assert "TensorFlow was imported first and leaves oneDNN off on this CPU" in message
    assert "Import ganzoo first or set TF_ENABLE_ONEDNN_OPTS=1" in message
    assert message.startswith("<string>:13: ")  # the user's own line


@pytest.mark.parametrize("cpuinfo", [VNNI, "", None], ids=["vnni", "unknown flags", "no file"])
def test_silence_where_tensorflow_turned_it_on_or_nobody_knows(root, cpuinfo):
    assert python(root, tensorflow_first(cpuinfo)) == ("None", "")


@pytest.mark.parametrize("setting", ["0", "1"])
def test_silence_where_the_user_has_decided(root, setting):
    assert python(root, tensorflow_first(AVX2), setting) == (setting, "")


def test_other_machines_are_left_alone(root):
    code = (
        "import os, types\ngenuine = os.uname\n"
        "os.uname = lambda: types.SimpleNamespace(machine='aarch64')\nimport ganzoo\n"
    )
    assert python(root, code + SHOW) == ("None", "")


@pytest.mark.parametrize(
    ("cpuinfo", "limit", "narrow"),
    [
        (AVX2, "", True),
        (VNNI, "", False),
        (VNNI, "avx2_vnni", True),
        (VNNI, "AVX512_CORE", False),
        ("", "AVX2", False),
    ],
)
def test_where_onednn_has_code_for_avx2_only(cpuinfo, limit, narrow, tmp_path, monkeypatch):
    file = tmp_path / "cpuinfo"
    file.write_text(cpuinfo, encoding="ascii")
    monkeypatch.setattr(onednn, "CPUINFO", file)
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", limit)
    assert onednn.is_narrow() is narrow
    monkeypatch.setattr(onednn, "CPUINFO", tmp_path / "absent")
    assert not onednn.is_narrow()
