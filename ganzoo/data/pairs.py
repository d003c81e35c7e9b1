"""Two sets of pictures at once: `Pairs`, of which each record holds both, and `Unpaired`."""

import dataclasses
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from ganzoo.data.dataset import Dataset
from ganzoo.data.examples import value_faults
from ganzoo.data.folders import HALVES
from ganzoo.data.protocol import DataSource, check_kind
from ganzoo.data.stored import StoredPictures, lists_to_tuples, place_faults
from ganzoo.data.streams import batches_left, check_stream

SIDES = ("a", "b")
_SEED_OF_B = 1 << 32  # the bit in which the seed of `b` differs from that of `a`


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pairs(StoredPictures):
    """Pictures in pairs, such as a drawing and its photograph: two features of a record, or two
    halves of a file.

    Both pictures of a pair get the same centre crop, resize, random crop and mirror. Their batches
    have the keys `a` and `b`, float32 [B, H, W, C] in [-1, 1], and `label` as in `Dataset`.

    Args:
        name, folder, split, size, crop, random_crop, flip, channels, label, attributes, limit,
            resize_method: as in `Dataset`. Of a file with two halves `crop` is that of a half.
            pix2pix is `size=286, random_crop=256, flip=True`.
        a, b: str. What is given and what is to be made of it. For TFDS the features that hold the
            images; for a folder "left" and "right", the halves of every file, in either order.
            Default to "left" and "right".
    Raises:
        ValueError: lists every faulty field.
    Example:
        >>> facades = Pairs(folder="facades/train", a="right", b="left", size=286, random_crop=256)
        >>> faces = Pairs(name="avatars/pixel_art_64", a="label_map", b="image")
    """

    name: str = "folder"
    folder: str | None = None
    a: str = "left"
    b: str = "right"
    split: str = "train"
    size: int | tuple[int, int] | None = None
    crop: int | str | None = None
    random_crop: int | tuple[int, int] | None = None
    flip: bool = False
    channels: int | None = None
    label: str | None = None
    attributes: tuple[str, ...] = ()
    limit: int | None = None
    resize_method: str = "bilinear"

    def __post_init__(self):
        lists_to_tuples(self, "size", "random_crop", "attributes")
        faults = _pair_faults(self) + value_faults(self)
        if faults:
            raise ValueError("Pairs does not fit together:\n  " + "\n  ".join(faults))

    @property
    def kind(self) -> str:
        """See `ganzoo.data.DataSource`."""
        return "pairs"

    def pictures(self) -> dict[str, str]:
        return {"a": self.a, "b": self.b}

    def examples(
        self, *, limit=None, data_dir=None, batch_size=64
    ) -> Iterator[dict[str, np.ndarray]]:
        """Both pictures in stored order: dicts of uint8 `a` and `b`, and `label` if there is one.

        Args, Raises: as `ganzoo.data.images`.
        """
        source = self._checked_source(limit, data_dir, batch_size)
        return self._examples(source, limit, batch_size)

    def images(
        self, *, limit=None, data_dir=None, batch_size=64, labels=False, side="b"
    ) -> Iterator:
        """One side's pictures in stored order; see `ganzoo.data.images`.

        Args: side: "a" or "b". Defaults to "b", what is to be made.
        """
        _check_side(side)
        if labels:
            self._check_labelled()
        batches = self.examples(limit=limit, data_dir=data_dir, batch_size=batch_size)
        if labels:
            return ((batch[side], batch["label"]) for batch in batches)
        return (batch[side] for batch in batches)

    def describe(self) -> str:
        """For a record: `facades a=right b=left size=256`; a folder has its full path."""
        place = self._place()
        return f"{place} a={self.a} b={self.b}" + super().describe().removeprefix(place)

    def get_config(self) -> dict:
        """JSON values; see `ganzoo.data.from_config`."""
        return {"kind": self.kind, **dataclasses.asdict(self)}


def _pair_faults(pairs) -> list[str]:
    if not isinstance(pairs.name, str) or not pairs.name:
        return [f"name is a str such as 'fashion_mnist'. Received: name={pairs.name!r}"]
    faults = place_faults(pairs)
    given = f"Received: name={pairs.name!r}, a={pairs.a!r}, b={pairs.b!r}"
    names = pairs.a, pairs.b
    if not all(isinstance(name, str) and name for name in names) or pairs.a == pairs.b:
        faults.append(f"a and b name two different pictures of a record. {given}")
    elif pairs.name == "folder" and set(names) != set(HALVES):
        faults.append(f"in a folder a and b are {' and '.join(map(repr, HALVES))}. {given}")
    elif pairs.name != "folder" and set(names) & set(HALVES):
        faults.append(f"of a TFDS data set a and b are the names of image features. {given}")
    if pairs.name == "folder" and (pairs.split != "train" or pairs.attributes):
        faults.append(
            "a folder has no splits or attributes; let `folder` name the part. "
            f"Received: split={pairs.split!r}, attributes={pairs.attributes!r}"
        )
    return faults


def _check_side(side):
    if side not in SIDES:
        raise ValueError(f"`side` is one of {SIDES}. Received: side={side!r}")


@dataclasses.dataclass(frozen=True)
class Unpaired:
    """Two data sets side by side that share no examples, such as horses and zebras.

    Batches have the keys `a` and `b`: what the two data sets call `image`; their labels are left
    out. Each side is shuffled and augmented by a seed of its own, runs through its own epochs, and
    starts anew when it ends, whatever the other does; `start` therefore resumes both exactly. An
    epoch, where `epochs` ends the stream, is one pass over the longer side, so that nothing is left
    out; of the shorter one it shows some twice.

    Args:
        a, b: data sets of one kind, "images" or "points".
    Raises:
        DatasetKindError: for other kinds.
    Example:
        >>> horses_and_zebras = Unpaired(
        ...     Dataset(name="cycle_gan/horse2zebra", split="trainA", size=286, random_crop=256),
        ...     Dataset(name="cycle_gan/horse2zebra", split="trainB", size=286, random_crop=256),
        ... )
    """

    a: DataSource
    b: DataSource

    def __post_init__(self):
        check_kind(self.a, ("images", "points"))
        check_kind(self.b, self.a.kind)

    @property
    def kind(self) -> str:
        """See `ganzoo.data.DataSource`."""
        return "unpaired"

    def stream(
        self, batch_size, *, seed=0, start=0, epochs=None, shard=(0, 1), data_dir=None
    ) -> tf.data.Dataset:
        """See `ganzoo.data.stream`."""
        check_stream(batch_size, seed, start, epochs, shard)
        order = dict(start=start, shard=shard, data_dir=data_dir)
        sides = (
            self.a.stream(batch_size, seed=seed, **order),
            self.b.stream(batch_size, seed=int(seed) ^ _SEED_OF_B, **order),
        )
        batches = tf.data.Dataset.zip(sides).map(lambda a, b: {"a": a["image"], "b": b["image"]})
        if epochs is None:
            return batches
        left = batches_left(self.count(data_dir=data_dir), batch_size, start, epochs)
        return batches.take(left).apply(tf.data.experimental.assert_cardinality(left))

    def images(
        self, *, limit=None, data_dir=None, batch_size=64, labels=False, side="b"
    ) -> Iterator:
        """One side's images; see `ganzoo.data.images`. Args: side: "a" or "b", which is default."""
        _check_side(side)
        chosen = self.a if side == "a" else self.b
        return chosen.images(limit=limit, data_dir=data_dir, batch_size=batch_size, labels=labels)

    def count(self, *, data_dir=None) -> int:
        """Examples of the longer side, an epoch."""
        return max(side.count(data_dir=data_dir) for side in (self.a, self.b))

    def describe(self) -> str:
        """For a record: both descriptions, and the splits where these are parts of TFDS sets."""
        return " / ".join(_described(side) for side in (self.a, self.b))

    def get_config(self) -> dict:
        """JSON values; see `ganzoo.data.from_config`."""
        return {"kind": self.kind, "a": self.a.get_config(), "b": self.b.get_config()}


def _described(side) -> str:
    if isinstance(side, Dataset) and side.kind == "images" and side.name != "folder":
        return f"{side.describe()} split={side.split}"
    return side.describe()
