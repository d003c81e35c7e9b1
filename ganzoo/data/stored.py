"""What `Dataset` and `Pairs` do alike: pictures that lie on disk, opened, streamed and counted."""

import pathlib
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from ganzoo.data import folders, tfds
from ganzoo.data.examples import centre, is_count, pair
from ganzoo.data.streams import Augment, OnDisk, batches_of, check_stream


class StoredPictures:
    """Base of data sets with the fields `name`, `folder`, `split`, `size`, `crop` and so on."""

    def pictures(self) -> dict[str, str]:
        """By key of a batch: which feature of a record, or part of a file, the picture is."""
        raise NotImplementedError

    def stream(
        self, batch_size, *, seed=0, start=0, epochs=None, shard=(0, 1), data_dir=None
    ) -> tf.data.Dataset:
        """See `ganzoo.data.stream`."""
        check_stream(batch_size, seed, start, epochs, shard)
        source = self._open(data_dir).in_memory_if_small()
        window = None if self.random_crop is None else pair(self.random_crop)
        augment = Augment(keys=tuple(self.pictures()), flip=self.flip, window=window)
        return batches_of(
            source, augment, batch_size, seed=seed, start=start, epochs=epochs, shard=shard
        )

    def count(self, *, data_dir=None) -> int:
        """See `ganzoo.data.count`."""
        return self._checked_source(None, data_dir, 1).count

    def splits(self, *, data_dir=None) -> list[str]:
        """See `ganzoo.data.splits`."""
        if self.name == "folder":
            return []
        self._open(data_dir)
        return sorted(tfds.find_builder(self.name, data_dir).info.splits)

    def describe(self) -> str:
        """Name, or full path of the folder, and what is done to its pictures, for a record:
        `celeb_a crop=108 size=64`.
        """
        fields = ("crop", "size", "random_crop", "channels", "limit")
        words = [f"{k}={getattr(self, k)}" for k in fields if getattr(self, k) is not None]
        if self.size is not None and self.resize_method != "bilinear":
            words.append(self.resize_method)
        return " ".join([self._place(), *words])

    def _place(self) -> str:
        if self.name != "folder":
            return self.name
        return str(pathlib.Path(self.folder).expanduser().resolve())

    def _check_labelled(self):
        if self.label is None and not self.attributes:
            raise ValueError(
                "Labels are those of a feature; give the data set `label=` or `attributes=`. "
                f"Received: name={self.name!r}, label=None"
            )

    def _checked_source(self, limit, data_dir, batch_size) -> OnDisk:
        check_stream(batch_size, 0, 0, None)
        if limit is not None and not is_count(limit):
            raise ValueError(f"`limit` is an int > 0 or None. Received: limit={limit!r}")
        return self._open(data_dir)

    def _examples(self, source, limit, batch_size) -> Iterator[dict[str, np.ndarray]]:
        """Batches in stored order; of a random crop the centre."""
        for batch in source.decoded(batch_size, limit=limit):
            if self.random_crop is not None:
                for key, shape in source.shapes.items():
                    rows, columns = map(centre, shape[:2], pair(self.random_crop))
                    batch[key] = batch[key][:, rows, columns]
            yield batch

    def _open(self, data_dir) -> OnDisk:
        if self.name == "folder":
            source = folders.open_folder(self, self.pictures())
        else:
            source = tfds.open_tfds(self, self.pictures(), data_dir)
        if source.count < 1:
            raise ValueError(f"The data set holds no examples. Received: {self!r}")
        sizes = {key: shape[:2] for key, shape in source.shapes.items()}
        size, *others = sizes.values()
        if any(other != size for other in others):
            raise ValueError(
                f"The pictures of a pair are of one size; give `size`. Stored: {sizes}. "
                f"Received: size={self.size!r}"
            )
        if self.random_crop is not None and np.greater(pair(self.random_crop), size).any():
            raise ValueError(
                f"`random_crop` is at most the size {size}; give a larger `size`."
                f" Received: random_crop={self.random_crop!r}"
            )
        return source


def place_faults(dataset) -> list[str]:
    """What is wrong with `name` and `folder`."""
    faults = []
    if dataset.name == "folder" and not dataset.folder:
        faults.append("a data set needs name='<TFDS name>' or folder='<path>'. Received neither")
    if dataset.name != "folder" and dataset.folder is not None:
        faults.append(
            "name and folder exclude each other; leave one out. "
            f"Received: name={dataset.name!r}, folder={dataset.folder!r}"
        )
    return faults


def lists_to_tuples(dataset, *fields) -> None:
    """Of a frozen data set that comes out of JSON."""
    for field in fields:
        if isinstance(getattr(dataset, field), list):
            object.__setattr__(dataset, field, tuple(getattr(dataset, field)))
