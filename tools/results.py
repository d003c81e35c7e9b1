"""Measures the shipped models, and writes every table of what was measured.

    python tools/results.py --measure [NAME ...]   # records into ganzoo/records; default: all
    python tools/results.py   # README.md, docs/models, docs/classifiers and the manifest from them

Reference lines tell what the numbers mean: real training images against the same test images (as
good as it gets), and those blurred and with noise.
"""

import argparse
import dataclasses
import functools
import json
import pathlib
from collections.abc import Iterator

import numpy as np

from ganzoo import data, hub, measure, recipe
from ganzoo.generator import StyleGenerator
from ganzoo.hub import cards
from ganzoo.metrics import records
from ganzoo.metrics.evaluate import evaluate, limited

ROOT = pathlib.Path(__file__).resolve().parent.parent
BEGIN, END = "<!-- results: begin -->\n", "<!-- results: end -->\n"
MANIFEST = ROOT / "weights_manifest.json"
MIXTURES = "ring8", "grid16"
BLUR, NOISE = 1.0, 16.0  # pixels; of 255: standard deviations


# Reference lines


def blurred(images) -> np.ndarray:
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


def noisy(images) -> np.ndarray:
    """Gaussian noise of 16 of 255."""
    noise = NOISE * np.random.RandomState(len(images)).standard_normal(images.shape)
    return np.clip(np.rint(images + noise), 0, 255).astype(np.uint8)


SETS = {  # part of the models' names: (TFDS name, test images)
    "fashion-mnist": ("fashion_mnist", 10_000),
    "avatars-64": ("avatars/pixel_art_64", 2_000),
    "avatars-32": ("avatars/pixel_art_32", 2_000),
}
ALTERED = {"": lambda images: images, "-blurred": blurred, "-noisy": noisy}
SAID = {
    "": "*training images themselves*",
    "-blurred": f"*training images, blurred ({BLUR:g} px)*",
    "-noisy": f"*training images, with noise ({NOISE:g} of 255)*",
}
REFERENCES = {f"real-{of}{how}": (of, how) for of in SETS for how in ALTERED}


def reference(name) -> list[records.Record]:
    """Records of real training images against the test images."""
    of, how = REFERENCES[name]
    tfds_name, count = SETS[of]
    dataset = data.Dataset(name=tfds_name, label="label" if of == "fashion-mnist" else None)
    features = measure.CLASSIFIERS[tfds_name]
    names = [*measure.default_metrics(dataset, features)]
    if dataset.label is not None:
        names.append("intra-fid")
    stream = data.images if dataset.label is None else data.labelled_images
    test = stream(dataclasses.replace(dataset, split="test"))
    return evaluate(
        altered(limited(stream(dataset), 10_000, "train"), ALTERED[how]),
        test,
        names,
        extractor=measure.load_features(features),
        n_real=count,
        data=measure.describe(dataset),
        split="test",
        model=name,
        command=f"python tools/results.py --measure {name}",
    )


def altered(stream, alter) -> Iterator:
    """The stream of images, or of images and labels, with other images."""
    for batch in stream:
        yield (alter(batch[0]), batch[1]) if isinstance(batch, tuple) else alter(batch)


def measured_anew(name) -> list[records.Record]:
    """Records of a shipped model or a reference line, as `ganzoo evaluate` makes them."""
    if name in REFERENCES:
        return reference(name)
    command = ["ganzoo", "evaluate", name]
    metrics = None
    if hub.row_of(name)["family"] == "cgan":
        metrics = [*measure.OF_IMAGES, *measure.OF_CLASSES, "intra-fid"]
    elif "-avatars-" in name:
        metrics = [*measure.OF_IMAGES, *of_latents(name)]
    if metrics is not None:
        command += ["--metrics", ",".join(metrics)]
    return measure.measure(name, metrics=metrics, command=" ".join(command))


def of_latents(name) -> list[str]:
    """Metrics of the latent spaces, in the features of the avatars' classifier."""
    classifier = measure.CLASSIFIERS[hub_recipe(name).dataset.name]
    styled = isinstance(hub.load_generator(name), StyleGenerator)
    spaces = ["z", "w"] if styled else ["z"]
    paths = [f"{space}full" for space in spaces] + ["wend"] * styled
    return [
        *(f"linear-separability-{space}" for space in spaces),
        *(f"ppl-stylegan-{path}-{classifier}" for path in paths),
    ]


def hub_recipe(name) -> recipe.Recipe:
    """The recipe that made a shipped model."""
    return recipe.read(hub.row_of(name)["recipe"])


def shipped() -> list[str]:
    """Names of the models in the package."""
    return [
        name
        for name, row in hub.manifest().items()
        if any("package" in mirror for file in row["files"] for mirror in file["mirrors"])
    ]


# Tables


@functools.cache
def records_of(name) -> dict[str, records.Record]:
    """{metric: record} of a shipped model or a reference line."""
    return {record.metric: record for record in records.of(name)}


def results_tables() -> str:
    """Markdown of all shipped models."""
    sets = [of for of in TITLES if models_of(of)]
    tables = [images_table(of, TITLES[of]) for of in sets]
    return "\n\n".join([*tables, mixtures_table(), others_table()]) + "\n"


TITLES = {
    "fashion-mnist": "Fashion-MNIST",
    "avatars-64": "Avatars, 64 px",
    "avatars-32": "Avatars, 32 px",
}


def models_of(of) -> list[str]:
    """Names of the shipped models of a data set of `SETS`."""
    return [name for name in shipped() if f"-{of}-" in f"{name}-"]


def images_table(of, title) -> str:
    """Models of a data set, the best first, below the reference lines."""
    features = measure.CLASSIFIERS[SETS[of][0]]
    fid = f"fid-{features}"
    names = models_of(of)
    ranking = [r.model for r in records.ranked(records_of(name)[fid] for name in names)]
    references = [name for name, (its, _) in REFERENCES.items() if its == of]
    lines = [*references, *ranking]
    columns = list(dict.fromkeys(m for name in lines for m in records_of(name)))
    for column in columns:
        alike = [records_of(name)[column] for name in lines if column in records_of(name)]
        records.check_alike(alike, varying=["ema"])  # reals have none
    better = {m: r.better for name in lines for m, r in records_of(name).items()}
    arrows = {"lower": "↓", "higher": "↑"}
    heads = [f"{m.removesuffix(f'-{features}')} {arrows[better[m]]}" for m in columns]
    one = records_of(ranking[0])[fid]
    text = [
        f"{title}: {one.n_fake:,} samples against the {one.n_real:,} test images, features "
        f"of the [shipped classifier](docs/classifiers) (`{features}`, {one.network[:8]}), which "
        "compare with each other only; `ganzoo evaluate NAME`.",
        "",
        _row("", heads),
        _row("---", ["---:"] * len(columns)),
    ]
    for name in lines:
        cells = [_cell(records_of(name).get(column)) for column in columns]
        first = SAID[REFERENCES[name][1]] if name in REFERENCES else _link(name)
        text.append(_row(first, cells))
    return "\n".join(text)


def _link(name):
    return f"[{name}](docs/models/{name})"


def mixtures_table() -> str:
    """One line for each loss."""
    losses = {
        name.removeprefix(f"gan-{kind}-"): None
        for kind in MIXTURES
        for name in shipped()
        if name.startswith(f"gan-{kind}-")
    }
    one = records_of(f"gan-ring8-{next(iter(losses))}")["modes"]
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
            measured = records_of(f"gan-{kind}-{loss}")
            cells += [
                f"{measured['modes'].value:.0f} of {measured['modes'].settings['possible']}",
                _cell(measured["high-quality"]),
                _cell(measured["mode-kl"]),
            ]
        lines.append(_row(f"`{loss}`", cells))
    return "\n".join(lines)


def others_table() -> str:
    """Models without known real data."""
    lines = [_row("model", ["metric", "value"]), _row("---", ["---", "---:"])]
    for name in shipped():
        if hub.row_of(name)["recipe"] is None:
            for metric, record in records_of(name).items():
                lines.append(_row(_link(name), [metric, _cell(record)]))
    return "\n".join(lines)


def _row(first, cells):
    return f"| {' | '.join([first, *cells])} |"


def _cell(record):
    return "" if record is None else records.shown(record.value)


def classifiers_card() -> str:
    """Markdown of the shipped feature networks, from what their trainings measured."""
    lines = [
        "# Shipped classifiers",
        "",
        "Feature networks of `ganzoo evaluate` that need no download. Their features are those of "
        "one data set: a distance in them compares generators of that data set, and says nothing "
        "of other images. Trained on the training split alone; weights in `ganzoo/weights`.",
    ]
    for path in sorted((ROOT / "docs" / "classifiers").glob("*/result.json")):
        result = json.loads(path.read_text("utf-8"))
        lines += [
            "",
            f"## {path.parent.name}",
            "",
            f"`{result['command']}`: {result['wall_seconds'] / 60:.0f} minutes, "
            f"{result['cpu_seconds'] / 60:.0f} CPU minutes. {result['parameters']:,} parameters, "
            f"{result['bytes']:,} bytes, sha256 `{result['sha256']}`.",
            "",
            f"Right on {result['test_images']:,} test images: "
            f"**{100 * result['test_accuracy']:.2f} %**.",
            "",
            _row("of", ["% right"]),
            _row("---", ["---:"]),
            *(_row(n, [f"{100 * v:.1f}"]) for n, v in result["test_accuracy_of"].items()),
        ]
    return "\n".join(lines) + "\n"


# Files


def between(text, begin, end, inside) -> str:
    """The text with another part between two marks."""
    before, rest = text.split(begin)
    return before + begin + inside + end + rest.split(end)[1]


def update_manifest() -> dict:
    """`measured` of every shipped model from its records."""
    rows = json.loads(MANIFEST.read_text("utf-8"))
    for name in shipped():
        rows[name]["measured"] = {
            metric: {"value": record.value, "command": record.command}
            for metric, record in records_of(name).items()
        }
    text = json.dumps(rows, indent=2, ensure_ascii=False) + "\n"
    MANIFEST.write_text(text, "utf-8")
    return rows


def update_cards(rows) -> None:
    """The cards of docs/models, with the same prose."""
    for name in shipped():
        home = ROOT / "docs" / "models" / name
        result = cards.record_of(home) if (home / "result.json").is_file() else None
        path = home / "README.md"
        prose = path.read_text("utf-8").split(f"\n# {name}\n")[1].split("\n```python")[0]
        path.write_text(cards.card(name, rows[name], text=prose, result=result), "utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--measure", nargs="*", metavar="NAME")
    arguments = parser.parse_args()
    if arguments.measure is not None:
        for name in arguments.measure or [*REFERENCES, *shipped()]:
            measured = measured_anew(name)
            records.save(records.PACKAGED / f"{name}.json", measured)
            print(f"{name}\n{records.table(measured)}", flush=True)
        return
    update_cards(update_manifest())
    (ROOT / "docs" / "classifiers" / "README.md").write_text(classifiers_card(), "utf-8")
    path = ROOT / "README.md"
    path.write_text(between(path.read_text("utf-8"), BEGIN, END, results_tables()), "utf-8")


if __name__ == "__main__":
    main()
