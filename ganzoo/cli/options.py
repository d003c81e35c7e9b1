"""What the commands share: options, the words that they take, tables, bars and lines."""

import os
import pathlib
import sys

import click

from ganzoo.errors import EditingError, with_type
from ganzoo.fetch import progress


class Quantity(click.IntRange):
    """A whole number above zero."""

    def __init__(self):
        super().__init__(min=1)


SEED = click.IntRange(0, 2**32 - 1)

accept_license = click.option(
    "--accept-license", is_flag=True, help="Agree to a licence that forbids commercial use."
)
family_option = click.option("--family", help="A file of ganzoo/families, such as dcgan.")
seed_option = click.option("--seed", type=SEED, default=0, show_default=True)
data_dir_option = click.option("--data-dir", help="Where the data sets are. Default: TFDS' own.")


def seeds(text: str) -> list[int]:
    """`0,3,7-9` to [0, 3, 7, 8, 9].

    Raises: EditingError: for another text, or a range that runs backwards.
    """
    numbers = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise EditingError(f"Seeds are such as 0,3,7-9. Received: {text!r}")
        if int(last or first) < int(first):
            raise EditingError(f"{part.strip()!r} runs backwards. Received: {text!r}")
        numbers += range(int(first), int(last or first) + 1)
    return numbers


def bar(label: str, total: int | None = None, *, unit: str, elsewhere: str | None = None):
    """A progress bar on stderr, or the line `elsewhere` where none is shown."""
    if elsewhere is not None and not progress.shown():
        click.echo(elsewhere, err=True)
    return progress.bar(label, total, unit=unit)


def table(rows) -> None:
    """Prints columns of equal width, numbers with units to the right."""
    columns = []
    for column in zip(*rows):
        width = max(map(len, column))
        right = any(cell.endswith((" px", " MB")) for cell in column)
        columns.append([cell.rjust(width) if right else cell.ljust(width) for cell in column])
    for cells in zip(*columns):
        click.echo("  ".join(cells).rstrip())


def megabytes(sizes) -> str:
    """The sum of numbers of bytes, of which some may be unknown."""
    sizes = list(sizes)
    return "? MB" if None in sizes else f"{sum(sizes) / 1e6:.1f} MB"


def one_line(text: str) -> str:
    """The lines of a text as one, with semicolons between them."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return "; ".join(lines).replace(":; ", ": ")


def import_own(name: str) -> None:
    """Imports a module of the user's, a `.py` file or what `import` would find from here.

    Raises: ValueError: there is none, or it fails.
    """
    import importlib.util

    path = pathlib.Path(name)
    try:
        if path.suffix == ".py":
            spec = importlib.util.spec_from_file_location(path.stem, path)
            module = sys.modules[path.stem] = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
        else:
            sys.path.insert(0, os.getcwd())
            importlib.import_module(name)
    except Exception as error:
        raise ValueError(
            f"`--import` takes a .py file or the name of a module; this one cannot be imported "
            f"({with_type(error)}). Received: --import {name}"
        ) from error
