"""Resident memory over 2,000 training steps of a small DCGAN through `fit`; it must not grow.

    python benchmarks/memory.py [--steps 2000]

Prints the resident set every tenth of the way, after a warm-up of one tenth.
"""

import argparse
import os


def resident_mib():
    with open("/proc/self/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=2000)
    steps = parser.parse_args().steps
    import numpy as np

    from ganzoo import data
    from ganzoo.families.dcgan import DCGAN

    gan = DCGAN(28, 100, 32, channels=1)
    gan.compile()
    images = np.random.RandomState(0).randint(0, 256, (1024, 28, 28, 1), "uint8")
    stream = data.from_arrays(images, batch_size=64)
    sizes = []
    for _ in range(11):
        gan.fit(stream, steps_per_epoch=steps // 10, epochs=1, verbose=0)
        sizes.append(resident_mib())
        print(f"step {int(gan.step.numpy()):6}: {sizes[-1]:8.1f} MiB", flush=True)
    print(f"growth over {steps} steps after the warm-up: {sizes[-1] - sizes[0]:+.1f} MiB")


if __name__ == "__main__":
    main()
