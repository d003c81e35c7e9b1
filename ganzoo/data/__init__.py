"""Data sets as streams of batches: TFDS, folders of images, NumPy arrays, mixtures of Gaussians.

`Dataset`, `Mixture`, `Pairs` and `Unpaired` say what is read; each is a few plain values and has
the methods of `DataSource`, as a data set of your own may. The functions here take any of them.
"""

import importlib
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from ganzoo.data.configs import from_config
from ganzoo.data.dataset import Dataset
from ganzoo.data.mixtures import Mixture, grid, ring, score
from ganzoo.data.pairs import Pairs, Unpaired
from ganzoo.data.protocol import KINDS, DataSource, check_kind
from ganzoo.data.stored import StoredPictures
from ganzoo.data.streams import IN_MEMORY_BYTES, SHUFFLE_BUFFER, from_arrays
from ganzoo.errors import DatasetKindError, DatasetNotFoundError

__all__ = [
    "IN_MEMORY_BYTES",
    "KINDS",
    "SHUFFLE_BUFFER",
    "DataSource",
    "Dataset",
    "DatasetKindError",
    "DatasetNotFoundError",
    "Mixture",
    "Pairs",
    "Unpaired",
    "check_kind",
    "count",
    "from_arrays",
    "from_config",
    "grid",
    "images",
    "labelled_images",
    "ring",
    "score",
    "splits",
    "stream",
]


def stream(
    dataset, batch_size, *, seed=0, start=0, data_dir=None, epochs=None, shard=(0, 1)
) -> tf.data.Dataset:
    """Batches for training: shuffled, augmented, endless, and the same for the same seed.

    Batches run across the ends of epochs, so no example is lost; `start=n` gives what is left after
    n batches, at the cost of counting (for TFDS sets larger than `IN_MEMORY_BYTES`: of reading, but
    not decoding, one epoch's records up to there).

    Args:
        dataset: `Dataset`, `Mixture`, `Pairs`, `Unpaired` or another `DataSource`.
        batch_size: int > 0.
        seed: int. Of the order and of the augmentation. Defaults to 0.
        start: int >= 0. Batches to leave out, the step to resume from. Defaults to 0.
        data_dir: str or `None`. Where TFDS keeps its data; `None` is TFDS's own default. A set that
            is not prepared there is downloaded.
        epochs: int or `None`. End after so many epochs, without the incomplete last batch. Defaults
            to `None`, endless: give `fit` its `steps_per_epoch`.
        shard: (i, n). Only slice i of every batch, rows i B / n to (i + 1) B / n: n processes see
            together what one sees. `batch_size` is that of all. Defaults to (0, 1), all rows.
    Returns: `tf.data.Dataset` of dicts: `image` float32 [B, H, W, C] in [-1, 1], and `label` int32
        [B] (or float32 [B, K], see `Dataset.attributes`) if the data set names one. For mixtures
        `image` is float32 [B, 2], the points as they are, freshly drawn in every batch. `Pairs` and
        `Unpaired` have `a` and `b` instead of `image`.
    Raises:
        DatasetNotFoundError: the set is unknown, or neither here nor to be had.
        ValueError: the set lacks what `dataset` names, or a `batch_size` that n does not divide.
    Example:
        >>> batches = stream(Dataset(name="fashion_mnist", size=32, label="label"), 64)
    """
    return dataset.stream(
        batch_size, seed=seed, start=start, epochs=epochs, shard=shard, data_dir=data_dir
    )


def images(dataset, *, limit=None, data_dir=None, batch_size=64) -> Iterator[np.ndarray]:
    """The data set's images in stored order, for metrics and for looking at them.

    Args:
        dataset: as in `stream`, not a mixture. Of `Pairs` and `Unpaired` those of `b`; their
            method takes `side="a"`.
        limit: int or `None`. End after so many images, besides `dataset.limit`.
        data_dir: as in `stream`.
        batch_size: int > 0. The last batch may be smaller. Defaults to 64.
    Returns: iterator over uint8 arrays [B, H, W, C] in [0, 255], after crop, resize and channel
        conversion, not mirrored; a random crop becomes a centre crop.
    Raises: as `stream`.
    Example:
        >>> grid = next(images(Dataset(name="fashion_mnist"), batch_size=16))
    """
    return dataset.images(limit=limit, data_dir=data_dir, batch_size=batch_size)


def labelled_images(dataset, *, limit=None, data_dir=None, batch_size=64) -> Iterator[tuple]:
    """`images` with their labels: iterator over (uint8 [B, H, W, C], int32 [B] or float32 [B, K]).

    Args, Raises: as `images`; ValueError: `dataset` names neither `label` nor `attributes`.
    """
    return dataset.images(limit=limit, data_dir=data_dir, batch_size=batch_size, labels=True)


def count(dataset, *, data_dir=None) -> int:
    """Examples of the data set's split, at most `dataset.limit`; of `Unpaired` the longer side's.

    Raises: as `images`.
    """
    return dataset.count(data_dir=data_dir)


def splits(dataset, *, data_dir=None) -> list[str]:
    """Names of the splits of a TFDS data set, which is prepared if it is not; all others have none.

    Raises: DatasetNotFoundError: as `stream`.
    """
    return dataset.splits(data_dir=data_dir) if isinstance(dataset, StoredPictures) else []


def __getattr__(name):
    if name == "avatars":  # needs tensorflow_datasets, which is slow to import
        return importlib.import_module(f"{__name__}.avatars")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
