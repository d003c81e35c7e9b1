"""Recipes: one paper's settings as a frozen dataclass, and what reads, checks and runs them.

A recipe file is Python and defines `recipe = Recipe(...)`, and may define `variants`, recipes by
name; models and optimizers are zero-argument callables, so reading one builds nothing and touches
no data. `run` writes what was resolved to `recipe.json`.
"""

import dataclasses
import difflib
import importlib.util
import pathlib
import re
import runpy
import sys
import traceback
from collections.abc import Callable, Mapping

from ganzoo import resources
from ganzoo.data import DataSource
from ganzoo.errors import RecipeError, with_type
from ganzoo.gan import GAN
from ganzoo.training import build, check, environment, plan, run, settings

__all__ = [
    "Recipe",
    "RecipeError",
    "build",
    "check",
    "environment",
    "names",
    "override",
    "plan",
    "read",
    "run",
    "settings",
    "title",
]
DTYPES = ("float32", "mixed_bfloat16", "mixed_float16")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
    """What one training is.

    Args:
        paper: str. Source of the settings: "arXiv:1511.06434, section 4".
        dataset: `ganzoo.data.Dataset`, `Pairs`, `Unpaired` or another `ganzoo.data.DataSource`.
        model: () -> GAN.
        optimizers: () -> keyword arguments of `GAN.compile`. Defaults to the published ones.
        batch_size: int > 0, over all replicas.
        images: int > 0. Real images shown in all, the papers' unit (batch size times discriminator
            steps).
        epoch_images: int > 0. Images between two backups, log lines and sample grids. Defaults to
            50,000.
        metrics: names out of `ganzoo.metrics.evaluate.METRICS`, measured after every epoch; the
            best model by the first of them lies in `best/`.
        dtype: `"float32"`, `"mixed_bfloat16"` or `"mixed_float16"`.
        seed: int. Of the initial weights and the data order.
        published: what the paper reports, by metric. Never shown as measured here.
        deviations: where this differs from the paper, in words.

    Raises: ValueError: naming a misspelt field or a value out of range.
    """

    paper: str
    dataset: DataSource
    model: Callable[[], GAN]
    batch_size: int
    images: int
    optimizers: Callable[[], dict] = dict
    epoch_images: int = 50_000
    metrics: tuple[str, ...] = ()
    dtype: str = "float32"
    seed: int = 0
    published: Mapping[str, float] = dataclasses.field(default_factory=dict)
    deviations: tuple[str, ...] = ()

    def __new__(cls, **fields):
        known = [field.name for field in dataclasses.fields(cls)]
        for name in fields:
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"the fields are {known}"
                raise RecipeError(
                    f"A recipe has no field {name!r}; {hint} Received: {name}={fields[name]!r}"
                )
        return super().__new__(cls)

    def __post_init__(self):
        for name in ("batch_size", "images", "epoch_images"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise RecipeError(f"`{name}` must be an int > 0. Received: {name}={value!r}")
        if self.dtype not in DTYPES:
            raise RecipeError(f"`dtype` must be one of {DTYPES}. Received: dtype={self.dtype!r}")
        for name in ("model", "optimizers"):
            if not callable(getattr(self, name)):
                raise RecipeError(
                    f"`{name}` must be a callable without arguments, such as a lambda. "
                    f"Received: {name}={getattr(self, name)!r}"
                )
        if not isinstance(self.dataset, DataSource):
            raise RecipeError(
                "`dataset` needs the methods of `ganzoo.data.DataSource`; most often it must be a "
                f"`ganzoo.data.Dataset`. Received: dataset={self.dataset!r}"
            )


def names() -> list[str]:
    """Names of the recipes that come with ganzoo; variants as `file:variant`."""
    found = {}
    for folder in _folders():
        for path in folder.glob("[!_]*.py"):
            found[path.stem] = [f"{path.stem}:{variant}" for variant in _defined(path)[1]]
    return [name for stem in sorted(found) for name in (stem, *found[stem])]


def _folders():
    return [pathlib.Path(folder) for folder in _package().__path__]


def _package():
    """The package `ganzoo.recipes`, also in a checkout that is not installed."""
    try:
        return importlib.import_module("ganzoo.recipes")
    except ModuleNotFoundError:
        file = resources.RECIPES / "__init__.py"
        spec = importlib.util.spec_from_file_location(
            "ganzoo.recipes", file, submodule_search_locations=[str(file.parent)]
        )
        package = sys.modules["ganzoo.recipes"] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(package)
        return package


def _split(source):
    """(name or path, variant or "")."""
    match = re.fullmatch(r"(.{2,}):(\w+)", str(source))
    return (match[1], match[2]) if match else (str(source), "")


def title(source) -> str:
    """What to call a run of `read(source)`; fit for a folder."""
    base, variant = _split(source)
    return "-".join(filter(None, [pathlib.Path(base).stem, variant]))


def read(source) -> Recipe:
    """The recipe of a name in `names()`, or of a path to a `.py` file that defines `recipe`.

    Args: source: `"name"`, `"path.py"`; `"name:variant"`, `"path.py:variant"` for one in the file's
        `variants`.
    Raises: RecipeError: unknown name (with the nearest), no `recipe` in the file, a field that is
        wrong, or a file that fails (with the line).
    """
    base, variant = _split(source)
    path = pathlib.Path(base)
    if path.suffix != ".py":
        files = [folder / f"{base}.py" for folder in _folders()]
        path = next((file for file in files if file.is_file()), path)
    if not path.is_file() or path.suffix != ".py":
        near = difflib.get_close_matches(str(source), names(), n=3)
        raise RecipeError(
            f"There is no recipe {str(source)!r}; nearest {near}. `ganzoo recipes` lists all."
        )
    recipe, variants = _defined(path)
    if not variant:
        return recipe
    if variant not in variants:
        raise RecipeError(
            f"{base!r} has the variants {list(variants)}. Received: variant={variant!r}"
        )
    return variants[variant]


def _defined(path):
    """(`recipe`, `variants`) of a file."""
    _package()  # a recipe may import from its folder
    try:
        found = runpy.run_path(str(path))
    except RecipeError:
        raise
    except Exception as error:
        raise RecipeError(f"The recipe {_place(error, path)} fails: {with_type(error)}") from error
    recipe, variants = found.get("recipe"), found.get("variants", {})
    if not isinstance(recipe, Recipe):
        raise RecipeError(f"{str(path)!r} must define `recipe = Recipe(...)`.")
    if not all(isinstance(value, Recipe) for value in variants.values()):
        raise RecipeError(f"`variants` of {str(path)!r} must be recipes by name.")
    return recipe, variants


def _place(error, path):
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == str(path)]
    line = error.lineno if isinstance(error, SyntaxError) else lines[-1] if lines else None
    return f"'{path}', line {line}," if line else f"'{path}'"


def override(recipe: Recipe, **scalars) -> Recipe:
    """The recipe with other scalars (`images`, `batch_size`, `seed`); `None` keeps a value."""
    return dataclasses.replace(recipe, **{k: v for k, v in scalars.items() if v is not None})
