"""Data sets as streams of batches: TFDS, folders of images, NumPy arrays, mixtures of Gaussians.

A stream is a function of (data set, batch size, seed) and nothing else, and `start=step` continues
it from any batch. For that, every epoch draws its order and its augmentation numbers statelessly
from (seed, epoch), and the start is found by counting, before anything is decoded.

What fits into `IN_MEMORY_BYTES` after crop and resize is decoded once and kept as uint8, so that an
epoch costs index look-ups only. Larger sets are decoded anew in every epoch.
"""

import dataclasses
import difflib
import gzip
import hashlib
import math
import os
import pathlib
import re
import socket
import struct
import urllib.parse
import urllib.request
import warnings
from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf

from ganzoo.errors import DatasetNotFoundError

IN_MEMORY_BYTES = 1 << 30
SHUFFLE_BUFFER = 4096  # examples; TFDS already wrote its records in shuffled order

_MIXTURES = {
    "ring": dict(modes=8, radius=2.0, std=0.02),
    "grid": dict(modes=25, radius=4.0, std=0.05),
}
_RESIZE_METHODS = ("area", "bicubic", "bilinear", "lanczos3", "lanczos5", "nearest")
_IMAGE_SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".webp")
_ENDLESS = 1 << 62  # epochs


# ---------------------------------------------------------------------------- what to read


@dataclasses.dataclass(frozen=True, kw_only=True)
class Dataset:
    """Which examples to read and how to bring them to one size; plain values only.

    An image is cropped (`crop`), resized (`size`), converted (`channels`) and rounded to 8 bit,
    always in the same way; a stream then crops at random (`random_crop`) and mirrors (`flip`).

    Args:
        name: str. A TFDS name with its configuration ("fashion_mnist", "cycle_gan/horse2zebra"),
            "avatars/pixel_art_64" (procedural faces, see `ganzoo.avatars`), or "folder", or a
            mixture of Gaussians: "ring" or "grid". Defaults to "folder".
        folder: str or `None`. For "folder": where the images lie, PNG, JPEG, BMP, GIF or WebP.
            Folders in it are searched too; with `label` each of them is a class, in sorted order.
        split: str. TFDS split, "train[:90%]" included. A folder has none. Defaults to "train".
        size: int, (height, width) or `None`. Size after the resize, which does not keep the aspect
            ratio (see `crop`). Defaults to `None`, which demands images of one size.
        crop: int, "square" or `None`. Centre crop before the resize, in pixels of the stored image;
            "square" takes the largest square. CelebA at 64 px is `crop=108, size=64`.
        random_crop: int, (height, width) or `None`. Crop at a random place after the resize;
            `images` takes the centre instead. CycleGAN is `size=286, random_crop=256`.
        flip: bool. Mirror left to right with probability 1/2. Defaults to `False`.
        channels: 1, 3 or `None`. Convert to grey or RGB; `None` keeps what is stored (in a folder:
            what the first file has). Transparency is dropped, not blended.
        label: str or `None`. The integer feature that becomes `label`, int32 [B]. For a folder or a
            mixture any name, such as "label". Defaults to `None`, no labels.
        attributes: tuple of str. Instead of `label`: binary features below "attributes" (CelebA),
            which become `label`, float32 [B, K] of 0 and 1 in this order.
        image: str. The TFDS feature that holds the image. Defaults to "image".
        limit: int or `None`. Only the first `limit` examples, in stored order.
        resize_method: str. "bilinear", "bicubic", "lanczos3", "lanczos5", "area" or "nearest";
            low-pass filtered when it shrinks. Defaults to "bilinear".
        modes, radius, std: int, float, float. For mixtures only, see `ring` and `grid`; `None`
            takes their defaults.
    Raises:
        ValueError: lists every faulty field.
    Example:
        >>> Dataset(name="celeb_a", crop=108, size=64, flip=True)
    """

    name: str = "folder"
    folder: str | None = None
    split: str = "train"
    size: int | tuple[int, int] | None = None
    crop: int | str | None = None
    random_crop: int | tuple[int, int] | None = None
    flip: bool = False
    channels: int | None = None
    label: str | None = None
    attributes: tuple[str, ...] = ()
    image: str = "image"
    limit: int | None = None
    resize_method: str = "bilinear"
    modes: int | None = None
    radius: float | None = None
    std: float | None = None

    def __post_init__(self):
        for field in ("size", "random_crop", "attributes"):  # JSON turns tuples into lists
            if isinstance(getattr(self, field), list):
                object.__setattr__(self, field, tuple(getattr(self, field)))
        faults = _name_faults(self) + _value_faults(self)
        if faults:
            raise ValueError("Dataset does not fit together:\n  " + "\n  ".join(faults))
        for field, default in _MIXTURES.get(self.name, {}).items():
            if getattr(self, field) is None:
                object.__setattr__(self, field, default)
        if self.is_mixture:
            self.mixture()

    @property
    def is_mixture(self) -> bool:
        return self.name in _MIXTURES

    def mixture(self) -> "Mixture":
        """The mixture of Gaussians that `name`, `modes`, `radius` and `std` describe."""
        if not self.is_mixture:
            raise ValueError(
                f"Only the names {sorted(_MIXTURES)} are mixtures. Received: name={self.name!r}"
            )
        return Mixture(kind=self.name, modes=self.modes, radius=self.radius, std=self.std)


def _name_faults(dataset) -> list[str]:
    faults = []
    defaults = {field.name: field.default for field in dataclasses.fields(Dataset)}
    changed = {name for name, default in defaults.items() if getattr(dataset, name) != default}
    if not isinstance(dataset.name, str) or not dataset.name:
        return [f"name is a str such as 'fashion_mnist'. Received: name={dataset.name!r}"]
    if dataset.name == "folder" and not dataset.folder:
        faults.append("a data set needs name='<TFDS name>' or folder='<path>'. Received neither")
    if dataset.name != "folder" and dataset.folder is not None:
        faults.append(
            "name and folder exclude each other; leave one out. "
            f"Received: name={dataset.name!r}, folder={dataset.folder!r}"
        )
    if dataset.name in _MIXTURES:
        foreign = changed - {"name", "folder", "label", "modes", "radius", "std"}
        reason = "a mixture yields points, not images"
    elif changed & {"modes", "radius", "std"}:
        foreign = changed & {"modes", "radius", "std"}
        reason = f"only the mixtures {sorted(_MIXTURES)} have modes, radius and std"
    else:
        foreign = changed & {"split", "image", "attributes"} if dataset.name == "folder" else set()
        reason = "a folder has no splits, features or attributes; let `folder` name the part"
    if foreign:
        given = ", ".join(f"{name}={getattr(dataset, name)!r}" for name in sorted(foreign))
        faults.append(f"{reason}. Received: name={dataset.name!r}, {given}")
    return faults


def _value_faults(dataset) -> list[str]:
    faults = []

    def expect(right, field, what):
        if not right:
            faults.append(f"{field} is {what}. Received: {field}={getattr(dataset, field)!r}")

    for field in ("size", "random_crop"):
        value = getattr(dataset, field)
        expect(value is None or _is_size(value), field, "an int > 0, (height, width) or None")
    crop = dataset.crop
    expect(crop in (None, "square") or _is_count(crop), "crop", "an int > 0, 'square' or None")
    expect(dataset.channels in (None, 1, 3), "channels", "1, 3 or None")
    expect(dataset.limit is None or _is_count(dataset.limit), "limit", "an int > 0 or None")
    expect(isinstance(dataset.flip, bool), "flip", "True or False")
    methods = ", ".join(_RESIZE_METHODS)
    expect(dataset.resize_method in _RESIZE_METHODS, "resize_method", f"one of {methods}")
    names = dataset.attributes
    right = isinstance(names, tuple) and all(isinstance(name, str) for name in names)
    expect(right, "attributes", "a tuple of str, such as ('Smiling',)")
    if dataset.attributes and dataset.label is not None:
        faults.append(
            "label and attributes both fill `label`; leave one out. "
            f"Received: label={dataset.label!r}, attributes={dataset.attributes!r}"
        )
    if not faults and dataset.size is not None and dataset.random_crop is not None:
        larger = np.greater(_pair(dataset.random_crop), _pair(dataset.size)).any()
        expect(not larger, "random_crop", f"at most size={dataset.size!r}")
    return faults


def _is_count(value) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _is_size(value) -> bool:
    if isinstance(value, tuple):
        return len(value) == 2 and all(_is_count(side) for side in value)
    return _is_count(value)


def _pair(size) -> tuple[int, int]:
    return size if isinstance(size, tuple) else (size, size)


# ---------------------------------------------------------------------------- public streams


def stream(dataset, batch_size, *, seed=0, start=0, data_dir=None, epochs=None) -> tf.data.Dataset:
    """Batches for training: shuffled, augmented, endless, and the same for the same seed.

    Batches run across the ends of epochs, so no example is lost; `start=n` gives what is left after
    n batches, at the cost of counting (for TFDS sets larger than `IN_MEMORY_BYTES`: of reading, but
    not decoding, one epoch's records up to there).

    Args:
        dataset: `Dataset`.
        batch_size: int > 0.
        seed: int. Of the order and of the augmentation. Defaults to 0.
        start: int >= 0. Batches to leave out, the step to resume from. Defaults to 0.
        data_dir: str or `None`. Where TFDS keeps its data; `None` is TFDS's own default. A set that
            is not prepared there is downloaded.
        epochs: int or `None`. End after so many epochs, without the incomplete last batch. Defaults
            to `None`, endless: give `fit` its `steps_per_epoch`.
    Returns: `tf.data.Dataset` of dicts: `image` float32 [B, H, W, C] in [-1, 1], and `label` int32
        [B] (or float32 [B, K], see `Dataset.attributes`) if the data set names one. For mixtures
        `image` is float32 [B, 2], the points as they are, freshly drawn in every batch.
    Raises:
        DatasetNotFoundError: the set is unknown, or neither here nor to be had.
        ValueError: the set lacks what `dataset` names.
    Example:
        >>> batches = stream(Dataset(name="fashion_mnist", size=32, label="label"), 64)
    """
    _check_stream(batch_size, seed, start, epochs)
    if dataset.is_mixture:
        return _mixture_stream(dataset, batch_size, seed, start, epochs)
    source = _open(dataset, data_dir)
    height, width, channels = source.shape
    if source.count * height * width * channels <= IN_MEMORY_BYTES:
        source = _load(source)
    window = None if dataset.random_crop is None else _pair(dataset.random_crop)
    augment = _Augment(flip=dataset.flip, window=window)
    return _batches(source, augment, batch_size, seed=seed, start=start, epochs=epochs)


def from_arrays(
    images, labels=None, *, batch_size, seed=0, start=0, flip=False, epochs=None
) -> tf.data.Dataset:
    """The batches of `stream` from NumPy arrays.

    Args:
        images: array [N, H, W, C] or [N, H, W]; uint8 in [0, 255], or float in [-1, 1].
        labels: integer array [N] or `None`.
        batch_size, seed, start, epochs: as in `stream`; endless unless `epochs` is given.
        flip: bool. Mirror left to right with probability 1/2. Defaults to `False`.
    Returns: `tf.data.Dataset` of dicts: `image` float32 [B, H, W, C] in [-1, 1]; `label` int32 [B].
    Raises:
        ValueError: for another rank, type or range, or labels that do not fit.
    Example:
        >>> batches = from_arrays(np.zeros([100, 28, 28], "uint8"), batch_size=10)
    """
    _check_stream(batch_size, seed, start, epochs)
    arrays = {"image": _checked_images(images)}
    if labels is not None:
        arrays["label"] = _checked_labels(labels, len(arrays["image"]))
    augment = _Augment(flip=flip, window=None)
    return _batches(_InMemory(arrays), augment, batch_size, seed=seed, start=start, epochs=epochs)


def images(dataset, *, limit=None, data_dir=None, batch_size=64) -> Iterator[np.ndarray]:
    """The data set's images in stored order, for metrics and for looking at them.

    Args:
        dataset: `Dataset`, not a mixture.
        limit: int or `None`. End after so many images, besides `dataset.limit`.
        data_dir: as in `stream`.
        batch_size: int > 0. The last batch may be smaller. Defaults to 64.
    Returns: iterator over uint8 arrays [B, H, W, C] in [0, 255], after crop, resize and channel
        conversion, not mirrored; a random crop becomes a centre crop.
    Raises: as `stream`.
    Example:
        >>> grid = next(images(Dataset(name="fashion_mnist"), batch_size=16))
    """
    source = _checked_source(dataset, limit, data_dir, batch_size)
    return _image_batches(source, dataset.random_crop, limit, batch_size)


def labelled_images(dataset, *, limit=None, data_dir=None, batch_size=64) -> Iterator[tuple]:
    """`images` with their labels: iterator over (uint8 [B, H, W, C], int32 [B] or float32 [B, K]).

    Args, Raises: as `images`; ValueError: `dataset` names neither `label` nor `attributes`.
    """
    if dataset.label is None and not dataset.attributes:
        raise ValueError(
            "Labels are those of a feature; give the data set `label=` or `attributes=`. "
            f"Received: name={dataset.name!r}, label=None"
        )
    source = _checked_source(dataset, limit, data_dir, batch_size)
    return _image_batches(source, dataset.random_crop, limit, batch_size, labels=True)


def count(dataset, *, data_dir=None) -> int:
    """Examples of the data set's split, at most `dataset.limit`. Raises: as `images`."""
    return _checked_source(dataset, None, data_dir, 1).count


def splits(dataset, *, data_dir=None) -> list[str]:
    """Names of the splits of a TFDS data set, which is prepared if it is not; a folder has none.

    Raises: DatasetNotFoundError: as `stream`.
    """
    if dataset.is_mixture or dataset.name == "folder":
        return []
    _open(dataset, data_dir)
    return sorted(_builder(dataset.name, data_dir).info.splits)


def _checked_source(dataset, limit, data_dir, batch_size):
    _check_stream(batch_size, 0, 0, None)
    if dataset.is_mixture:
        raise ValueError(
            "A mixture has points, not images; use `dataset.mixture().sample(count)`. "
            f"Received: name={dataset.name!r}"
        )
    if limit is not None and not _is_count(limit):
        raise ValueError(f"`limit` is an int > 0 or None. Received: limit={limit!r}")
    return _open(dataset, data_dir)


def _image_batches(source, random_crop, limit, batch_size, *, labels=False) -> Iterator:
    rows, columns = slice(None), slice(None)
    if random_crop is not None:
        rows, columns = map(_centre, source.shape, _pair(random_crop))
    for batch in source.decoded(batch_size, limit=limit):
        images = batch["image"][:, rows, columns]
        yield (images, batch["label"]) if labels else images


def _centre(length, window) -> slice:
    offset = (length - window) // 2
    return slice(offset, offset + window)


def _check_stream(batch_size, seed, start, epochs):
    if not _is_count(batch_size):
        raise ValueError(f"`batch_size` is an int > 0. Received: batch_size={batch_size!r}")
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
        raise ValueError(f"`seed` is an int. Received: seed={seed!r}")
    if isinstance(start, bool) or not isinstance(start, (int, np.integer)) or start < 0:
        raise ValueError(f"`start` counts batches, an int >= 0. Received: start={start!r}")
    if epochs is not None and not _is_count(epochs):
        raise ValueError(f"`epochs` is an int > 0 or None (endless). Received: epochs={epochs!r}")


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


# ---------------------------------------------------------------------------- order, augmentation


@dataclasses.dataclass(frozen=True)
class _Augment:
    """Random crop and mirror of a batch by given uniform numbers, then float32 in [-1, 1]."""

    flip: bool
    window: tuple[int, int] | None  # height, width

    def __call__(self, examples, draws):  # draws float32 [B, 3] in [0, 1): flip, row, column
        image = examples["image"]
        if self.window is not None:
            image = _crop_each(image, self.window, draws[:, 1:])
        if self.flip:
            mirrored = draws[:, 0, tf.newaxis, tf.newaxis, tf.newaxis] < 0.5
            image = tf.where(mirrored, tf.reverse(image, [2]), image)
        if image.dtype == tf.uint8:
            image = tf.cast(image, tf.float32) / 127.5 - 1.0
        return {**examples, "image": image}


def _crop_each(image, window, draws):
    free = [side - crop + 1 for side, crop in zip(image.shape[1:3], window, strict=True)]
    # A float32 draw just below 1 may round up to the number of places.
    offsets = tf.cast(draws * tf.constant(free, tf.float32), tf.int32)
    offsets = tf.minimum(offsets, np.subtract(free, 1))
    rows = offsets[:, :1] + tf.range(window[0])  # [B, H]
    columns = offsets[:, 1:] + tf.range(window[1])  # [B, W]
    image = tf.gather(image, rows, axis=1, batch_dims=1)
    return tf.gather(image, columns, axis=2, batch_dims=1)


class _InMemory:
    """Decoded examples, picked by index a batch at a time."""

    def __init__(self, arrays):
        self.count = len(arrays["image"])
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
class _OnDisk:
    """Encoded records in stored order, and how one of them becomes an example."""

    records: tf.data.Dataset
    count: int
    decode: Callable  # record -> {"image": uint8 [h, w, c], "label": ...}
    fit: Callable  # uint8 [..., h, w, c] -> uint8 [..., H, W, C]
    one_size: bool  # stored images agree in size, so that whole batches can be fitted
    shape: tuple[int, int, int]  # H, W, C
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
            return {**examples, "image": self.fit(examples["image"])}, draws

        parallel = dict(num_parallel_calls=tf.data.AUTOTUNE)
        examples = picks.map(decode, **parallel)
        if self.one_size:
            return examples.batch(batch_size, drop_remainder=drop_remainder).map(fit, **parallel)
        return examples.map(fit, **parallel).batch(batch_size, drop_remainder=drop_remainder)

    def decoded(self, batch_size, *, limit=None) -> Iterator[dict[str, np.ndarray]]:
        records = self.records if limit is None else self.records.take(limit)
        picks = tf.data.Dataset.zip((records, tf.data.Dataset.range(_ENDLESS)))
        batches = self.batched(picks, batch_size, drop_remainder=False)
        try:
            for examples, _ in batches.as_numpy_iterator():
                yield examples
        except tf.errors.InvalidArgumentError as error:
            message = re.search(r"ValueError: (.*)", str(error))
            raise ValueError(message.group(1) if message else str(error)) from error


def _load(source) -> _InMemory:
    arrays = {}
    position = 0
    for batch in source.decoded(256):
        for key, values in batch.items():
            if key not in arrays:
                arrays[key] = np.empty((source.count, *values.shape[1:]), values.dtype)
            arrays[key][position : position + len(values)] = values
        position += len(batch["image"])
    return _InMemory({key: array[:position] for key, array in arrays.items()})


def _batches(source, augment, batch_size, *, seed, start, epochs) -> tf.data.Dataset:
    def one_epoch(epoch):
        order_seed = tf.stack([tf.constant(seed, tf.int64), 2 * epoch])
        draws_seed = tf.stack([tf.constant(seed, tf.int64), 2 * epoch + 1])
        draws = tf.random.stateless_uniform([source.count, 3], draws_seed)
        draws = tf.data.Dataset.from_tensor_slices(draws)
        return tf.data.Dataset.zip((source.shuffled(order_seed), draws))

    first_epoch, offset = divmod(start * batch_size, source.count)
    picks = tf.data.Dataset.range(first_epoch, epochs or _ENDLESS).flat_map(one_epoch).skip(offset)
    batches = source.batched(picks, batch_size)
    batches = batches.map(augment, num_parallel_calls=tf.data.AUTOTUNE)
    if epochs is not None:  # of flat_map's unknown length Keras warns at the end
        left = max(0, epochs * source.count // batch_size - start)
        batches = batches.apply(tf.data.experimental.assert_cardinality(left))
    return batches.prefetch(tf.data.AUTOTUNE)


# ---------------------------------------------------------------------------- one example


def _open(dataset, data_dir) -> _OnDisk:
    source = _open_folder(dataset) if dataset.name == "folder" else _open_tfds(dataset, data_dir)
    if source.count < 1:
        raise ValueError(f"The data set holds no examples. Received: {dataset!r}")
    if dataset.random_crop is not None:
        if np.greater(_pair(dataset.random_crop), source.shape[:2]).any():
            raise ValueError(
                f"`random_crop` is at most the size {source.shape[:2]}; give a larger `size`."
                f" Received: random_crop={dataset.random_crop!r}"
            )
    return source


def _output_shape(dataset, stored) -> tuple[int, int, int]:
    """[H, W, C] after crop, resize and conversion; a stored side of `None` varies."""
    height, width, channels = stored
    if isinstance(dataset.crop, int):
        if any(side is not None and side < dataset.crop for side in (height, width)):
            raise ValueError(
                f"`crop` is at most the stored image's size ({height}, {width}); use crop='square' "
                f"for the largest square. Received: crop={dataset.crop}"
            )
        height = width = dataset.crop
    elif dataset.crop == "square" and None not in (height, width):
        height = width = min(height, width)
    if dataset.size is not None:
        height, width = _pair(dataset.size)
    if height is None or width is None:
        raise ValueError(
            f"The images of {dataset.name!r} differ in size; give `size`, and crop='square' to "
            f"keep the aspect ratio. Received: size={dataset.size!r}, crop={dataset.crop!r}"
        )
    channels = dataset.channels or channels
    if channels not in (1, 3):
        raise ValueError(
            f"Images have 1 or 3 channels; give channels=1 or 3. Stored: {channels} channels. "
            f"Received: channels={dataset.channels!r}"
        )
    return height, width, channels


def _fit(image, dataset, shape):
    """uint8 [..., h, w, c] to uint8 [..., *shape]: centre crop, resize, channels, rounding."""
    if dataset.crop is not None:
        height, width = tf.unstack(tf.shape(image)[-3:-1])
        side = tf.minimum(height, width) if dataset.crop == "square" else dataset.crop
        top, left = (height - side) // 2, (width - side) // 2
        image = image[..., top : top + side, left : left + side, :]
    image = tf.cast(image, tf.float32)
    if image.shape[-3:-1] != shape[:2]:
        image = tf.image.resize(image, shape[:2], method=dataset.resize_method, antialias=True)
    if image.shape[-1] == 3 and shape[2] == 1:
        image = tf.image.rgb_to_grayscale(image)
    elif image.shape[-1] == 1 and shape[2] == 3:
        image = tf.image.grayscale_to_rgb(image)
    image = tf.cast(tf.round(tf.clip_by_value(image, 0.0, 255.0)), tf.uint8)
    return tf.ensure_shape(image, [*image.shape[:-3], *shape])


# ---------------------------------------------------------------------------- folders


def _open_folder(dataset) -> _OnDisk:
    paths, labels = _scan(pathlib.Path(dataset.folder).expanduser(), dataset.label is not None)
    paths, labels = paths[: dataset.limit], labels[: dataset.limit]
    stored = _decode_file(paths[0], dataset).shape
    shape = _output_shape(dataset, stored)
    one_size = dataset.size is None and not isinstance(dataset.crop, int)
    record = {"path": paths}
    if dataset.label is not None:
        record["label"] = np.asarray(labels, np.int32)

    def decode(record):
        image = tf.numpy_function(
            lambda path: _check_file(path, stored, dataset, one_size), [record["path"]], tf.uint8
        )
        image = tf.ensure_shape(image, stored if one_size else [None, None, stored[2]])
        return {"image": image, **{key: record[key] for key in record if key != "path"}}

    records = tf.data.Dataset.from_tensor_slices(record)
    # Paths are small: the whole folder is shuffled.
    return _OnDisk(
        records=records,
        count=len(paths),
        decode=decode,
        fit=lambda image: _fit(image, dataset, shape),
        one_size=one_size,
        shape=shape,
        buffer=len(paths),
    )


def _scan(folder, labelled) -> tuple[list[str], list[int]]:
    """Paths and class numbers of a folder's images, sorted; hidden files do not count."""
    if not folder.is_dir():
        raise DatasetNotFoundError(f"There is no such folder. Received: folder='{folder}'")
    files = sorted(
        path.relative_to(folder)
        for path in folder.rglob("*")
        if path.suffix.lower() in _IMAGE_SUFFIXES
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )
    if not files:
        suffixes = ", ".join(_IMAGE_SUFFIXES)
        raise DatasetNotFoundError(
            f"The folder holds no images ({suffixes}). Received: folder='{folder}'"
        )
    flat = [file for file in files if len(file.parts) == 1]
    if labelled and flat:
        raise ValueError(
            "With `label`, every image lies in the folder of its class; move them or leave `label` "
            f"out. Received: folder='{folder}' with {len(flat)} images of no class: {flat[0]}, ..."
        )
    classes = {name: index for index, name in enumerate(sorted({file.parts[0] for file in files}))}
    labels = [classes[file.parts[0]] for file in files]
    return [str(folder / file) for file in files], labels


def _decode_file(path, dataset) -> np.ndarray:
    name = os.fsdecode(path)
    channels = 3 if dataset.channels else 0  # not every format decodes to grey; `_fit` does
    try:
        encoded = tf.io.read_file(path)
        return tf.io.decode_image(encoded, channels=channels, expand_animations=False).numpy()
    except tf.errors.OpError as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"This image file cannot be decoded; repair or remove it. Received: '{name}' ({reason})"
        ) from error


def _check_file(path, stored, dataset, one_size) -> np.ndarray:
    image = _decode_file(path, dataset)
    name = os.fsdecode(path)
    if image.shape[2] != stored[2]:
        raise ValueError(
            f"The images differ in channels; give channels=1 or 3. Received: '{name}' with "
            f"{image.shape[2]}, the first file with {stored[2]}"
        )
    if one_size and image.shape != stored:
        raise ValueError(
            "The images differ in size; give `size`, and crop='square' to keep the aspect ratio. "
            f"Received: '{name}' of {image.shape[:2]}, the first file of {stored[:2]}"
        )
    if isinstance(dataset.crop, int) and min(image.shape[:2]) < dataset.crop:
        raise ValueError(
            f"The image is smaller than crop={dataset.crop}; use crop='square' or remove it. "
            f"Received: '{name}' of {image.shape[:2]}"
        )
    return image


# ---------------------------------------------------------------------------- TFDS


def _open_tfds(dataset, data_dir) -> _OnDisk:
    import tensorflow_datasets as tfds

    builder = _builder(dataset.name, data_dir)
    feature = _image_feature(builder.info.features, dataset)
    shape = _output_shape(dataset, feature.shape)
    wanted = {dataset.image: True}
    if dataset.label is not None:
        wanted[dataset.label] = True
    elif dataset.attributes:
        wanted["attributes"] = {name: True for name in dataset.attributes}
    decoders = tfds.decode.PartialDecoding(
        wanted, decoders={dataset.image: tfds.decode.SkipDecoding()}
    )
    records = _read(builder, dataset.split, decoders)
    if dataset.limit is not None:
        records = records.take(dataset.limit)

    def decode(record):
        image = feature.decode_example(record[dataset.image])
        return {"image": image, **_labels(record, dataset)}

    return _OnDisk(
        records=records,
        count=int(records.cardinality()),
        decode=decode,
        fit=lambda image: _fit(image, dataset, shape),
        one_size=None not in feature.shape,
        shape=shape,
        buffer=SHUFFLE_BUFFER,
    )


def _labels(record, dataset) -> dict[str, tf.Tensor]:
    if dataset.label is not None:
        return {"label": tf.cast(record[dataset.label], tf.int32)}
    if dataset.attributes:
        values = [record["attributes"][name] for name in dataset.attributes]
        return {"label": tf.stack([tf.cast(value, tf.float32) for value in values])}
    return {}


def _image_feature(features, dataset):
    """The feature that decodes the images; all that `dataset` names is known to exist then."""
    import tensorflow_datasets as tfds

    faults = []
    known = sorted(features.keys())
    feature = features[dataset.image] if dataset.image in features else None
    if not isinstance(feature, tfds.features.Image) or feature.np_dtype != np.uint8:
        faults.append(f"image={dataset.image!r} is no feature of 8 bit images; features: {known}")
    if dataset.label is not None:
        label = features[dataset.label] if dataset.label in features else None
        is_tensor = isinstance(label, tfds.features.Tensor)
        if not is_tensor or label.shape != () or not np.issubdtype(label.np_dtype, np.integer):
            faults.append(f"label={dataset.label!r} is no integer feature; features: {known}")
    if dataset.attributes:
        attributes = sorted(features["attributes"].keys()) if "attributes" in features else []
        absent = sorted(set(dataset.attributes) - set(attributes))
        if absent:
            faults.append(f"attributes={absent} do not exist; attributes: {attributes}")
    if faults:
        raise ValueError(f"Data set {dataset.name!r}: " + "; ".join(faults))
    return feature


def _builder(name, data_dir):
    import tensorflow_datasets as tfds

    base = re.split("[/:]", name)[0]
    if base == "avatars":
        from ganzoo import avatars  # noqa: F401, registers the data set
    try:
        return tfds.builder(name, data_dir=data_dir)
    except tfds.core.DatasetNotFoundError as error:
        known = tfds.list_builders(with_community_datasets=False)
        near = difflib.get_close_matches(base, known, n=3, cutoff=0.5)
        hint = f"; near it: {', '.join(near)}" if near else ""
        raise DatasetNotFoundError(
            f"TFDS {tfds.__version__} has no such data set{hint}. Received: name={name!r}"
        ) from error
    except ValueError as error:
        configs = sorted(tfds.builder_cls(base).builder_configs)
        legal = ", ".join(f"{base}/{config}" for config in configs) or base
        raise DatasetNotFoundError(
            f"The data set has no such configuration or version; legal: {legal}. "
            f"Received: name={name!r}"
        ) from error


def _read(builder, split, decoders) -> tf.data.Dataset:
    import tensorflow_datasets as tfds

    config = tfds.ReadConfig(try_autocache=False, interleave_cycle_length=1)  # stored order

    def read():
        return builder.as_dataset(
            split=split, decoders=decoders, read_config=config, shuffle_files=False
        )

    try:
        return read()
    except AssertionError:  # not prepared; asking first would fail under tfds.testing.mock_data
        _prepare(builder)
    return read()


def _prepare(builder):
    """Brings a data set to the machine and into TFDS's form; one process at a time."""
    import filelock
    import tensorflow_datasets as tfds

    downloads = pathlib.Path(builder.data_dir_root) / "downloads"
    try:
        downloads.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _not_found(builder, error) from error
    with filelock.FileLock(downloads / f"{builder.info.full_name.replace('/', '_')}.lock"):
        if pathlib.Path(builder.data_dir).is_dir():  # another process was faster
            builder.info.read_from_directory(builder.data_dir)
            return
        if builder.name == "fashion_mnist":
            _restore_fashion_mnist(builder, downloads / "manual")
        _check_hosts(builder, downloads)
        config = tfds.download.DownloadConfig(try_download_gcs=False)
        try:
            builder.download_and_prepare(download_config=config)
        except (
            *(OSError, ImportError, AssertionError),  # network, reader, files to be put by hand
            tfds.core.download.download_manager.NonMatchingChecksumError,
            tfds.core.download.util.DownloadError,
        ) as error:
            raise _not_found(builder, error) from error


def _check_hosts(builder, downloads):
    """Refuses at once when a host has no address: TFDS itself would retry for minutes."""
    import tensorflow_datasets as tfds

    if urllib.request.getproxies():  # the proxy looks the names up
        return
    file_name = tfds.core.download.resource.get_dl_fname
    hosts = set()
    for url, info in (builder.url_infos or {}).items():
        copies = downloads / "manual" / info.filename, downloads / file_name(url, info.checksum)
        if not any(path.exists() for path in copies):
            hosts.add(urllib.parse.urlsplit(url).hostname)
    for host in sorted(filter(None, hosts)):
        try:
            socket.getaddrinfo(host, None)
        except OSError as error:
            raise _not_found(builder, f"no address for {host}") from error


def _not_found(builder, reason) -> DatasetNotFoundError:
    name = builder.info.full_name.rpartition("/")[0]  # without the version
    if isinstance(reason, BaseException):
        reason = f"{type(reason).__name__}: {' '.join(str(reason).split())[:200]}"
    root = os.fspath(builder.data_dir_root)
    ways = ""
    if builder.MANUAL_DOWNLOAD_INSTRUCTIONS:
        ways = f"put its files into {root}/downloads/manual by hand, as its publisher tells, then "
    ways += (
        "run: python -c \"import tensorflow_datasets as tfds; "
        f"tfds.builder('{name}', data_dir='{root}').download_and_prepare()\""
    )
    if builder.name == "avatars":
        ways = "run: pip install 'keras-ganzoo[avatars]'"
    if builder.name == "fashion_mnist":
        ways += "; or, without a network, on Debian: apt-get install dataset-fashion-mnist"
    return DatasetNotFoundError(
        f"Data set {name!r} is not prepared in {builder.data_dir} and cannot be fetched "
        f"({reason}). To get it, {ways}"
    )


# Debian's package holds the publisher's deflate streams, but its build removed the file name and
# the time from the gzip headers. With both put back the files have the SHA-256 sums TFDS knows.
_DEBIAN_FASHION_MNIST = pathlib.Path("/usr/share/datasets/fashion-mnist")
_FASHION_MNIST_TIMES = {  # seconds since 1970, from the publisher's headers
    "train-images-idx3-ubyte": 1504176606,
    "train-labels-idx1-ubyte": 1504176606,
    "t10k-images-idx3-ubyte": 1504176627,
    "t10k-labels-idx1-ubyte": 1504176627,
}


def _restore_fashion_mnist(builder, manual):
    """Puts the publisher's files into TFDS's folder for manual downloads, if Debian's are here."""
    sums = {info.filename: info.checksum for info in builder.url_infos.values()}
    for name, seconds in _FASHION_MNIST_TIMES.items():
        packed, restored = _DEBIAN_FASHION_MNIST / f"{name}.gz", manual / f"{name}.gz"
        if restored.exists() or not packed.exists():
            continue
        content = _with_gzip_header(packed.read_bytes(), name, seconds)
        if hashlib.sha256(content).hexdigest() != sums.get(restored.name):
            continue  # another edition of the package; TFDS will download
        manual.mkdir(parents=True, exist_ok=True)
        partial = restored.with_suffix(".partial")
        partial.write_bytes(content)
        os.replace(partial, restored)


def _with_gzip_header(content, name, seconds) -> bytes:
    """A gzip file with file name and time in its header (RFC 1952, section 2.3)."""
    magic, flags, rest = content[:3], content[3], content[10:]
    if magic != b"\x1f\x8b\x08":
        raise gzip.BadGzipFile(f"A gzip file begins with 1f 8b 08. Received: {magic.hex(' ')}")
    if flags:  # a header with fields of its own is left as it is
        return content
    header = magic + b"\x08" + struct.pack("<I", seconds) + content[8:10]
    return header + name.encode() + b"\0" + rest


# ---------------------------------------------------------------------------- mixtures of Gaussians


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mixture:
    """Equally likely isotropic Gaussians in the plane, with centres on a ring or a square grid.

    ring: c_k = radius (cos 2 pi k / modes, sin 2 pi k / modes), k = 0 .. modes - 1;
    grid: the points of sqrt(modes) evenly spaced values from -radius to radius on both axes.

    Two published ring scripts (poolio/unrolled_gan, xudonmao/LSGAN) space the angles from 0 to 2 pi
    with the end point, so that the last centre is the first one again: their 8 modes are 7 places,
    one twice as likely. Here 8 modes are 8 places; "7 of 8" is a missed mode.

    Args:
        kind: "ring" or "grid".
        modes: int > 0; for a grid a square number.
        radius: float > 0. Of the ring; for a grid half its side.
        std: float > 0. Of each Gaussian, per axis.
    Raises: ValueError: for values outside these.
    """

    kind: str
    modes: int
    radius: float
    std: float

    def __post_init__(self):
        if self.kind not in _MIXTURES:
            raise ValueError(f"`kind` is one of {sorted(_MIXTURES)}. Received: kind={self.kind!r}")
        square = _is_count(self.modes) and math.isqrt(self.modes) ** 2 == self.modes
        if not _is_count(self.modes) or (self.kind == "grid" and not square):
            raise ValueError(
                "`modes` is an int > 0, and a square number (16, 25, ...) for a grid. "
                f"Received: kind={self.kind!r}, modes={self.modes!r}"
            )
        if not (self.radius > 0 and self.std > 0):
            raise ValueError(
                "`radius` and `std` are above 0. "
                f"Received: radius={self.radius!r}, std={self.std!r}"
            )

    @property
    def centres(self) -> np.ndarray:
        """float32 [modes, 2]."""
        if self.kind == "ring":
            angles = np.linspace(0.0, 2.0 * np.pi, self.modes, endpoint=False)
            points = self.radius * np.stack([np.cos(angles), np.sin(angles)], axis=-1)
        else:
            ticks = np.linspace(-self.radius, self.radius, math.isqrt(self.modes))
            points = np.stack(np.meshgrid(ticks, ticks), axis=-1).reshape(-1, 2)
        return points.astype(np.float32)

    def sample(self, count, *, seed=0) -> np.ndarray:
        """float32 [count, 2] independent points, the same for the same seed."""
        random = np.random.default_rng(seed)
        centres = self.centres[random.integers(self.modes, size=count)]
        return (centres + self.std * random.standard_normal((count, 2))).astype(np.float32)


def ring(modes=8, *, radius=2.0, std=0.02) -> Mixture:
    """`modes` Gaussians on a circle; defaults of improved_wgan_training's gan_toy.py, unscaled."""
    return Mixture(kind="ring", modes=modes, radius=radius, std=std)


def grid(modes=25, *, radius=4.0, std=0.05) -> Mixture:
    """`modes` Gaussians on a square of side 2 radius; defaults of gan_toy.py, unscaled."""
    return Mixture(kind="grid", modes=modes, radius=radius, std=std)


def score(samples, mixture) -> dict[str, float]:
    """Mode coverage of points that a generator made.

    A sample is of high quality if it lies within 3 std of a centre (the mixture itself reaches
    1 - exp(-9/2) = 0.98889), and a mode is covered if it has at least one such sample.

    Args:
        samples: float array [N, 2]; N in the thousands.
        mixture: `Mixture` in the same scale as the samples.
    Returns: dict of
        modes: int, covered modes; higher is better, up to `mixture.modes`.
        high_quality: float in [0, 1], share of high-quality samples; higher is better.
        kl: float >= 0 in nats, sum_k p_k log(p_k modes) with p the share of mode k among the
            high-quality samples; 0 when they are spread evenly, log(modes) when all lie in one
            mode or there are none. An even N-point sample has about (modes - 1) / (2 N).
    Raises: ValueError: for another shape.
    """
    samples = np.asarray(samples, np.float64)
    if samples.ndim != 2 or samples.shape[1] != 2 or len(samples) == 0:
        raise ValueError(
            f"`samples` has the axes [N, 2] with N > 0. Received: samples.shape={samples.shape}"
        )
    distances = np.linalg.norm(samples[:, np.newaxis] - mixture.centres, axis=-1)  # [N, modes]
    close = distances.min(axis=1) < 3.0 * mixture.std
    counts = np.bincount(distances.argmin(axis=1)[close], minlength=mixture.modes)
    divergence = math.log(mixture.modes)
    if close.any():
        shares = counts[counts > 0] / counts.sum()
        divergence = float(np.sum(shares * np.log(shares * mixture.modes)))
    return {
        "modes": int(np.count_nonzero(counts)),
        "high_quality": float(close.mean()),
        "kl": max(divergence, 0.0),
    }


def _mixture_stream(dataset, batch_size, seed, start, epochs) -> tf.data.Dataset:
    if epochs is not None:
        raise ValueError(
            "A mixture draws new points for ever and has no epochs; leave `epochs` out. "
            f"Received: epochs={epochs}"
        )
    mixture = dataset.mixture()
    centres = tf.constant(mixture.centres)

    def draw(step):
        mode_seed = tf.stack([tf.constant(seed, tf.int64), 2 * step])
        noise_seed = tf.stack([tf.constant(seed, tf.int64), 2 * step + 1])
        mode = tf.random.stateless_uniform(
            [batch_size], mode_seed, maxval=mixture.modes, dtype=tf.int32
        )
        noise = tf.random.stateless_normal([batch_size, 2], noise_seed)
        points = {"image": tf.gather(centres, mode) + mixture.std * noise}
        return {**points, "label": mode} if dataset.label is not None else points

    steps = tf.data.Dataset.range(start, _ENDLESS)
    return steps.map(draw, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)
