"""From the name of a model to its records: which data, which feature network, which samples."""

import dataclasses
import json
import pathlib
import re

import numpy as np

from ganzoo import fetch, hub
from ganzoo.errors import MeasureError
from ganzoo.metrics.names import CLASSIFIERS, FEATURES
from ganzoo.metrics.records import Record

COUNT = 10_000
SUBSET = 1000  # of KID, where there are as many images
OF_IMAGES = ("fid", "kid", "precision", "recall", "density", "coverage")
OF_CLASSES = ("is", "modes", "high-quality", "mode-kl")
WITHOUT_DATA = ("ms-ssim",)
SPACES = ("features", "pixels")
SEPARABILITY = ("linear-separability-z", "linear-separability-w")  # by a classifier of attributes
PATH = "ppl-"  # names of `ganzoo.metrics.perceptual_path_length.metric_id`
# How manifest rows call data sets that TFDS has under one name, at the model's own size.
TFDS_NAMES = {"CIFAR-10": "cifar10", "Fashion-MNIST": "fashion_mnist", "MNIST": "mnist"}


def measure(
    name,
    *,
    metrics=None,
    count: int = COUNT,
    dataset=None,
    split: str | None = None,
    n_real: int | None = None,
    features: str | None = None,
    weights=None,
    seed: int = 0,
    truncation: float | None = None,
    mirror: str = "none",
    batch_size: int = 64,
    data_dir=None,
    accept_license: bool = False,
    progress=None,
    command: str | None = None,
) -> list[Record]:
    """Measures a model against real images.

    Args:
        name: what `ganzoo.load` takes.
        metrics: names out of `ganzoo.metrics.evaluate.METRICS`, and path lengths such as
            `ppl-stylegan-wend-face` (`ppl-stylegan-wend-avatars`: distances between a shipped
            classifier's features instead of LPIPS), and `linear-separability-z` or `-w` where
            `features` is a classifier of attributes. Defaults to what can be had without a network:
            for images with a shipped classifier `fid`, `kid`, `precision`, `recall`, `density`,
            `coverage`, and where it knows classes `is`, `modes`, `high-quality`, `mode-kl`; for
            points the last three; where no real images are known, `ms-ssim`.
        count: int > 0. Samples. Defaults to 10,000.
        dataset: `ganzoo.data.Dataset`, a TFDS name, or a folder of images. Defaults to what the
            model was trained on, where that is known.
        split: of the data set. Defaults to "test" where the set has one, else to that of training.
        n_real: int > 0. Real images. Defaults to `count`, or to all if the split has fewer.
        features: `"fashion"`, `"avatars"`, `"avatars-32"`, `"inception"`, `"inception-clean"` or
            `"inception-torch"`. Defaults to the data set's own classifier where one is shipped,
            else to `"inception"`.
        weights: file of the Inception weights. Defaults to the published one, fetched once.
        seed: int. Of the latents.
        truncation: float. Of the latents, for models that have it. Defaults to none.
        mirror: "none", or "both": each real image and its mirror image.
        batch_size: int > 0.
        data_dir: where TFDS keeps its data.
        accept_license: see `ganzoo.load`.
        progress: see `ganzoo.metrics.evaluate.evaluate`.
        command: str. What measures it again, for the records.
    Returns: list of `Record`.
    Raises: MeasureError: no data are known for metrics that need them, or data of another size;
        else as `ganzoo.load`, `ganzoo.data.images` and `evaluate`.
    """
    from ganzoo.metrics import evaluate as evaluation

    place = hub.locate(name, accept_license=accept_license)
    gan = hub.load(name, accept_license=accept_license)
    dataset = _dataset(place, dataset, gan)
    options = {} if truncation is None else {"truncation": truncation}
    stream = evaluation.samples(gan.published, count, batch_size=batch_size, seed=seed, **options)
    about = {
        "model": str(name),
        "weights": _sha256(place),
        "ema": gan.published is not gan.generator,
        "seed": seed,
        "truncation": truncation,
        "labels": "in turn" if gan.generator.num_classes else None,
        "command": command,
    }
    if dataset is not None and dataset.is_mixture:
        names = metrics or evaluation.OF_POINTS
        return evaluation.evaluate_points(stream, dataset.mixture(), names, **about)
    features = features or _features(dataset)
    metrics = _split(metrics or default_metrics(dataset, features))
    paths = [name for name in metrics if name.startswith(PATH)]
    records = [_path_length(gan.published, n, count, seed, batch_size, about) for n in paths]
    cuts = [name for name in metrics if name in SEPARABILITY]
    if cuts:
        records += _separabilities(gan.published, cuts, features, count, seed, batch_size, about)
    names = [name for name in metrics if name not in (*paths, *cuts)]
    if names:
        names = evaluation.checked_names(names)
        against = _reals(name, names, dataset, split, n_real, count, data_dir)
        extractor = load_features(features, weights) if needs_features(names) else None
        about |= {"extractor": extractor, "mirror": mirror, "progress": progress}
        records += evaluation.evaluate(stream, names=names, **against, **about)
    return records


def _reals(name, names, dataset, split, n_real, count, data_dir):
    """Arguments of `evaluate` about the real side."""
    from ganzoo import data
    from ganzoo.metrics.evaluate import METRICS

    if all(METRICS[metric].of == "samples" for metric in names):
        return {"real": None}
    if dataset is None:
        raise MeasureError(
            f"{str(name)!r} does not say which data it was trained on; give `dataset` (--dataset), "
            f"a TFDS name or a folder, or take metrics of samples only: {list(WITHOUT_DATA)}. "
            f"Received: metrics={names}"
        )
    dataset = _of_split(dataset, split, data_dir)
    n_real = n_real or min(count, data.count(dataset, data_dir=data_dir))
    fewest = min(count, n_real)
    cached = dataset.name != "folder"  # whose files may change
    return {
        "real": real_images(dataset, data_dir, names),
        "n_real": n_real,
        "options": {"kid": {"subset_size": fewest}} if "kid" in names and fewest < SUBSET else None,
        "data": describe(dataset),
        "split": dataset.split,
        "cache_dir": fetch.home() / "statistics" if cached else None,
    }


def _split(names):
    return [name.strip() for name in names.split(",")] if isinstance(names, str) else list(names)


def _path_length(generator, name, count, seed, batch_size, about):
    """Record of a metric `ppl-<reference>-<space><sampling>[-face][-<classifier>]`."""
    from ganzoo.metrics import perceptual_path_length as ppl

    shipped = "|".join(CLASSIFIERS.values())
    found = re.fullmatch(
        rf"ppl-({'|'.join(ppl.PROTOCOLS)})-([zw])(full|end)(-face)?(?:-({shipped}))?", name
    )
    if found is None:
        legal = [ppl.metric_id(r, s, t) for r in ppl.PROTOCOLS for s in "zw" for t in ppl.SAMPLINGS]
        raise MeasureError(
            f"Path lengths are {legal}, each with -face for the crop of faces, and with - and one "
            f"of {list(CLASSIFIERS.values())} for distances in its features. Received: {name!r}"
        )
    reference, space, sampling, face, classifier = found.groups()
    network = _distance(classifier, ppl.PROTOCOLS[reference].resizer)
    result = ppl.perceptual_path_length(
        generator,
        network,
        space=space,
        sampling=sampling,
        crop="face" if face else "none",
        reference=reference,
        samples=count,
        seed=seed,
        batch_size=batch_size if classifier else min(batch_size, 8),
    )
    return Record(
        metric=name,
        value=result.mean,
        better="lower",
        deviation=result.std / result.kept**0.5,
        network=network.sha256,
        resizer=network.resizer,
        quantisation="float",
        n_fake=count,
        settings={"epsilon": ppl.EPSILON, "deviation": "standard error"},
        **{**about, "truncation": None},
    )


def _distance(classifier, resizer):
    """The `similarity` of a path length."""
    from ganzoo.metrics.features import similarity

    if classifier is None:
        return similarity("vgg", resizer=resizer)
    from ganzoo.metrics.classifier import ClassifierSimilarity

    return ClassifierSimilarity(load_features(classifier), resizer)


def _separabilities(generator, names, features, count, seed, batch_size, about):
    """Records of `SEPARABILITY`; labels are drawn in turn, the surer half of the samples kept."""
    from ganzoo.generator import StyleGenerator
    from ganzoo.metrics import linear_separability as cut

    extractor = load_features(features) if features in CLASSIFIERS.values() else None
    if extractor is None or not extractor.attributes:
        legal = [name for name in CLASSIFIERS.values() if load_features(name).attributes]
        raise MeasureError(
            f"{names} need a classifier of attributes: give features (--features) out of {legal}. "
            f"Received: features={features!r}"
        )
    if SEPARABILITY[1] in names and not isinstance(generator, StyleGenerator):
        raise MeasureError(
            f"{type(generator).__name__} has no w; take {SEPARABILITY[0]!r}. Received: {names}"
        )
    latents = generator.latents(count, seed)
    labels = np.arange(count) % generator.num_classes if generator.num_classes else None
    images = generator.generate(latents=latents, labels=labels, batch_size=batch_size)
    found = extractor.probabilities(images)
    points = {SEPARABILITY[0]: latents}
    if SEPARABILITY[1] in names:
        points[SEPARABILITY[1]] = np.concatenate([
            generator.mapping(
                latents[k : k + COUNT], None if labels is None else labels[k : k + COUNT]
            ).numpy()[:, 0]
            for k in range(0, count, COUNT)
        ])
    records = []
    for name in names:
        result = cut.linear_separability(
            points[name], found, keep=count // 2, separate=cut.linear_svm
        )
        records.append(
            Record(
                metric=f"{name}-{extractor.name}",
                value=result.score,
                better="lower",
                network=extractor.sha256,
                resizer=extractor.resizer,
                quantisation="uint8",
                n_fake=count,
                settings={"keep": count // 2, "cut": "LinearSVC"},
                **{**about, "truncation": None},
            )
        )
    return records


def default_metrics(dataset, features) -> tuple[str, ...]:
    """What `measure` measures unless told: all that the feature network gives."""
    if dataset is None:
        return WITHOUT_DATA
    if features in CLASSIFIERS.values() and not load_features(features).attributes:
        return (*OF_IMAGES, *OF_CLASSES)
    return OF_IMAGES


def watch(dataset, names, folder, *, count: int = COUNT, data_dir=None, **options):
    """A callback that measures a training like `measure`, and keeps its best model.

    Args:
        dataset: `ganzoo.data.Dataset` that is trained on.
        names, folder: as in `ganzoo.callbacks.EvaluateEvery`.
        count: int > 0. Samples and real images. Defaults to 10,000.
        **options: of `EvaluateEvery`.
    Returns: `EvaluateEvery`.
    Raises: as `measure`.
    """
    from ganzoo import callbacks, data
    from ganzoo.metrics import evaluate as evaluation

    if dataset.is_mixture:
        return callbacks.EvaluateEvery(dataset.mixture(), names, folder, count=count, **options)
    names = evaluation.checked_names(names)
    dataset = _of_split(dataset, None, data_dir)
    real = evaluation.limited(
        real_images(dataset, data_dir, names),
        min(count, data.count(dataset, data_dir=data_dir)),
        "real",
    )
    extractor = load_features(_features(dataset)) if needs_features(names) else None
    about = {"extractor": extractor, "count": count, **options}
    about |= {"data": describe(dataset), "split": dataset.split}
    return callbacks.EvaluateEvery(real, names, folder, **about)


def neighbours(
    name,
    *,
    count: int = 10,
    nearest: int = 5,
    space: str = "features",
    dataset=None,
    split: str | None = None,
    features: str | None = None,
    seed: int = 0,
    data_dir=None,
    accept_license: bool = False,
    progress=None,
):
    """Samples beside the training images that are nearest to them, to see whether they are copies.

    Args:
        name, dataset, features, data_dir, accept_license, progress: as in `measure`.
        count: int > 0. Samples, a row each.
        nearest: int > 0. Training images in a row.
        space: "features" or "pixels", where distances are taken.
        split: Defaults to that of training.
        seed: int. Of the latents.
    Returns: (uint8 [count H, (1 + nearest) W, C], `ganzoo.metrics.nearest_neighbours.Neighbours`).
    Raises: MeasureError: no data are known, or another `space`; else as `measure`.
    """
    from ganzoo import data
    from ganzoo.metrics import nearest_neighbours
    from ganzoo.metrics.evaluate import extract

    if space not in SPACES:
        raise MeasureError(f"`space` is one of {SPACES}. Received: space={space!r}")
    place = hub.locate(name, accept_license=accept_license)
    gan = hub.load(name, accept_license=accept_license)
    dataset = _dataset(place, dataset, gan)
    if dataset is None or dataset.is_mixture:
        raise MeasureError(
            f"{str(name)!r} names no images that it was trained on; give `dataset` (--dataset), a "
            "TFDS name or a folder"
        )
    if split is not None:
        dataset = dataclasses.replace(dataset, split=split)
    extractor = load_features(features or _features(dataset)) if space == "features" else None
    need = "features" if space == "features" else "images"
    drawn = gan.generate(count, seed=seed)
    report = None if progress is None else (lambda images: progress("real", images))
    sides = [
        vars(extract(stream, extractor, [need], progress=told))[need]
        for stream, told in ((drawn, None), (data.images(dataset, data_dir=data_dir), report))
    ]
    if space == "pixels":
        sides = [np.asarray(side).reshape(len(side), -1) for side in sides]
    found = nearest_neighbours.nearest(*sides, nearest)
    chosen = _picked(data.images(dataset, data_dir=data_dir), found.indices)
    places = np.searchsorted(np.unique(found.indices), found.indices)
    inside = dataclasses.replace(found, indices=places)
    return nearest_neighbours.neighbour_grid(drawn, chosen, inside), found


def _picked(stream, indices):
    """The images of a stream with these numbers, ascending."""
    wanted, start, kept = np.unique(indices), 0, []
    for images in stream:
        inside = wanted[(wanted >= start) & (wanted < start + len(images))]
        kept.append(images[inside - start])
        start += len(images)
    return np.concatenate(kept)


# Feature networks


def _features(dataset):
    """Name of the data set's own classifier where one of the model's size is shipped."""
    name = None if dataset is None else dataset.name
    return CLASSIFIERS.get(name, "inception")


def needs_features(names) -> bool:
    """Whether a metric takes a feature network."""
    from ganzoo.metrics.evaluate import METRICS

    return any(METRICS[name].needs != ("images",) for name in names)


def load_features(name, weights=None):
    """The `Extractor` of a name in `FEATURES`.

    Args: weights: local file of the Inception weights, or `None` for the published ones.
    Raises: MeasureError: another name; else as `ganzoo.metrics.features.extractor`.
    """
    if name not in FEATURES:
        raise MeasureError(f"`features` is one of {FEATURES}. Received: features={name!r}")
    if name in CLASSIFIERS.values():
        from ganzoo.metrics.classifier import load_classifier

        return load_classifier(name)
    from ganzoo.metrics.features import PUBLISHED, extractor

    return extractor(name, weights=weights or PUBLISHED)


# Data


def _dataset(place, data, gan):
    """`Dataset` that the model is compared with, or `None` where nobody says."""
    from ganzoo import recipe as recipes
    from ganzoo.data import Dataset, from_config

    if isinstance(data, Dataset):
        return data
    if data is not None:
        return _of_name(str(data), gan)
    record = pathlib.Path(place.files[0]["path"]).parent / "recipe.json"
    row = place.row or {}
    if place.kind == "native" and record.is_file():  # a folder of `ganzoo train`
        return from_config(json.loads(record.read_text("utf-8"))["settings"]["dataset"])
    if row.get("recipe"):
        return recipes.read(row["recipe"]).dataset
    if row.get("dataset") in TFDS_NAMES:
        return _of_name(TFDS_NAMES[row["dataset"]], gan)
    return None


def _of_name(name, gan):
    """A TFDS name or a folder at the size of what the model draws."""
    from ganzoo.data import Dataset

    height, width, channels = gan.generate(1).shape[1:]
    kind = {"name": "folder", "folder": name} if pathlib.Path(name).is_dir() else {"name": name}
    crop = "square" if height == width else None
    return Dataset(**kind, crop=crop, size=(height, width), channels=channels)


def _of_split(dataset, split, data_dir):
    from ganzoo import data

    if dataset.name == "folder":
        if split is not None:
            raise MeasureError(f"A folder has no splits. Received: split={split!r}")
        return dataset
    if split is None and "test" in data.splits(dataset, data_dir=data_dir):
        split = "test"
    if split in (None, dataset.split):
        return dataset
    return dataclasses.replace(dataset, split=split, limit=None)  # `limit` is of the training


def real_images(dataset, data_dir, names):
    """The stream of the data set that the metrics need: images, with labels where one does."""
    from ganzoo import data
    from ganzoo.metrics.evaluate import METRICS

    if not any("labels" in METRICS[name].needs for name in names):
        return data.images(dataset, data_dir=data_dir)
    if dataset.label is None:
        dataset = dataclasses.replace(dataset, label="label")
    return data.labelled_images(dataset, data_dir=data_dir)


def describe(dataset) -> str:
    """The data set's name and what was done to its images, for a record: `celeb_a crop=108
    size=64`.
    """
    return dataset.describe()


def _sha256(place):
    """Of the model's file; `None` for one of several."""
    if len(place.files) != 1 or not pathlib.Path(place.files[0]["path"]).is_file():
        return None
    return fetch.sha256_of(pathlib.Path(place.files[0]["path"]))
