"""Modes that the shipped models of Gaussian mixtures cover.

    python benchmarks/mode_coverage.py [--count 10000] [MODEL ...]

A sample is of high quality within 3 std of a centre (the mixture itself reaches 0.9889); a mode is
covered by one such sample; kl is that of the modes' shares to uniform, in nats. A MODEL is a name;
default: every `gan-ring8-*` and `gan-grid16-*`.
"""

import argparse

import ganzoo
from ganzoo import data, recipe


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("models", nargs="*")
    given = parser.parse_args()
    shipped = [name for kind in ("ring8", "grid16") for name in ganzoo.list_models(f"gan-{kind}-*")]
    print(f"{'model':36}{'modes':>8}{'high quality':>14}{'kl':>9}")
    for name in given.models or shipped:
        mixture = recipe.read(ganzoo.manifest()[name]["recipe"]).dataset.mixture()
        points = ganzoo.load_generator(name).generate(given.count, seed=0, batch_size=given.count)
        found = data.score(points, mixture)
        modes = f"{found['modes']:>5}/{mixture.modes:<2}"
        row = f"{modes}{found['high_quality']:14.4f}{found['kl']:9.4f}"
        print(f"{name:36}{row}", flush=True)


if __name__ == "__main__":
    main()
