"""Writes the table of publishers in README.md's section "Sources" out of weights_manifest.json.

    python tools/sources.py
"""

import collections
import json
import pathlib

ROOT = pathlib.Path(__file__).resolve().parent.parent
BEGIN, END = "<!-- sources: begin -->\n", "<!-- sources: end -->\n"
ORGANISATIONS = ("huggan", "keras-io")  # publish one repository for each model
BY_CONVERTER = {  # where the file name says too little
    "progan_tf": "TensorFlow 1 pickle",
    "stackgan_tf": "TensorFlow checkpoint",
    "stylegan_tf": "TensorFlow 1 pickle",
    "stylegan2_tf": "TensorFlow 1 pickle",
    "torch_fidelity": "TorchScript",
}
FORMATS = {
    ".bin": "PyTorch",
    ".ckpt": "PyTorch",
    ".gz": "TF-Hub archive",
    ".h5": "Keras HDF5",
    ".index": "SavedModel",
    ".npy": "NumPy",
    ".pkl": "PyTorch pickle",
    ".pt": "PyTorch",
    ".pth": "PyTorch",
    ".safetensors": "safetensors",
    ".t7": "Torch7",
    ".tar": "PyTorch",
    ".zip": "PyTorch in a zip",
}


def sources_table(rows: dict) -> str:
    """Markdown, one line for each publisher, those with most models first.

    Args: rows: of the manifest.
    """
    groups = collections.defaultdict(list)
    for row in rows.values():
        groups[_publisher(row)].append(row)
    ordered = sorted(groups.items(), key=lambda item: (-len(item[1]), item[0].lower()))
    lines = [
        "| publisher | families | files | licence | models | load today |",
        "|---|---|---|---|---|---|",
    ]
    for publisher, members in ordered:
        families = ", ".join(f"`{family}`" for family in _distinct(r["family"] for r in members))
        formats = ", ".join(_distinct(_format(file) for r in members for file in r["files"]))
        licences = ", ".join(_distinct(_licence(row) for row in members))
        ready = sum(row["status"] == "available" for row in members)
        cells = (publisher, families, formats, licences, len(members), ready)
        lines.append(f"| {' | '.join(map(str, cells))} |")
    ready = sum(row["status"] == "available" for row in rows.values())
    lines.append(f"| **all** | | | | **{len(rows)}** | **{ready}** |")
    return "\n".join(lines) + "\n"


def with_table(text: str, table: str) -> str:
    """README's text with the table between its markers."""
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    return f"{before}{BEGIN}{table}{END}{after}"


def _publisher(row):
    origin = row["origin"].split(",")[0].split(" (")[0]
    organisation = origin.split("/")[0]
    return organisation if organisation in ORGANISATIONS else origin


def _distinct(values):
    return sorted({value for value in values if value})


def _format(file):
    mirror = file["mirrors"][0]
    name = mirror.get("filename") or next(
        mirror[key] for key in ("package", "path", "url") if key in mirror
    )
    if name.endswith("-00000-of-00001"):  # beside its .index
        return None
    return BY_CONVERTER.get(file["converter"]) or FORMATS[pathlib.PurePosixPath(name).suffix]


def _licence(row):
    name = row["license"].replace("unstated-for-weights", "unstated")
    return f"{name} (non-commercial)" if row["non_commercial"] else name


def main() -> None:
    rows = json.loads((ROOT / "weights_manifest.json").read_text("utf-8"))
    readme = ROOT / "README.md"
    readme.write_text(with_table(readme.read_text("utf-8"), sources_table(rows)), "utf-8")


if __name__ == "__main__":
    main()
