"""FID's Inception against torch-fidelity: features of 299-pixel images, in turn on one machine.

    python benchmarks/inception.py [--pairs 5] [--batches 10] [--batch 8] [--weights FILE]

Needs the extra `bench` (torch, torch-fidelity, CPU). Both sides get the same uint8 images and the
same weights: those of FILE, in the layout of `pt_inception-2015-12-05-6726825d.pth`, or random ones
of that layout; both give 2048 features and 1008 logits, which are compared. Both resize, which at
299 pixels changes nothing: ganzoo skips it, torch-fidelity does not; `network` leaves it and the
scaling out on both sides. Each run is a process of its own that also measures the machine's float32
matrix-product rate (4096 cubed), before and after the timed loop.
"""

import argparse
import importlib.util
import json
import os
import pathlib
import statistics
import sys
import tempfile
import types

import common
import numpy as np

MACS = 5_711_168_096  # multiplications of one image, convolutions only
SIDES = ("ganzoo", "torch-fidelity")
STAGES = ("pipeline", "network")


def images(batch):
    return np.random.default_rng(0).integers(0, 256, (batch, 299, 299, 3), dtype="uint8")


def run_ganzoo(weights, batch, batches):
    import tensorflow as tf

    from ganzoo.metrics.features import extractor

    made = extractor("inception", weights=weights)
    given = images(batch)
    x = tf.constant((given - np.float32(128)) / np.float32(128))
    network = tf.function(made.network)
    calls = {
        "pipeline": lambda: made(given),
        "network": lambda: network(x)["2048"].numpy(),
    }
    return measure(calls, batch, batches, common.tensorflow_rate, made(given))


def run_torch_fidelity(weights, batch, batches):
    import torch

    made = torch_fidelity(weights)
    given = torch.from_numpy(images(batch).transpose(0, 3, 1, 2).copy())
    x = (given.float() - 128) / 128
    trunk = torch_fidelity_trunk(made)
    with torch.inference_mode():
        calls = {"pipeline": lambda: made(given), "network": lambda: trunk(x)}
        found = [part.numpy() for part in made(given)]
        return measure(calls, batch, batches, common.torch_rate, found)


def torch_fidelity(weights):
    """Its extractor; the package's own `__init__` would need torchvision, for CLIP."""
    folder = importlib.util.find_spec("torch_fidelity").submodule_search_locations
    package = types.ModuleType("torch_fidelity")
    package.__path__ = list(folder)
    sys.modules["torch_fidelity"] = package
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    return FeatureExtractorInceptionV3(
        "inception-v3-compat",
        ["2048", "logits_unbiased"],
        feature_extractor_weights_path=weights,
    )


def torch_fidelity_trunk(made):
    """Its network without its front end: its children in order, which is the order of the graph."""
    import torch

    names = [name for name, _ in made.named_children()]
    end = names.index("AvgPool")
    body = torch.nn.Sequential(*(child for _, child in list(made.named_children())[: end + 1]))
    return lambda x: made.fc(body(x).flatten(1))


def measure(calls, batch, batches, rate, outputs):
    features, logits = (np.asarray(part, "f8") for part in outputs)
    found = {"features": checksum(features), "logits": checksum(logits)}
    for stage, call in calls.items():
        call()
        call()
        rates = [rate()]
        wall, cpu = common.timed(call, batches)
        rates.append(rate())
        shown = batch * batches
        found |= {
            f"{stage}_img_per_s": shown / wall,
            f"{stage}_img_per_cpu_s": shown / cpu,
            f"{stage}_share_of_matmul": shown / wall * MACS / statistics.mean(rates),
            f"{stage}_matmul_gmac_per_s": statistics.mean(rates) / 1e9,
        }
    return found


def checksum(values):
    """Enough of an array to compare it across processes: some columns, and its norm."""
    return [*values[:, ::97].ravel().tolist(), float(np.linalg.norm(values))]


def random_weights(path):
    """A checkpoint of the published layout, of random but tame values."""
    import torch

    from ganzoo.metrics.inception import OUTPUTS, inception

    generator = torch.Generator().manual_seed(0)
    state = {}
    for layer in inception(tuple(OUTPUTS)).layers:
        if layer.name.startswith(("Conv2d", "Mixed")) and layer.weights:
            block, _, branch = layer.name.partition("_branch")
            name = f"{block}.branch{branch}" if branch else layer.name
            shape = tuple(layer.kernel.shape[i] for i in (3, 2, 0, 1))
            scale = (2 / np.prod(shape[1:])) ** 0.5
            state[f"{name}.conv.weight"] = scale * torch.randn(shape, generator=generator)
            state[f"{name}.bn.weight"] = torch.ones(shape[0])
            state[f"{name}.bn.bias"] = torch.zeros(shape[0])
            state[f"{name}.bn.running_mean"] = torch.zeros(shape[0])
            state[f"{name}.bn.running_var"] = torch.ones(shape[0])
            state[f"{name}.bn.num_batches_tracked"] = torch.tensor(0)
    state["fc.weight"] = torch.randn((1008, 2048), generator=generator) / 45
    state["fc.bias"] = torch.zeros(1008)
    torch.save(state, path)
    return path


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--batches", type=int, default=10)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--weights")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker:
        run = dict(zip(SIDES, (run_ganzoo, run_torch_fidelity)))[given.worker]
        print(json.dumps(run(given.weights, given.batch, given.batches)))
        return
    with tempfile.TemporaryDirectory() as folder:
        os.environ["GANZOO_HOME"] = folder  # what is converted for this goes with it
        if given.weights is None:
            given.weights = str(random_weights(pathlib.Path(folder) / "random.pth"))
        compare(given)


def compare(given):
    common.print_machine()
    options = ["--weights", given.weights, "--batch", given.batch, "--batches", given.batches]
    runs = {side: [] for side in SIDES}
    for pair in range(given.pairs):
        for side in SIDES if pair % 2 == 0 else SIDES[::-1]:
            runs[side].append(common.worker(__file__, "--worker", side, *options))
        shown = {side: round(rows[-1]["pipeline_img_per_s"], 1) for side, rows in runs.items()}
        print(f"pair {pair + 1}, images/s: {shown}", flush=True)
    ours, theirs = (runs[side] for side in SIDES)
    for kind in ("features", "logits"):
        a, b = (np.array(rows[0].pop(kind)) for rows in (ours, theirs))
        print(f"{kind}: largest difference {np.abs(a - b)[:-1].max() / np.abs(b[:-1]).max():.1e}")
    print(f"{f'median of {given.pairs} pairs':30}{SIDES[0]:>12}{SIDES[1]:>18}{'ratio':>9}")
    for key in ours[0]:
        ratio = statistics.median(a[key] / b[key] for a, b in zip(ours, theirs))
        print(
            f"{key:30}{common.median(ours, key):12.3f}"
            f"{common.median(theirs, key):18.3f}{ratio:9.3f}"
        )


if __name__ == "__main__":
    sys.exit(main())
