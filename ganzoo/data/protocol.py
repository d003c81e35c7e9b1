"""What a family trains on: the methods of every data set, and the check that it is of the kind."""

from collections.abc import Iterator
from typing import Protocol, runtime_checkable

import tensorflow as tf

from ganzoo.errors import DatasetKindError

KINDS = {  # kind -> how to build one
    "images": "Dataset(name='fashion_mnist', size=32) or Dataset(folder='photos', size=64)",
    "points": "ring(), grid() or Dataset(name='ring')",
    "pairs": "Pairs(folder='facades', size=256) or Pairs(name='...', a='...', b='...')",
    "unpaired": "Unpaired(Dataset(folder='horses', size=256), Dataset(folder='zebras', size=256))",
}


@runtime_checkable
class DataSource(Protocol):
    """A data set, ours or your own: any object with these members goes wherever a data set goes.

    `Dataset`, `Mixture`, `Pairs` and `Unpaired` are such objects; nothing need be inherited. An
    object that is a frozen dataclass can be compared and is shown well in messages.
    """

    @property
    def kind(self) -> str:
        """What a batch holds: "images" and "points" have the key `image`, "pairs" and "unpaired"
        have `a` and `b`; a family of your own may name another.
        """

    def stream(
        self, batch_size, *, seed=0, start=0, epochs=None, shard=(0, 1), data_dir=None
    ) -> tf.data.Dataset:
        """Batches for training, dicts of tensors; see `ganzoo.data.stream` for the arguments.

        Resuming is exact if the batches depend on the arguments alone, and if those of `start=n`
        are those of `start=0` without the first n.
        """

    def images(self, *, limit=None, data_dir=None, batch_size=64, labels=False) -> Iterator:
        """For metrics: uint8 [B, H, W, C] in a fixed order, at most `limit` images in all; with
        `labels=True` tuples of these and their labels. Raises: ValueError: there are none.
        """

    def count(self, *, data_dir=None) -> int:
        """Examples in one epoch. Raises: ValueError: there is no end."""

    def describe(self) -> str:
        """For records: numbers of data sets with the same description are compared."""

    def get_config(self) -> dict:
        """JSON values, kept in `recipe.json`; what `ganzoo.data.from_config` rebuilds a data set of
        ours from.
        """


def check_kind(dataset, kinds) -> DataSource:
    """`dataset`, if a family that trains on `kinds` can train on it.

    Args:
        dataset: what was given as a data set.
        kinds: str, or several: out of `KINDS`, or those of a family of your own.
    Raises: DatasetKindError: it is of another kind, or no data set; says what to build.
    Example:
        >>> from ganzoo.data import ring
        >>> mixture = check_kind(ring(), "points")
    """
    kinds = (kinds,) if isinstance(kinds, str) else tuple(kinds)
    names = " or ".join(map(repr, kinds))
    build = "; or ".join(f"`{KINDS[kind]}` of ganzoo.data" for kind in kinds if kind in KINDS)
    fix = f"Give {build}." if build else "Give an object with that `kind`."
    if not isinstance(dataset, DataSource):
        raise DatasetKindError(
            f"A data set of the kind {names} is needed, with the methods of "
            f"`ganzoo.data.DataSource`. {fix} Received: {dataset!r}"
        )
    if dataset.kind not in kinds:
        raise DatasetKindError(
            f"A data set of the kind {names} is needed. {fix} "
            f"Received: kind={dataset.kind!r}, {dataset!r}"
        )
    return dataset
