"""Running a recipe: building, checking one step, training with what resuming needs.

`recipe` is a `ganzoo.recipe.Recipe` here, or anything with its fields.
"""

import contextlib
import json
import math
import os
import pathlib
import platform
import re
import signal
import subprocess
import threading
import time

import keras
import numpy as np
import tensorflow as tf

from ganzoo import callbacks, files, pictures, resources
from ganzoo.data import check_kind, stream
from ganzoo.errors import RecipeError, with_type
from ganzoo.gan import GAN
from ganzoo.hub import store

SCALARS = ("batch_size", "images", "epoch_images", "dtype", "seed")
BACKUP = "backup/latest.weights.h5"
MAX_CHANGES_SHOWN = 10
NUMBERED = re.compile(r"optimizers\..*\.name")  # by Keras, in the order of construction


def build(recipe) -> GAN:
    """The compiled model, with the recipe's seed and dtype policy."""
    before = keras.config.dtype_policy()
    keras.utils.set_random_seed(recipe.seed)
    keras.config.set_dtype_policy(recipe.dtype)
    try:
        gan = recipe.model()
        check_kind(recipe.dataset, gan.kinds)
        gan.compile(**recipe.optimizers())
    finally:
        keras.config.set_dtype_policy(before)
    return gan


def check(recipe) -> GAN:
    """Builds, compiles and trains on random data until every phase has run; no data set is touched.

    Raises: whatever is wrong with the recipe. Returns: the model.
    """
    gan = build(recipe)
    batch = gan.example_batch(min(recipe.batch_size, 8))
    steps = max(phase.interval for phase in gan.phases())  # each phase runs, whatever its offsets
    data = tf.data.Dataset.from_tensors(batch).repeat(steps)
    history = gan.fit(data, epochs=1, verbose=0).history
    bad = [key for key, value in history.items() if not np.isfinite(value[-1])]
    if bad:
        raise RecipeError(f"One step of the recipe gives losses that are not finite: {bad}")
    return gan


def plan(recipe, gan: GAN) -> tuple[int, int]:
    """(epochs, steps per epoch); steps are rounded up to a multiple of every phase's interval."""
    steps = math.ceil(recipe.images / recipe.batch_size)
    epochs = max(1, round(recipe.images / recipe.epoch_images))
    multiple = math.lcm(*(phase.interval for phase in gan.phases()))
    return epochs, math.ceil(steps / epochs / multiple) * multiple


def run(
    recipe, folder, *, name="", data_dir=None, tensorboard=False, verbose="auto"
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
    store.save(gan, folder)
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
    return [callbacks.watch(recipe.dataset, recipe.metrics, folder, data_dir=data_dir)]


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
        files.write_json(self.folder / "seconds.json", spent)
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
            f"The kept state '{path}' cannot be read ({with_type(error)}); delete it to begin "
            "anew, or choose another folder"
        ) from error


def _seconds(folder):
    with contextlib.suppress(OSError):
        return json.loads((folder / "seconds.json").read_text("utf-8"))
    return [0.0, 0.0]


def settings(recipe, gan: GAN) -> dict:
    """Everything of a recipe that the result depends on, as JSON values."""
    serialize = keras.saving.serialize_keras_object
    description = store.describe(gan)
    plain = {
        "paper": recipe.paper,
        "dataset": recipe.dataset.get_config(),
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
        files.write_json(path, record, indent=2)
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
            f"'{folder}/recipe.json' is damaged ({with_type(error)}); choose another folder"
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
    files.write_json(folder / "result.json", result, indent=2)
