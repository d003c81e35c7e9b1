"""The hub: hashing, and the second load of a generator that was downloaded and converted.

    python benchmarks/hub.py [--pairs 5] [--width 200]

A DCGAN generator of about 120 MB in pytorch/examples' layout is served from this machine, loaded
once (download, read, convert) and then again in processes of their own, which have loaded a small
model before; they report wall seconds and the growth of their peak memory over the peak before.
"""

import argparse
import functools
import http.server
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import common


def peak_bytes():
    """The peak of this process' resident memory so far (Linux)."""
    lines = pathlib.Path("/proc/self/status").read_text("ascii").splitlines()
    return 1024 * int(next(line for line in lines if line.startswith("VmHWM")).split()[1])


def write_checkpoint(path, width):
    """An `.npz` in pytorch/examples' layout with random numbers."""
    import numpy as np

    random = np.random.default_rng(0)
    widths = [100, 8 * width, 4 * width, 2 * width, width, 3]
    arrays = {}
    for i, (fan_in, fan_out) in enumerate(zip(widths, widths[1:])):
        kernel = random.standard_normal((fan_in, fan_out, 4, 4), dtype="float32")
        arrays[f"main.{3 * i}.weight"] = 0.02 * kernel
        if i < 4:
            for key, value in (("weight", 1), ("bias", 0), ("running_mean", 0), ("running_var", 1)):
                arrays[f"main.{3 * i + 1}.{key}"] = np.full(fan_out, value, "float32")
    np.savez(path, **arrays)


def serve(folder):
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    handler = functools.partial(Quiet, directory=folder)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_address[1]}"


def load_once(url):
    """What a worker does: one load, timed."""
    import ganzoo

    ganzoo.load_generator("dcgan-fashion-mnist")  # Keras', TensorFlow's and our own start-up
    before, start = peak_bytes(), time.perf_counter()
    generator = ganzoo.load_generator(url)
    seconds, peak = time.perf_counter() - start, peak_bytes() - before
    return {"seconds": seconds, "peak": peak, "bytes": 4 * generator.count_params()}


def hashing(path):
    """GB/s of ganzoo's sha256 and of sha256sum, in turn on the same file, in the page cache."""
    from ganzoo import fetch

    rates = []
    theirs = ["sha256sum", str(path)]
    for command in (lambda: fetch.sha256_of(path), lambda: subprocess.check_output(theirs)):
        command()
        wall, _ = common.timed(command, 1)
        rates.append(os.path.getsize(path) / wall / 1e9)
    return rates


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--width", type=int, default=200)
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker:
        print(json.dumps(load_once(given.worker)))
        return
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["GANZOO_HOME"] = f"{scratch}/home"
        (pathlib.Path(scratch) / "files").mkdir()
        file = pathlib.Path(scratch) / "files" / "netG.npz"
        write_checkpoint(file, given.width)
        url = f"{serve(file.parent)}/netG.npz"
        first = common.worker(__file__, "--worker", url)
        loads = [common.worker(__file__, "--worker", url) for _ in range(given.pairs)]
        rates = [hashing(file) for _ in range(given.pairs)]
    size = loads[0]["bytes"]
    print(f"generator of {size / 1e6:.0f} MB; first load {first['seconds']:.2f} s")
    print(f"second load, median of {given.pairs}: {common.median(loads, 'seconds'):.2f} s")
    print(f"peak extra memory / size: {common.median(loads, 'peak') / size:.2f}")
    ours, theirs = (statistics.median(column) for column in zip(*rates))
    print(f"hashing: {ours:.2f} GB/s; sha256sum: {theirs:.2f} GB/s")


if __name__ == "__main__":
    sys.exit(main())
