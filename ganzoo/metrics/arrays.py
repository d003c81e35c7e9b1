"""What the metrics share: matrices in files, checks, and distances tile by tile."""

import tempfile
import warnings
from collections.abc import Iterator

import numpy as np

from ganzoo.errors import MetricError, NonFiniteError, TooFewSamplesError

TILE_ROWS, TILE_COLUMNS = 1024, 4096  # 32 MB of float64 distances


class Spool:
    """Rows that go to an unnamed file and are read from it a part at a time, as an array.

    It has what the metrics need of one: `len`, `shape`, `dtype`, `mean(axis=0)`, and rows by a
    slice, by an integer array or by a mask. Nothing of it stays in memory.

    Raises: MetricError: rows of another shape or dtype than the first ones.
    """

    def __init__(self):
        self._file = tempfile.TemporaryFile()
        self._row = None  # an empty array of the rows' shape and dtype
        self._count = 0

    def append(self, rows) -> None:
        """Adds rows [B, ...]."""
        rows = np.ascontiguousarray(rows)
        if self._row is None:
            self._row = np.empty((0, *rows.shape[1:]), rows.dtype)
        if rows.shape[1:] != self._row.shape[1:] or rows.dtype != self._row.dtype:
            raise MetricError(
                "Expected rows of one shape and dtype. Received: "
                f"{self._row.shape[1:]} {self._row.dtype} and {rows.shape[1:]} {rows.dtype}"
            )
        self._file.write(rows.data if rows.size else b"")
        self._count += len(rows)

    def __len__(self):
        return self._count

    @property
    def shape(self) -> tuple[int, ...]:
        return (self._count, *self._row.shape[1:])

    @property
    def ndim(self) -> int:
        return self._row.ndim

    @property
    def dtype(self) -> np.dtype:
        return self._row.dtype

    def __getitem__(self, rows):
        if isinstance(rows, slice):
            start, stop, step = rows.indices(self._count)
            return self._read(start, max(stop, start))[::step] if step > 0 else self._some(
                np.arange(start, stop, step)
            )
        rows = np.asarray(rows)
        if rows.dtype == bool:
            rows = np.flatnonzero(rows)
        return self._read(int(rows), int(rows) + 1)[0] if rows.ndim == 0 else self._some(rows)

    def __array__(self, dtype=None, copy=None):
        return self._read(0, self._count).astype(dtype or self.dtype, copy=False)

    def mean(self, axis=0, dtype=np.float64, out=None) -> np.ndarray:
        """The mean row; `axis` is 0."""
        total = np.zeros(self.shape[1:], dtype)
        for start in range(0, self._count, TILE_ROWS):
            total += self[start : start + TILE_ROWS].sum(axis=0, dtype=dtype)
        return total / self._count

    def _some(self, indices):
        return self._mapped(0, self._count)[indices]

    def _read(self, start, stop):
        return np.array(self._mapped(start, stop))

    def _mapped(self, start, stop):
        """Rows as they lie in the file. It must not outlive a call: what is mapped and was read
        counts as memory, and Windows lets no mapped file grow.
        """
        shape = (stop - start, *self.shape[1:])
        size = int(np.prod(self.shape[1:])) * self.dtype.itemsize
        if not size or stop == start:  # nothing cannot be mapped
            return np.empty(shape, self.dtype)
        self._file.flush()
        return np.memmap(self._file, self.dtype, "r", start * size, shape)


def checked_features(features, name="features", *, minimum=1, dimension=None) -> np.ndarray:
    """A real, finite matrix of at least `minimum` rows; only half precision is converted.

    Args:
        features: array [N, D], any real dtype; float16 and bfloat16 become float32. A `Spool` stays
            one.
        name: str. What to call it in the message.
        minimum: int > 0. The least N.
        dimension: int or `None`. What D must be.
    Returns: array [N, D].
    Raises:
        TooFewSamplesError: fewer than `minimum` rows.
        NonFiniteError: NaN or infinity.
        MetricError: another rank, dtype or D.
    """
    if not isinstance(features, Spool):
        features = np.asarray(features)
    if features.dtype.name in ("float16", "bfloat16"):
        features = np.asarray(features).astype(np.float32)
    numeric = np.issubdtype(features.dtype, np.floating) or features.dtype.kind in "iu"
    if features.ndim != 2 or features.shape[1] == 0 or not numeric:
        raise MetricError(
            f"`{name}` is a real matrix [samples, dimensions]; flatten images with "
            f"`{name}.reshape(len({name}), -1)`. "
            f"Received: shape={features.shape}, dtype={features.dtype}"
        )
    if len(features) < minimum:
        raise TooFewSamplesError(
            f"`{name}` needs at least {minimum} samples; draw more or ask for less. "
            f"Received: {len(features)} samples"
        )
    if dimension is not None and features.shape[1] != dimension:
        raise MetricError(
            f"`{name}` needs {dimension} dimensions, as the features it is compared with; extract "
            f"both with one network. Received: {features.shape[1]} dimensions"
        )
    _check_finite(features, name)
    return features


def checked_pair(real, fake, *, minimum=1) -> tuple[np.ndarray, np.ndarray]:
    """`checked_features` of both, and that they have the same number of dimensions."""
    real = checked_features(real, "real", minimum=minimum)
    fake = checked_features(fake, "fake", minimum=minimum, dimension=real.shape[1])
    return real, fake


def checked_probabilities(probabilities, name="probabilities", *, minimum=1) -> np.ndarray:
    """float64 [N, K] whose rows are >= 0 and sum to 1 within 1e-3.

    Raises:
        MetricError: logits instead of probabilities, or another fault of `checked_features`.
    """
    probabilities = checked_features(probabilities, name, minimum=minimum).astype(np.float64)
    faulty = (probabilities.min(axis=1) < 0) | (np.abs(probabilities.sum(axis=1) - 1) > 1e-3)
    if faulty.any():
        raise MetricError(
            f"The rows of `{name}` are probabilities, >= 0 with the sum 1; pass logits through "
            f"softmax first. Received: {np.count_nonzero(faulty)} of {len(faulty)} rows differ"
        )
    return probabilities


def checked_images(
    images, name="images", *, minimum=1, channels=(1, 2, 3, 4)
) -> np.ndarray | Spool:
    """Images as every metric wants them: uint8 [N, H, W, C] in 0..255.

    Args:
        images: array, tensor, list of images [H, W, C], or a `Spool`, which stays one.
        name: str. What to call them in the message.
        minimum: int > 0. The least N.
        channels: numbers of channels that are right.
    Raises:
        TooFewSamplesError: fewer than `minimum` images.
        MetricError: images that differ in size; floats, in [0, 1], [-1, 1] or else, whose range
            would be guessed; or another number of channels.
    """
    if not isinstance(images, Spool):
        images = _one_array(images, name)
    if images.dtype != np.uint8:
        raise MetricError(f"`{name}` are uint8 in 0..255. Received: {what_floats(images)}")
    if images.ndim != 4 or 0 in images.shape[1:] or images.shape[-1] not in channels:
        raise MetricError(
            f"`{name}` are [N, H, W, C] with at least one pixel, and "
            f"{' or '.join(map(str, channels))} channels last. Received: shape={images.shape}"
        )
    if len(images) < minimum:
        raise TooFewSamplesError(
            f"`{name}` needs at least {minimum} image{'s' * (minimum > 1)}. Received: {len(images)}"
        )
    if not isinstance(images, Spool) and images.max(initial=0) == 1:
        warnings.warn(
            f"No pixel of `{name}` is above 1: were floats in [0, 1] cast to uint8 without "
            "multiplying by 255?",
            stacklevel=3,
        )
    return images


def _one_array(images, name):
    if isinstance(images, (list, tuple)) or np.asarray(images).dtype == object:
        shapes = sorted({np.shape(image) for image in images})
        if len(shapes) > 1:
            raise MetricError(
                f"`{name}` are of one size; resize or crop them before measuring, and say how. "
                f"Received: {len(images)} images of sizes {shapes[:4]}"
            )
    return np.asarray(images)


def what_floats(images) -> str:
    """Dtype, range and next step for images that are not uint8."""
    if not np.issubdtype(images.dtype, np.number) or not images.size:
        return f"dtype={images.dtype}, shape={images.shape}"
    low, high = float(np.min(images)), float(np.max(images))
    found = f"dtype={images.dtype}, values {low:.6g} to {high:.6g}"
    if np.isnan(low) or np.isnan(high):
        return f"{found}. There is NaN among them"
    if low >= 0 and high <= 1:
        return f"{found}; `np.rint(255 * images).astype('uint8')` converts [0, 1]"
    if low >= -1 and high <= 1:
        return f"{found}; `np.rint(127.5 * (images + 1)).astype('uint8')` converts [-1, 1]"
    return f"{found}; if they are in [0, 255], round them and say so in the record"


def check_choice(value, name, choices) -> None:
    """Raises MetricError with the legal values unless `value` is one of them."""
    if value not in choices:
        raise MetricError(f"`{name}` is one of {sorted(choices)}. Received: {name}={value!r}")


def check_count(value, name) -> None:
    """Raises MetricError unless `value` is an int > 0."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise MetricError(f"`{name}` is an int > 0. Received: {name}={value!r}")


def _check_finite(features, name):
    if features.dtype.kind in "iu":
        return
    rows = values = 0
    for start in range(0, len(features), TILE_ROWS):
        block = features[start : start + TILE_ROWS]
        with np.errstate(over="ignore", invalid="ignore"):
            total = np.sum(block, dtype=np.float64)
        if np.isfinite(total):  # one pass without a mask
            continue
        bad = ~np.isfinite(block)
        values += int(np.count_nonzero(bad))
        rows += int(np.count_nonzero(bad.any(axis=1)))
    if values:
        raise NonFiniteError(
            f"`{name}` must be finite; look at the images of these rows, or stop the training that "
            f"diverged. Received: {values} NaN or infinite values in {rows} of {len(features)} rows"
        )


def distance_tiles(a, b) -> Iterator[tuple[slice, slice, np.ndarray, np.ndarray]]:
    """Squared Euclidean distances of all pairs, one tile after the other.

    |x - y|^2 = |x|^2 + |y|^2 - 2 x.y in float64, after taking off the mean of `b`: the error of a
    value is about 1e-15 of |x|^2 + |y|^2, so where equality matters `row_distances` decides.

    Args:
        a: array [N, D]. b: array [M, D].
    Yields: (slice of `a`, slice of `b`, float64 tile, float64 scales |x|^2 + |y|^2 of the tile);
        all tiles of the same rows follow each other.
    """
    shift = np.mean(b, axis=0, dtype=np.float64)
    for start in range(0, len(a), TILE_ROWS):
        rows = slice(start, min(start + TILE_ROWS, len(a)))
        x = a[rows] - shift  # float64
        x_norms = np.einsum("ij,ij->i", x, x)
        for begin in range(0, len(b), TILE_COLUMNS):
            columns = slice(begin, min(begin + TILE_COLUMNS, len(b)))
            y = b[columns] - shift
            scales = x_norms[:, np.newaxis] + np.einsum("ij,ij->i", y, y)
            tile = x @ y.T
            tile *= -2.0
            tile += scales
            yield rows, columns, np.maximum(tile, 0.0, out=tile), scales


def row_distances(a, b, places=None) -> np.ndarray:
    """float64 [N], |a_i - b_i| from the differences: equal pairs give equal numbers, bit by bit.

    Args: places: int [N] or `None`. Rows of `b` to take instead, a part at a time.
    """
    distances = np.empty(len(a))
    step = max(1, (1 << 21) // a.shape[1])
    for start in range(0, len(a), step):
        rows = slice(start, start + step)
        difference = a[rows].astype(np.float64) - b[rows if places is None else places[rows]]
        distances[rows] = np.sqrt(np.einsum("ij,ij->i", difference, difference))
    return distances
