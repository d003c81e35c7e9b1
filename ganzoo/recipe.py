"""Recipes: one paper's settings as a frozen dataclass, and what reads, checks and runs them.

A recipe file is Python and defines `recipe = Recipe(...)`; models and optimizers are zero-argument callables, so
reading one builds nothing and touches no data. `run` writes what was resolved to `recipe.json`.
"""

import dataclasses
import difflib
import importlib.util
import json
import math
import os
import pathlib
import platform
import runpy
import subprocess
import time
from collections.abc import Callable, Mapping

import keras
import numpy as np
import tensorflow as tf

from ganzoo import callbacks, hub
from ganzoo.data import Dataset, stream
from ganzoo.gan import GAN

DTYPES = ("float32", "mixed_bfloat16", "mixed_float16")
METADATA = "training_metadata.json"  # written by keras.callbacks.BackupAndRestore


class RecipeError(ValueError):
    """A recipe that cannot be read, is not valid, or differs from the one its folder was begun with."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
    """What one training is.

    Args:
        paper: str. Source of the settings: "arXiv:1511.06434, section 4".
        dataset: `ganzoo.data.Dataset`.
        model: () -> GAN.
        optimizers: () -> keyword arguments of `GAN.compile`. Defaults to the family's published ones.
        batch_size: int > 0, over all replicas.
        images: int > 0. Real images shown in all, the papers' unit (batch size times discriminator steps).
        epoch_images: int > 0. Images between two backups, log lines and sample grids. Defaults to 50,000.
        metrics: names of metrics to report.
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
                raise RecipeError(f"A recipe has no field {name!r}; {hint} Received: {name}={fields[name]!r}")
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
                raise RecipeError(f"`{name}` must be a callable without arguments, such as a lambda.")


def names() -> list[str]:
    """Names of the recipes that come with ganzoo."""
    return sorted(path.stem for folder in _folders() for path in folder.glob("[!_]*.py"))


def _folders():
    if importlib.util.find_spec("ganzoo.recipes") is None:  # a checkout that is not installed
        return [pathlib.Path(__file__).parent.parent / "recipes"]
    return [pathlib.Path(folder) for folder in importlib.import_module("ganzoo.recipes").__path__]


def read(source) -> Recipe:
    """The recipe of a name in `names()`, or of a path to a `.py` file that defines `recipe`.

    Raises: RecipeError: unknown name (with the nearest), no `recipe` in the file, or a field that is wrong.
    """
    path = pathlib.Path(source)
    if path.suffix != ".py":
        path = next((folder / f"{source}.py" for folder in _folders() if (folder / f"{source}.py").is_file()), path)
    if not path.is_file():
        near = difflib.get_close_matches(str(source), names(), n=3)
        raise RecipeError(f"There is no recipe {str(source)!r}; nearest {near}. `ganzoo recipes` lists all.")
    found = runpy.run_path(str(path))
    if not isinstance(found.get("recipe"), Recipe):
        raise RecipeError(f"{str(path)!r} must define `recipe = Recipe(...)`.")
    return found["recipe"]


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
    points = len(shape) == 2
    batch = {"image": state.randn(*shape).astype("float32") if points else state.randint(0, 256, shape, "uint8")}
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
    """(epochs, steps per epoch); the steps are rounded up to a multiple of every phase's interval."""
    steps = math.ceil(recipe.images / recipe.batch_size)
    epochs = max(1, round(recipe.images / recipe.epoch_images))
    multiple = math.lcm(*(phase.interval for phase in gan.phases()))
    return epochs, math.ceil(steps / epochs / multiple) * multiple


def run(recipe: Recipe, folder, *, name="", data_dir=None, tensorboard=False, verbose="auto") -> GAN:
    """Trains, or goes on with the training that `folder` holds.

    Writes: `recipe.json` (settings and environment), `log.csv` (one line an epoch), `samples/step_*.png`,
    `backup/` (what resuming needs), and at the end `config.json`, `model.safetensors` (see `hub.load`),
    `samples.png` and `result.json` (seconds, images, images per second).

    Args:
        folder: made if absent.
        name: what the recipe is called, for `recipe.json`.
        data_dir: where TFDS keeps its data. Defaults to TFDS' own default.
        tensorboard: bool. Also write TensorBoard logs to `tensorboard/`.
        verbose: as for `keras.Model.fit`.

    Raises: RecipeError: if `folder` holds a run with other settings (with the difference).
    """
    folder = pathlib.Path(folder)
    gan = build(recipe)
    epochs, steps = plan(recipe, gan)
    _claim(folder, settings(recipe, gan), name)
    done = _epochs_done(folder)
    data = stream(recipe.dataset, recipe.batch_size, seed=recipe.seed, start=done * steps, data_dir=data_dir)
    watch = callbacks.StopOnNaN()
    clock = time.perf_counter()
    if done < epochs:
        gan.fit(
            data, epochs=epochs, steps_per_epoch=steps, verbose=verbose,
            callbacks=[*_callbacks(folder, gan, tensorboard), watch],
        )
    else:
        gan.load_weights(folder / "backup" / "latest.weights.h5")
    if watch.found:
        raise RecipeError(f"Training became unstable: {watch.found} not finite; see {folder / 'log.csv'}")
    hub.save(gan, folder)
    samples = callbacks.samples_for_grid(gan, 100, 10, seed=0)
    callbacks.write_grid(folder / "samples.png", samples, columns=10 if len(samples) > 1 else 1)
    _finish(folder, gan, time.perf_counter() - clock)
    return gan


def _callbacks(folder, gan, tensorboard):
    board = folder / "tensorboard" if tensorboard else None
    extra = [keras.callbacks.TensorBoard(str(board), write_graph=False)] if tensorboard else []
    return [
        keras.callbacks.BackupAndRestore(str(folder / "backup"), delete_checkpoint=False),
        _Clock(folder / "seconds.json"),
        keras.callbacks.CSVLogger(str(folder / "log.csv"), append=True),
        callbacks.SampleGrid(folder / "samples", count=100, tensorboard=board),
        *extra,
    ]


class _Clock(keras.callbacks.Callback):
    """Adds up the wall and CPU seconds of the epochs, over resumed runs too."""

    def __init__(self, path):
        super().__init__()
        self.path = path

    def on_epoch_begin(self, epoch, logs=None):
        self.begun = time.perf_counter(), time.process_time()

    def on_epoch_end(self, epoch, logs=None):
        now = time.perf_counter(), time.process_time()
        total = _seconds(self.path)
        spent = [t + n - b for t, n, b in zip(total, now, self.begun)]
        self.path.write_text(json.dumps(spent))


def _seconds(path):
    return json.loads(path.read_text()) if path.is_file() else [0.0, 0.0]


def _epochs_done(folder):
    path = folder / "backup" / METADATA
    return json.loads(path.read_text())["epoch"] if path.is_file() else 0


def settings(recipe: Recipe, gan: GAN) -> dict:
    """Everything of a recipe that the result depends on, as JSON values."""
    serialize = keras.saving.serialize_keras_object
    description = hub.describe(gan)
    plain = {
        "paper": recipe.paper,
        "dataset": dataclasses.asdict(recipe.dataset),
        "family": description["family"],
        "config": description["config"],
        "optimizers": {
            "generator": serialize(gan.generator_optimizer),
            "discriminator": serialize(gan.discriminator_optimizer),
        },
        **{key: getattr(recipe, key) for key in ("batch_size", "images", "epoch_images", "dtype", "seed")},
        "deviations": list(recipe.deviations),
    }
    return json.loads(json.dumps(plain, default=_plain))


def _plain(value):
    return value.item() if isinstance(value, (np.generic, np.ndarray)) else str(value)


def _claim(folder, wanted, name):
    """Writes `recipe.json`, or compares with the one that is there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "recipe.json"
        if path.is_file():
            found = json.loads(path.read_text("utf-8"))["settings"]
            _refuse_change(folder, found, wanted)
            return
        record = {"recipe": name, "settings": wanted, "environment": environment()}
        path.write_text(json.dumps(record, indent=2) + "\n", "utf-8")
    except OSError as error:
        raise RecipeError(
            f"The output folder {str(folder)!r} cannot be written ({error.strerror}); give another with --out."
        ) from error


def _refuse_change(folder, found, wanted):
    old, new = _flat(found), _flat(wanted)
    changed = [key for key in sorted({*old, *new}) if old.get(key) != new.get(key)]
    if changed:
        lines = "\n".join(f"  {key}: {old.get(key)!r} there, {new.get(key)!r} now" for key in changed)
        raise RecipeError(
            f"{str(folder)!r} holds a run with other settings; choose another folder or restore them:\n{lines}"
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
        cwd=pathlib.Path(__file__).parent, capture_output=True, text=True, check=False,
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


def _finish(folder, gan, seconds):
    wall, cpu = _seconds(folder / "seconds.json")
    images = int(gan.images_seen.numpy())
    result = {
        "steps": int(gan.step.numpy()),
        "images_seen": images,
        "wall_seconds": round(wall, 1),
        "cpu_seconds": round(cpu, 1),
        "images_per_second": round(images / wall, 1) if wall else None,
    }
    (folder / "result.json").write_text(json.dumps(result, indent=2) + "\n", "utf-8")
