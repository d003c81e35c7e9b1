"""StyleGAN2 on this machine against its PyTorch form; memory; the first image of a cold process.

    python benchmarks/stylegan2.py   # all of these
    python benchmarks/stylegan2.py synthesis [--pairs 5] [--runs 5] [--case SIDE:BATCH ...]
    python benchmarks/stylegan2.py train [--pairs 5] [--batch 8] [--cycles 1] [--channel-base 8192]
                                      [--torch scaled_channels_last]
    python benchmarks/stylegan2.py memory [--side 1024]
    python benchmarks/stylegan2.py cold [--pairs 5] [--side 256]

Needs the extra `bench` (torch, CPU) for the first two. Each run is a process of its own that also
measures the machine's float32 matrix-product rate (4096 cubed) before and after the timed loop.

`synthesis`: latents to images by configuration F, stored noise, float32, the same random weights
and latents on both sides, whose images are compared. PyTorch is the official arithmetic (one kernel
per sample, grouped convolutions, resampling by depthwise convolutions), in the faster of its two
memory formats by one trial each.
`train`: cycles of 16 steps at 64 px, in which R1 comes once and path length four times, through
`fit`; both sides begin with the same weights, and their first logits are compared. PyTorch is the
faster of grouped convolutions and, as the official training has it, maps scaled before and after
one convolution.
"""

import argparse
import json
import os
import pathlib
import statistics
import sys
import tempfile
import time

import common
import numpy as np

KINDS = ("synthesis", "train", "memory", "cold")
CASES = ("1024:1", "256:4")
LATENT = 512
# multiplications of a training step in forward passes of each network: the discriminator's step
# 1 G, 6 D; the generator's 3 G, 2 D; R1 and path length each a pass, its gradient and twice as much
# for the gradient of both, R1 of all images every 16th step, path length of half every 4th
STEP_PASSES = {"generator": 4 + 6 / 2 / 4, "discriminator": 8 + 6 / 16}
TORCH = {
    "synthesis": ("grouped", "grouped_channels_last"),
    "train": ("grouped", "scaled", "scaled_channels_last"),
}


def sides_to(size):
    return [2**k for k in range(2, size.bit_length())]


def forward_macs(size, channel_base):
    """Multiplications of an image by the convolutions of {network: count}, without resampling."""
    maps = {side: min(channel_base // side, 512) for side in (*sides_to(size), 2)}
    sides = sides_to(size)
    generator = sum(side**2 * maps[side] * (9 * maps[side] + 3) for side in sides)
    generator += sum(9 * side**2 * maps[side] * maps[2 * side] for side in sides[:-1])
    critic = 9 * 16 * (maps[4] + 1) * maps[4] + 17 * maps[4] ** 2 + 3 * size**2 * maps[size]
    for side in sides[1:]:
        smaller = maps[side // 2]
        critic += maps[side] * (9 * side**2 * maps[side] + 10 * (side // 2) ** 2 * smaller)
    return {"generator": generator, "discriminator": critic}


def build(size, channel_base):
    """ganzoo's model with weights that depend on nothing but their order: N(0, 1), small biases."""
    from ganzoo.families.stylegan2 import StyleGAN2

    gan = StyleGAN2(size, LATENT, LATENT, channel_base=channel_base)
    gan.compile()
    for network in (gan.generator, gan.discriminator):
        assign(network)
    gan.generator_ema.set_weights(gan.generator.get_weights())
    return gan


def assign(network):
    random = np.random.default_rng(0)
    for weight in network.weights:
        value = random.standard_normal(weight.shape, dtype="float32")
        if weight.path.endswith("/bias"):
            value = 0.1 * value + ("affine" in weight.path)
        elif weight.path.endswith(("/noise_strength", "/w_avg")):
            value = np.float32(0.1) * value
        elif "mapping" in weight.path:
            value *= 100  # the reciprocal of the layers' rate
        weight.assign(value)


def write_weights(given):
    """For the PyTorch side, whose processes hold no TensorFlow."""
    gan = build(given.side, given.channel_base)
    networks = (gan.generator, gan.discriminator)
    np.savez(
        f"{given.folder}/weights.npz",
        **{weight.path: weight.numpy() for network in networks for weight in network.weights},
    )
    return {}


def weights(given):
    with np.load(f"{given.folder}/weights.npz") as held:
        return dict(held)


def latents(batch):
    return np.random.default_rng(1).standard_normal((batch, LATENT), dtype="float32")


# --- synthesis


def synthesis_ganzoo(given):
    import tensorflow as tf

    from ganzoo.families.stylegan2 import StyleGAN2Generator

    generator = StyleGAN2Generator(given.side, LATENT, LATENT, channel_base=given.channel_base)
    assign(generator)
    inputs = [tf.constant(latents(given.batch))]
    return drawn(lambda: generator.forward(inputs).numpy(), given, common.tensorflow_rate)


def synthesis_torch(given):
    import stylegan2_torch
    import torch

    network = stylegan2_torch.Generator(weights(given), sides_to(given.side), "grouped")
    if "channels_last" in given.variant:
        network.to(memory_format=torch.channels_last)
    z = torch.from_numpy(latents(given.batch))
    with torch.inference_mode():
        call = lambda: network(z).permute(0, 2, 3, 1).numpy()  # noqa: E731
        return drawn(call, given, common.torch_rate)


def drawn(call, given, rate):
    call()
    image = call()
    rates = [rate()]
    wall, cpu = common.timed(call, given.runs)
    rates.append(rate())
    count = given.runs * given.batch
    macs = forward_macs(given.side, given.channel_base)["generator"]
    return {
        "s_per_img": wall / count,
        "cpu_s_per_img": cpu / count,
        "share_of_matmul": count / wall * macs / statistics.mean(rates),
        "matmul_gmac_per_s": statistics.mean(rates) / 1e9,
        "sample": [float(v) for v in image[..., :: image.shape[1] // 16, :].ravel()[::7]],
    }


# --- training


def train_ganzoo(given):
    import tensorflow as tf

    gan = build(given.side, given.channel_base)
    real = reals(given)
    data = tf.data.Dataset.from_tensors(tf.constant(real)).repeat()
    sample = gan.discriminator(tf.constant(real)).numpy().ravel().tolist()
    gan.fit(data, steps_per_epoch=5, epochs=1, verbose=0)  # a step of every kind
    gan.step.assign(0)
    call = lambda: gan.fit(data, steps_per_epoch=16, epochs=1, verbose=0)  # noqa: E731
    return trained(call, given, common.tensorflow_rate, sample)


def train_torch(given):
    import stylegan2_torch
    import torch

    arrays, sides = weights(given), sides_to(given.side)
    form = given.variant.partition("_")[0]
    generator, average = (stylegan2_torch.Generator(arrays, sides, form) for _ in range(2))
    discriminator = stylegan2_torch.Discriminator(arrays, sides)
    real = torch.from_numpy(reals(given)).permute(0, 3, 1, 2).contiguous()
    if "channels_last" in given.variant:
        for network in (generator, average, discriminator):
            network.to(memory_format=torch.channels_last)
        real = real.to(memory_format=torch.channels_last)
    sample = discriminator(real).detach().ravel().tolist()
    trainer = stylegan2_torch.Trainer(generator, discriminator, average, real)

    def cycle(steps=16):
        for _ in range(steps):
            trainer.step()

    cycle(5)
    trainer.step_number = 0
    return trained(cycle, given, common.torch_rate, sample)


def reals(given):
    shape = (given.batch, given.side, given.side, 3)
    return np.random.default_rng(2).uniform(-1, 1, shape).astype("float32")


def trained(cycle, given, rate, sample):
    rates = [rate()]
    wall, cpu = common.timed(cycle, given.cycles)
    rates.append(rate())
    forward = forward_macs(given.side, given.channel_base)
    macs = sum(passes * forward[network] for network, passes in STEP_PASSES.items())
    steps = 16 * given.cycles
    return {
        "s_per_step": wall / steps,
        "cpu_s_per_step": cpu / steps,
        "img_per_s": steps * given.batch / wall,
        "share_of_matmul": steps * given.batch / wall * macs / statistics.mean(rates),
        "matmul_gmac_per_s": statistics.mean(rates) / 1e9,
        "sample": sample,
    }


# --- memory and start


def write_converted(given):
    """What the conversion of an official file leaves in the cache."""
    from ganzoo.hub import publish

    networks = ["generator", "generator_ema", "discriminator"]
    publish.save(build(given.side, given.channel_base), given.folder, networks=networks)
    return {}


def first_image(given):
    """Seconds since the process began, of which how many of CPU, and its peak memory."""
    import ganzoo

    found = {}
    load = {"load": ganzoo.load, "load_generator": ganzoo.load_generator}[given.variant]
    model = load(given.folder)
    found["loaded_s"], found["loaded_cpu_s"] = age(), time.process_time()
    model.generate(1)
    found["first_image_s"], found["first_image_cpu_s"] = age(), time.process_time()
    model.generate(1)
    found["peak_gb"] = peak_gb()
    return found


def age():
    """Seconds since this process began (Linux)."""
    ticks = int(pathlib.Path("/proc/self/stat").read_text("ascii").rpartition(")")[2].split()[19])
    return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")


def peak_gb():
    lines = pathlib.Path("/proc/self/status").read_text("ascii").splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) * 1024 / 1e9


def start(given, variants):
    with tempfile.TemporaryDirectory() as scratch:
        given.folder = scratch
        run("converted", given)
        for variant in variants:
            rows = [run("first_image", given, variant) for _ in range(given.pairs)]
            shown = {key: round(common.median(rows, key), 2) for key in rows[0]}
            print(
                f"configuration F, {given.side} px, `{variant}`, median of {len(rows)}: {shown}",
                flush=True,
            )


# --- command line

WORKERS = {
    "synthesis": (synthesis_ganzoo, synthesis_torch),
    "train": (train_ganzoo, train_torch),
    "weights": (write_weights, None),
    "converted": (write_converted, None),
    "first_image": (None, first_image),
}


def run(kind, given, variant="ganzoo"):
    options = [
        part
        for name in ("side", "batch", "runs", "cycles", "channel_base", "folder")
        for part in (f"--{name.replace('_', '-')}", vars(given)[name])
    ]
    return common.worker(__file__, kind, "--worker", "--variant", variant, *options)


def compare(kind, given, unit):
    with tempfile.TemporaryDirectory() as given.folder:
        run("weights", given)
        pair_runs(kind, given, unit)


def fastest(kind, given, unit):
    """PyTorch's fastest form, by one run of each."""
    trial = {variant: run(kind, given, variant)[unit] for variant in TORCH[kind]}
    shown = {variant: round(value, 3) for variant, value in trial.items()}
    print(f"PyTorch, one run each, {unit}: {shown}", flush=True)
    return min(trial, key=trial.get)


def pair_runs(kind, given, unit):
    best = given.torch or fastest(kind, given, unit)
    ours, theirs = [], []
    for pair in range(given.pairs):
        for side in ("ganzoo", best) if pair % 2 == 0 else (best, "ganzoo"):
            (ours if side == "ganzoo" else theirs).append(run(kind, given, side))
        print(
            f"pair {pair + 1}: ganzoo {ours[-1][unit]:.3f}, PyTorch {theirs[-1][unit]:.3f}",
            flush=True,
        )
    a, b = (np.array(rows[0]["sample"]) for rows in (ours, theirs))
    print(f"largest difference {np.abs(a - b).max():.1e} of values up to {np.abs(b).max():.3g}")
    print(f"{f'median of {given.pairs} pairs':20}{'ganzoo':>12}{f'torch {best}':>30}{'ratio':>9}")
    for key in ours[0]:
        if key != "sample":
            ratio = statistics.median(a[key] / b[key] for a, b in zip(ours, theirs))
            ratio = 1 / ratio if "s_per" in key and not key.startswith("img") else ratio
            print(
                f"{key:20}{common.median(ours, key):12.3f}"
                f"{common.median(theirs, key):30.3f}{ratio:9.3f}"
            )


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("kind", nargs="?", help=f"one of {KINDS}; without it, all in turn")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--case", action="append", help=f"side:batch; defaults to {CASES}")
    parser.add_argument("--side", type=int)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--cycles", type=int, default=1)
    parser.add_argument("--channel-base", type=int)
    parser.add_argument("--torch", help="PyTorch's form; without it, the fastest of one run each")
    for hidden in ("--variant", "--folder"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker:
        ganzoo, torch = WORKERS[given.kind]
        print(json.dumps((ganzoo if given.variant == "ganzoo" else torch)(given)))
        return
    if given.kind not in (None, *KINDS):
        parser.error(f"kind is one of {KINDS}. Received: {given.kind!r}")
    forms = TORCH.get(given.kind, ())
    if given.torch is not None and given.torch not in forms:
        parser.error(f"--torch of {given.kind!r} is one of {forms}. Received: {given.torch!r}")
    common.print_machine()
    for kind in KINDS if given.kind is None else [given.kind]:
        measure(argparse.Namespace(**{**vars(given), "kind": kind}))


def measure(given):
    """Prints one kind of figures."""
    given.channel_base = given.channel_base or (8192 if given.kind == "train" else 32768)
    if given.kind == "synthesis":
        for case in given.case or CASES:
            given.side, given.batch = map(int, case.split(":"))
            print(f"--- {given.side} px, batch {given.batch}")
            compare("synthesis", given, "s_per_img")
        return
    given.side = given.side or {"train": 64, "memory": 1024, "cold": 256}[given.kind]
    if given.kind == "train":
        compare("train", given, "s_per_step")
    else:
        start(given, ("load_generator",) if given.kind == "memory" else ("load", "load_generator"))


if __name__ == "__main__":
    sys.exit(main())
