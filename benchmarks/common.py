"""What the benchmarks share: the machine's own rate, timing, and paired runs of worker
processes.
"""

import json
import os
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
