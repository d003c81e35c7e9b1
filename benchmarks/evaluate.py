"""Peak memory of `evaluate` over the number of images; it must stay below 1 GB and not grow.

    python benchmarks/evaluate.py [--metrics fid,kid]

Features are 2,048 wide like Inception's but cost nothing, so that what is measured is the rest:
statistics, spooled features and the metrics themselves. Each size runs in a process of its own.
"""

import argparse
import resource
import subprocess
import sys

SIZES = (2_500, 10_000, 50_000)
WIDTH = 2_048


def measured(count, metrics):
    """Peak resident MB above that of the imported libraries."""
    import numpy as np

    from ganzoo.metrics.evaluate import evaluate
    from ganzoo.metrics.features import Outputs

    class Random:
        """A random projection of a few pixels."""

        name, sha256, resizer, dim, classes = "random", "0" * 64, "none", WIDTH, 0

        def __init__(self):
            self.kernel = np.random.RandomState(0).randn(192, WIDTH).astype("float32") / 300

        def __call__(self, images):
            features = images.reshape(len(images), -1).astype("float32") @ self.kernel
            return Outputs(np.maximum(features, 0), features[:, :0])

    def stream(seed):
        random = np.random.RandomState(seed)
        for _ in range(0, count, 100):
            yield random.randint(0, 256, (100, 8, 8, 3), "uint8")

    def peak():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3

    before = peak()
    evaluate(stream(0), stream(1), metrics, extractor=Random())
    return peak() - before


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--metrics", default="fid,kid")
    parser.add_argument("--count", type=int)
    given = parser.parse_args()
    if given.count:
        print(f"{measured(given.count, given.metrics.split(',')):.0f}")
        return
    for count in SIZES:
        command = [sys.executable, __file__, "--metrics", given.metrics, "--count", str(count)]
        found = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        print(f"{count:7,} images of each side: {int(found.split()[-1]):5} MB", flush=True)


if __name__ == "__main__":
    main()
