"""Pictures of many images, and films."""

import pathlib

import numpy as np

from ganzoo.editing.space import EditingError
from ganzoo.pictures import grid, make_room, write_grid

WHITE = 255
SUFFIXES = (".png", ".gif", ".mp4")


def table(cells, *, top=None, left=None, gap=None) -> np.ndarray:
    """One picture of a table of images, with a header row and a header column of images.

    Args:
        cells: uint8 [R, K, H, W, C].
        top: uint8 [K, H, W, C] or `None`, above the columns.
        left: uint8 [R, H, W, C] or `None`, beside the rows.
        gap: int >= 0. White pixels between the headers and the rest. Defaults to an eighth of a
            cell, at least 2.
    Returns: uint8 [height, width, C].
    Raises: EditingError: for shapes that do not fit.
    """
    cells = np.asarray(cells)
    rows, columns, height, width, channels = _checked(cells, top, left)
    gap = max(2, height // 8) if gap is None else gap
    body = grid(cells.reshape(-1, height, width, channels), columns)
    if top is not None:
        strip = np.full((gap, body.shape[1], channels), WHITE, "uint8")
        body = np.concatenate([grid(top, columns), strip, body])
    if left is None:
        return body
    column = grid(left, 1)
    above = np.full((body.shape[0] - column.shape[0], width, channels), WHITE, "uint8")
    strip = np.full((body.shape[0], gap, channels), WHITE, "uint8")
    return np.concatenate([np.concatenate([above, column]), strip, body], axis=1)


def _checked(cells, top, left):
    if cells.ndim != 5 or not cells.size or cells.dtype != np.uint8:
        raise EditingError(
            f"`cells` must be uint8 [R, K, H, W, C]. Received: {cells.dtype} {cells.shape}"
        )
    for name, header, count in (("top", top, cells.shape[1]), ("left", left, cells.shape[0])):
        wanted = (count, *cells.shape[2:])
        if header is not None and np.shape(header) != wanted:
            raise EditingError(f"`{name}` must be {wanted}. Received: {np.shape(header)}")
    return cells.shape


def enlarge(images, factor: int) -> np.ndarray:
    """Each pixel as factor x factor: [..., H, W, C]."""
    if isinstance(factor, bool) or not isinstance(factor, int) or factor < 1:
        raise EditingError(f"`factor` must be an int > 0. Received: factor={factor!r}")
    return np.repeat(np.repeat(images, factor, axis=-3), factor, axis=-2)


def save(path, frames, *, fps: float = 30, columns: int | None = None) -> pathlib.Path:
    """Writes images as a film, or side by side.

    Args:
        path: ends in .png (a grid), .gif (endless; needs Pillow) or .mp4 (H.264; needs
            imageio-ffmpeg). Both are in the extra `video`.
        frames: uint8 [N, H, W, 1 or 3].
        fps: float > 0. Frames per second; a GIF holds whole hundredths of a second for each.
        columns: int > 0 or `None`, of the grid.
    Raises: EditingError: another suffix or shape, or a missing package. OSError: the path.
    """
    path, frames = pathlib.Path(path), np.asarray(frames)
    check_suffix(path)
    if frames.ndim != 4 or not len(frames) or frames.dtype != np.uint8:
        raise EditingError(
            f"`frames` must be uint8 [N, H, W, C]. Received: {frames.dtype} {frames.shape}"
        )
    if not 0 < fps <= 1000:
        raise EditingError(f"`fps` must be in (0, 1000]. Received: fps={fps!r}")
    if path.suffix.lower() == ".png":
        return write_grid(path, frames, columns=columns)
    if frames.shape[-1] == 1:
        frames = np.repeat(frames, 3, axis=-1)
    write = _write_gif if path.suffix.lower() == ".gif" else _write_mp4
    write(make_room(path), frames, fps)
    return path


def check_suffix(path) -> None:
    """Raises `EditingError` unless `save` can write such a file."""
    if path.suffix.lower() not in SUFFIXES:
        raise EditingError(f"The file must end in one of {SUFFIXES}. Received: {str(path)!r}")


def _missing(package, error):
    return EditingError(
        f"Films need {package}: `pip install 'keras-ganzoo[video]'`, or name a .png file. "
        f"Received: {error}"
    )


def _write_gif(path, frames, fps):
    try:
        from PIL import Image
    except ImportError as error:
        raise _missing("Pillow", error) from None
    first, *others = (Image.fromarray(frame) for frame in frames)
    duration = max(10 * round(100 / fps), 20)  # ms; players take less than 20 for 100
    first.save(path, save_all=True, append_images=others, duration=duration, loop=0)


def _write_mp4(path, frames, fps):
    try:
        import imageio_ffmpeg
    except ImportError as error:
        raise _missing("imageio-ffmpeg", error) from None
    odd = [(0, size % 2) for size in frames.shape[1:3]]  # the format halves the colours' sides
    frames = np.pad(frames, [(0, 0), *odd, (0, 0)], mode="edge")
    height, width = frames.shape[1:3]
    writer = imageio_ffmpeg.write_frames(
        str(path), (width, height), fps=fps, codec="libx264", quality=8, macro_block_size=1,
        ffmpeg_log_level="error",
    )
    writer.send(None)
    for frame in frames:
        writer.send(np.ascontiguousarray(frame))
    writer.close()
