"""Which data and which feature network belong to a model: what makes its numbers comparable."""

import dataclasses
import pathlib
from collections.abc import Callable, Iterator

from ganzoo import data
from ganzoo.data import Dataset, DataSource, Mixture, StoredPictures, Unpaired
from ganzoo.errors import MeasureError
from ganzoo.metrics import features
from ganzoo.metrics.classifier import load_classifier
from ganzoo.metrics.evaluate import needing, needs_features
from ganzoo.metrics.latent_spaces import check_attributes
from ganzoo.metrics.names import CLASSIFIERS, FEATURES

COUNT = 10_000  # samples, and real images where there are as many
# How manifest rows call data sets that TFDS has under one name, at the model's own size.
TFDS_NAMES = {"CIFAR-10": "cifar10", "Fashion-MNIST": "fashion_mnist", "MNIST": "mnist"}


# Feature networks


def features_of(dataset) -> str:
    """Name of the data set's own classifier where one of the model's size is shipped."""
    name = dataset.name if isinstance(dataset, Dataset) else None
    return CLASSIFIERS.get(name, "inception")


def load_features(name, weights=None) -> features.Extractor:
    """The `Extractor` of a name in `FEATURES`.

    Args: weights: local file of the Inception weights, or `None` for the published ones.
    Raises: MeasureError: another name; else as `ganzoo.metrics.features.extractor`.
    """
    if name not in FEATURES:
        raise MeasureError(f"`features` is one of {FEATURES}. Received: features={name!r}")
    if name in CLASSIFIERS.values():
        return load_classifier(name)
    return features.extractor(name, weights=weights or features.PUBLISHED)


def extractor_for(names, name, weights=None) -> features.Extractor | None:
    """`load_features` if one of the metrics takes a feature network, else `None`.

    Raises: MeasureError: also where a classifier of attributes is needed and this is none.
    """
    cuts = needing(names, "attributes")
    if cuts and name not in CLASSIFIERS.values():
        check_attributes(cuts, None, name)  # before anything is fetched
    return load_features(name, weights) if needs_features(names) else None


# Data


def at_size_of(name, generator) -> Dataset:
    """A TFDS name or a folder at the size of what the generator draws."""
    height, width, channels = generator.sample_shape
    kind = {"name": "folder", "folder": name} if pathlib.Path(name).is_dir() else {"name": name}
    crop = "square" if height == width else None
    return Dataset(**kind, crop=crop, size=(height, width), channels=channels)


def mixture_of(dataset) -> Mixture | None:
    """The mixture of Gaussians that a data set is, if it is one."""
    if isinstance(dataset, Dataset):
        return dataset.mixture() if dataset.is_mixture else None
    return dataset if isinstance(dataset, Mixture) else None


def inputs_of(dataset, data_dir) -> Callable[[], Iterator] | None:
    """What a translator's samples are made of: () -> batches of uint8 images; `None` for others."""
    if dataset.kind not in ("pairs", "unpaired"):
        return None
    return lambda: dataset.images(side="a", data_dir=data_dir)


def samples_of(dataset, count, data_dir) -> int:
    """`count`, or as many as there are inputs for a translator."""
    if dataset is None or dataset.kind not in ("pairs", "unpaired"):
        return count
    inputs = dataset.a if isinstance(dataset, Unpaired) else dataset
    return min(count, inputs.count(data_dir=data_dir))


def split_of(dataset) -> str | None:
    """The split of a stored data set, for a record; `None` for others."""
    return dataset.split if isinstance(dataset, StoredPictures) else None


def of_split(dataset, split, data_dir) -> DataSource:
    """The data set with the split to measure against: the given one, "test", or its own.

    Raises: MeasureError: a split of a folder, or of a data set that has none.
    """
    if not isinstance(dataset, StoredPictures) or dataset.name == "folder":
        if split is not None:
            word = "A folder" if isinstance(dataset, StoredPictures) else "This data set"
            raise MeasureError(f"{word} has no splits. Received: split={split!r}")
        return dataset
    if split is None and "test" in data.splits(dataset, data_dir=data_dir):
        split = "test"
    if split in (None, dataset.split):
        return dataset
    return dataclasses.replace(dataset, split=split, limit=None)  # `limit` is of the training


def real_images(dataset, data_dir, names) -> Iterator:
    """The stream of the data set that the metrics need: images, with labels where one does."""
    if not needing(names, "labels"):
        return data.images(dataset, data_dir=data_dir)
    if isinstance(dataset, StoredPictures) and dataset.label is None and not dataset.attributes:
        dataset = dataclasses.replace(dataset, label="label")
    return data.labelled_images(dataset, data_dir=data_dir)


def describe(dataset) -> str:
    """The data set's name and what was done to its images, for a record: `celeb_a crop=108
    size=64`.
    """
    return dataset.describe()
