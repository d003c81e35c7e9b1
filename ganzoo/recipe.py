"""Recipes: one paper's settings as a frozen dataclass, and what reads, checks and runs them.

A recipe file is Python and defines `recipe = Recipe(...)`, and may define `variants`, recipes by
name; models and optimizers are zero-argument callables, so reading one builds nothing and touches
no data. `run` writes what was resolved to `recipe.json`.
"""

import contextlib
import dataclasses
import difflib
import importlib.util
import json
import math
import os
import pathlib
import platform
import re
import runpy
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping

import keras
import numpy as np
import tensorflow as tf

from ganzoo import callbacks, pictures, publish, resources
from ganzoo.data import Dataset, stream
from ganzoo.errors import RecipeError
from ganzoo.gan import GAN

SCALARS = ("batch_size", "images", "epoch_images", "dtype", "seed")
DTYPES = ("float32", "mixed_bfloat16", "mixed_float16")
BACKUP = "backup/latest.weights.h5"
MAX_CHANGES_SHOWN = 10
NUMBERED = re.compile(r"optimizers\..*\.name")  # by Keras, in the order of construction


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
    """What one training is.

    Args:
        paper: str. Source of the settings: "arXiv:1511.06434, section 4".
        dataset: `ganzoo.data.Dataset`.
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
    dataset: Dataset
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
        if not isinstance(self.dataset, Dataset):
            raise RecipeError(
                f"`dataset` must be a `ganzoo.data.Dataset`. Received: dataset={self.dataset!r}"
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
        raise RecipeError(f"The recipe {_place(error, path)} fails: {_message(error)}") from error
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


def _message(error):
    return f"{type(error).__name__}: {error}"


def override(recipe: Recipe, **scalars) -> Recipe:
    """The recipe with other scalars (`images`, `batch_size`, `seed`); `None` keeps a value."""
    return dataclasses.replace(recipe, **{k: v for k, v in scalars.items() if v is not None})


def build(recipe: Recipe) -> GAN:
    """The compiled model, with the recipe's seed and dtype policy."""
    before = keras.config.dtype_policy()
    keras.utils.set_random_seed(recipe.seed)
    keras.config.set_dtype_policy(recipe.dtype)
    try:
        gan = recipe.model()
        gan.compile(**recipe.optimizers())
    finally:
        keras.config.set_dtype_policy(before)
    return gan


def check(recipe: Recipe) -> GAN:
    """Builds, compiles and trains one step of every phase on random data; no data set is touched.

    Raises: whatever is wrong with the recipe. Returns: the model.
    """
    gan = build(recipe)
    size = min(recipe.batch_size, 8)
    shape = [size, *(n or 64 for n in gan.discriminator.inputs[0].shape[1:])]
    state = np.random.RandomState(0)
    batch = {"image": state.randint(0, 256, shape, "uint8")}
    if len(shape) == 2:  # points
        batch["image"] = state.randn(*shape).astype("float32")
    if gan.generator.num_classes:
        batch["label"] = np.arange(size, dtype="int32") % gan.generator.num_classes
    if gan.generator.num_attributes:
        batch["label"] = state.rand(size, gan.generator.num_attributes).astype("float32")
    steps = min(max(phase.interval for phase in gan.phases()), 16)
    data = tf.data.Dataset.from_tensors(batch).repeat(steps)
    history = gan.fit(data, epochs=1, verbose=0).history
    bad = [key for key, value in history.items() if not np.isfinite(value[-1])]
    if bad:
        raise RecipeError(f"One step of the recipe gives losses that are not finite: {bad}")
    return gan


# --- running


def plan(recipe: Recipe, gan: GAN) -> tuple[int, int]:
    """(epochs, steps per epoch); steps are rounded up to a multiple of every phase's interval."""
    steps = math.ceil(recipe.images / recipe.batch_size)
    epochs = max(1, round(recipe.images / recipe.epoch_images))
    multiple = math.lcm(*(phase.interval for phase in gan.phases()))
    return epochs, math.ceil(steps / epochs / multiple) * multiple


def run(
    recipe: Recipe, folder, *, name="", data_dir=None, tensorboard=False, verbose="auto"
) -> GAN:
    """Trains, or goes on with the training that `folder` holds.

    The state is kept at the end of every epoch and when Ctrl-C stops the training, which it does
    at the end of the step; going on gives what an unbroken run would have given.

    Writes: `recipe.json` (settings and environment), `log.csv` (one line an epoch),
    `samples/step_*.png`, `backup/` (what resuming needs), and at the end `config.json`,
    `model.safetensors` (see `hub.load`), `samples.png` and `result.json` (seconds, images).

    Args:
        folder: made if absent.
        name: what the recipe is called, for `recipe.json`.
        data_dir: where TFDS keeps its data. Defaults to TFDS' own default.
        tensorboard: bool. Also write TensorBoard logs to `tensorboard/`.
        verbose: as for `keras.Model.fit`.

    Raises: RecipeError: if `folder` holds a run with other settings (with the difference).
        KeyboardInterrupt: after Ctrl-C, with the state kept.
    """
    folder = pathlib.Path(folder)
    gan = build(recipe)
    _claim(folder, settings(recipe, gan), name)
    _restore(gan, folder / BACKUP)
    _fit(recipe, gan, folder, data_dir, tensorboard=tensorboard, verbose=verbose)
    publish.save(gan, folder)
    samples = pictures.samples_for_grid(gan, 100, 10, seed=0)
    pictures.write_grid(folder / "samples.png", samples, columns=10)
    _finish(folder, gan)
    return gan


def _fit(recipe, gan, folder, data_dir, *, tensorboard, verbose):
    """Trains from the step that the model is at to the end of the plan."""
    epochs, steps = plan(recipe, gan)
    measured = _measured(recipe, folder, data_dir)
    while (step := int(gan.step.numpy())) < epochs * steps:
        epoch, within = divmod(step, steps)  # after Ctrl-C the first epoch is a part of one
        data = stream(
            recipe.dataset, recipe.batch_size, seed=recipe.seed, start=step, data_dir=data_dir
        )
        watch = callbacks.StopOnNaN()
        with _Keeper(folder) as keeper:
            gan.fit(
                data,
                initial_epoch=epoch,
                epochs=epoch + 1 if within else epochs,
                steps_per_epoch=steps - within,
                verbose=verbose,
                callbacks=[watch, *measured, *_callbacks(folder, tensorboard), keeper],
            )
        if watch.found:
            raise RecipeError(
                f"Training became unstable: {watch.found} not finite; see '{folder}/log.csv'"
            )


def _measured(recipe, folder, data_dir):
    """What measures the recipe's metrics after every epoch, on as many images as `measure`."""
    if not recipe.metrics:
        return []
    from ganzoo import measure

    return [measure.watch(recipe.dataset, recipe.metrics, folder, data_dir=data_dir)]


def _callbacks(folder, tensorboard):
    board = folder / "tensorboard" if tensorboard else None
    extra = [keras.callbacks.TensorBoard(str(board), write_graph=False)] if tensorboard else []
    return [
        keras.callbacks.CSVLogger(str(folder / "log.csv"), append=True),
        callbacks.SampleGrid(folder / "samples", count=100, tensorboard=board),
        *extra,
    ]


class _Keeper(keras.callbacks.Callback):
    """Keeps what resuming needs, at the end of every epoch and at Ctrl-C; the context of a `fit`.

    One file holds weights, optimizers and the step, written aside and renamed: a run that is killed
    at any moment leaves the state before or the state after. (Keras' BackupAndRestore writes two
    files in place, and whole epochs only.) Adds up wall and CPU seconds over resumed runs.
    """

    def __init__(self, folder):
        super().__init__()
        self.folder = folder
        self.interrupted = False
        self.before = None

    def __enter__(self):
        self.mark = time.perf_counter(), time.process_time()
        if threading.current_thread() is threading.main_thread():
            self.before = signal.getsignal(signal.SIGINT)
            if self.before is signal.default_int_handler:
                signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(self, *_):
        if self.before is signal.default_int_handler:
            signal.signal(signal.SIGINT, self.before)

    def _note(self, *_):
        self.interrupted = True
        signal.signal(signal.SIGINT, signal.default_int_handler)  # the second one stops at once

    def on_train_batch_begin(self, batch, logs=None):
        if self.interrupted:
            self.keep()
            raise KeyboardInterrupt

    def on_epoch_end(self, epoch, logs=None):
        if self.model.stop_training:  # unstable: the last state is worth more
            return
        self.keep()
        if self.interrupted:
            raise KeyboardInterrupt

    def keep(self):
        now = time.perf_counter(), time.process_time()
        spent = [t + n - m for t, n, m in zip(_seconds(self.folder), now, self.mark)]
        self.mark = now
        _write(self.folder / "seconds.json", json.dumps(spent))
        path = self.folder / BACKUP
        path.parent.mkdir(exist_ok=True)
        self.model.save_weights(path.with_name("next.weights.h5"), overwrite=True)
        os.replace(path.with_name("next.weights.h5"), path)


def _restore(gan, path):
    if not path.is_file():
        return
    try:
        gan.load_weights(path)
    except (OSError, ValueError, KeyError) as error:
        raise RecipeError(
            f"The kept state '{path}' cannot be read ({_message(error)}); delete it to begin anew, "
            "or choose another folder"
        ) from error


def _write(path, text):
    """Never leaves half a file."""
    aside = path.with_name(f"{path.name}.new")
    aside.write_text(text, "utf-8")
    os.replace(aside, path)


def _seconds(folder):
    with contextlib.suppress(OSError):
        return json.loads((folder / "seconds.json").read_text("utf-8"))
    return [0.0, 0.0]


def settings(recipe: Recipe, gan: GAN) -> dict:
    """Everything of a recipe that the result depends on, as JSON values."""
    serialize = keras.saving.serialize_keras_object
    description = publish.describe(gan)
    plain = {
        "paper": recipe.paper,
        "dataset": dataclasses.asdict(recipe.dataset),
        "family": description["family"],
        "config": description["config"],
        "optimizers": {
            "generator": serialize(gan.generator_optimizer),
            "discriminator": serialize(gan.discriminator_optimizer),
        },
        **{key: getattr(recipe, key) for key in SCALARS},
        "deviations": list(recipe.deviations),
    }
    return json.loads(json.dumps(plain, default=_plain))


def _plain(value):
    return value.item() if isinstance(value, (np.generic, np.ndarray)) else str(value)


def _claim(folder, wanted, name):
    """Writes `recipe.json`, or compares with the one of a run that was kept."""
    path = folder / "recipe.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if path.is_file() and (folder / BACKUP).is_file():
            _refuse_change(folder, path.read_text("utf-8"), wanted)
            return
        record = {"recipe": name, "settings": wanted, "environment": environment()}
        _write(path, json.dumps(record, indent=2) + "\n")
    except OSError as error:
        raise RecipeError(
            f"The output folder {str(folder)!r} cannot be written ({error.strerror}); give another "
            "with --out."
        ) from error


def _refuse_change(folder, text, wanted):
    try:
        found = json.loads(text)["settings"]
    except (ValueError, KeyError, TypeError) as error:
        raise RecipeError(
            f"'{folder}/recipe.json' is damaged ({_message(error)}); choose another folder"
        ) from error
    old, new = _flat(found), _flat(wanted)
    changed = [key for key in sorted({*old, *new}) if old.get(key) != new.get(key)]
    changed = [key for key in changed if not NUMBERED.fullmatch(key)]
    lines = [f"{key}: {old.get(key)!r} there, {new.get(key)!r} now" for key in changed]
    if len(lines) > MAX_CHANGES_SHOWN:
        lines[MAX_CHANGES_SHOWN:] = [f"and {len(lines) - MAX_CHANGES_SHOWN} more"]
    if lines:
        raise RecipeError(
            f"{str(folder)!r} holds a run with other settings; choose another folder or restore "
            "them:\n  " + "\n  ".join(lines)
        )


def _flat(tree, prefix=""):
    if isinstance(tree, list):
        tree = dict(enumerate(tree))
    if not isinstance(tree, dict) or not tree:
        return {prefix: tree}
    flat = {}
    for key, value in tree.items():
        flat.update(_flat(value, f"{prefix}.{key}" if prefix else str(key)))
    return flat


def environment() -> dict:
    """Versions, commit and device, for the record."""
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        cwd=resources.PACKAGE, capture_output=True, text=True, check=False,
    )
    return {
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "commit": commit.stdout.strip() or None,
        "devices": [device.device_type for device in tf.config.list_physical_devices()],
        "cpu_cores": os.cpu_count(),
    }


def _finish(folder, gan):
    wall, cpu = _seconds(folder)
    images = int(gan.images_seen.numpy())
    result = {
        "steps": int(gan.step.numpy()),
        "images_seen": images,
        "wall_seconds": round(wall, 1),
        "cpu_seconds": round(cpu, 1),
        "images_per_second": round(images / wall, 1) if wall else None,
    }
    (folder / "result.json").write_text(json.dumps(result, indent=2) + "\n", "utf-8")
