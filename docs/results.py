"""Measures the shipped models, and writes every table of what was measured.

    python docs/results.py --measure [NAME ...]   # records into ganzoo/records; default: all
    python docs/results.py   # README.md, docs/models, docs/classifiers and the manifest from them

Reference lines tell what the numbers mean: real training images against the same test images (as
good as it gets), and those blurred and with noise.
"""

import argparse
import dataclasses
import functools
import json
import pathlib

import numpy as np

from ganzoo import cards, data, hub, measure
from ganzoo.metrics import records
from ganzoo.metrics.evaluate import evaluate, limited

ROOT = pathlib.Path(__file__).resolve().parent.parent
BEGIN, END = "<!-- results: begin -->\n", "<!-- results: end -->\n"
MANIFEST = ROOT / "weights_manifest.json"
MIXTURES = "ring8", "grid16"
BLUR, NOISE = 1.0, 16.0  # pixels; of 255: standard deviations


# Reference lines


def blurred(images):
    """Gaussian of one pixel; zeros come in."""
    radius = 3
    weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / BLUR) ** 2)
    values = images.astype(np.float64)
    for axis in (1, 2):
        widths = [(0, 0)] * 4
        widths[axis] = (radius, radius)
        padded = np.pad(values, widths)
        values = sum(
            weight / weights.sum() * np.take(padded, range(k, k + images.shape[axis]), axis)
            for k, weight in enumerate(weights)
        )
    return np.rint(values).astype(np.uint8)


def noisy(images):
    """Gaussian noise of 16 of 255."""
    noise = NOISE * np.random.RandomState(len(images)).standard_normal(images.shape)
    return np.clip(np.rint(images + noise), 0, 255).astype(np.uint8)


ALTERED = {
    "real-fashion-mnist": lambda images: images,
    "real-fashion-mnist-blurred": blurred,
    "real-fashion-mnist-noisy": noisy,
}
SAID = {
    "real-fashion-mnist": "*training images themselves*",
    "real-fashion-mnist-blurred": f"*training images, blurred ({BLUR:g} px)*",
    "real-fashion-mnist-noisy": f"*training images, with noise ({NOISE:g} of 255)*",
}


def reference(name):
    """Records of real training images against the test images."""
    dataset = data.Dataset(name="fashion_mnist", label="label")
    test = dataclasses.replace(dataset, split="test")
    alter = ALTERED[name]
    training = ((alter(x), y) for x, y in limited(data.labelled_images(dataset), 10_000, "train"))
    names = [*measure.default_metrics(dataset, "fashion"), "intra-fid"]
    return evaluate(
        training,
        data.labelled_images(test),
        names,
        extractor=measure.load_features("fashion"),
        n_real=10_000,
        data="fashion_mnist",
        split="test",
        model=name,
        command=f"python docs/results.py --measure {name}",
    )


def measured_anew(name):
    """Records of a shipped model or a reference line, as `ganzoo evaluate` makes them."""
    if name in ALTERED:
        return reference(name)
    command = ["ganzoo", "evaluate", name]
    metrics = None
    if hub.row_of(name)["family"] == "cgan":
        metrics = [*measure.OF_IMAGES, *measure.OF_CLASSES, "intra-fid"]
        command += ["--metrics", ",".join(metrics)]
    return measure.measure(name, metrics=metrics, command=" ".join(command))


def shipped():
    """Names of the models in the package."""
    return [
        name
        for name, row in hub.manifest().items()
        if any("package" in mirror for file in row["files"] for mirror in file["mirrors"])
    ]


# Tables


@functools.cache
def kept(name):
    """{metric: record} of a shipped model or a reference line."""
    return {record.metric: record for record in records.of(name)}


def results_tables():
    """Markdown of all shipped models."""
    return "\n\n".join([fashion_table(), mixtures_table(), others_table()]) + "\n"


def fashion_table():
    """Models of Fashion-MNIST, the best first, below the reference lines."""
    names = [name for name in shipped() if name.endswith("-fashion-mnist")]
    ranking = [r.model for r in records.ranked(kept(name)["fid-fashion"] for name in names)]
    columns = list(dict.fromkeys(m for name in (*ALTERED, *ranking) for m in kept(name)))
    for column in columns:
        found = [kept(name)[column] for name in (*ALTERED, *ranking) if column in kept(name)]
        records.check_alike(found, varying=["ema"])  # reals have none
    better = {m: r.better for name in (*ALTERED, *ranking) for m, r in kept(name).items()}
    arrows = {"lower": "↓", "higher": "↑"}
    heads = [f"{m.removesuffix('-fashion')} {arrows[better[m]]}" for m in columns]
    one = kept(ranking[0])["fid-fashion"]
    lines = [
        f"Fashion-MNIST: {one.n_fake:,} samples against the {one.n_real:,} test images, features "
        f"of the [shipped classifier](docs/classifiers) (`fashion`, {one.network[:8]}), which "
        "compare with each other only; `ganzoo evaluate NAME`.",
        "",
        _row("", heads),
        _row("---", ["---:"] * len(columns)),
    ]
    for name in (*ALTERED, *ranking):
        cells = [_cell(kept(name).get(column)) for column in columns]
        lines.append(_row(SAID.get(name) or f"[{name}](docs/models/{name})", cells))
    return "\n".join(lines)


def mixtures_table():
    """One line for each loss."""
    losses = {
        name.removeprefix(f"gan-{kind}-"): None
        for kind in MIXTURES
        for name in shipped()
        if name.startswith(f"gan-{kind}-")
    }
    one = kept(f"gan-ring8-{next(iter(losses))}")["modes"]
    heads = [f"{kind} {what}" for kind in MIXTURES for what in ("modes", "high-quality", "KL")]
    lines = [
        "Mixtures of Gaussians: covered modes, share within three deviations, KL to an even "
        f"spread; {one.n_fake:,} points, the same small networks, one seed.",
        "",
        _row("loss", heads),
        _row("---", ["---:"] * len(heads)),
    ]
    for loss in sorted(losses):
        cells = []
        for kind in MIXTURES:
            found = kept(f"gan-{kind}-{loss}")
            cells += [
                f"{found['modes'].value:.0f} of {found['modes'].settings['possible']}",
                _cell(found["high-quality"]),
                _cell(found["mode-kl"]),
            ]
        lines.append(_row(f"`{loss}`", cells))
    return "\n".join(lines)


def others_table():
    """Models without known real data."""
    lines = [_row("model", ["metric", "value"]), _row("---", ["---", "---:"])]
    for name in shipped():
        if hub.row_of(name)["recipe"] is None:
            for metric, record in kept(name).items():
                lines.append(_row(f"[{name}](docs/models/{name})", [metric, _cell(record)]))
    return "\n".join(lines)


def _row(first, cells):
    return f"| {' | '.join([first, *cells])} |"


def _cell(record):
    return "" if record is None else records.shown(record.value)


def classifiers_card():
    """Markdown of the shipped feature networks, from what their trainings measured."""
    lines = [
        "# Shipped classifiers",
        "",
        "Feature networks of `ganzoo evaluate` that need no download. Their features are those of "
        "one data set: a distance in them compares generators of that data set, and says nothing "
        "of other images. Trained on the training split alone; weights in `ganzoo/weights`.",
    ]
    for path in sorted((ROOT / "docs" / "classifiers").glob("*/result.json")):
        found = json.loads(path.read_text("utf-8"))
        lines += [
            "",
            f"## {path.parent.name}",
            "",
            f"`{found['command']}`: {found['wall_seconds'] / 60:.0f} minutes, "
            f"{found['cpu_seconds'] / 60:.0f} CPU minutes. {found['parameters']:,} parameters, "
            f"{found['bytes']:,} bytes, sha256 `{found['sha256']}`.",
            "",
            f"Right on {found['test_images']:,} test images: "
            f"**{100 * found['test_accuracy']:.2f} %**.",
            "",
            _row("of", ["% right"]),
            _row("---", ["---:"]),
            *(_row(n, [f"{100 * v:.1f}"]) for n, v in found["test_accuracy_of"].items()),
        ]
    return "\n".join(lines) + "\n"


# Files


def between(text, begin, end, inside):
    """The text with another part between two marks."""
    before, rest = text.split(begin)
    return before + begin + inside + end + rest.split(end)[1]


def update_manifest():
    """`measured` of every shipped model from its records."""
    rows = json.loads(MANIFEST.read_text("utf-8"))
    for name in shipped():
        rows[name]["measured"] = {
            metric: {"value": record.value, "command": record.command}
            for metric, record in kept(name).items()
        }
    text = json.dumps(rows, indent=2, ensure_ascii=False) + "\n"
    MANIFEST.write_text(text, "utf-8")
    return rows


def update_cards(rows):
    """The cards of docs/models, with the same prose."""
    for name in shipped():
        home = ROOT / "docs" / "models" / name
        result = cards.record_of(home) if (home / "result.json").is_file() else None
        path = home / "README.md"
        prose = path.read_text("utf-8").split(f"\n# {name}\n")[1].split("\n```python")[0]
        path.write_text(cards.card(name, rows[name], text=prose, result=result), "utf-8")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--measure", nargs="*", metavar="NAME")
    given = parser.parse_args()
    if given.measure is not None:
        for name in given.measure or [*ALTERED, *shipped()]:
            found = measured_anew(name)
            records.save(records.PACKAGED / f"{name}.json", found)
            print(f"{name}\n{records.table(found)}", flush=True)
        return
    update_cards(update_manifest())
    (ROOT / "docs" / "classifiers" / "README.md").write_text(classifiers_card(), "utf-8")
    path = ROOT / "README.md"
    path.write_text(between(path.read_text("utf-8"), BEGIN, END, results_tables()), "utf-8")


if __name__ == "__main__":
    main()
