"""Callbacks that a GAN needs beside Keras' own: sample grids, metrics that choose the best model, a
stop at the first NaN.
"""

import dataclasses
import math
import pathlib

import keras
import numpy as np
import tensorflow as tf

from ganzoo import data
from ganzoo.data import Mixture
from ganzoo.metrics import records
from ganzoo.metrics.evaluate import (
    check_latents,
    checked_names,
    evaluate,
    evaluate_points,
    is_of,
    metric_of,
    needing,
    needs_of,
)
from ganzoo.metrics.latent_spaces import check_attributes
from ganzoo.metrics.protocol import (
    COUNT,
    describe,
    extractor_for,
    features_of,
    inputs_of,
    mixture_of,
    of_split,
    real_images,
    samples_of,
    split_of,
)
from ganzoo.metrics.streams import extract, limited
from ganzoo.pictures import (  # noqa: F401  (public names)
    grid,
    make_room,
    pictures,
    samples_for_grid,
    scatter,
    write_grid,
)


class SampleGrid(keras.callbacks.Callback):
    """Writes a grid of the same latents' samples as training goes on.

    Args:
        folder: where `step_00001000.png` and so on are written.
        every_steps: int > 0 or `None`. Besides the end of every epoch, a grid each so many steps.
        count: int > 0. Images in the grid. Defaults to 64.
        columns: int or `None`, see `grid`.
        seed: int, of the latents.
        tensorboard: folder of TensorBoard summaries, or `None`.

    Labels of a conditional model: row c shows class c, or samples with attribute c alone.
    """

    def __init__(
        self, folder, *, every_steps=None, count=64, columns=None, seed=0, tensorboard=None
    ):
        super().__init__()
        self.folder = pathlib.Path(folder)
        self.every_steps = every_steps
        self.count = count
        self.columns = columns or math.ceil(math.sqrt(count))
        self.seed = seed
        self.writer = None
        if tensorboard is not None:
            self.writer = tf.summary.create_file_writer(str(tensorboard))

    def on_train_batch_end(self, batch, logs=None):
        if self.every_steps and int(self.model.step.numpy()) % self.every_steps == 0:
            self.write()

    def on_epoch_end(self, epoch, logs=None):
        self.write()

    def write(self) -> pathlib.Path:
        """Writes the grid of this moment; returns its path."""
        step = int(self.model.step.numpy())
        images = samples_for_grid(self.model, self.count, self.columns, self.seed)
        if self.writer is not None:
            with self.writer.as_default():
                tf.summary.image("samples", grid(images, self.columns)[np.newaxis], step=step)
            self.writer.flush()
        return write_grid(self.folder / f"step_{step:08d}.png", images, columns=self.columns)


class StopOnNaN(keras.callbacks.Callback):
    """Ends training at the first loss that is not finite and says which.

    Keras' own reads only `loss`.

    Looks every `every_steps` steps, since each look waits for the step to finish. Defaults to 50.
    """

    def __init__(self, every_steps: int = 50):
        super().__init__()
        self.every_steps = every_steps
        self.found = None

    def on_train_batch_end(self, batch, logs=None):
        if batch % self.every_steps == 0:
            self._look(logs or {})

    def on_epoch_end(self, epoch, logs=None):
        self._look(logs or {})

    def _look(self, logs):
        bad = sorted(key for key, value in logs.items() if not np.all(np.isfinite(value)))
        if bad and not self.found:
            self.found = bad
            self.model.stop_training = True
            print(
                f"\nStopped at step {int(self.model.step.numpy())}: {bad} not finite. Lower the "
                "learning rate, or look at the last sample grids for when it began.",
                flush=True,
            )


class EvaluateEvery(keras.callbacks.Callback):
    """Measures samples as training goes on, and keeps the best model by a metric, not by a loss.

    The values join the logs as `<metric>` (put it before `CSVLogger`), every record lies in
    `folder/records.json`, and `folder/best` is the best model so far, as `ganzoo.load` reads it.
    A resumed training goes on with both.

    Args:
        real: uint8 [N, H, W, C], an iterable of such batches (or of (batch, labels)), which is read
            once, or a `ganzoo.data.Mixture` for a generator of points.
        names: metrics, see `ganzoo.metrics.evaluate`.
        folder: where records and the best model are written.
        extractor: `ganzoo.metrics.features.Extractor`; `None` for metrics of images and points. A
            classifier of attributes for separability.
        count: int > 0. Samples, also those that metrics of the generator draw. Defaults to 10,000.
        every_images: int > 0 or `None`. Real images of training between two measurements, which
            come at the end of an epoch; the first one has one. Defaults to `None`, every epoch.
        best: the metric that decides. Defaults to the first of `names`.
        seed: int. Of the latents, the same each time.
        given: function without arguments, or `None`. What the samples are made of, see
            `GAN.samples`: for a translator batches of images.
        options: see `evaluate`.
        **about: further fields of the records, such as `data` and `split`; `model` defaults to the
            folder's name.
    Raises: MetricError: an unknown metric, or one that needs what is not given; when training
        begins, also one of a space that the generator has not. MeasureError: as `evaluate`.
    """

    def __init__(
        self,
        real,
        names,
        folder,
        *,
        extractor=None,
        count=COUNT,
        every_images=None,
        best=None,
        seed=0,
        given=None,
        options=None,
        **about,
    ):
        super().__init__()
        self.names = checked_names(names)
        [self.deciding] = checked_names([best or self.names[0]])
        if self.deciding not in self.names:
            raise ValueError(
                f"`best` is one of the metrics {self.names}. Received: best={best!r}"
            )
        self.folder = pathlib.Path(folder)
        self.extractor, self.count, self.every_images = extractor, count, every_images
        self.seed, self.given, self.options, self.about = seed, given, options, about
        self._points = isinstance(real, Mixture)
        self._real = real if self._points else self._extracted(real)
        self._records, self._last, self._best = [], 0, None

    def _extracted(self, real):
        """What the metrics need of the real images, once for all measurements."""
        cuts = needing(self.names, "attributes")
        if cuts:
            check_attributes(cuts, self.extractor)
        both = [name for name in self.names if metric_of(name).of == "both"]
        if not both:
            return None
        return extract(real, self.extractor, needs_of(both, "real"))

    def on_train_begin(self, logs=None):
        """Goes on with what the folder holds of before this step."""
        of_generator = needing(self.names, "generator")
        if of_generator and not self._points:
            check_latents(of_generator, self.model.published, self.extractor)
        step, path = int(self.model.step.numpy()), self.folder / "records.json"
        before = [self._renewed(r) for r in records.load(path)] if path.is_file() else []
        self._records = [record for record in before if _step_of(record) <= step]
        self._last = int(self.model.images_seen.numpy())
        self._best = None
        for record in self._of_deciding():
            if records.is_better(record, self._best):
                self._best = record

    def _renewed(self, record):
        """A record of this run; older ones called a folder by its last name only."""
        if record.step is not None or record.data is None:
            return record
        return dataclasses.replace(record, data=self.about.get("data", record.data))

    def _of_deciding(self):
        """Records of the metric that decides, whatever the feature network."""
        return [record for record in self._records if is_of(record, self.deciding)]

    def on_epoch_end(self, epoch, logs=None):
        seen = int(self.model.images_seen.numpy())
        due = self.every_images is None or seen - self._last >= self.every_images
        if due or not self._records:
            self.measure()
            self._last = seen
        if logs is not None:
            logs.update({record.metric: record.value for record in self._records})

    def measure(self) -> list[records.Record]:
        """Measures at this moment, and keeps the model if it is the best so far."""
        generator = self.model.published
        given = None if self.given is None else self.given()
        stream = self.model.samples(self.count, seed=self.seed, given=given)
        about = {
            "model": self.folder.resolve().name,
            "step": int(self.model.step.numpy()),
            "ema": any(average is generator for average, _ in self.model.averaged()),
            "seed": self.seed,
            "labels": self.model.sample_labels,
            **self.about,
        }
        if self._points:
            measured = evaluate_points(stream, self._real, self.names, **about)
        else:
            about |= {"extractor": self.extractor, "options": self.options}
            about |= {"generator": generator, "n_fake": self.count}
            measured = evaluate(stream, self._real, self.names, **about)
        self._records += measured
        records.save(self.folder / "records.json", self._records)
        deciding = measured[self.names.index(self.deciding)]
        if records.is_better(deciding, self._best):
            self._best = deciding
            self._keep()
        return measured

    def _keep(self):
        from ganzoo.hub import store

        store.save(self.model, self.folder / "best")


def _step_of(record):
    """The step of a record; older files have it in the model's name, as "step 4000"."""
    return int(record.model.rpartition(" ")[2]) if record.step is None else record.step


def watch(dataset, names, folder, *, count: int = COUNT, data_dir=None, **options) -> EvaluateEvery:
    """A callback that measures a training like `ganzoo.measure.measure`, and keeps its best model.

    Args:
        dataset: what is trained on, see `ganzoo.data.DataSource`.
        names, folder: as in `EvaluateEvery`.
        count: int > 0. Samples and real images. Defaults to 10,000.
        **options: of `EvaluateEvery`.
    Returns: `EvaluateEvery`.
    Raises: as `measure`.
    """
    mixture = mixture_of(dataset)
    if mixture is not None:
        return EvaluateEvery(mixture, names, folder, count=count, **options)
    names = checked_names(names)
    dataset = of_split(dataset, None, data_dir)
    real = limited(
        real_images(dataset, data_dir, names),
        min(count, data.count(dataset, data_dir=data_dir)),
        "real",
    )
    about = {"extractor": extractor_for(names, features_of(dataset))}
    about |= {"count": samples_of(dataset, count, data_dir), **options}
    about |= {"data": describe(dataset), "split": split_of(dataset)}
    about |= {"given": inputs_of(dataset, data_dir)}
    return EvaluateEvery(real, names, folder, **about)
