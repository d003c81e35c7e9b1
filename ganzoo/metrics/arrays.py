"""What the metrics share: their errors, checks of feature matrices, and distances tile by tile."""

import numpy as np

from ganzoo.errors import GanzooError

TILE_ROWS, TILE_COLUMNS = 1024, 4096  # 32 MB of float64 distances


class MetricError(GanzooError):
    """Base of what can go wrong between features and a number."""


class NonFiniteError(MetricError):
    """Features or images hold NaN or infinity; the message says how many."""


class TooFewSamplesError(MetricError):
    """The stream is empty, or has fewer samples than the metric needs."""


def checked_features(features, name="features", *, minimum=1, dimension=None) -> np.ndarray:
    """A real, finite matrix of at least `minimum` rows; only half precision is converted.

    Args:
        features: array [N, D], any real dtype; float16 and bfloat16 become float32.
        name: str. What to call it in the message.
        minimum: int > 0. The least N.
        dimension: int or `None`. What D must be.
    Returns: array [N, D].
    Raises:
        TooFewSamplesError: fewer than `minimum` rows.
        NonFiniteError: NaN or infinity.
        MetricError: another rank, dtype or D.
    """
    features = np.asarray(features)
    if features.dtype.name in ("float16", "bfloat16"):
        features = features.astype(np.float32)
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


def checked_images(images, name="images", *, minimum=1) -> np.ndarray:
    """uint8 [N, H, W, C]; other dtypes are refused because their range would be guessed.

    Raises:
        TooFewSamplesError: fewer than `minimum` images.
        MetricError: another rank or dtype.
    """
    images = np.asarray(images)
    if images.ndim != 4 or images.dtype != np.uint8 or 0 in images.shape[1:]:
        raise MetricError(
            f"`{name}` is uint8 [N, H, W, C] in [0, 255]; convert floats in [-1, 1] with "
            f"`np.clip(np.rint({name} * 127.5 + 127.5), 0, 255).astype('uint8')`. "
            f"Received: shape={images.shape}, dtype={images.dtype}"
        )
    if len(images) < minimum:
        raise TooFewSamplesError(
            f"`{name}` needs at least {minimum} images. Received: {len(images)} images"
        )
    return images


def check_choice(value, name, choices):
    """Raises MetricError with the legal values unless `value` is one of them."""
    if value not in choices:
        raise MetricError(f"`{name}` is one of {sorted(choices)}. Received: {name}={value!r}")


def check_count(value, name):
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


def distance_tiles(a, b):
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


def row_distances(a, b) -> np.ndarray:
    """float64 [N], |a_i - b_i| from the differences: equal pairs give equal numbers, bit by bit."""
    distances = np.empty(len(a))
    step = max(1, (1 << 21) // a.shape[1])
    for start in range(0, len(a), step):
        rows = slice(start, start + step)
        difference = a[rows].astype(np.float64) - b[rows]
        distances[rows] = np.sqrt(np.einsum("ij,ij->i", difference, difference))
    return distances
