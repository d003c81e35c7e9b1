"""How far our networks are from the official ones: prints the table of docs/parity.md, and writes
it there.

    python tools/parity.py

Loads the official files in `$GANZOO_SHARED/parity/stylegan` (default ../shared) and compares with
what the official code made of them, through the tests that hold us to it; needs the extra `test`.
"""

import importlib.util
import os
import pathlib
import sys
from collections.abc import Iterator

ROOT = pathlib.Path(__file__).resolve().parent.parent
BEGIN, END = "<!-- parity: begin -->\n", "<!-- parity: end -->\n"
FAMILIES = ("progan", "stylegan", "stylegan2", "stylegan3")
GROWING = FAMILIES[:2]


def shared() -> pathlib.Path:
    """The folder with the official files."""
    return pathlib.Path(os.environ.get("GANZOO_SHARED", ROOT.parent / "shared"))


def rows() -> Iterator[tuple[str, str, str, float]]:
    """(family, case, quantity, error) of every recorded output."""
    folder = shared() / "parity" / "stylegan"
    if not folder.is_dir():
        raise SystemExit(f"There are no official files in {folder}; GANZOO_SHARED names theirs.")
    sys.path.insert(0, str(ROOT / "tests" / "support"))
    import growing_parity

    for family in FAMILIES:
        path = ROOT / "tests" / "families" / f"test_{family}.py"
        spec = importlib.util.spec_from_file_location(f"parity_of_{family}", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        parity = growing_parity.parity if family in GROWING else module.parity
        for case in module.CASES:
            for quantity, error in sorted(parity(folder / case)):
                yield family, case, quantity, error


def limit(quantity) -> float:
    """What the README of the official files allows."""
    return 5e-5 if quantity.split()[-1].startswith(("img", "train_img")) else 1e-5


def table(compared) -> str:
    """Markdown."""
    lines = [
        "| family | case | quantity | max error | allowed |",
        "|---|---|---|---|---|",
        *(
            f"| `{family}` | {case} | {quantity} | {error:.0e} | {limit(quantity):.0e} |"
            for family, case, quantity, error in compared
        ),
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    compared = list(rows())
    text = table(compared)
    print(text)
    path = ROOT / "docs" / "parity.md"
    before, rest = path.read_text("utf-8").split(BEGIN)
    path.write_text(before + BEGIN + text + END + rest.split(END)[1], "utf-8")
    bad = [row for row in compared if not row[3] <= limit(row[2])]
    if bad:
        raise SystemExit(f"Beyond what is allowed: {bad}")


if __name__ == "__main__":
    main()
