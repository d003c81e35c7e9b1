"""DCGAN-64 against PyTorch: training and inference, in turn on the same machine.

    python benchmarks/dcgan.py [--pairs 5] [--steps 20] [--batch 64] [--torch eager]

Needs the extra `bench` (torch, CPU). The networks are those of pytorch/examples dcgan (ngf = ndf =
64), Adam, one discriminator and one generator step; ganzoo runs through `fit`. PyTorch is the
fastest of: eager, eager with channels-last memory, compiled (chosen by one run each, then paired).
Each run is a process of its own that also measures the machine's float32 matrix-product rate (4096
cubed) right before and after the timed loop.
"""

import argparse
import json
import statistics
import sys

import common

TORCH = ("eager", "channels_last", "compiled", "compiled_channels_last")
LATENT, WIDTH = 100, 64


def run_ganzoo(batch, steps):
    import tensorflow as tf

    from ganzoo.families.dcgan import DCGAN

    gan = DCGAN(64, LATENT, WIDTH)
    gan.compile()
    images = tf.random.uniform((batch, 64, 64, 3), -1.0, 1.0)
    data = tf.data.Dataset.from_tensors(images).repeat()
    gan.fit(data, steps_per_epoch=5, epochs=1, verbose=0)
    rates = [common.tensorflow_rate()]
    wall, cpu = common.timed(lambda: gan.fit(data, steps_per_epoch=steps, epochs=1, verbose=0), 1)
    rates.append(common.tensorflow_rate())
    latents = [tf.random.normal((batch, LATENT))]
    forward = gan.published.forward
    forward(latents)
    forward(latents)
    infer_wall, infer_cpu = common.timed(lambda: forward(latents).numpy(), 2 * steps)
    return report(batch, steps, wall, cpu, infer_wall, infer_cpu, rates)


def run_torch(variant, batch, steps):
    import torch

    generator, discriminator = torch_networks()
    if "channels_last" in variant:
        generator.to(memory_format=torch.channels_last)
        discriminator.to(memory_format=torch.channels_last)
    if "compiled" in variant:
        generator = torch.compile(generator, dynamic=False)
        discriminator = torch.compile(discriminator, dynamic=False)
    step = torch_step(generator, discriminator, batch, "channels_last" in variant)
    for _ in range(5):
        step()
    rates = [common.torch_rate()]
    wall, cpu = common.timed(step, steps)
    rates.append(common.torch_rate())
    generator.eval()
    latents = torch.randn(batch, LATENT, 1, 1)
    with torch.inference_mode():
        generator(latents)
        generator(latents)
        infer_wall, infer_cpu = common.timed(lambda: generator(latents), 2 * steps)
    return report(batch, steps, wall, cpu, infer_wall, infer_cpu, rates)


def torch_networks():
    from torch import nn

    def up(i, o, stride, padding):
        return [
            nn.ConvTranspose2d(i, o, 4, stride, padding, bias=False),
            nn.BatchNorm2d(o),
            nn.ReLU(True),
        ]

    def down(i, o):
        return [nn.Conv2d(i, o, 4, 2, 1, bias=False), nn.BatchNorm2d(o), nn.LeakyReLU(0.2, True)]

    w = WIDTH
    generator = nn.Sequential(
        *up(LATENT, 8 * w, 1, 0),
        *up(8 * w, 4 * w, 2, 1),
        *up(4 * w, 2 * w, 2, 1),
        *up(2 * w, w, 2, 1),
        nn.ConvTranspose2d(w, 3, 4, 2, 1, bias=False),
        nn.Tanh(),
    )
    discriminator = nn.Sequential(
        nn.Conv2d(3, w, 4, 2, 1, bias=False),
        nn.LeakyReLU(0.2, True),
        *down(w, 2 * w),
        *down(2 * w, 4 * w),
        *down(4 * w, 8 * w),
        nn.Conv2d(8 * w, 1, 4, 1, 0, bias=False),
        nn.Flatten(),
    )
    return generator, discriminator


def torch_step(generator, discriminator, batch, channels_last):
    import torch

    adam_g = torch.optim.Adam(generator.parameters(), 2e-4, betas=(0.5, 0.999))
    adam_d = torch.optim.Adam(discriminator.parameters(), 2e-4, betas=(0.5, 0.999))
    loss = torch.nn.BCEWithLogitsLoss()
    real = torch.rand(batch, 3, 64, 64) * 2 - 1
    if channels_last:
        real = real.to(memory_format=torch.channels_last)
    one, zero = torch.ones(batch, 1), torch.zeros(batch, 1)

    def step():
        adam_d.zero_grad()
        loss(discriminator(real), one).backward()
        fake = generator(torch.randn(batch, LATENT, 1, 1))
        loss(discriminator(fake.detach()), zero).backward()
        adam_d.step()
        adam_g.zero_grad()
        loss(discriminator(fake), one).backward()
        adam_g.step()

    return step


def report(batch, steps, wall, cpu, infer_wall, infer_cpu, rates):
    rate = statistics.mean(rates)
    trained, drawn = batch * steps, 2 * batch * steps
    return {
        "train_img_per_s": trained / wall,
        "train_img_per_cpu_s": trained / cpu,
        "infer_img_per_s": drawn / infer_wall,
        "infer_img_per_cpu_s": drawn / infer_cpu,
        "matmul_gmac_per_s": rate / 1e9,
        "train_mfu": trained / wall * common.DCGAN64_STEP_MACS / rate,
        "infer_mfu": drawn / infer_wall * common.DCGAN64_FORWARD_MACS["generator"] / rate,
    }


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--torch", choices=TORCH, help="without it, the fastest of one run each")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker:
        if given.worker == "ganzoo":
            print(json.dumps(run_ganzoo(given.batch, given.steps)))
        else:
            print(json.dumps(run_torch(given.worker, given.batch, given.steps)))
        return
    compare(given)


def compare(given):
    common.print_machine()

    def once(kind):
        return common.worker(
            __file__, "--worker", kind, "--steps", given.steps, "--batch", given.batch
        )

    best = given.torch or fastest(once)
    ours, theirs = [], []
    for pair in range(given.pairs):
        ours.append(once("ganzoo"))
        theirs.append(once(best))
        print(
            f"pair {pair + 1}: ganzoo {ours[-1]['train_img_per_s']:.1f}, "
            f"PyTorch {theirs[-1]['train_img_per_s']:.1f}",
            flush=True,
        )
    print(f"{f'median of {given.pairs} pairs':24}{'ganzoo':>12}{f'torch {best}':>24}{'ratio':>9}")
    for key in ours[0]:
        ratio = statistics.median(a[key] / b[key] for a, b in zip(ours, theirs))
        print(
            f"{key:24}{common.median(ours, key):12.3f}"
            f"{common.median(theirs, key):24.3f}{ratio:9.3f}"
        )


def fastest(once):
    """PyTorch's fastest form in training, by one run of each."""
    trial = {}
    for variant in TORCH:
        try:
            trial[variant] = round(once(variant)["train_img_per_s"], 1)
        except common.WorkerError as error:
            print(f"PyTorch {variant} does not run here: {str(error).splitlines()[-1]}")
    print("PyTorch variants, one run each, training images/s:", trial)
    return max(trial, key=trial.get)


if __name__ == "__main__":
    sys.exit(main())
