"""Figures of a card: what a model's styles, truncation, noise and directions do.

    python tools/figures.py NAME   # PNG files into docs/models/NAME

Models without styles get a path, and directions if they draw avatars. Where the logs of other runs
are kept in folders of that one, as those of a control, `runs.png` shows what was measured while
they were trained; so it does in a folder that holds such runs only.
"""

import csv
import json
import pathlib
import sys
from collections.abc import Iterator

import numpy as np

import ganzoo
from ganzoo import callbacks, editing, measure
from ganzoo.generator import StyleGenerator
from ganzoo.recipe import read

ROOT = pathlib.Path(__file__).resolve().parent.parent
LEFT, TOP = [4, 7, 10, 13, 16, 19], [1, 2, 3, 5, 6, 8]
GROUPS = ["coarse", "coarse", "coarse", "middle", "middle", "fine"]  # of each row
PSI = [-1.0, -0.7, -0.3, 0.0, 0.3, 0.5, 0.7, 1.0]
STEPS = 9  # of paths and directions
SCALE = 2  # pixels of a figure for one of the model
REACH = 3.0  # standard deviations of the latents along a direction, to either side


def figures(name) -> Iterator[tuple[str, np.ndarray]]:
    """(name of a file, uint8 picture) of a shipped model."""
    generator = ganzoo.load_generator(name)
    path = editing.interpolate(generator, TOP, STEPS, path="loop")
    rows = path.images.reshape(len(TOP), STEPS, *path.images.shape[1:])
    yield "interpolation", editing.table(rows)
    if isinstance(generator, StyleGenerator):
        yield "mixing", editing.style_mix(generator, LEFT, TOP, GROUPS).picture()
        yield "truncation", editing.truncation_sweep(generator, LEFT, PSI).picture()
        yield "noise", editing.noise_ablation(generator, LEFT).picture()
    features = measure.CLASSIFIERS[read(ganzoo.hub.row_of(name)["recipe"]).dataset.name]
    classifier = measure.load_features(features)
    if classifier.attributes:
        yield "directions", directions(generator, classifier)


def directions(generator, classifier) -> np.ndarray:
    """A row for each attribute: one sample, moved along the attribute's direction."""
    rows = []
    for attribute in classifier.attributes:
        cut = editing.find_direction(generator, classifier.probabilities, attribute=attribute)
        print(f"{attribute}: the cut is right on {100 * cut.accuracy:.1f} % held out")
        points = editing.Space(generator, cut.space).points(generator.latents(1000))
        along = points.reshape(len(points), -1, len(cut.vector))[:, 0] @ cut.vector
        strengths = np.linspace(-REACH, REACH, STEPS) * along.std()
        rows.append(editing.edit(generator, LEFT[:1], cut, strengths).images[0])
    return editing.table(np.stack(rows))


def plot_of_runs(folder) -> None:
    """A curve for each run: what `fit` measured, the discriminator's loss without penalties, and
    ADA's probability; needs matplotlib.
    """
    from matplotlib.figure import Figure

    paths = [*folder.glob("log.csv"), *folder.glob("*/log.csv")]
    logs = {path.parent: list(csv.DictReader(path.open())) for path in paths}
    names = [name for name in next(iter(logs.values()))[0] if name.startswith(("fid", "coverage"))]
    names += ["discriminator/adversarial", "ada_p"]
    figure = Figure(figsize=(4 * len(names), 3), layout="constrained")
    for axes, name in zip(figure.subplots(1, len(names)), names):
        for run, rows in sorted(logs.items()):
            if name in rows[0]:
                axes.plot(_images(run, rows), [float(row[name]) for row in rows], label=run.name)
        axes.set_title(name)
        axes.set_xlabel("thousands of images seen")
        axes.set_ylim(bottom=0)
        axes.legend()
    figure.savefig(folder / "runs.png", dpi=100)


def _images(run, rows):
    """Thousands of images at the end of each epoch; steps are rounded up in an epoch, so that a run
    sees a little more than its recipe says.
    """
    seen = json.loads((run / "result.json").read_text(encoding="utf-8"))["images_seen"]
    return [(int(row["epoch"]) + 1) * seen / len(rows) / 1000 for row in rows]


def main() -> None:
    (name,) = sys.argv[1:]
    folder = ROOT / "docs" / "models" / name
    for runs in sorted({path.parent.parent for path in folder.glob("**/*/log.csv")}):
        plot_of_runs(runs)
    for file, picture in figures(name):
        path = folder / f"{file}.png"
        picture = editing.enlarge(picture[np.newaxis], SCALE)[0]
        callbacks.write_grid(path, picture[np.newaxis], columns=1)
        print(f"{path.name}: {picture.shape[1]} x {picture.shape[0]} pixels")


if __name__ == "__main__":
    main()
