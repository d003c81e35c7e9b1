"""What the benchmarks share: the machine and its own rate, timing, paired runs of worker
processes.

Another kind of CPU is stood in for by environment variables: ONEDNN_MAX_CPU_ISA=AVX2,
ATEN_CPU_CAPABILITY=avx2 and MKL_ENABLE_INSTRUCTIONS=AVX2 make an AVX-512 machine compute as one
with AVX2; with TF_ENABLE_ONEDNN_OPTS=0, as it did where nobody turned oneDNN on.
"""

import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import time

DCGAN64_FORWARD_MACS = {"generator": 104_595_456, "discriminator": 103_817_216}
# One D and one G step on shared fakes: G forward 1, backward 2; D forward and backward on reals and
# on fakes 3 + 3 (less the first layer's input gradient), forward again 1, input gradient only 1.
DCGAN64_STEP_MACS = (
    3 * DCGAN64_FORWARD_MACS["generator"] + 8 * DCGAN64_FORWARD_MACS["discriminator"]
)


STAND_INS = ("ONEDNN_MAX_CPU_ISA", "ATEN_CPU_CAPABILITY", "MKL_ENABLE_INSTRUCTIONS")


def print_machine():
    """One line: the CPU, what it computes with, what stands in for another, and oneDNN's state."""
    from ganzoo import onednn  # which sets the variable, for the workers too

    limits = [f"{name}={os.environ[name]}" for name in STAND_INS if name in os.environ]
    shown = [
        f"{os.cpu_count()} cores, {_cpu()}",
        "AVX2" if onednn.is_narrow() else "AVX-512 or unknown",
        "stood in for by " + " ".join(limits) if limits else "real",
        f"{onednn.VARIABLE}={os.environ.get(onednn.VARIABLE)}",
    ]
    print("; ".join(shown), flush=True)


def _cpu():
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text("ascii", "replace").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), "?")


class WorkerError(RuntimeError):
    """A worker process that ended with an error."""


def timed(function, repeats):
    """(wall seconds, CPU seconds) of calling `function` so many times."""
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(repeats):
        function()
    return time.perf_counter() - wall, time.process_time() - cpu


def tensorflow_rate():
    """Multiplications a second of a 4096 cubed float32 product, by TensorFlow."""
    import tensorflow as tf

    a = tf.random.normal((4096, 4096))
    product = tf.function(lambda: tf.linalg.matmul(a, a))
    product()
    wall, _ = timed(lambda: product().numpy(), 3)
    return 3 * 4096**3 / wall


def torch_rate():
    """The same by PyTorch."""
    import torch

    a = torch.randn(4096, 4096)
    a @ a
    wall, _ = timed(lambda: a @ a, 3)
    return 3 * 4096**3 / wall


def worker(script, *arguments):
    """Runs `script` as a worker process; its last line is JSON."""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [sys.executable, script, *map(str, arguments)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise WorkerError(f"worker {arguments} failed:\n{done.stderr.strip()[-3000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def median(rows, key):
    return statistics.median(row[key] for row in rows)
