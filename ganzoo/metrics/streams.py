"""The pass over a stream of images: what a generator draws, and what metrics keep of it.

A stream is an iterable of batches uint8 [B, H, W, C], or of (batch, labels).
"""

import dataclasses
from collections.abc import Iterable, Iterator

import numpy as np
import tensorflow as tf

from ganzoo.errors import MetricError, NonFiniteError, TooFewSamplesError
from ganzoo.metrics.arrays import Spool, check_count, checked_images
from ganzoo.metrics.features import Extractor, Outputs
from ganzoo.metrics.statistics import Statistics, StreamingStatistics

BATCH = 64
OF_NETWORK = frozenset({"moments", "features", "logits"})  # what comes from a feature network


def in_turn(generator, count) -> np.ndarray | None:
    """Labels of `count` samples: each class in turn, or each attribute alone; `None` where the
    network takes none.
    """
    return generator.condition.in_turn(count)


def at_random(generator, count, random) -> np.ndarray | None:
    """Labels of `count` samples drawn from a `RandomState`; `None` where the network takes none."""
    if generator.num_classes:
        return random.randint(0, generator.num_classes, count).astype("int32")
    if generator.condition:
        return generator.condition.draw(count, int(random.randint(1 << 31)))
    return None


def samples(generator, count, *, batch_size=BATCH, seed=0, labels=None, **options) -> Iterator:
    """What a generator draws, as a stream.

    Args:
        generator: `ganzoo.generator.Generator`.
        count: int > 0.
        batch_size: int > 0. Does not change the images.
        seed: int. Of the latents, see `Generator.latents`.
        labels: int [count], or float [count, attributes]. Defaults to `in_turn`.
        **options: of `generator.generate`, such as `truncation`.
    Yields: uint8 [B, H, W, C] (float [B, 2] for points), or (such, labels).
    """
    check_count(count, "count")
    return generator.batches(count, seed=seed, batch_size=batch_size, labels=labels, **options)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Extracted:
    """What a pass over a stream leaves; `None` for what no metric needed.

    Args:
        count: int > 0. Images.
        statistics: `Statistics` of the features.
        features: `Spool` or array, float32 [count, D].
        logits: the same, float32 [count, K].
        images: the same, uint8 [count, H, W, C].
        labels: the same, [count].
    """

    count: int
    statistics: Statistics | None = None
    features: Spool | np.ndarray | None = None
    logits: Spool | np.ndarray | None = None
    images: Spool | np.ndarray | None = None
    labels: Spool | np.ndarray | None = None


def extract(
    stream: Iterable, extractor: Extractor | None, needs: Iterable[str], *, key=None, progress=None
) -> Extracted:
    """One pass over a stream.

    Under a `tf.distribute` strategy with several replicas each of them takes its share of a batch.

    Args:
        stream: uint8 [N, H, W, C], or an iterable of such batches or of (batch, labels).
        extractor: `Extractor`; may be `None` if only images are needed.
        needs: out of "moments", "features", "logits", "images", "labels".
        key: `Key` for the statistics, or `None`.
        progress: function of a batch's size, called after each; or `None`.
    Raises:
        TooFewSamplesError: the stream is empty, or has one image where moments are needed.
        NonFiniteError: NaN features, with their number.
        MetricError: images that are not uint8, of differing sizes, or without labels where needed.
    """
    needs = set(needs)
    network = _network(extractor, needs)
    moments = StreamingStatistics(extractor.dim) if "moments" in needs else None
    spools = {need: Spool() for need in needs - {"moments"}}
    count, size = 0, None
    for batch in batches(stream):
        images, labels = batch if isinstance(batch, tuple) else (batch, None)
        images = checked_images(images, channels=(1, 2, 3, 4) if network is None else (1, 3))
        size = _one_size(images, size)
        parts = {"images": images, "labels": labels}
        if network is not None:
            parts["features"], parts["logits"] = _finite(network(images), count)
        if "labels" in needs:
            _check_classes(labels)
        if moments is not None:
            moments.update(parts["features"])
        for need, spool in spools.items():
            spool.append(np.asarray(parts[need]))
        count += len(images)
        if progress is not None:
            progress(len(images))
    if count == 0:
        raise TooFewSamplesError("The stream of images is empty; nothing came out of it.")
    statistics = None if moments is None else moments.result(_counted(key, count))
    return Extracted(count=count, statistics=statistics, **spools)


def _one_size(images, size):
    if size is not None and images.shape[1:] != size:
        raise MetricError(
            "Expected images of one size; resize or crop them before measuring, and say how. "
            f"Received: batches of {size} and {images.shape[1:]}"
        )
    return images.shape[1:]


def _check_classes(labels):
    if labels is None:
        raise MetricError("A metric within classes needs batches (images, labels).")
    if np.ndim(labels) != 1:
        raise MetricError(
            "A metric within classes needs one class per image; attributes are none. "
            f"Received: labels of shape {np.shape(labels)}"
        )


def _counted(key, count):
    return None if key is None else dataclasses.replace(key, count=count)


def _finite(outputs, before):
    bad = ~np.isfinite(outputs.features).all(axis=1)
    if bad.any():
        raise NonFiniteError(
            "The feature network gave NaN or infinite features; look at these images, or stop the "
            f"training that diverged. Received: {np.count_nonzero(bad)} of {len(bad)} images from "
            f"number {before + int(bad.argmax())} on"
        )
    return outputs


def _network(extractor, needs):
    """The function of a batch, on all replicas; `None` where images are all that is needed."""
    if not needs & OF_NETWORK:
        return None
    if extractor is None:
        raise MetricError(
            f"{sorted(needs - {'images', 'labels'})} come from a feature network; give "
            "`extractor=`, such as `ganzoo.metrics.features.extractor('inception')`."
        )
    if "logits" in needs and not extractor.classes:
        raise MetricError(
            "Scores of classes need a feature network with classes. "
            f"Received: {extractor.name!r} has none"
        )
    strategy = tf.distribute.get_strategy()
    return _Replicated(extractor, strategy) if strategy.num_replicas_in_sync > 1 else extractor


class _Replicated:
    """An extractor whose batches are shared by the replicas of a strategy."""

    def __init__(self, extractor, strategy):
        self._strategy = strategy
        self._run = tf.function(lambda images: strategy.run(extractor.forward, (images,)))

    def __call__(self, images):
        replicas = self._strategy.num_replicas_in_sync
        share = -(-len(images) // replicas)
        places = np.minimum(np.arange(replicas * share), len(images) - 1)  # repeats the last one
        padded = images[places].reshape(replicas, share, *images.shape[1:])
        given = self._strategy.experimental_distribute_values_from_function(
            lambda context: tf.constant(padded[context.replica_id_in_sync_group])
        )
        parts = [self._strategy.experimental_local_results(part) for part in self._run(given)]
        return Outputs(
            *(np.concatenate([p.numpy() for p in part])[: len(images)] for part in parts)
        )


def batches(stream) -> Iterable:
    """A stream as it is, an array [N, ...] in parts."""
    if not isinstance(stream, np.ndarray):
        return stream
    return (stream[start : start + BATCH] for start in range(0, len(stream), BATCH))


def limited(stream, count, name) -> Iterator:
    """The first `count` images of a stream, in batches.

    Raises: TooFewSamplesError: the stream ends before.
    """
    left = count
    for batch in batches(stream):
        images, labels = batch if isinstance(batch, tuple) else (batch, None)
        images, left = images[:left], left - len(images[:left])
        yield images if labels is None else (images, labels[: len(images)])
        if left == 0:
            return
    raise TooFewSamplesError(
        f"`{name}` has fewer images than asked for; ask for less or take another split. "
        f"Received: {count - left} of {count} images"
    )


def mirrored(stream) -> Iterator:
    """Every batch of a stream, followed by its mirror image."""
    for batch in batches(stream):
        yield batch
        if isinstance(batch, tuple):
            yield batch[0][:, :, ::-1], batch[1]
        else:
            yield batch[:, :, ::-1]
