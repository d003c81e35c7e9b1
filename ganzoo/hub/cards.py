"""Model cards: what a reader must know of weights, of this package (`docs/models/<name>/`) and of
those that users publish.
"""

import json
import pathlib
import re
import shutil

from ganzoo import families
from ganzoo.hub.store import generators_of

KEPT = ("recipe.json", "log.csv", "result.json", "samples.png")  # of a run's folder
# The Hub's identifiers; any other licence is "other" with its name.
LICENSES = frozenset(
    "afl-3.0 agpl-3.0 apache-2.0 artistic-2.0 bsd bsd-2-clause bsd-3-clause bsd-3-clause-clear "
    "bsl-1.0 cc cc-by-2.0 cc-by-2.5 cc-by-3.0 cc-by-4.0 cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0 "
    "cc-by-nc-nd-3.0 cc-by-nc-nd-4.0 cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0 cc-by-nd-4.0 "
    "cc-by-sa-3.0 cc-by-sa-4.0 cc0-1.0 cdla-permissive-1.0 cdla-permissive-2.0 cdla-sharing-1.0 "
    "creativeml-openrail-m ecl-2.0 epl-1.0 epl-2.0 eupl-1.1 eupl-1.2 gfdl gpl gpl-2.0 gpl-3.0 isc "
    "lgpl lgpl-2.1 lgpl-3.0 mit mpl-2.0 ms-pl ncsa odbl odc-by ofl-1.1 openrail osl-3.0 pddl "
    "postgresql unlicense wtfpl zlib".split()
)
# Data sets by their names without signs and capitals, and what the Hub calls them.
DATASETS = {
    "cifar10": "uoft-cs/cifar10",
    "cifar100": "uoft-cs/cifar100",
    "fashionmnist": "zalando-datasets/fashion_mnist",
    "mnist": "ylecun/mnist",
}
CONDITIONS = {"num_classes": "class-conditional", "num_attributes": "attribute-conditional"}


def card(name: str, row: dict, *, text: str, result: dict | None = None, address=None) -> str:
    """Markdown with YAML metadata.

    Args:
        row: of the manifest, or what is known in its form, also with the family's `task` and
            `example`; `dataset`, `license`, `paper`, `origin` and `recipe` may be `None`.
        text: Markdown, what the model is and what it is not good for.
        result: what `record_of` reads of the run, or `None` for weights trained elsewhere.
        address: what `ganzoo.load` takes. Defaults to `name`.
    """
    lines = [
        "---",
        _metadata(name, row),
        "---",
        f"# {name}",
        "",
        text.strip(),
        "",
        "```python",
        *_code(row, address or name),
        "```",
        "",
        "![samples](samples.png)",
        "",
        "| | |",
        "|---|---|",
        *(f"| {key} | {_cell(value)} |" for key, value in _facts(row).items() if value),
    ]
    if result is not None:
        lines += _trained(row, result)
    return "\n".join([*lines, *_measured(row)]) + "\n"


def _code(row, address):
    """The family's own line, for rows that have it."""
    load = f"ganzoo.load({json.dumps(address)})"
    if "example" not in row:
        return ["import ganzoo", f"images = {load}.generate(16, seed=0)"]
    note = "# First import the module that defines {}: it is no part of ganzoo."
    notes = [note.format(_class_name(row))] if families.is_own(row["family"]) else []
    return ["import ganzoo", *notes, f"model = {load}", row["example"]]


def _facts(row):
    (file,) = row["files"]
    return {
        "family": f"`{row['family']}`",
        "paper": row["paper"],
        "data set": row["dataset"] or "not stated",
        "networks in the file": f"{', '.join(row['holds'])} ({file['dtype']})",
        "bytes": f"{file['bytes']:,}",
        "sha256": f"`{file['sha256']}`",
        "licence": row["license"] or "not stated",
        "origin": row["origin"],
    }


def _cell(text):
    return " ".join(str(text).split()).replace("|", "\\|")


# --- metadata, as the Hugging Face Hub reads it


def _metadata(name, row):
    """YAML, as the Hub's own client writes it."""
    import huggingface_hub

    identifier = _identifier(row["dataset"])
    return huggingface_hub.ModelCardData(
        library_name="ganzoo",
        pipeline_tag=_task(row),
        **_license(row),
        datasets=[identifier] if identifier else None,
        tags=["gan", "keras", *_conditions(row), _class_name(row)],
        model_name=name if row["measured"] else None,
        eval_results=_eval_results(row) or None,
    ).to_yaml()


def _task(row):
    """The pipeline tag. The Hub has none for images of a class: it calls everything "other" that
    is none of its tasks.
    """
    if "task" in row:
        return row["task"]
    free = row["resolution"] and not _conditions(row)
    return "unconditional-image-generation" if free else "other"


def _conditions(row):
    """Tags that say what a network is told."""
    configs = [row["config"], *(network["config"] for network in generators_of(row).values())]
    return [tag for key, tag in CONDITIONS.items() if any(config.get(key) for config in configs)]


def _class_name(row):
    """The family; of somebody's own without its Keras package."""
    return row["family"].rpartition(">")[2]


def _license(row):
    if not row["license"]:
        return {}
    slug = "-".join(row["license"].lower().split())
    if slug in LICENSES:
        return {"license": slug}
    return {"license": "other", "license_name": slug, "license_link": row.get("license_url")}


def _identifier(dataset):
    """What the Hub calls a data set, or `None`: it refuses other names."""
    from huggingface_hub import errors, utils

    if not dataset:
        return None
    if dataset.count("/") != 1:
        return DATASETS.get("".join(filter(str.isalnum, dataset.lower())))
    try:
        utils.validate_repo_id(dataset)
    except errors.HFValidationError:
        return None
    return dataset


def _eval_results(row):
    """What was measured; the commands are in the text."""
    import huggingface_hub

    name = row["dataset"] or "not stated"
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "unnamed"
    return [
        huggingface_hub.EvalResult(
            task_type=_task(row),
            dataset_type=_identifier(row["dataset"]) or slug,
            dataset_name=name,
            metric_type=metric,
            metric_value=_plain(entry["value"]),
        )
        for metric, entry in row["measured"].items()
    ]


def _plain(number):
    """YAML writes NumPy's numbers as Python objects."""
    return int(number) if isinstance(number, int) else float(number)


# --- what was done with it


def _trained(row, result):
    minutes, cpu = result["wall_seconds"] / 60, result["cpu_seconds"] / 60
    recipe = f"`ganzoo train {row['recipe']}`" if row["recipe"] else "a recipe"
    return [
        f"| trained with | {recipe} (`recipe.json`, `log.csv`) |",
        f"| training | {result['steps']:,} steps, {result['images_seen']:,} real images |",
        f"| wall / CPU time | {minutes:.1f} / {cpu:.1f} minutes on {_machine(result)} |",
    ]


def _machine(result):
    others = sorted({device for device in result["devices"] if device != "CPU"})
    return f"{result['cpu_cores']} CPU cores" + "".join(f" and a {name}" for name in others)


def record_of(run) -> dict:
    """`result.json` of a run's folder, and from its `recipe.json` the recipe's name, the data set
    and the machine.
    """
    run = pathlib.Path(run)
    record = json.loads((run / "recipe.json").read_text("utf-8"))
    machine = {key: record["environment"][key] for key in ("cpu_cores", "devices")}
    named = {"recipe": record["recipe"], "dataset": _trained_on(record["settings"]["dataset"])}
    return {**json.loads((run / "result.json").read_text("utf-8")), **machine, **named}


def _trained_on(config):
    """A data set of a recipe in few words. A TFDS name with its configuration must not look like an
    identifier of the Hub, and the folders above the images are nobody's business.
    """
    if config.get("kind") == "unpaired":
        return f"{_trained_on(config['a'])} and {_trained_on(config['b'])}"
    if config.get("folder"):
        return f"folder {pathlib.Path(config['folder']).name}"
    name, _, configuration = config.get("name", config.get("kind", "unnamed")).partition("/")
    return f"{name} ({configuration})" if configuration else name


def _measured(row):
    """Each number to four digits, then each command once."""
    if not row["measured"]:
        return ["", "No metric was measured yet."]
    commands = {}
    for metric, entry in row["measured"].items():
        commands.setdefault(_cell(entry["command"]), []).append(_cell(metric))
    values = {_cell(metric): entry["value"] for metric, entry in row["measured"].items()}
    lines = ["", "| measured here | value |", "|---|---:|"]
    lines += [f"| {metric} | {shown(value)} |" for metric, value in values.items()]
    if len(commands) == 1:
        return [*lines, "", f"Measured with `{next(iter(commands))}`."]
    return [*lines, "", *(f"- `{line}`: {', '.join(its)}" for line, its in commands.items())]


def shown(value: float) -> str:
    """Four significant digits, whole numbers as such."""
    return f"{value:.0f}" if value == int(value) and abs(value) < 1e6 else f"{value:.4g}"


def write(folder, name, row, *, text, run=None) -> pathlib.Path:
    """Writes `<folder>/<name>/README.md` and copies the run's record beside it; returns the card's
    path.
    """
    home = pathlib.Path(folder) / name
    home.mkdir(parents=True, exist_ok=True)
    result = None
    if run is not None:
        run = pathlib.Path(run)
        for file in KEPT:
            shutil.copyfile(run / file, home / file)
        result = record_of(run)
    path = home / "README.md"
    path.write_text(card(name, row, text=text, result=result), "utf-8")
    return path
