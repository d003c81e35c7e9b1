"""Model cards: what a reader must know of weights, of this package (`docs/models/<name>/`) and of
those that users publish.
"""

import json
import pathlib
import re
import shutil

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
WORDS = ("true", "false", "yes", "no", "on", "off", "null", "y", "n")  # what YAML reads otherwise


def card(name: str, row: dict, *, text: str, result: dict | None = None, address=None) -> str:
    """Markdown with YAML metadata.

    Args:
        row: of the manifest, or what is known in its form; `dataset`, `license`, `paper`, `origin`
            and `recipe` may be `None`.
        text: Markdown, what the model is and what it is not good for.
        result: what `record_of` reads of the run, or `None` for weights trained elsewhere.
        address: what `ganzoo.load` takes. Defaults to `name`.
    """
    lines = [
        *_metadata(name, row),
        f"# {name}",
        "",
        text.strip(),
        "",
        "```python",
        "import ganzoo",
        f"images = ganzoo.load({json.dumps(address or name)}).generate(16, seed=0)",
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
    lines = ["---", "library_name: ganzoo", f"pipeline_tag: {_task(row)}", *_license(row)]
    if row["dataset"]:
        lines.append(f"datasets: [{_yaml(_dataset(row))}]")
    lines.append(f"tags: [gan, keras, {_yaml(row['family'])}]")
    return [*lines, *_model_index(name, row), "---"]


def _task(row):
    return "unconditional-image-generation" if row["resolution"] else "other"


def _license(row):
    if not row["license"]:
        return []
    slug = _slug(row["license"])
    if slug in LICENSES:
        return [f"license: {slug}"]
    lines = ["license: other", f"license_name: {_yaml(slug)}"]
    return lines + ([f"license_link: {_yaml(row['license_url'])}"] if "license_url" in row else [])


def _dataset(row):
    return row["dataset"] if "/" in row["dataset"] else _slug(row["dataset"])


def _slug(text):
    return "-".join(text.lower().split())


def _model_index(name, row):
    """What was measured, each number with its command."""
    if not row["measured"]:
        return []
    lines = ["model-index:", f"- name: {_yaml(name)}", "  results:"]
    lines += ["  - task:", f"      type: {_task(row)}", "    dataset:"]
    known = row["dataset"] or "not stated"
    lines += [f"      name: {_yaml(known)}", f"      type: {_yaml(_slug(known))}", "    metrics:"]
    for metric, entry in row["measured"].items():
        lines += [f"    - type: {_yaml(metric)}", f"      value: {_number(entry['value'])}"]
        lines += ["      args:", f"        command: {_yaml(entry['command'])}"]
    return lines


def _yaml(text):
    """A string that YAML reads as such."""
    plain = re.fullmatch(r"[A-Za-z](?:[\w ./+-]*[\w/+])?", text, re.ASCII)
    return text if plain and text.lower() not in WORDS else json.dumps(text, ensure_ascii=False)


def _number(value):
    """YAML takes 1e-05 for a string."""
    text = str(value)
    return text if "." in text else text.replace("e", ".0e")


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
    named = {"recipe": record["recipe"], "dataset": record["settings"]["dataset"]["name"]}
    return {**json.loads((run / "result.json").read_text("utf-8")), **machine, **named}


def _measured(row):
    if not row["measured"]:
        return ["", "No metric was measured yet."]
    lines = ["", "| measured here | value | command |", "|---|---|---|"]
    return lines + [
        f"| {_cell(key)} | {m['value']} | `{_cell(m['command'])}` |"
        for key, m in row["measured"].items()
    ]


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
