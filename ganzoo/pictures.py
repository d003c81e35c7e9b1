"""Pictures of samples: grids, pairs, points and spectrograms as uint8 images, and PNG files."""

import math
import pathlib

import numpy as np
import tensorflow as tf

WINDOW = 512  # samples of sound in a column of a spectrogram, half of which are new


def grid(images, columns: int | None = None) -> np.ndarray:
    """One picture of many: uint8 [N, H, W, C] to uint8 [rows * H, columns * W, C], row by row.

    Args: columns: at most N. Defaults to the square root of N, rounded up. A last row that is not
        full ends in black.
    """
    images = np.asarray(images)
    if images.ndim != 4 or not len(images):
        raise ValueError(
            f"`images` must be [N, H, W, C] with N > 0. Received: shape {images.shape}"
        )
    columns = min(columns or math.ceil(math.sqrt(len(images))), len(images))
    rows = math.ceil(len(images) / columns)
    n, height, width, channels = images.shape
    sheet = np.zeros((rows * columns, height, width, channels), "uint8")
    sheet[:n] = images
    sheet = sheet.reshape(rows, columns, height, width, channels)
    sheet = sheet.transpose(0, 2, 1, 3, 4)  # rows, H, columns, W, C
    return sheet.reshape(rows * height, columns * width, channels)


def make_room(path) -> pathlib.Path:
    """The path of a file to be written; makes the folder that it will lie in.

    Raises: OSError: if the folder cannot be made or the path is itself a folder.
    """
    path = pathlib.Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(path, error) from error
    if path.is_dir():
        raise OSError(f"{str(path)!r} is a folder; name a file in it, such as '{path}/samples.png'")
    return path


def _unwritable(path, error):
    reason = error.strerror or type(error).__name__
    return OSError(f"{str(path)!r} cannot be written ({reason}); name a file in another folder")


def write_grid(path, images, *, columns=None) -> pathlib.Path:
    """Writes `grid(images)` as a PNG; makes the folder. Raises: OSError: naming the path."""
    path = make_room(path)
    try:
        path.write_bytes(tf.io.encode_png(grid(images, columns)).numpy())
    except OSError as error:
        raise _unwritable(path, error) from error
    return path


def samples_for_grid(model, count, columns, seed=0) -> np.ndarray:
    """uint8 [N, H, W, C]: what a `GAN` shows of itself, see `GAN.preview`."""
    return model.preview(count, columns, seed)


def pictures(samples) -> np.ndarray:
    """uint8 [N, H, W, C] of samples of any shape.

    Images stay as they are; points [N, 2] become one picture; films uint8 [N, T, H, W, C] strips of
    their frames; everything else a curve for each sample.
    """
    samples = np.asarray(samples)
    if samples.ndim == 4 and samples.dtype == np.uint8:
        return samples
    if samples.ndim == 5 and samples.dtype == np.uint8:
        count, frames, height, width, channels = samples.shape
        return samples.swapaxes(1, 2).reshape(count, height, frames * width, channels)
    return scatter(samples) if samples.shape[1:] == (2,) else curves(samples)


def curves(samples, *, height=64, width=128) -> np.ndarray:
    """uint8 [N, height, width, 1]: the numbers of each sample from left to right, the largest of
    all at the top and the smallest at the bottom.

    Args: samples: float [N, ...].
    """
    values = np.nan_to_num(np.asarray(samples, "float64").reshape(len(samples), -1))
    columns = np.arange(width) * values.shape[1] // width
    low, high = values.min(), values.max()
    rows = (high - values[:, columns]) / max(high - low, 1e-12) * (height - 1)
    picture = np.zeros((len(values), height, width, 1), "uint8")
    picture[np.arange(len(values))[:, np.newaxis], np.rint(rows).astype(int), range(width), 0] = 255
    return picture


def scatter(points, *, size=256, limit=None) -> np.ndarray:
    """uint8 [1, size, size, 1]: points float [N, 2] as white dots, [-limit, limit] on both axes."""
    points = np.asarray(points)
    points = points[np.isfinite(points).all(axis=1)]
    limit = limit or max(1e-6, 1.1 * float(np.abs(points).max(initial=0.0)))
    picture = np.zeros((1, size, size, 1), "uint8")
    pixels = np.floor((points / limit + 1) / 2 * size).astype(int)
    pixels = pixels[((pixels >= 0) & (pixels < size)).all(axis=1)]
    picture[0, size - 1 - pixels[:, 1], pixels[:, 0], 0] = 255
    return picture


def beside(*sides) -> np.ndarray:
    """Images that belong together, one after the other: inputs, outputs and so on.

    `grid(beside(inputs, outputs), columns=2)` has a pair in each row.

    Args:
        *sides: uint8 [N, H, W, C] each; gray ones become coloured beside coloured ones.
    Returns: uint8 [N * sides, H, W, C].
    Raises: ValueError: sides that differ in number or size.
    """
    sides = [np.asarray(side) for side in sides]
    if len({side.shape[:3] for side in sides}) != 1 or sides[0].ndim != 4:
        raise ValueError(
            "What lies side by side is [N, H, W, C] each, of one number and size; resize the "
            f"images. Received: shapes {[side.shape for side in sides]}"
        )
    sides = of_one_depth(sides)
    return np.stack(sides, axis=1).reshape(-1, *sides[0].shape[1:])


def of_one_depth(images) -> list[np.ndarray]:
    """Arrays [N, H, W, C], of which gray ones become coloured beside coloured ones."""
    channels = max(part.shape[3] for part in images)
    return [np.repeat(p, channels, axis=3) if p.shape[3] == 1 else p for p in images]


def spectrogram(sounds, *, columns=256, decibels=80.0) -> np.ndarray:
    """uint8 [N, H, W, 1]: how loud each frequency is, low ones below, as time goes on to the right.

    White is the loudest place of all the pictures, black `decibels` or more below it.

    Args:
        sounds: float [N, T], samples, whose pictures have 256 rows; or [N, frames, bands],
            magnitudes >= 0 such as those of a mel spectrogram, whose pictures have `bands` rows.
        columns: int > 0. The most columns of a picture; a column shows the loudest of the frames
            that fall in it. Defaults to 256.
        decibels: float > 0. Defaults to 80.
    Raises: ValueError: another rank, or nothing in it.
    """
    sounds = np.nan_to_num(np.asarray(sounds, "float32"), nan=0.0, posinf=0.0, neginf=0.0)
    if sounds.ndim not in (2, 3) or not sounds.size:
        raise ValueError(
            "`sounds` are [N, T] samples or [N, frames, bands] magnitudes, at least one. "
            f"Received: shape {sounds.shape}"
        )
    loudness = _magnitudes(sounds) if sounds.ndim == 2 else np.abs(sounds)
    frames = loudness.shape[1]
    starts = np.arange(min(columns, frames)) * frames // min(columns, frames)
    loudness = np.maximum.reduceat(loudness, starts, axis=1)
    peak = float(loudness.max()) or 1.0
    below = -20.0 * np.log10(np.maximum(loudness / peak, 1e-10))
    picture = np.rint(255.0 * np.clip(1.0 - below / decibels, 0.0, 1.0)).astype("uint8")
    return picture.transpose(0, 2, 1)[:, ::-1, :, np.newaxis]


def _magnitudes(sounds):
    """float32 [N, frames, WINDOW / 2] of sounds [N, T], the highest frequency left out."""
    hop = WINDOW // 2
    frames = 1 + max(0, math.ceil((sounds.shape[1] - WINDOW) / hop))
    padded = np.pad(sounds, ((0, 0), (0, hop * (frames - 1) + WINDOW - sounds.shape[1])))
    windows = np.lib.stride_tricks.sliding_window_view(padded, WINDOW, axis=1)[:, ::hop]
    return np.abs(np.fft.rfft(windows * np.hanning(WINDOW), axis=2))[:, :, :-1].astype("float32")
