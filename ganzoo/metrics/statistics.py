"""Mean and covariance of features: streaming, mergeable, and filed under what they were made of.

Two statistics are comparable only if one network saw both sets through one resizer and one
quantisation; `Key` holds these, and `Statistics.check_alike` refuses the rest. Files are `.npz`
without pickled objects. They hold `mu` and `sigma` as those of TTUR, pytorch-fid and clean-fid do,
so that those programs read them; `import_statistics` reads theirs.
"""

import dataclasses
import hashlib
import json
import os
import pathlib
import re
import tempfile
import zipfile

import numpy as np

from ganzoo import fetch
from ganzoo.errors import (
    HashError,
    MetricError,
    StatisticsFileError,
    TooFewSamplesError,
    UnlikeStatisticsError,
)
from ganzoo.metrics.arrays import checked_features

BLOCK_ROWS = 2048  # collected before they enter the covariance: one product instead of many
FILE_BYTES = 1 << 31  # more than the statistics of 11,000 dimensions
_CLEAN_FID_RESIZERS = {"clean": "clean", "legacy_pytorch": "torch", "legacy_tensorflow": "tf1"}
_CLEAN_FID_NAME = re.compile(
    r"(?P<dataset>.+)_(?P<mode>clean|legacy_pytorch|legacy_tensorflow)(?:_(?P<model>clip_vit_b_32))?"
    r"_(?P<split>[^_]+)_(?P<resolution>\d+|na)\.npz",
    re.IGNORECASE,
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Key:
    """What statistics were made of. All fields together name the cache file.

    Args:
        network: str. sha256 of the feature network's weights, 64 hexadecimal digits.
        resizer: str. How images came to the network's size: "tf1", "torch", "clean", ...
        quantisation: str. What the network saw: "uint8", "float", "png", "jpeg-75", ...
        dataset: str. The data set or the checkpoint with the settings that drew from it.
        split: str. "train", "test", "fake", ...; name the mirror images here.
        count: int > 0 or `None`. Number of samples; `None` where a publisher does not say.
    Raises:
        MetricError: names each faulty field.
    """

    network: str
    resizer: str
    quantisation: str
    dataset: str
    split: str
    count: int | None

    def __post_init__(self):
        texts = ("resizer", "quantisation", "dataset", "split")
        faults = [
            f"{field} is a text that is not empty. Received: {field}={getattr(self, field)!r}"
            for field in texts
            if not isinstance(getattr(self, field), str) or not getattr(self, field)
        ]
        if not isinstance(self.network, str) or not re.fullmatch("[0-9a-f]{64}", self.network):
            faults.append(
                "network is the sha256 of its weights, 64 hexadecimal digits. "
                f"Received: network={self.network!r}"
            )
        integer = isinstance(self.count, int) and not isinstance(self.count, bool)
        if self.count is not None and (not integer or self.count < 1):
            faults.append(f"count is an int > 0 or None. Received: count={self.count!r}")
        if faults:
            raise MetricError("A key of statistics is faulty: " + "; ".join(faults))

    @classmethod
    def from_clean_fid_name(cls, name, *, network, count=None) -> "Key":
        """The key of a statistics file of clean-fid, read from the file's name.

        `<data set>_<mode>_<split>_<resolution>.npz`, with `_<model>` after the mode unless the
        model is Inception. The resolution becomes part of the data set's name.

        Args:
            name: str. File name or path, as "cifar10_legacy_tensorflow_train_32.npz".
            network: str. sha256 of the weights of the model that the name stands for.
            count: int or `None`. Number of images if known.
        Raises:
            StatisticsFileError: the name is not of this form, or is that of KID features.
        """
        match = _CLEAN_FID_NAME.fullmatch(pathlib.Path(name).name)
        if match is None:
            raise StatisticsFileError(
                "clean-fid names its statistics <data set>_<mode>_<split>_<resolution>.npz with "
                f"the modes {sorted(_CLEAN_FID_RESIZERS)}; write a `Key` by hand instead. "
                f"Received: {pathlib.Path(name).name!r}"
            )
        return cls(
            network=network,
            resizer=_CLEAN_FID_RESIZERS[match["mode"].lower()],
            quantisation="uint8",
            dataset=f"{match['dataset']}-{match['resolution']}",
            split=match["split"],
            count=count,
        )

    @property
    def digest(self) -> str:
        """sha256 of the fields, 64 hexadecimal digits."""
        return hashlib.sha256(self.json().encode()).hexdigest()

    def json(self) -> str:
        """The fields as JSON with sorted names."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True)

    def path(self, folder) -> pathlib.Path:
        """Where statistics of this key lie in a cache folder."""
        return pathlib.Path(folder) / f"{self.digest}.npz"


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Statistics:
    """Count, mean and covariance of features.

    Args:
        mean: float array [D].
        covariance: float array [D, D], the unbiased estimate (divisor N - 1), symmetric.
        count: int > 1 or `None` if unknown (imported files do not say).
        key: `Key` or `None`. What the features were made of.
    Raises:
        MetricError: shapes that do not fit, NaN, or a matrix that is not symmetric.
        TooFewSamplesError: `count` below 2.
        UnlikeStatisticsError: `key.count` is another number than `count`.
    """

    mean: np.ndarray
    covariance: np.ndarray
    count: int | None
    key: Key | None = None

    def __post_init__(self):
        mean = np.asarray(self.mean, np.float64)
        covariance = np.asarray(self.covariance, np.float64)
        if mean.ndim != 1 or len(mean) == 0 or covariance.shape != (len(mean), len(mean)):
            raise MetricError(
                "Statistics are a mean [D] and a covariance [D, D]. "
                f"Received: mean.shape={mean.shape}, covariance.shape={covariance.shape}"
            )
        if not (np.isfinite(mean).all() and np.isfinite(covariance).all()):
            raise MetricError(
                "Statistics must be finite; compute them anew from finite features. "
                f"Received: {np.count_nonzero(~np.isfinite(mean))} faulty values in the mean, "
                f"{np.count_nonzero(~np.isfinite(covariance))} in the covariance"
            )
        largest = np.abs(covariance).max()
        difference = np.abs(covariance - covariance.T).max()
        if difference > 1e-5 * largest:
            raise MetricError(
                "A covariance is symmetric; the file or array is damaged or of another kind. "
                f"Received: entries that differ from their mirror by up to {difference:g}"
            )
        if self.count is not None and self.count < 2:
            raise TooFewSamplesError(
                f"A covariance needs at least 2 samples. Received: {self.count}"
            )
        if self.key is not None and self.key.count not in (None, self.count):
            raise UnlikeStatisticsError(
                "The key counts other samples than the statistics; key what was measured. "
                f"Received: key.count={self.key.count}, count={self.count}"
            )
        object.__setattr__(self, "mean", mean)
        object.__setattr__(self, "covariance", covariance)

    @property
    def dimension(self) -> int:
        """D."""
        return len(self.mean)

    @property
    def rank(self) -> int:
        """The most that the covariance can have: D, or N - 1 if that is less."""
        return self.dimension if self.count is None else min(self.dimension, self.count - 1)

    def check_alike(self, other) -> None:
        """Raises UnlikeStatisticsError unless one network, resizer and quantisation made both.

        Statistics without a key compare with others without a key only: then the caller vouches.
        """
        if self.dimension != other.dimension:
            raise UnlikeStatisticsError(
                "Both sets of features must come from one network. "
                f"Received: {self.dimension} and {other.dimension} dimensions"
            )
        if (self.key is None) != (other.key is None):
            raise UnlikeStatisticsError(
                "Only one of the two statistics says which network, resizer and quantisation made "
                "it; give the other its key with `dataclasses.replace(statistics, key=Key(...))`. "
                f"Received: {self.key} and {other.key}"
            )
        if self.key is None:
            return
        differing = [
            f"{field}: {getattr(self.key, field)!r} and {getattr(other.key, field)!r}"
            for field in ("network", "resizer", "quantisation")
            if getattr(self.key, field) != getattr(other.key, field)
        ]
        if differing:
            raise UnlikeStatisticsError(
                "Statistics compare only if one network saw both through one resizer and one "
                f"quantisation; measure one of them again. Received: {'; '.join(differing)}"
            )

    def save(self, path) -> pathlib.Path:
        """Writes `.npz` without pickled objects, whole or not at all.

        Args: path: str or path that ends in ".npz"; its folder is made.
        Returns: the path.
        Raises: OSError: the place cannot be written.
        """
        path = pathlib.Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        arrays = {"mu": self.mean, "sigma": self.covariance}
        if self.count is not None:
            arrays["count"] = np.int64(self.count)
        if self.key is not None:
            arrays["key"] = np.array(self.key.json())
        handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".part")
        try:
            with os.fdopen(handle, "wb") as file:
                np.savez(file, **arrays)
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
        return path


class StreamingStatistics:
    """Statistics of a stream in memory that does not grow with it, 5 D^2 float64 numbers at most.

    Blocks of samples are merged by Chan's formulae, M <- M + M_B + d d^T n n_B / (n + n_B) with d
    the difference of the means; the last term enters as one more row of the block.

    Args: dimension: int > 0, D.
    Raises: MetricError: for another dimension.
    Example:
        >>> stream = StreamingStatistics(2)
        >>> stream.update([[0.0, 1.0], [2.0, 3.0]])
        >>> stream.result().mean
        array([1., 2.])
    Reference: Chan, Golub, LeVeque 1983, "Algorithms for computing the sample variance", eq. 2.1.
    """

    def __init__(self, dimension):
        if isinstance(dimension, bool) or not isinstance(dimension, int) or dimension < 1:
            raise MetricError(f"`dimension` is an int > 0. Received: dimension={dimension!r}")
        self._count = 0
        self._mean = np.zeros(dimension)
        self._moments = np.zeros((dimension, dimension))  # sum of (x - mean) (x - mean)^T
        self._block = np.empty((BLOCK_ROWS + 1, dimension))
        self._filled = 0

    @property
    def count(self) -> int:
        """Samples so far."""
        return self._count + self._filled

    @property
    def dimension(self) -> int:
        """D."""
        return len(self._mean)

    def update(self, features) -> None:
        """Adds samples.

        Args: features: array [N, D]; N may be 0.
        Raises:
            NonFiniteError: NaN or infinity, with their number; nothing is added.
            MetricError: another shape.
        """
        features = checked_features(features, minimum=0, dimension=self.dimension)
        while len(features):
            taken = features[: BLOCK_ROWS - self._filled]
            self._block[self._filled : self._filled + len(taken)] = taken
            self._filled += len(taken)
            features = features[len(taken) :]
            if self._filled == BLOCK_ROWS:
                self._flush()

    def merge(self, other) -> None:
        """Adds the samples of another stream, as those of another replica; `other` is kept.

        Raises: UnlikeStatisticsError: another number of dimensions.
        """
        if self.dimension != other.dimension:
            raise UnlikeStatisticsError(
                "Streams of one network merge. "
                f"Received: {self.dimension} and {other.dimension} dimensions"
            )
        other._flush()
        if other._count == 0:
            return
        self._flush()
        moments = other._moments.copy()
        shift, total = other._mean - self._mean, self._count + other._count
        moments += np.outer(shift, shift) * (self._count * other._count / total)
        self._moments += moments
        self._mean = self._mean + shift * (other._count / total)
        self._count = total

    def result(self, key=None) -> Statistics:
        """`Statistics` of the samples so far; the stream may go on.

        Args: key: `Key` or `None`. What the features were made of.
        Raises: TooFewSamplesError: fewer than 2 samples.
        """
        if self.count < 2:
            raise TooFewSamplesError(
                "Mean and covariance need at least 2 samples; is the stream empty? "
                f"Received: {self.count} samples"
            )
        self._flush()
        covariance = self._moments / (self._count - 1)
        return Statistics(mean=self._mean.copy(), covariance=covariance, count=self._count, key=key)

    def _flush(self):
        filled, self._filled = self._filled, 0
        if filled == 0:
            return
        block = self._block[:filled]
        mean = block.mean(axis=0)
        block -= mean
        shift, total = mean - self._mean, self._count + filled
        self._block[filled] = shift * np.sqrt(self._count * filled / total)
        rows = self._block[: filled + 1]
        self._moments += rows.T @ rows
        self._mean = self._mean + shift * (filled / total)
        self._count = total


def statistics_of(features, key=None) -> Statistics:
    """`Statistics` of a feature matrix or of batches of one.

    Args:
        features: array [N, D] or an iterable of arrays [B, D].
        key: `Key` or `None`. What the features were made of.
    Raises:
        TooFewSamplesError: fewer than 2 samples.
        NonFiniteError: NaN or infinity.
        MetricError: batches of differing D.
    """
    batches = [features] if isinstance(features, np.ndarray) else features
    stream = None
    for batch in batches:
        batch = checked_features(batch, minimum=0)
        if stream is None:
            stream = StreamingStatistics(batch.shape[1])
        stream.update(batch)
    if stream is None:
        raise TooFewSamplesError("The stream of features is empty; nothing came out of it.")
    return stream.result(key)


def load_statistics(path, key=None) -> Statistics:
    """Statistics that `Statistics.save` wrote.

    Args:
        path: str or path.
        key: `Key` or `None`. What they must be made of.
    Raises:
        StatisticsFileError: absent, damaged, or not of `Statistics.save`.
        UnlikeStatisticsError: made of something else than `key`.
    """
    arrays = _read(path)
    found = _key_of(arrays, path)
    if key is not None and found != key:
        raise UnlikeStatisticsError(
            f"{path} holds other statistics; delete it and measure again. "
            f"Expected: {key}. Received: {found}"
        )
    count = None if "count" not in arrays else int(arrays["count"])
    return Statistics(mean=arrays["mu"], covariance=arrays["sigma"], count=count, key=found)


def import_statistics(path, *, key=None, sha256=None) -> Statistics:
    """Statistics that TTUR, pytorch-fid or clean-fid wrote: arrays `mu` and `sigma`.

    Such a file does not say how it was made. `Key.from_clean_fid_name` reads what clean-fid tells
    in the name; for others write the `Key`.

    Args:
        path: str or path of the `.npz`.
        key: `Key` or `None`. What the publisher says; without it only the same caller's keyless
            statistics compare.
        sha256: str or `None`. The published hash, checked before the file is parsed.
    Returns: `Statistics` with `count` of the key.
    Raises:
        HashError: another sha256 than the published one.
        StatisticsFileError: absent, damaged, or without these arrays.
    """
    path = pathlib.Path(path)
    if sha256 is not None:
        if not path.is_file():
            raise StatisticsFileError(f"{path} does not exist; download it first.")
        found = fetch.sha256_of(path)
        if found != sha256.lower():
            raise HashError(
                f"{path} is not the published file; download it again. "
                f"Expected: sha256 {sha256}. Received: {found}"
            )
    arrays = _read(path)
    count = None if key is None else key.count
    return Statistics(mean=arrays["mu"], covariance=arrays["sigma"], count=count, key=key)


def _read(path) -> dict[str, np.ndarray]:
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(member.file_size for member in archive.infolist())
        if size > FILE_BYTES:
            raise StatisticsFileError(
                f"{path} unpacks to {size} bytes, more than statistics need ({FILE_BYTES})."
            )
        with np.load(path, allow_pickle=False) as file:
            names = {"mu", "sigma", "count", "key"} & set(file.files)
            arrays = {name: file[name] for name in names}
    except FileNotFoundError:
        raise StatisticsFileError(f"{path} does not exist; download or measure it first.") from None
    except StatisticsFileError:
        raise
    except (zipfile.BadZipFile, ValueError, EOFError, KeyError, OSError) as error:
        raise StatisticsFileError(
            f"{path} is no readable .npz of numbers (damaged, truncated or holding Python "
            f"objects); download or measure it again. Cause: {error}"
        ) from error
    missing = {"mu", "sigma"} - set(arrays)
    if missing:
        raise StatisticsFileError(
            f"{path} holds no {sorted(missing)}; a file of clean-fid that ends in _kid.npz holds "
            "features, not statistics."
        )
    return arrays


def _key_of(arrays, path) -> Key | None:
    if "key" not in arrays:
        return None
    try:
        return Key(**json.loads(str(arrays["key"])))
    except (TypeError, json.JSONDecodeError) as error:
        raise StatisticsFileError(
            f"The key in {path} cannot be read; delete the file and measure again. Cause: {error}"
        ) from error
