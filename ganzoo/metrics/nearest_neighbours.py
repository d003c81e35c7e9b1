"""Nearest training neighbours: whether samples are memories, and a grid to look at."""

import dataclasses

import numpy as np

from ganzoo.errors import MetricError
from ganzoo.metrics.arrays import (
    check_choice,
    check_count,
    checked_features,
    checked_images,
    distance_tiles,
    row_distances,
)


@dataclasses.dataclass(frozen=True)
class Neighbours:
    """The nearest of each query, nearest first."""

    indices: np.ndarray  # int64 [N, k], rows of the set that was searched
    distances: np.ndarray  # float64 [N, k], Euclidean


def nearest(queries, references, count=1, *, within="all rows") -> Neighbours:
    """The `count` nearest rows by Euclidean distance, in memory bounded by a tile.

    For memorisation: a distance of 0, or one far below that between training and test images, is
    a copy. In features neighbours look alike; in pixels only near copies are close.

    Args:
        queries: array [N, D]; features, or pixels as `images.reshape(len(images), -1)`.
        references: array [M, D], such as the training set.
        count: int > 0, k. Defaults to 1.
        within: "all rows", or "other rows" if both arrays are the same set, whose rows are not
            their own neighbours. Defaults to "all rows".
    Returns: `Neighbours`. Ties go to the lower row as far as float64 tells; M changes distances.
    Raises:
        TooFewSamplesError: fewer than k rows to choose from.
        NonFiniteError, MetricError: as `checked_features`; "other rows" of different sets.
    """
    check_count(count, "count")
    check_choice(within, "within", ("all rows", "other rows"))
    queries = checked_features(queries, "queries")
    needed = count + (within == "other rows")
    references = checked_features(
        references, "references", minimum=needed, dimension=queries.shape[1]
    )
    if within == "other rows" and len(queries) != len(references):
        raise MetricError(
            "'other rows' are those of one set; use 'all rows' for two. "
            f"Received: {len(queries)} and {len(references)} rows"
        )
    indices = np.zeros((len(queries), count), np.int64)
    best = np.full((len(queries), count), np.inf)
    for rows, columns, tile, _ in distance_tiles(queries, references):
        if within == "other rows":
            own = np.arange(max(rows.start, columns.start), min(rows.stop, columns.stop))
            tile[own - rows.start, own - columns.start] = np.inf
        _merge(best[rows], indices[rows], tile, columns.start)
    distances = np.stack(
        [row_distances(queries, references, indices[:, k]) for k in range(count)], axis=1
    )
    order = np.lexsort((indices, distances), axis=1)
    return Neighbours(
        np.take_along_axis(indices, order, axis=1), np.take_along_axis(distances, order, axis=1)
    )


def _merge(best, indices, tile, offset):
    """Puts the smallest of `best` and `tile` into `best`, and where they are into `indices`."""
    count = best.shape[1]
    if tile.shape[1] > count:
        columns = np.argpartition(tile, count - 1, axis=1)[:, :count]
    else:
        columns = np.broadcast_to(np.arange(tile.shape[1]), tile.shape)
    values = np.concatenate([best, np.take_along_axis(tile, columns, axis=1)], axis=1)
    where = np.concatenate([indices, columns + offset], axis=1)
    chosen = np.argsort(values, axis=1, kind="stable")[:, :count]
    best[:] = np.take_along_axis(values, chosen, axis=1)
    indices[:] = np.take_along_axis(where, chosen, axis=1)


def neighbour_grid(images, training_images, neighbours) -> np.ndarray:
    """One row per sample: the sample, then its nearest training images, nearest first.

    Args:
        images: uint8 [N, H, W, C], the samples.
        training_images: uint8 [M, H, W, C].
        neighbours: `Neighbours` of them, from features or pixels.
    Returns: uint8 [N H, (1 + k) W, C].
    Raises: MetricError: images of another dtype or of different sizes, or neighbours of others.
    """
    images = checked_images(images)
    training_images = checked_images(training_images, "training_images")
    indices = neighbours.indices
    if images.shape[1:] != training_images.shape[1:]:
        raise MetricError(
            "A grid needs images of one size. "
            f"Received: {images.shape[1:]} and {training_images.shape[1:]}"
        )
    if len(indices) != len(images) or indices.max(initial=0) >= len(training_images):
        raise MetricError(
            "`neighbours` must be those of these samples among these training images. "
            f"Received: {len(indices)} rows up to index {indices.max(initial=0)} for {len(images)} "
            f"samples, {len(training_images)} training images"
        )
    cells = np.concatenate([images[:, np.newaxis], training_images[indices]], axis=1)
    count, columns, height, width, channels = cells.shape
    return cells.transpose(0, 2, 1, 3, 4).reshape(count * height, columns * width, channels)
