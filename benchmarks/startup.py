"""How long the first moments take: import, `ganzoo list`, and loading the faces once Keras is
imported.

python benchmarks/startup.py [--runs 5]
"""

import argparse
import statistics
import subprocess
import sys
import time

IMPORT = (
    "import time, sys; t = time.perf_counter(); import ganzoo; "
    "print(time.perf_counter() - t); assert 'tensorflow' not in sys.modules"
)
LOAD = (
    "import time, keras; import ganzoo; t = time.perf_counter(); ganzoo.load('dcgan-digiface-64'); "
    "print(time.perf_counter() - t)"
)


def printed(code):
    return float(
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout
    )


def listing():
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-m", "ganzoo", "list"], capture_output=True, check=True)
    return time.perf_counter() - begun


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    rows = {
        "import ganzoo": lambda: printed(IMPORT),
        "ganzoo list, whole process": listing,
        "ganzoo.load('dcgan-digiface-64') after import keras": lambda: printed(LOAD),
    }
    for name, measure in rows.items():
        measure()
        middle = statistics.median(measure() for _ in range(runs)) * 1000
        print(f"{name:55} median {middle:8.1f} ms of {runs}")


if __name__ == "__main__":
    main()
