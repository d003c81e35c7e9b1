"""FID from two sets of 50,000 x 2048 features, covariances included, and its share of the machine.

    python benchmarks/fid.py [--samples 50000] [--dimension 2048] [--runs 3]

Prints, per run, seconds for the statistics of both sets (from float32 batches of 64, as a network
delivers them) and for the distance, the float64 matrix-product rate (2048 cubed) before and after,
the share of it that the covariances reach, and the largest memory beyond the features. The target
is 25 s on 2 cores.
"""

import argparse
import resource
import statistics
import time

import common
import numpy as np

from ganzoo.metrics.fid import frechet_distance
from ganzoo.metrics.statistics import StreamingStatistics

BATCH = 64


def matrix_rate():
    """Multiply-adds a second of float64 products."""
    a = np.random.default_rng(0).standard_normal((2048, 2048))
    a @ a
    wall, _ = common.timed(lambda: a @ a, 3)
    return 3 * 2048**3 / wall


def features(samples, dimension, seed):
    """Rectified and correlated, as pooled activations are; float32."""
    random = np.random.default_rng(seed)
    mix = random.standard_normal((dimension, dimension), dtype=np.float32) / np.sqrt(dimension)
    found = np.empty((samples, dimension), np.float32)
    for start in range(0, samples, 4096):
        rows = min(4096, samples - start)
        found[start : start + rows] = random.standard_normal((rows, dimension), np.float32) @ mix
    return np.maximum(found, 0.0, out=found)


def streamed(array):
    stream = StreamingStatistics(array.shape[1])
    for start in range(0, len(array), BATCH):
        stream.update(array[start : start + BATCH])
    return stream.result()


def run(real, fake):
    rate = matrix_rate()
    start = time.perf_counter()
    both = streamed(real), streamed(fake)
    middle = time.perf_counter()
    value = frechet_distance(*both, too_few="accept")
    end = time.perf_counter()
    rate = (rate + matrix_rate()) / 2
    # X^T X is symmetric: half of the products
    products = len(real) * real.shape[1] ** 2
    return {
        "value": value,
        "statistics_s": middle - start,
        "distance_s": end - middle,
        "total_s": end - start,
        "gmac_per_s": rate / 1e9,
        "share": products / (middle - start) / rate,
    }


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--samples", type=int, default=50_000)
    parser.add_argument("--dimension", type=int, default=2048)
    parser.add_argument("--runs", type=int, default=3)
    given = parser.parse_args()
    real, fake = (features(given.samples, given.dimension, seed) for seed in (0, 1))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    rows = []
    for number in range(given.runs):
        rows.append(run(real, fake))
        print(
            f"run {number + 1}: statistics {rows[-1]['statistics_s']:.1f} s, distance "
            f"{rows[-1]['distance_s']:.1f} s, FID {rows[-1]['value']:.4f}, matrix product "
            f"{rows[-1]['gmac_per_s']:.1f} GMAC/s, share {rows[-1]['share']:.2f}"
        )
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    total = statistics.median(row["total_s"] for row in rows)
    memory = (after - before) / 1024
    print(f"median {total:.1f} s (target 25 s); {memory:.0f} MiB beyond the features")


if __name__ == "__main__":
    main()
