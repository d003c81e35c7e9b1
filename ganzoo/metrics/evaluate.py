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
| `ppl-...` | generator | lower | distances along paths, see `latent_spaces` |
| `linear-separability-z`, `linear-separability-w` | generator | lower | attributes of images |

The metric of a record is `<name>-<extractor>`, such as `fid-fashion`, where a network is involved.
Moments are streamed; features, logits and images that a metric needs all at once wait in unnamed
temporary files, so that memory does not grow with their number.
"""

import dataclasses
import inspect
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import tensorflow as tf

from ganzoo.errors import MetricError, TooFewSamplesError
from ganzoo.metrics import (
    fid,
    inception_score,
    kid,
    latent_spaces,
    mode_coverage,
    ms_ssim,
    precision_recall,
    swd,
)
from ganzoo.metrics.arrays import check_choice, check_count
from ganzoo.metrics.features import Extractor
from ganzoo.metrics.records import Record
from ganzoo.metrics.statistics import Key, Statistics, load_statistics, statistics_of
from ganzoo.metrics.streams import (  # noqa: F401  (public names)
    BATCH,
    OF_NETWORK,
    Extracted,
    batches,
    extract,
    limited,
    mirrored,
    samples,
)

QUANTISATION = "uint8"
MIRRORS = ("none", "both")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Metric:
    """One number of `evaluate`.

    Args:
        part: str out of `PARTS`: what computes it, once for all of its numbers.
        key: str. Which of the part's numbers.
        needs: what of a stream: "moments", "features", "logits", "images", "labels"; or
            "generator", what draws samples, and "attributes", a classifier of these.
        better: "lower" or "higher".
        of: "both" streams, or "samples" only (also those that it draws itself).
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
    latent_spaces.PATH: _metric("ppl", "value", ("generator",), "lower", "samples"),
    **{
        name: _metric("separability", name, ("generator", "attributes"), "lower", "samples")
        for name in latent_spaces.SEPARABILITY
    },
}
OF_POINTS = ("modes", "high-quality", "mode-kl")  # what a mixture of Gaussians has


def checked_names(names: Sequence[str]) -> list[str]:
    """Names of `METRICS`, of path lengths in full; underscores count as hyphens.

    Raises: MetricError: for another one. MeasureError: for another path length.
    """
    if isinstance(names, str):
        names = names.split(",")
    names = [str(name).strip().replace("_", "-") for name in names]
    paths = [name for name in names if latent_spaces.is_path(name)]
    unknown = [name for name in names if name not in METRICS and name not in paths]
    if unknown or not names:
        raise MetricError(
            f"Metrics are names out of {list(METRICS)}. Received: {unknown or 'no name'}"
        )
    for name in paths:
        latent_spaces.parsed(name)
    return list(dict.fromkeys(names))


def metric_of(name: str) -> Metric:
    """The metric of a checked name; all path lengths are one."""
    return METRICS[latent_spaces.PATH if latent_spaces.is_path(name) else name]


def is_of(record: Record, name: str) -> bool:
    """Whether a record is of the metric of this name, with whatever feature network."""
    if latent_spaces.is_path(name):
        return record.metric == name
    return record.metric == name or record.metric.startswith(f"{name}-")


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
PARTS_OF_GENERATOR: Mapping[str, Callable] = {
    "ppl": latent_spaces.path_lengths,
    "separability": latent_spaces.separabilities,
}


def needs_of(names: Sequence[str], side: str) -> set[str]:
    """What `extract` has to keep of the "real" or "fake" stream for the metrics."""
    metrics = [metric_of(name) for name in names]
    needs = {
        need
        for metric in metrics
        if side == "fake" or metric.of == "both"
        for need in metric.needs
    }
    return needs - {"generator", "attributes"}


def needs_features(names: Sequence[str]) -> bool:
    """Whether a metric takes a feature network (path lengths bring their own)."""
    return any({*OF_NETWORK, "attributes"} & {*metric_of(name).needs} for name in names)


def needing(names: Sequence[str], need: str) -> list[str]:
    """Those of the names whose metric has the need."""
    return [name for name in names if need in metric_of(name).needs]


def evaluate(
    fake: Iterable | None,
    real: Iterable | Extracted | Statistics | None,
    names: Sequence[str],
    *,
    extractor: Extractor | None = None,
    options: Mapping[str, Mapping] | None = None,
    generator=None,
    n_real: int | None = None,
    n_fake: int | None = None,
    batch_size: int = BATCH,
    mirror: str = "none",
    cache_dir=None,
    progress: Callable[[str, int], None] | None = None,
    **about,
) -> list[Record]:
    """Measures samples against real images; every stream is read once.

    Args:
        fake: uint8 [N, H, W, C], or an iterable of such batches or of (batch, labels); see
            `samples`. Not read where all metrics are of the generator.
        real: the same of real images; what `extract` or a cache kept of them; `Statistics` (also
            imported ones) where `fid` is all that is asked; `None` for metrics of samples only.
        names: out of `METRICS`; "fid" becomes the record "fid-<extractor>".
        extractor: `Extractor`. May be `None` for metrics of images.
        options: per name, arguments of the metric's function: `{"kid": {"subsets": 50}}`.
        generator: `ganzoo.generator.Generator` that the samples are of, for metrics of its latents.
        n_real: int > 0 or `None`. Only so many real images. Defaults to `None`, all.
        n_fake: the same of samples; also how many metrics of the generator draw.
        batch_size: int > 0. Of what these draw. Defaults to 64.
        mirror: "none", or "both": every real image and its mirror image.
        cache_dir: folder or `None`. Where statistics of the reals are kept, under a key of network,
            resizer, quantisation, data, split, mirror and number; needs `data`, `split`, `n_real`.
        progress: function of ("real" or "fake", images), called after each batch; or `None`.
        **about: further fields of `Record`: model, step, weights, data, split, truncation, ema,
            seed (also of what metrics of the generator draw), labels, command.
    Returns: list of `Record`, in the order of `names`.
    Raises:
        TooFewSamplesError, NonFiniteError, UnlikeStatisticsError, MetricError: as `extract` and the
            metrics. MeasureError: an unknown path length; separability without a classifier of
            attributes, or in a w that the generator has not.
    Example:
        >>> images = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), "uint8")
        >>> [record] = evaluate([images], None, ["ms-ssim"], options={"ms-ssim": {"pairs": 6}})
    """
    names = checked_names(names)
    options = _checked_options(options or {}, names)
    check_choice(mirror, "mirror", MIRRORS)
    of_generator = needing(names, "generator")
    if of_generator:
        check_latents(of_generator, generator, extractor)
    records, of_streams = {}, [name for name in names if name not in of_generator]
    if of_streams:
        sides = _sides(
            fake, real, of_streams, extractor, n_real, n_fake, mirror, cache_dir, progress, about
        )
        records = _of_streams(of_streams, options, extractor, *sides, {**about, "mirror": mirror})
        n_fake = sides[0].count
    if of_generator:
        source = _source(of_generator, generator, n_fake, batch_size, extractor, about)
        records |= _of_generator(of_generator, source, about)
    return [records[name] for name in names]


def check_latents(names, generator, extractor) -> None:
    """Raises unless metrics of the generator have what they need.

    Raises: MetricError, MeasureError: as `latent_spaces.check_generator` and `check_attributes`.
    """
    cuts = needing(names, "attributes")
    if cuts:
        latent_spaces.check_attributes(cuts, extractor)
    latent_spaces.check_generator(names, generator)


def _checked_options(options, names):
    """Options by name; names of one part share theirs."""
    names = [name for name in names if name not in needing(names, "generator")]
    unknown = sorted(set(options) - set(names))
    if unknown:
        raise MetricError(f"`options` are for the metrics {names}. Received: {unknown}")
    shared = {METRICS[name].part: given for name, given in options.items()}
    return {n: shared[METRICS[n].part] for n in names if METRICS[n].part in shared}


def _sides(
    fake, real, names, extractor, n_real, n_fake, mirror, cache_dir, progress, about
):
    """What is kept of the samples, and of the real images (`None` where no metric needs them)."""
    both = [name for name in names if METRICS[name].of == "both"]
    if both and real is None:
        raise MetricError(f"{both} compare with real images; give `real`, or leave them out.")
    reals = None
    if both:
        reals = _reals(real, both, extractor, n_real, mirror, cache_dir, progress, about)
    fake = fake if n_fake is None else limited(fake, n_fake, "fake")
    drawn = extract(fake, extractor, needs_of(names, "fake"), progress=_of("fake", progress))
    return _keyed_like(drawn, reals, extractor), reals


def _of_streams(names, options, extractor, drawn, reals, about):
    """Records by name."""
    parts = {METRICS[name].part: options.get(name, {}) for name in names}
    values = {part: PARTS[part](reals, drawn, given) for part, given in parts.items()}
    return {name: _record(name, values, extractor, drawn, reals, about) for name in names}


def _source(names, generator, count, batch_size, extractor, about):
    if count is None:
        raise MetricError(f"{names} draw samples themselves; say with `n_fake` how many.")
    check_count(count, "n_fake")
    check_count(batch_size, "batch_size")
    return latent_spaces.Source(
        generator=generator,
        count=count,
        seed=about.get("seed") or 0,
        batch_size=batch_size,
        extractor=extractor,
    )


def _of_generator(names, source, about):
    """Records by name of what is drawn from the generator: no reals, no truncation."""
    about = {
        **about, "seed": source.seed, "n_fake": source.count, "truncation": None, "data": None,
        "split": None,
    }
    records = {}
    for part, measure in PARTS_OF_GENERATOR.items():
        same = [name for name in names if metric_of(name).part == part]
        for name, fields in zip(same, measure(source, same) if same else (), strict=True):
            records[name] = Record(better=metric_of(name).better, **fields, **about)
    return records


def _of(side, progress):
    return None if progress is None else (lambda count: progress(side, count))


def _reals(real, names, extractor, n_real, mirror, cache_dir, progress, about):
    """`Extracted` of the real side: given, from the cache, or from its stream."""
    needs = needs_of(names, "real")
    if isinstance(real, Statistics):
        real = Extracted(count=real.count or 0, statistics=real)
    if isinstance(real, Extracted):
        fields = {"moments": "statistics"}
        missing = [n for n in sorted(needs) if vars(real)[fields.get(n, n)] is None]
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
    reals = extract(stream, extractor, needs, key=key, progress=_of("real", progress))
    if file is not None and reals.statistics is not None:
        reals.statistics.save(file)
    return reals


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


def _record(name, values, extractor, drawn, reals, about):
    metric = METRICS[name]
    value = values[metric.part][metric.key]
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
    coverage = mode_coverage.mixture_coverage(np.stack(drawn), mixture)
    values = _of_coverage(coverage, {"mixture": mixture.get_config()})
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
