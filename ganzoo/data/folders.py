"""Folders of images as sources of examples: one picture a file, or two side by side."""

import os
import pathlib

import numpy as np
import tensorflow as tf

from ganzoo.data.examples import fit, output_shape
from ganzoo.data.streams import OnDisk
from ganzoo.errors import DatasetNotFoundError

HALVES = ("left", "right")
_IMAGE_SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".webp")


def open_folder(dataset, pictures) -> OnDisk:
    """The source of a data set with a `folder`.

    Args:
        dataset: `Dataset` or `Pairs`.
        pictures: dict of keys of an example to the part of a file: one of `HALVES`, or anything
            else for the whole of it.
    Raises: DatasetNotFoundError, ValueError: as `ganzoo.data.stream`.
    """
    paths, labels = _scan(pathlib.Path(dataset.folder).expanduser(), dataset.label is not None)
    paths, labels = paths[: dataset.limit], labels[: dataset.limit]
    parts = list(pictures.values())
    stored = _part(_decode_file(paths[0], dataset), parts[0], paths[0]).shape
    shape = output_shape(dataset, stored)
    one_size = dataset.size is None and not isinstance(dataset.crop, int)
    record = {"path": paths}
    if dataset.label is not None:
        record["label"] = np.asarray(labels, np.int32)

    def read(path):
        image = _decode_file(path, dataset)
        pieces = [_part(image, part, path) for part in parts]
        for piece in pieces:
            _check_picture(piece, path, stored, dataset, one_size)
        return pieces

    def decode(record):
        pieces = tf.numpy_function(read, [record["path"]], [tf.uint8] * len(parts))
        static = stored if one_size else [None, None, stored[2]]
        pieces = [tf.ensure_shape(piece, static) for piece in pieces]
        examples = dict(zip(pictures, pieces, strict=True))
        return {**examples, **{key: record[key] for key in record if key != "path"}}

    records = tf.data.Dataset.from_tensor_slices(record)
    # Paths are small: the whole folder is shuffled.
    return OnDisk(
        records=records,
        count=len(paths),
        decode=decode,
        fits={key: lambda image: fit(image, dataset, shape) for key in pictures},
        one_size=one_size,
        shapes=dict.fromkeys(pictures, shape),
        buffer=len(paths),
    )


def _part(image, part, path) -> np.ndarray:
    """The whole picture, or its left or right half."""
    if part not in HALVES:
        return image
    height, width = image.shape[:2]
    if width % 2:
        raise ValueError(
            "The two pictures of a pair lie side by side and are equally wide; repair or remove "
            f"the file. Received: '{os.fsdecode(path)}' of {(height, width)}"
        )
    return np.ascontiguousarray(np.split(image, 2, axis=1)[HALVES.index(part)])


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
    channels = 3 if dataset.channels else 0  # not every format decodes to grey; `fit` does
    try:
        encoded = tf.io.read_file(path)
        return tf.io.decode_image(encoded, channels=channels, expand_animations=False).numpy()
    except tf.errors.OpError as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"This image file cannot be decoded; repair or remove it. Received: '{name}' ({reason})"
        ) from error


def _check_picture(image, path, stored, dataset, one_size):
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
