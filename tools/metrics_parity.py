"""How far our metrics are from their reference implementations: prints the table of
docs/metrics.md, and writes it there.

    python tools/metrics_parity.py

Reads the recorded values in `$GANZOO_SHARED/parity/classics/10_*` (default ../shared) through the
tests that hold us to them; needs the extra `test`.
"""

import importlib.util
import os
import pathlib
import re
import sys
import types
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from ganzoo.checkpoints import reader
from ganzoo.convert import inception as fill_inception
from ganzoo.convert import lpips as fill_lpips
from ganzoo.metrics.inception import OUTPUTS, inception
from ganzoo.metrics.lpips import LPIPS
from ganzoo.metrics.resize import resize

ROOT = pathlib.Path(__file__).resolve().parent.parent
BEGIN, END = "<!-- parity: begin -->\n", "<!-- parity: end -->\n"
REFERENCES = {  # as the recorded names spell them
    "pytorchfid": "pytorch-fid",
    "torchfidelity": "torch-fidelity",
    "cleanfid": "clean-fid",
    "mimicry": "mimicry",
    "studiogan": "StudioGAN",
    "prdc": "prdc (clovaai)",
    "stylegan2ada": "stylegan2-ada-pytorch",
    "exact": "exact arithmetic",
    "mmd2": "Gretton et al., eq. 3",
}


class Row(NamedTuple):
    """One recorded value: `expected` and `ours` are numbers, or say how many were compared."""

    metric: str
    reference: str
    expected: str
    ours: str
    error: float
    limit: float


def shared() -> pathlib.Path:
    """The folder with the recorded values."""
    return pathlib.Path(os.environ.get("GANZOO_SHARED", ROOT.parent / "shared"))


def rows() -> list[Row]:
    """All rows, in the order of the table."""
    folder = shared() / "parity" / "classics"
    if not folder.is_dir():
        raise SystemExit(f"There are no recorded values in {folder}; GANZOO_SHARED names theirs.")
    return [*metrics(folder), *networks(folder), *distances(folder), *resizes(folder)]


def load(path) -> dict[str, np.ndarray]:
    """The arrays of a golden file."""
    with np.load(path / "golden.npz", allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def test_module(name) -> types.ModuleType:
    """A file of tests/metrics."""
    sys.path.insert(0, str(ROOT / "tests" / "support"))
    spec = importlib.util.spec_from_file_location(name, ROOT / "tests" / "metrics" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def reference_of(name) -> str:
    """Which implementation recorded an array."""
    flat = name.replace("_", "")
    return next((r for key, r in REFERENCES.items() if key in flat), REFERENCES["torchfidelity"])


def metrics(folder) -> Iterator[Row]:
    """FID, KID, IS, precision and recall, path lengths from recorded features."""
    module = test_module("test_metric_goldens")
    arrays = load(folder / "10_metrics")
    for name in sorted(arrays):
        if re.fullmatch(module.INPUTS, name):
            continue
        [(match, compute)] = [
            (match, compute)
            for pattern, compute in module.CASES
            if (match := re.fullmatch(pattern, name))
        ]
        values, _ = compute(arrays, *match.groups())
        ours = np.asarray(values[0], np.float64).ravel()
        expected = np.asarray(arrays[name], np.float64).ravel()
        errors, _ = module.errors(arrays, name)
        yield Row(name, reference_of(name), shown(expected), shown(ours), max(errors), 1e-4)


def networks(folder) -> Iterator[Row]:
    """FID's Inception from recorded weights and images, each output of each reference."""
    module, path = test_module("test_inception"), folder / "10_fid_inception"
    arrays = load(path)
    network = inception(tuple(OUTPUTS))
    fill_inception.fill(network, reader.read(path / "pt_inception-random.pth.xz"))
    for reference, (resizer, scale) in module.SCALES.items():
        worst = {}
        for image in ("img0", "img1", "img2", "img3"):
            outputs = network(scale(resize(arrays[image][None], 299, resizer)))
            for name, output in outputs.items():
                key = f"{image}/{reference}_{name}"
                if key in arrays:
                    error = module.error(output.numpy()[0], arrays[key])
                    worst.setdefault(name, []).append(error)
        for name, errors in worst.items():
            what = f"{len(errors)} x {OUTPUTS[name]} values"
            quantity = f"Inception {name}, resizer `{resizer}`"
            yield Row(quantity, REFERENCES[reference], what, what, max(errors), 1e-4)


def distances(folder) -> Iterator[Row]:
    """LPIPS from recorded backbones and images, the published heads."""
    module = test_module("test_lpips")
    for backbone, place in module.FOLDERS.items():
        path = folder / place
        arrays, network = load(path), LPIPS(backbone)
        weights = reader.read(path / f"{backbone}_features.pth.xz")
        fill_lpips.fill(network, weights, reader.read(path / f"lpips_{backbone}.pth"))
        ours = network(*(arrays[key].transpose(0, 2, 3, 1) for key in ("img0", "img1"))).numpy()
        expected = arrays[f"{backbone}/lpips"].ravel()
        error = np.abs(ours / expected - 1).max()
        name = f"LPIPS {backbone}"
        yield Row(name, "lpips", shown(expected), shown(ours), error, 1e-4)


def resizes(folder) -> Iterator[Row]:
    """The largest difference of a pixel, over 255."""
    module = test_module("test_resize")
    arrays = load(folder / "10_cleanfid_resize")
    worst = {}
    for key, expected in arrays.items():
        if key.startswith("img_"):
            continue
        pattern = r"(\d+x\d+)_(PIL|PyTorch)_(\w+)_(float|u8)_to_w(\d+)h(\d+)"
        size, library, name, kind, width, height = re.fullmatch(pattern, key).groups()
        shape = (int(height), int(width)) if library == "PIL" else (int(width), int(height))
        method = module.LIBRARIES[library].format(name) + ("-uint8" if kind == "u8" else "")
        ours = resize(arrays[f"img_{size}"][None], shape, method)[0].numpy()
        step = 3 if shape == (299, 299) else 1
        difference = np.abs(ours[::step, ::step].astype("f8") - expected.astype("f8"))
        worst.setdefault((method, library), []).append(difference.max() / 255)
    for (method, library), errors in sorted(worst.items()):
        what = f"{len(errors)} image{'s' * (len(errors) > 1)}"
        limit = 0.5 / 255
        yield Row(f"resizer `{method}`", f"clean-fid ({library})", what, what, max(errors), limit)


def shown(values) -> str:
    """Up to three numbers, or how many there are."""
    if len(values) > 3:
        return f"{len(values)} values"
    return ", ".join(f"{value:.7g}" for value in values)


def table(compared) -> str:
    """Markdown."""
    lines = [
        "| quantity | reference | its value | ours | relative error | allowed |",
        "|---|---|---|---|---|---|",
    ]
    for row in compared:
        cells = (row.metric, row.reference, row.expected, row.ours)
        lines.append(f"| {' | '.join(cells)} | {row.error:.0e} | {row.limit:.0e} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    compared = rows()
    text = table(compared)
    print(text)
    path = ROOT / "docs" / "metrics.md"
    before, rest = path.read_text("utf-8").split(BEGIN)
    path.write_text(before + BEGIN + text + END + rest.split(END)[1], "utf-8")
    bad = [row.metric for row in compared if not row.error <= row.limit]
    if bad:
        raise SystemExit(f"Beyond what is allowed: {bad}")


if __name__ == "__main__":
    main()
