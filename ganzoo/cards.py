"""Model cards: what a reader must know of shipped weights, and the folder `docs/models/<name>/`
that holds it.
"""

import json
import pathlib
import shutil

KEPT = ("recipe.json", "log.csv", "result.json", "samples.png")  # of a run's folder


def card(name: str, row: dict, *, text: str, result: dict | None = None) -> str:
    """Markdown with YAML metadata.

    Args:
        row: of the manifest.
        text: Markdown, what the model is and what it is not good for.
        result: `result.json` of the run, or `None` for weights trained elsewhere.
    """
    held = ", ".join(row["holds"])
    lines = [
        "---",
        "library_name: ganzoo",
        f"pipeline_tag: {_task(row)}",
        f"license: {row['license'].lower()}",
        f"datasets: [{row['dataset'].lower().replace(' ', '-')}]",
        "---",
        f"# {name}",
        "",
        text.strip(),
        "",
        "```python",
        "import ganzoo",
        f'images = ganzoo.load("{name}").generate(16, seed=0)',
        "```",
        "",
        "![samples](samples.png)",
        "",
        "| | |",
        "|---|---|",
        f"| family | `{row['family']}` |",
        f"| paper | {row['paper']} |",
        f"| data set | {row['dataset']} |",
        f"| networks in the file | {held} ({row['files'][0]['dtype']}) |",
        f"| bytes | {row['files'][0]['bytes']:,} |",
        f"| sha256 | `{row['files'][0]['sha256']}` |",
        f"| licence | {row['license']} |",
        f"| origin | {row['origin']} |",
    ]
    if result is not None:
        lines += _trained(row, result)
    return "\n".join([*lines, *_measured(row)]) + "\n"


def _task(row):
    return "unconditional-image-generation" if row["resolution"] else "other"


def _trained(row, result):
    minutes, cpu = result["wall_seconds"] / 60, result["cpu_seconds"] / 60
    return [
        f"| trained with | `ganzoo train {row['recipe']}` (`recipe.json`, `log.csv`) |",
        f"| training | {result['steps']:,} steps, {result['images_seen']:,} real images |",
        f"| wall / CPU time | {minutes:.1f} / {cpu:.1f} minutes on two shared CPU cores |",
    ]


def _measured(row):
    if not row["measured"]:
        return ["", "No metric was measured yet."]
    lines = ["", "| measured here | value | command |", "|---|---|---|"]
    return lines + [
        f"| {key} | {m['value']} | `{m['command']}` |" for key, m in row["measured"].items()
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
        result = json.loads((run / "result.json").read_text("utf-8"))
    path = home / "README.md"
    path.write_text(card(name, row, text=text, result=result), "utf-8")
    return path
