"""Several processes at once, and processes that are killed."""

import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import time

import pytest
from fetch.served import DATA, SHA256, left
from hub_server import Fault

from ganzoo import fetch
from ganzoo.fetch import expected, web

CALL = """
import sys, ganzoo.fetch as f
from ganzoo.fetch import bodies, web
web.CHUNK = bodies.HEAD = 1 << 14
print(f.{call})
assert "tensorflow" not in sys.modules and "numpy" not in sys.modules
"""


def start(hub, home, call, **more):
    variables = {**os.environ, **hub.environment(home), **more}
    variables = {k: v for k, v in variables.items() if v is not None}
    code = CALL.replace("{call}", call)
    pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    return subprocess.Popen([sys.executable, "-c", code], env=variables, **pipes)


@pytest.mark.parametrize("kind", ["url", "hf"])
def test_ten_processes_download_once(hub, url, tmp_path, kind):
    hub.add("o/r", "x.bin", DATA)
    hub.faults["*/a.pth"], hub.faults["/lfs/*"] = [Fault(pause=0.05)], [Fault(pause=0.05)]
    call = f"fetch_url({url!r})" if kind == "url" else "fetch_hf('o/r', 'x.bin')"
    running = [start(hub, tmp_path, call) for _ in range(10)]
    outputs = [process.communicate(timeout=60) for process in running]
    assert {process.returncode for process in running} == {0}, outputs
    (path,) = {out.strip() for out, _ in outputs}
    assert pathlib.Path(path).read_bytes() == DATA
    assert len(hub.seen("/files/a.pth") + hub.seen("/lfs/*")) == 1
    assert sum(SHA256 in err for _, err in outputs) == 1


@pytest.mark.parametrize("published", [True, False])
def test_killed_again_and_again(hub, url, tmp_path, published):
    """Wherever it dies, nothing has the final name before it is whole, and the next continues."""
    generator = random.Random(1)
    call = f"fetch_url({url!r}, sha256={SHA256 if published else None!r})"
    slow = Fault(pause=0.02, piece=20_000)
    kills, final = 0, web.file_of(url, None, {}).path
    while kills < (10 if published else 20):
        hub.faults["/files/*"] = [slow]
        count = len(hub.seen("/files/*"))
        process = start(hub, tmp_path, call)
        while len(hub.seen("/files/*")) == count and process.poll() is None:
            time.sleep(0.002)
        time.sleep(generator.uniform(0, 0.15))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        if process.returncode == -signal.SIGKILL:
            kills += 1
        if final.exists():
            assert final.read_bytes() == DATA
            fetch.remove("*")
    hub.faults.clear()
    assert fetch.fetch_url(url, sha256=SHA256 if published else None).read_bytes() == DATA
    assert [r for r in hub.seen() if r.status == 206]
    assert left() == {"a.pth", "record.json"}


@pytest.mark.parametrize("step", ["replace", "write_text", "unlink", "fsync"])
def test_killed_at_every_step(hub, url, tmp_path, step):
    """A process that dies before its n-th file operation, for every n."""
    code = """
import os, pathlib, signal, sys
import ganzoo.fetch as f
left = int(sys.argv[1])
owner = pathlib.Path if "{step}" in ("write_text", "unlink") else os
original = getattr(owner, "{step}")
def die(*a, **k):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return original(*a, **k)
setattr(owner, "{step}", die)
f.fetch_url(sys.argv[2])
""".replace("{step}", step)
    variables = {k: v for k, v in {**os.environ, **hub.environment(tmp_path)}.items() if v}
    for number in range(9):
        hub.faults["/files/*"] = [Fault(cut=700_000)]
        command = [sys.executable, "-c", code, str(number), url]
        died = subprocess.run(command, env=variables, capture_output=True).returncode
        assert fetch.fetch_url(url).read_bytes() == DATA
        assert json.loads((fetch.entries()[0]["path"].parent / expected.RECORD).read_text())
        fetch.remove("*")
        if died == 0:
            break
    assert died == 0 and number > 0
