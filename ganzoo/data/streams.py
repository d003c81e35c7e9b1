"""Streams: order, augmentation and batches of examples that lie in memory or on disk.

A stream is a function of (data set, batch size, seed) and nothing else, and `start=step` continues
it from any batch. For that, every epoch draws its order and its augmentation numbers statelessly
from (seed, epoch), and the start is found by counting, before anything is decoded. A shard is a
slice of every batch of that one order.

What fits into `IN_MEMORY_BYTES` after crop and resize is decoded once and kept as uint8, so that an
epoch costs index look-ups only. Larger sets are decoded anew in every epoch.
"""

import dataclasses
import re
import warnings
from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf

from ganzoo.checks import is_whole
from ganzoo.data.examples import is_count

IN_MEMORY_BYTES = 1 << 30
SHUFFLE_BUFFER = 4096  # examples; TFDS already wrote its records in shuffled order
ENDLESS = 1 << 62  # epochs


def from_arrays(
    images, labels=None, *, batch_size, seed=0, start=0, flip=False, epochs=None, shard=(0, 1)
) -> tf.data.Dataset:
    """The batches of `stream` from NumPy arrays.

    Args:
        images: array [N, H, W, C] or [N, H, W]; uint8 in [0, 255], or float in [-1, 1].
        labels: integer array [N] or `None`.
        batch_size, seed, start, epochs, shard: as in `stream`; endless unless `epochs` is given.
        flip: bool. Mirror left to right with probability 1/2. Defaults to `False`.
    Returns: `tf.data.Dataset` of dicts: `image` float32 [B, H, W, C] in [-1, 1]; `label` int32 [B].
    Raises:
        ValueError: for another rank, type or range, or labels that do not fit.
    Example:
        >>> batches = from_arrays(np.zeros([100, 28, 28], "uint8"), batch_size=10)
    """
    check_stream(batch_size, seed, start, epochs, shard)
    arrays = {"image": _checked_images(images)}
    if labels is not None:
        arrays["label"] = _checked_labels(labels, len(arrays["image"]))
    augment = Augment(keys=("image",), flip=flip, window=None)
    return batches_of(
        InMemory(arrays), augment, batch_size, seed=seed, start=start, epochs=epochs, shard=shard
    )


def check_stream(batch_size, seed, start, epochs, shard=(0, 1)) -> None:
    """Raises: ValueError: an argument of a stream is out of range."""
    if not is_count(batch_size):
        raise ValueError(f"`batch_size` is an int > 0. Received: batch_size={batch_size!r}")
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
        raise ValueError(f"`seed` is an int. Received: seed={seed!r}")
    if isinstance(start, bool) or not isinstance(start, (int, np.integer)) or start < 0:
        raise ValueError(f"`start` counts batches, an int >= 0. Received: start={start!r}")
    if epochs is not None and not is_count(epochs):
        raise ValueError(f"`epochs` is an int > 0 or None (endless). Received: epochs={epochs!r}")
    is_pair = isinstance(shard, (tuple, list)) and len(shard) == 2 and all(map(is_whole, shard))
    if not is_pair or not 0 <= shard[0] < shard[1]:
        raise ValueError(
            f"`shard` is (i, n) with 0 <= i < n, part i of n. Received: shard={shard!r}"
        )
    if batch_size % shard[1]:
        raise ValueError(
            f"`batch_size` counts all {shard[1]} shards, and is a multiple of their number. "
            f"Received: batch_size={batch_size}, shard={shard!r}"
        )


def shard_rows(batch_size, shard) -> slice:
    """Which rows of every whole batch a shard holds."""
    index, number = shard
    rows = batch_size // number
    return slice(index * rows, (index + 1) * rows)


def _checked_images(array) -> np.ndarray:
    array = np.asarray(array)
    if array.ndim == 3:
        array = array[..., np.newaxis]
    if array.ndim != 4 or 0 in array.shape:
        raise ValueError(
            "`images` has the axes [N, H, W, C] or [N, H, W], none of length 0. "
            f"Received: images.shape={array.shape}"
        )
    if array.dtype == np.uint8:
        return array
    if not np.issubdtype(array.dtype, np.floating):
        raise ValueError(
            "`images` is uint8 in [0, 255] or float in [-1, 1]; convert with "
            f"`images.astype('uint8')`. Received: images.dtype={array.dtype}"
        )
    low, high = float(array.min()), float(array.max())
    if not (low >= -1.0 and high <= 1.0):
        raise ValueError(
            "Float `images` lie in [-1, 1]; pass [0, 255] as `images.astype('uint8')`, or scale "
            f"with `images / 127.5 - 1`. Received: images in [{low:g}, {high:g}]"
        )
    if low >= 0.0 and high > 0.0:
        warnings.warn(
            f"Float images in [{low:g}, {high:g}] are taken as part of [-1, 1]; if they were meant "
            "as [0, 1], pass `images * 2 - 1`.",
            stacklevel=3,
        )
    return array.astype(np.float32)


def _checked_labels(labels, count) -> np.ndarray:
    labels = np.asarray(labels)
    if labels.shape != (count,):
        raise ValueError(
            "`labels` holds one class number per image. "
            f"Received: labels.shape={labels.shape} for {count} images"
        )
    if not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(
            "`labels` are integers; convert with `labels.astype('int32')`, or one-hot rows with "
            f"`labels.argmax(-1)`. Received: labels.dtype={labels.dtype}"
        )
    return labels.astype(np.int32)


# ---------------------------------------------------------------------------- augmentation


@dataclasses.dataclass(frozen=True)
class Augment:
    """Random crop and mirror of a batch by given uniform numbers, then float32 in [-1, 1].

    Pictures of one example (the two of a pair) get the same crop and the same mirror.
    """

    keys: tuple[str, ...]  # of the pictures
    flip: bool
    window: tuple[int, int] | None  # height, width

    def __call__(self, examples, draws):  # draws float32 [B, 3] in [0, 1): flip, row, column
        return {**examples, **{key: self._picture(examples[key], draws) for key in self.keys}}

    def _picture(self, image, draws):
        if self.window is not None:
            image = _crop_each(image, self.window, draws[:, 1:])
        if self.flip:
            mirrored = draws[:, 0, tf.newaxis, tf.newaxis, tf.newaxis] < 0.5
            image = tf.where(mirrored, tf.reverse(image, [2]), image)
        if image.dtype == tf.uint8:
            image = tf.cast(image, tf.float32) / 127.5 - 1.0
        return image


def _crop_each(image, window, draws):
    free = [side - crop + 1 for side, crop in zip(image.shape[1:3], window, strict=True)]
    # A float32 draw just below 1 may round up to the number of places.
    offsets = tf.cast(draws * tf.constant(free, tf.float32), tf.int32)
    offsets = tf.minimum(offsets, np.subtract(free, 1))
    rows = offsets[:, :1] + tf.range(window[0])  # [B, H]
    columns = offsets[:, 1:] + tf.range(window[1])  # [B, W]
    image = tf.gather(image, rows, axis=1, batch_dims=1)
    return tf.gather(image, columns, axis=2, batch_dims=1)


# ---------------------------------------------------------------------------- sources


class InMemory:
    """Decoded examples, picked by index a batch at a time."""

    def __init__(self, arrays):
        self.count = len(next(iter(arrays.values())))
        with tf.device("CPU"):
            self._tensors = {key: tf.constant(array) for key, array in arrays.items()}

    def shuffled(self, seed) -> tf.data.Dataset:
        order = tf.random.experimental.stateless_shuffle(tf.range(self.count), seed=seed)
        return tf.data.Dataset.from_tensor_slices(order)

    def batched(self, picks, batch_size) -> tf.data.Dataset:
        def gather(indices, draws):
            return {key: tf.gather(value, indices) for key, value in self._tensors.items()}, draws

        batches = picks.batch(batch_size, drop_remainder=True)
        return batches.map(gather, num_parallel_calls=tf.data.AUTOTUNE)


@dataclasses.dataclass(frozen=True)
class OnDisk:
    """Encoded records in stored order, and how one of them becomes an example."""

    records: tf.data.Dataset
    count: int
    decode: Callable  # record -> {"image": uint8 [h, w, c], "label": ...}
    fits: dict[str, Callable]  # by key: uint8 [..., h, w, c] -> uint8 [..., H, W, C]
    one_size: bool  # stored images agree in size, so that whole batches can be fitted
    shapes: dict[str, tuple[int, int, int]]  # by key: H, W, C
    buffer: int  # records held for shuffling

    def shuffled(self, seed) -> tf.data.Dataset:
        # `shuffle` mixes the global seed in; in the graph of one epoch this makes it a constant.
        tf.random.set_seed(1)
        seed = tf.random.stateless_uniform([], seed, minval=None, maxval=None, dtype=tf.int64)
        return self.records.shuffle(self.buffer, seed=seed, reshuffle_each_iteration=False)

    def batched(self, picks, batch_size, *, drop_remainder=True) -> tf.data.Dataset:
        def decode(record, draws):
            return self.decode(record), draws

        def fit(examples, draws):
            pictures = {key: apply(examples[key]) for key, apply in self.fits.items()}
            return {**examples, **pictures}, draws

        parallel = dict(num_parallel_calls=tf.data.AUTOTUNE)
        examples = picks.map(decode, **parallel)
        if self.one_size:
            return examples.batch(batch_size, drop_remainder=drop_remainder).map(fit, **parallel)
        return examples.map(fit, **parallel).batch(batch_size, drop_remainder=drop_remainder)

    def decoded(self, batch_size, *, limit=None) -> Iterator[dict[str, np.ndarray]]:
        records = self.records if limit is None else self.records.take(limit)
        picks = tf.data.Dataset.zip((records, tf.data.Dataset.range(ENDLESS)))
        batches = self.batched(picks, batch_size, drop_remainder=False)
        try:
            for examples, _ in batches.as_numpy_iterator():
                yield examples
        except tf.errors.InvalidArgumentError as error:
            message = re.search(r"ValueError: (.*)", str(error))
            raise ValueError(message.group(1) if message else str(error)) from error

    def in_memory_if_small(self) -> "OnDisk | InMemory":
        """This, or what it decodes to, if that fits into `IN_MEMORY_BYTES`."""
        size = sum(height * width * channels for height, width, channels in self.shapes.values())
        return _load(self) if self.count * size <= IN_MEMORY_BYTES else self


def _load(source) -> InMemory:
    arrays = {}
    position = 0
    for batch in source.decoded(256):
        for key, values in batch.items():
            if key not in arrays:
                arrays[key] = np.empty((source.count, *values.shape[1:]), values.dtype)
            arrays[key][position : position + len(values)] = values
        position += len(values)
    return InMemory({key: array[:position] for key, array in arrays.items()})


# ---------------------------------------------------------------------------- order, batches


def batches_of(
    source, augment, batch_size, *, seed, start, epochs, shard=(0, 1)
) -> tf.data.Dataset:
    """The stream of a source; arguments as in `ganzoo.data.stream`, which are checked before."""

    def one_epoch(epoch):
        order_seed = tf.stack([tf.constant(seed, tf.int64), 2 * epoch])
        draws_seed = tf.stack([tf.constant(seed, tf.int64), 2 * epoch + 1])
        draws = tf.random.stateless_uniform([source.count, 3], draws_seed)
        draws = tf.data.Dataset.from_tensor_slices(draws)
        return tf.data.Dataset.zip((source.shuffled(order_seed), draws))

    first_epoch, offset = divmod(start * batch_size, source.count)
    picks = tf.data.Dataset.range(first_epoch, epochs or ENDLESS).flat_map(one_epoch).skip(offset)
    left = None if epochs is None else batches_left(source.count, batch_size, start, epochs)
    picks = _of_shard(picks, batch_size, shard, left)
    batches = source.batched(picks, batch_size // shard[1])
    batches = batches.map(augment, num_parallel_calls=tf.data.AUTOTUNE)
    if left is not None:  # of flat_map's unknown length Keras warns at the end
        batches = batches.apply(tf.data.experimental.assert_cardinality(left))
    return batches.prefetch(tf.data.AUTOTUNE)


def batches_left(count, batch_size, start, epochs) -> int:
    """Whole batches of so many epochs over `count` examples, after the first `start`."""
    return max(0, epochs * count // batch_size - start)


def _of_shard(picks, batch_size, shard, left):
    """The picks of one shard; those of an incomplete last batch belong to nobody."""
    if shard[1] == 1:
        return picks
    if left is not None:
        picks = picks.take(left * batch_size)
    rows = shard_rows(batch_size, shard)

    def ours(place, pick):
        row = place % batch_size
        return (row >= rows.start) & (row < rows.stop)

    return picks.enumerate().filter(ours).map(lambda place, pick: pick)
