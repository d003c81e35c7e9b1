"""Data sets of TFDS as sources of examples: found, prepared where they are not, read in order."""

import difflib
import os
import pathlib
import re
import socket
import urllib.parse
import urllib.request

import numpy as np
import tensorflow as tf

from ganzoo.data import debian
from ganzoo.data.examples import fit, output_shape
from ganzoo.data.streams import SHUFFLE_BUFFER, OnDisk
from ganzoo.errors import DatasetNotFoundError


def open_tfds(dataset, pictures, data_dir) -> OnDisk:
    """The source of a data set that TFDS has.

    Args:
        dataset: `Dataset` or `Pairs`.
        pictures: dict of keys of an example to the features that hold its images.
        data_dir: as in `ganzoo.data.stream`.
    Raises: DatasetNotFoundError, ValueError: as `ganzoo.data.stream`.
    """
    import tensorflow_datasets as tfds

    builder = find_builder(dataset.name, data_dir)
    features = _image_features(builder.info.features, dataset, pictures)
    shapes = {key: output_shape(dataset, feature.shape) for key, feature in features.items()}
    partial = dict.fromkeys(pictures.values(), True)
    if dataset.label is not None:
        partial[dataset.label] = True
    elif dataset.attributes:
        partial["attributes"] = {name: True for name in dataset.attributes}
    decoders = tfds.decode.PartialDecoding(
        partial, decoders={name: tfds.decode.SkipDecoding() for name in pictures.values()}
    )
    records = _read(builder, dataset.split, decoders)
    if dataset.limit is not None:
        records = records.take(dataset.limit)

    def decode(record):
        images = {
            key: feature.decode_example(record[pictures[key]]) for key, feature in features.items()
        }
        return {**images, **_labels(record, dataset)}

    return OnDisk(
        records=records,
        count=int(records.cardinality()),
        decode=decode,
        fits={key: _fit_to(dataset, shape) for key, shape in shapes.items()},
        one_size=all(None not in feature.shape for feature in features.values()),
        shapes=shapes,
        buffer=SHUFFLE_BUFFER,
    )


def _fit_to(dataset, shape):
    return lambda image: fit(image, dataset, shape)


def _labels(record, dataset) -> dict[str, tf.Tensor]:
    if dataset.label is not None:
        return {"label": tf.cast(record[dataset.label], tf.int32)}
    if dataset.attributes:
        values = [record["attributes"][name] for name in dataset.attributes]
        return {"label": tf.stack([tf.cast(value, tf.float32) for value in values])}
    return {}


def _image_features(features, dataset, pictures) -> dict:
    """By key, the features that decode the images; all that `dataset` names exists then."""
    import tensorflow_datasets as tfds

    faults = []
    names = sorted(features.keys())
    images = {key: features[name] if name in features else None for key, name in pictures.items()}
    for key, feature in images.items():
        if not isinstance(feature, tfds.features.Image) or feature.np_dtype != np.uint8:
            faults.append(
                f"{key}={pictures[key]!r} is no feature of 8 bit images; features: {names}"
            )
    if dataset.label is not None:
        label = features[dataset.label] if dataset.label in features else None
        is_tensor = isinstance(label, tfds.features.Tensor)
        if not is_tensor or label.shape != () or not np.issubdtype(label.np_dtype, np.integer):
            faults.append(f"label={dataset.label!r} is no integer feature; features: {names}")
    if dataset.attributes:
        attributes = sorted(features["attributes"].keys()) if "attributes" in features else []
        absent = sorted(set(dataset.attributes) - set(attributes))
        if absent:
            faults.append(f"attributes={absent} do not exist; attributes: {attributes}")
    if faults:
        raise ValueError(f"Data set {dataset.name!r}: " + "; ".join(faults))
    return images


def find_builder(name, data_dir):
    """TFDS's builder. Raises: DatasetNotFoundError: with the nearest names."""
    import tensorflow_datasets as tfds

    base = re.split("[/:]", name)[0]
    if base == "avatars":
        from ganzoo.data import avatars  # noqa: F401, registers the data set
    try:
        return tfds.builder(name, data_dir=data_dir)
    except tfds.core.DatasetNotFoundError as error:
        names = tfds.list_builders(with_community_datasets=False)
        near = difflib.get_close_matches(base, names, n=3, cutoff=0.5)
        hint = f"; near it: {', '.join(near)}" if near else ""
        raise DatasetNotFoundError(
            f"TFDS {tfds.__version__} has no such data set{hint}. Received: name={name!r}"
        ) from error
    except ValueError as error:
        configs = sorted(tfds.builder_cls(base).builder_configs)
        legal = ", ".join(f"{base}/{config}" for config in configs) or base
        raise DatasetNotFoundError(
            f"The data set has no such configuration or version; legal: {legal}. "
            f"Received: name={name!r}"
        ) from error


def _read(builder, split, decoders) -> tf.data.Dataset:
    import tensorflow_datasets as tfds

    config = tfds.ReadConfig(try_autocache=False, interleave_cycle_length=1)  # stored order

    def read():
        return builder.as_dataset(
            split=split, decoders=decoders, read_config=config, shuffle_files=False
        )

    try:
        return read()
    except AssertionError:  # not prepared; asking first would fail under tfds.testing.mock_data
        _prepare(builder)
    return read()


def _prepare(builder):
    """Brings a data set to the machine and into TFDS's form; one process at a time."""
    import filelock
    import tensorflow_datasets as tfds

    downloads = pathlib.Path(builder.data_dir_root) / "downloads"
    try:
        downloads.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _not_found(builder, error) from error
    with filelock.FileLock(downloads / f"{builder.info.full_name.replace('/', '_')}.lock"):
        if pathlib.Path(builder.data_dir).is_dir():  # another process was faster
            builder.info.read_from_directory(builder.data_dir)
            return
        if builder.name == "fashion_mnist":
            debian.restore_fashion_mnist(builder, downloads / "manual")
        _check_hosts(builder, downloads)
        config = tfds.download.DownloadConfig(try_download_gcs=False)
        try:
            builder.download_and_prepare(download_config=config)
        except (
            *(OSError, ImportError, AssertionError),  # network, reader, files to be put by hand
            tfds.core.download.download_manager.NonMatchingChecksumError,
            tfds.core.download.util.DownloadError,
        ) as error:
            raise _not_found(builder, error) from error


def _check_hosts(builder, downloads):
    """Refuses at once when a host has no address: TFDS itself would retry for minutes."""
    import tensorflow_datasets as tfds

    if urllib.request.getproxies():  # the proxy looks the names up
        return
    file_name = tfds.core.download.resource.get_dl_fname
    hosts = set()
    for url, info in (builder.url_infos or {}).items():
        copies = downloads / "manual" / info.filename, downloads / file_name(url, info.checksum)
        if not any(path.exists() for path in copies):
            hosts.add(urllib.parse.urlsplit(url).hostname)
    for host in sorted(filter(None, hosts)):
        try:
            socket.getaddrinfo(host, None)
        except OSError as error:
            raise _not_found(builder, f"no address for {host}") from error


def _not_found(builder, reason) -> DatasetNotFoundError:
    name = builder.info.full_name.rpartition("/")[0]  # without the version
    if isinstance(reason, BaseException):
        reason = f"{type(reason).__name__}: {' '.join(str(reason).split())[:200]}"
    root = os.fspath(builder.data_dir_root)
    ways = ""
    if builder.MANUAL_DOWNLOAD_INSTRUCTIONS:
        ways = f"put its files into {root}/downloads/manual by hand, as its publisher tells, then "
    ways += (
        "run: python -c \"import tensorflow_datasets as tfds; "
        f"tfds.builder('{name}', data_dir='{root}').download_and_prepare()\""
    )
    if builder.name == "avatars":
        ways = "run: pip install 'keras-ganzoo[avatars]'"
    if builder.name == "fashion_mnist":
        ways += "; or, without a network, on Debian: apt-get install dataset-fashion-mnist"
    return DatasetNotFoundError(
        f"Data set {name!r} is not prepared in {builder.data_dir} and cannot be fetched "
        f"({reason}). To get it, {ways}"
    )
