"""Many metrics from one pass over each stream of images.

    records = evaluate(samples(generator, 10_000), real_batches, ["fid", "kid", "coverage"],
                       extractor=load_classifier("fashion"), data="fashion_mnist", split="test")

| name | of | better | from |
| --- | --- | --- | --- |
| `fid` | both | lower | mean and covariance of features |
| `kid` | both | lower | features |
| `precision`, `recall` | both | higher | features, 3 neighbours |
| `density`, `coverage` | both | higher | features, 5 neighbours |
| `intra-fid` | both, labelled | lower | features of each class |
| `is` | samples | higher | class logits |
| `modes`, `high-quality`, `mode-kl` | samples | higher, higher, lower | class logits |
| `swd` | both | lower | images |
| `ms-ssim` | samples | lower | images |

The metric of a record is `<name>-<extractor>`, such as `fid-fashion`, where a network is involved.
Moments are streamed; features, logits and images that a metric needs all at once wait in unnamed
temporary files, so that memory does not grow with their number.
"""

import dataclasses
import inspect
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import numpy as np
import tensorflow as tf

from ganzoo.metrics import (
    fid,
    inception_score,
    kid,
    mode_coverage,
    ms_ssim,
    precision_recall,
    swd,
)
from ganzoo.metrics.arrays import (
    MetricError,
    NonFiniteError,
    Spool,
    TooFewSamplesError,
    check_choice,
    check_count,
    checked_images,
)
from ganzoo.metrics.features import Extractor, Outputs
from ganzoo.metrics.records import Record
from ganzoo.metrics.statistics import (
    Key,
    Statistics,
    StreamingStatistics,
    load_statistics,
    statistics_of,
)

QUANTISATION = "uint8"
MIRRORS = ("none", "both")
BATCH = 64


@dataclasses.dataclass(frozen=True, kw_only=True)
class Metric:
    """One number of `evaluate`.

    Args:
        part: str out of `PARTS`: what computes it, once for all of its numbers.
        key: str. Which of the part's numbers.
        needs: what of a stream: "moments", "features", "logits", "images", "labels".
        better: "lower" or "higher".
        of: "both" streams, or "samples" only.
    """

    part: str
    key: str
    needs: tuple[str, ...]
    better: str
    of: str


def _metric(part, key, needs, better, of):
    return Metric(part=part, key=key, needs=needs, better=better, of=of)


METRICS: Mapping[str, Metric] = {
    "fid": _metric("fid", "value", ("moments",), "lower", "both"),
    "kid": _metric("kid", "value", ("features",), "lower", "both"),
    "precision": _metric("prdc-3", "precision", ("features",), "higher", "both"),
    "recall": _metric("prdc-3", "recall", ("features",), "higher", "both"),
    "density": _metric("prdc-5", "density", ("features",), "higher", "both"),
    "coverage": _metric("prdc-5", "coverage", ("features",), "higher", "both"),
    "intra-fid": _metric("intra-fid", "value", ("features", "labels"), "lower", "both"),
    "is": _metric("is", "value", ("logits",), "higher", "samples"),
    "modes": _metric("modes", "modes", ("logits",), "higher", "samples"),
    "high-quality": _metric("modes", "high_quality", ("logits",), "higher", "samples"),
    "mode-kl": _metric("modes", "kl", ("logits",), "lower", "samples"),
    "swd": _metric("swd", "value", ("images",), "lower", "both"),
    "ms-ssim": _metric("ms-ssim", "value", ("images",), "lower", "samples"),
}
OF_POINTS = ("modes", "high-quality", "mode-kl")  # what a mixture of Gaussians has


def checked_names(names: Sequence[str]) -> list[str]:
    """Names of `METRICS`; underscores count as hyphens. Raises: MetricError: for another one."""
    if isinstance(names, str):
        names = names.split(",")
    found = [str(name).strip().replace("_", "-") for name in names]
    unknown = [name for name in found if name not in METRICS]
    if unknown or not found:
        raise MetricError(
            f"Metrics are names out of {list(METRICS)}. Received: {unknown or 'no name'}"
        )
    return list(dict.fromkeys(found))


# Streams


def samples(generator, count, *, batch_size=BATCH, seed=0, labels=None, **options) -> Iterator:
    """What a generator draws, as a stream.

    Args:
        generator: `ganzoo.generator.Generator`.
        count: int > 0.
        batch_size: int > 0. Does not change the images.
        seed: int. Of the latents, see `Generator.latents`.
        labels: int [count], or float [count, attributes]. Defaults to each class in turn.
        **options: of `generator.generate`, such as `truncation`.
    Yields: uint8 [B, H, W, C] (float [B, 2] for points), or (such, labels [B]).
    """
    check_count(count, "count")
    latents = generator.latents(count, seed)
    if labels is None and generator.num_classes:
        labels = np.arange(count) % generator.num_classes
    for start in range(0, count, batch_size):
        part = slice(start, start + batch_size)
        given = None if labels is None else labels[part]
        images = generator.generate(
            latents=latents[part], labels=given, batch_size=batch_size, **options
        )
        yield images if labels is None else (images, given)


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
        stream: uint8 [N, H, W, C], or an iterable of such batches or of (batch, labels [B]).
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
        found = {"images": images, "labels": labels}
        if network is not None:
            found["features"], found["logits"] = _finite(network(images), count)
        if "labels" in needs and labels is None:
            raise MetricError("A metric within classes needs batches (images, labels).")
        if moments is not None:
            moments.update(found["features"])
        for need, spool in spools.items():
            spool.append(np.asarray(found[need]))
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
    if not needs & {"moments", "features", "logits"}:
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


# Metrics


@dataclasses.dataclass(frozen=True)
class _Value:
    value: float
    deviation: float | None
    settings: dict


def _settings(function, options, **fixed):
    """What a metric was called with, defaults included; for the record.

    Raises: MetricError: an option that the metric does not have.
    """
    known = {
        name: parameter.default
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY
    }
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise MetricError(
            f"`{function.__name__}` has the options {sorted(known)}. Received: {unknown}"
        )
    chosen = {**known, **fixed, **options}
    return {
        name: dataclasses.asdict(value) if dataclasses.is_dataclass(value) else value
        for name, value in chosen.items()
        if value is not None and name != "too_few"
    }


def _fid(real, fake, options):
    settings = _settings(fid.frechet_distance, options)
    value = fid.frechet_distance(real.statistics, fake.statistics, **options)
    return {"value": _Value(value, None, settings)}


def _intra_fid(real, fake, options):
    settings = _settings(fid.frechet_distance, options)
    classes = [_of_classes(side) for side in (real, fake)]
    found = fid.intra_class_distance(*classes, **options)
    return {"value": _Value(found.mean, None, settings)}


def _of_classes(side):
    labels = np.asarray(side.labels)
    return {int(k): statistics_of(side.features[labels == k]) for k in np.unique(labels)}


def _kid(real, fake, options):
    settings = _settings(kid.kernel_distance, options)
    found = kid.kernel_distance(real.features, fake.features, **options)
    return {"value": _Value(found.mean, found.std, {**settings, "deviation": "subsets"})}


def _prdc(neighbours):
    def part(real, fake, options):
        options = {"neighbours": neighbours, **options}
        settings = _settings(precision_recall.precision_recall, options)
        found = precision_recall.precision_recall(real.features, fake.features, **options)
        values = dataclasses.asdict(found)
        return {name: _Value(value, None, settings) for name, value in values.items()}

    return part


def _is(real, fake, options):
    settings = _settings(inception_score.inception_score, options)
    found = inception_score.inception_score(np.asarray(fake.logits), **options)
    return {"value": _Value(found.mean, found.std, {**settings, "deviation": "splits"})}


def _modes(real, fake, options):
    settings = _settings(mode_coverage.label_coverage, options)
    probabilities = tf.nn.softmax(np.asarray(fake.logits, np.float64)).numpy()
    return _of_coverage(mode_coverage.label_coverage(probabilities, **options), settings)


def _of_coverage(found, settings):
    settings = {**settings, "possible": found.possible}
    values = {"modes": found.modes, "high_quality": found.high_quality, "kl": found.kl}
    return {name: _Value(value, None, settings) for name, value in values.items()}


def _swd(real, fake, options):
    settings = _settings(swd.sliced_wasserstein, options)
    count = min(real.count, fake.count)  # sorted projections are compared one by one
    sides = (side.images if side.count == count else side.images[:count] for side in (real, fake))
    found = swd.sliced_wasserstein(*sides, **options)
    return {"value": _Value(found.mean, None, {**settings, "images": count})}


def _ms_ssim(real, fake, options):
    settings = _settings(ms_ssim.pair_similarity, options)
    found = ms_ssim.pair_similarity(fake.images, **options)
    deviation = {"deviation": "standard error"}
    return {"value": _Value(found.mean, found.standard_error, {**settings, **deviation})}


PARTS: Mapping[str, Callable] = {
    "fid": _fid,
    "intra-fid": _intra_fid,
    "is": _is,
    "kid": _kid,
    "modes": _modes,
    "ms-ssim": _ms_ssim,
    "prdc-3": _prdc(3),
    "prdc-5": _prdc(5),
    "swd": _swd,
}


def needs_of(names: Sequence[str], side: str) -> set[str]:
    """What `extract` has to keep of the "real" or "fake" stream for the metrics."""
    wanted = [METRICS[name] for name in names]
    return {
        need for metric in wanted if side == "fake" or metric.of == "both" for need in metric.needs
    }


def evaluate(
    fake: Iterable,
    real: Iterable | Extracted | Statistics | None,
    names: Sequence[str],
    *,
    extractor: Extractor | None = None,
    options: Mapping[str, Mapping] | None = None,
    n_real: int | None = None,
    mirror: str = "none",
    cache_dir=None,
    progress: Callable[[str, int], None] | None = None,
    **about,
) -> list[Record]:
    """Measures samples against real images; every stream is read once.

    Args:
        fake: uint8 [N, H, W, C], or an iterable of such batches or of (batch, labels [B]); see
            `samples`.
        real: the same of real images; what `extract` or a cache kept of them; `Statistics` (also
            imported ones) where `fid` is all that is asked; `None` for metrics of samples only.
        names: out of `METRICS`; "fid" becomes the record "fid-<extractor>".
        extractor: `Extractor`. May be `None` for metrics of images.
        options: per name, arguments of the metric's function: `{"kid": {"subsets": 50}}`.
        n_real: int > 0 or `None`. Only so many real images. Defaults to `None`, all.
        mirror: "none", or "both": every real image and its mirror image.
        cache_dir: folder or `None`. Where statistics of the reals are kept, under a key of network,
            resizer, quantisation, data, split, mirror and number; needs `data`, `split`, `n_real`.
        progress: function of ("real" or "fake", images), called after each batch; or `None`.
        **about: further fields of `Record`: model, weights, data, split, truncation, ema, seed,
            labels, command.
    Returns: list of `Record`, in the order of `names`.
    Raises:
        TooFewSamplesError, NonFiniteError, UnlikeStatisticsError, MetricError: as `extract` and the
            metrics.
    Example:
        >>> images = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), "uint8")
        >>> [record] = evaluate([images], None, ["ms-ssim"], options={"ms-ssim": {"pairs": 6}})
    """
    names = checked_names(names)
    options = _checked_options(options or {}, names)
    check_choice(mirror, "mirror", MIRRORS)
    both = [name for name in names if METRICS[name].of == "both"]
    if both and real is None:
        raise MetricError(f"{both} compare with real images; give `real`, or leave them out.")
    reals = None
    if both:
        reals = _reals(real, both, extractor, n_real, mirror, cache_dir, progress, about)
    drawn = extract(fake, extractor, needs_of(names, "fake"), progress=_of("fake", progress))
    drawn = _keyed_like(drawn, reals, extractor)
    parts = {METRICS[name].part: options.get(name, {}) for name in names}
    found = {part: PARTS[part](reals, drawn, given) for part, given in parts.items()}
    return [
        _record(name, found, extractor, drawn, reals, {**about, "mirror": mirror}) for name in names
    ]


def _checked_options(options, names):
    """Options by name; names of one part share theirs."""
    unknown = sorted(set(options) - set(names))
    if unknown:
        raise MetricError(f"`options` are for the metrics {names}. Received: {unknown}")
    shared = {METRICS[name].part: given for name, given in options.items()}
    return {n: shared[METRICS[n].part] for n in names if METRICS[n].part in shared}


def _of(side, progress):
    return None if progress is None else (lambda count: progress(side, count))


def _reals(real, names, extractor, n_real, mirror, cache_dir, progress, about):
    """`Extracted` of the real side: given, from the cache, or from its stream."""
    needs = needs_of(names, "real")
    if isinstance(real, Statistics):
        real = Extracted(count=real.count or 0, statistics=real)
    if isinstance(real, Extracted):
        kept = {"moments": "statistics"}
        missing = [n for n in sorted(needs) if vars(real)[kept.get(n, n)] is None]
        if missing:
            raise MetricError(
                f"{names} need {missing} of the real images; give the images themselves."
            )
        return real
    key = _key(extractor, needs, n_real, mirror, about)
    file = None if cache_dir is None or key is None else key.path(cache_dir)
    if file is not None and needs == {"moments"} and file.is_file():
        statistics = load_statistics(file, key)
        return Extracted(count=statistics.count, statistics=statistics)
    stream = real if n_real is None else limited(real, n_real, "real")
    stream = mirrored(stream) if mirror == "both" else stream
    found = extract(stream, extractor, needs, key=key, progress=_of("real", progress))
    if file is not None and found.statistics is not None:
        found.statistics.save(file)
    return found


def _key(extractor, needs, n_real, mirror, about):
    """What statistics of the reals are filed under; `None` where the caller does not say."""
    if "moments" not in needs or n_real is None:
        return None
    if about.get("data") is None or about.get("split") is None:
        return None
    return Key(
        network=extractor.sha256,
        resizer=extractor.resizer,
        quantisation=QUANTISATION,
        dataset=about["data"],
        split=about["split"] + (", mirrored too" if mirror == "both" else ""),
        count=2 * n_real if mirror == "both" else n_real,
    )


def _keyed_like(drawn, reals, extractor):
    """The samples' statistics with a key of their own, if those of the reals have one."""
    if drawn.statistics is None or reals is None or reals.statistics is None:
        return drawn
    if reals.statistics.key is None:
        return drawn
    key = Key(
        network=extractor.sha256,
        resizer=extractor.resizer,
        quantisation=QUANTISATION,
        dataset="samples",
        split="fake",
        count=drawn.count,
    )
    return dataclasses.replace(drawn, statistics=dataclasses.replace(drawn.statistics, key=key))


def _record(name, found, extractor, drawn, reals, about):
    metric = METRICS[name]
    value = found[metric.part][metric.key]
    of_network = metric.needs != ("images",)
    of_both = metric.of == "both"
    about = {**about, "mirror": about["mirror"] if of_both else None}
    if not of_both:
        about |= {"data": None, "split": None}
    return Record(
        metric=f"{name}-{extractor.name}" if of_network else name,
        value=float(value.value),
        better=metric.better,
        deviation=None if value.deviation is None else float(value.deviation),
        network=extractor.sha256 if of_network else None,
        resizer=extractor.resizer if of_network else None,
        quantisation=QUANTISATION,
        n_real=reals.count if of_both else None,
        n_fake=drawn.count,
        settings=value.settings,
        **about,
    )


def evaluate_points(points, mixture, names=OF_POINTS, **about) -> list[Record]:
    """Mode coverage of a generator of points that was trained on a mixture of Gaussians.

    Args:
        points: float batches [B, 2].
        mixture: `ganzoo.data.Mixture`.
        names: out of "modes", "high-quality", "mode-kl".
        **about: as in `evaluate`.
    Returns: list of `Record`.
    Raises: NonFiniteError, TooFewSamplesError, MetricError: faulty points, or another name.
    """
    names = checked_names(names)
    unfit = [name for name in names if name not in OF_POINTS]
    if unfit:
        raise MetricError(f"Points are measured by {list(OF_POINTS)}. Received: {unfit}")
    drawn = list(itertools.chain.from_iterable(points))
    if not drawn:
        raise TooFewSamplesError("The stream of points is empty; nothing came out of it.")
    found = mode_coverage.mixture_coverage(np.stack(drawn), mixture)
    values = _of_coverage(found, {"mixture": mixture.get_config()})
    about = {**about, "data": None, "split": None}
    return [
        Record(
            metric=name,
            value=float(values[METRICS[name].key].value),
            better=METRICS[name].better,
            n_fake=len(drawn),
            settings=values[METRICS[name].key].settings,
            **about,
        )
        for name in names
    ]
