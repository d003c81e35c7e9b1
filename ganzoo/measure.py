"""From the name of a model to its records: which data, which feature network, which samples."""

import dataclasses
import json
import pathlib
import re

import numpy as np

from ganzoo import data, fetch, hub
from ganzoo import recipe as recipes
from ganzoo.callbacks import watch  # noqa: F401  (public name)
from ganzoo.data import DataSource, StoredPictures
from ganzoo.errors import MeasureError
from ganzoo.generator import Generator
from ganzoo.metrics import nearest_neighbours
from ganzoo.metrics.arrays import check_count
from ganzoo.metrics.evaluate import (
    OF_POINTS,
    checked_names,
    evaluate,
    evaluate_points,
    metric_of,
    needing,
    needs_features,  # noqa: F401  (public name)
)
from ganzoo.metrics.latent_spaces import SEPARABILITY, is_path
from ganzoo.metrics.protocol import (
    CLASSIFIERS,
    COUNT,
    FEATURES,  # noqa: F401  (public name)
    TFDS_NAMES,
    at_size_of,
    describe,
    extractor_for,
    features_of,
    inputs_of,
    load_features,
    mixture_of,
    of_split,
    real_images,
    samples_of,
    split_of,
)
from ganzoo.metrics.records import Record
from ganzoo.metrics.streams import extract

SUBSET = 1000  # of KID, where there are as many images
OF_IMAGES = ("fid", "kid", "precision", "recall", "density", "coverage")
OF_CLASSES = ("is", "modes", "high-quality", "mode-kl")
WITHOUT_DATA = ("ms-ssim",)
SPACES = ("features", "pixels")


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
        dataset: `ganzoo.data.Dataset` or another `DataSource`, a TFDS name, a folder of images, or
            a recipe's `.py` file for its data set. Defaults to what the model was trained on, where
            that is known.
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
    check_count(count, "count")
    place = hub.locate(name, accept_license=accept_license)
    gan = place.open()
    dataset = _dataset(place, dataset, gan)
    count = samples_of(dataset, count, data_dir)
    options = {} if truncation is None else {"truncation": truncation}
    given = None if dataset is None else inputs_of(dataset, data_dir)
    options |= {} if given is None else {"given": given()}
    stream = gan.samples(count, batch_size=batch_size, seed=seed, **options)
    about = {
        "model": str(name),
        "weights": _sha256(place),
        "ema": any(average is gan.published for average, _ in gan.averaged()),
        "seed": seed,
        "truncation": truncation,
        "labels": gan.sample_labels,
        "command": command,
    }
    mixture = mixture_of(dataset)
    if mixture is not None:
        return evaluate_points(stream, mixture, metrics or OF_POINTS, **about)
    features = features or features_of(dataset)
    names = _latents_first(checked_names(metrics or default_metrics(dataset, features)))
    about |= _reals(name, names, dataset, split, n_real, count, data_dir)
    about |= {"extractor": extractor_for(names, features, weights), "generator": gan.published}
    about |= {"n_fake": count, "batch_size": batch_size, "mirror": mirror, "progress": progress}
    return evaluate(stream, names=names, **about)


def _latents_first(names):
    """Path lengths, separabilities and the rest, each in the given order."""
    return sorted(names, key=lambda name: 0 if is_path(name) else 1 if name in SEPARABILITY else 2)


def _reals(model, names, dataset, split, n_real, count, data_dir):
    """Arguments of `evaluate` about the real side."""
    names = [name for name in names if name not in needing(names, "generator")]
    if all(metric_of(metric).of == "samples" for metric in names):
        return {"real": None}
    if dataset is None:
        raise MeasureError(
            f"{str(model)!r} does not say which data it was trained on; give `dataset` "
            "(--dataset), a TFDS name or a folder, or take metrics of samples only: "
            f"{list(WITHOUT_DATA)}. Received: metrics={names}"
        )
    dataset = of_split(dataset, split, data_dir)
    n_real = n_real or min(count, data.count(dataset, data_dir=data_dir))
    fewest = min(count, n_real)
    cached = isinstance(dataset, StoredPictures) and dataset.name != "folder"  # never changes
    return {
        "real": real_images(dataset, data_dir, names),
        "n_real": n_real,
        "options": {"kid": {"subset_size": fewest}} if "kid" in names and fewest < SUBSET else None,
        "data": describe(dataset),
        "split": split_of(dataset),
        "cache_dir": fetch.home() / "statistics" if cached else None,
    }


def default_metrics(dataset, features) -> tuple[str, ...]:
    """What `measure` measures unless told: all that the feature network gives."""
    if dataset is None:
        return WITHOUT_DATA
    if features in CLASSIFIERS.values() and not load_features(features).attributes:
        return (*OF_IMAGES, *OF_CLASSES)
    return OF_IMAGES


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
) -> tuple[np.ndarray, nearest_neighbours.Neighbours]:
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
    if space not in SPACES:
        raise MeasureError(f"`space` is one of {SPACES}. Received: space={space!r}")
    place = hub.locate(name, accept_license=accept_license)
    gan = place.open()
    dataset = _dataset(place, dataset, gan)
    if dataset is None or dataset.kind == "points":
        raise MeasureError(
            f"{str(name)!r} names no images that it was trained on; give `dataset` (--dataset), a "
            "TFDS name or a folder"
        )
    if split is not None:
        of_split(dataset, split, data_dir)  # raises where there are no splits
        dataset = dataclasses.replace(dataset, split=split)
    extractor = load_features(features or features_of(dataset)) if space == "features" else None
    need = "features" if space == "features" else "images"
    given = inputs_of(dataset, data_dir)
    batches = gan.samples(count, seed=seed, given=None if given is None else given())
    drawn = np.concatenate([b[0] if isinstance(b, tuple) else b for b in batches])
    report = None if progress is None else (lambda images: progress("real", images))
    sides = [
        vars(extract(stream, extractor, [need], progress=after))[need]
        for stream, after in ((drawn, None), (data.images(dataset, data_dir=data_dir), report))
    ]
    if space == "pixels":
        sides = [np.asarray(side).reshape(len(side), -1) for side in sides]
    matches = nearest_neighbours.nearest(*sides, nearest)
    chosen = _picked(data.images(dataset, data_dir=data_dir), matches.indices)
    places = np.searchsorted(np.unique(matches.indices), matches.indices)
    inside = dataclasses.replace(matches, indices=places)
    return nearest_neighbours.neighbour_grid(drawn, chosen, inside), matches


def _picked(stream, indices):
    """The images of a stream with these numbers, ascending."""
    numbers, start, parts = np.unique(indices), 0, []
    for images in stream:
        inside = numbers[(numbers >= start) & (numbers < start + len(images))]
        parts.append(images[inside - start])
        start += len(images)
    return np.concatenate(parts)


def _dataset(place, dataset, gan):
    """What the model is compared with, or `None` where nobody says."""
    if isinstance(dataset, DataSource):
        return dataset
    if dataset is not None:
        return _of_name(str(dataset), gan)
    record = pathlib.Path(place.files[0]["path"]).parent / "recipe.json"
    row = place.row or {}
    if place.row and not place.cached and record.is_file():  # a folder of `ganzoo train`
        return _recorded(json.loads(record.read_text("utf-8"))["settings"]["dataset"])
    if row.get("recipe"):
        return recipes.read(row["recipe"]).dataset
    if row.get("dataset") in TFDS_NAMES:
        return at_size_of(TFDS_NAMES[row["dataset"]], gan.published)
    return None


def _of_name(name, gan):
    if re.search(r"\.py(:\w+)?$", name):  # a recipe of the user's, with the data set of its own
        return recipes.read(name).dataset
    if not isinstance(gan.published, Generator):
        raise MeasureError(
            f"{type(gan).__name__} draws from no latents; give `dataset` as an object of the kind "
            f"{' or '.join(map(repr, gan.kinds))}, see `ganzoo.data`. Received: dataset={name!r}"
        )
    return at_size_of(name, gan.published)


def _recorded(config):
    try:
        return data.from_config(config)
    except ValueError as error:
        raise MeasureError(
            f"The training's own data set cannot be rebuilt from its `recipe.json`; give it as "
            f"`dataset`. Received: {config!r}"
        ) from error


def _sha256(place):
    """Of the model's file; `None` for one of several."""
    if len(place.files) != 1 or not pathlib.Path(place.files[0]["path"]).is_file():
        return None
    return fetch.sha256_of(pathlib.Path(place.files[0]["path"]))
