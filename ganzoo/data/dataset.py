"""`Dataset`: a set of TFDS, a folder of images or a mixture of Gaussians, in plain values."""

import dataclasses
from collections.abc import Iterator

import tensorflow as tf

from ganzoo.data.examples import value_faults
from ganzoo.data.mixtures import MIXTURES, Mixture, stream_points
from ganzoo.data.stored import StoredPictures, lists_to_tuples, place_faults
from ganzoo.data.streams import check_stream


@dataclasses.dataclass(frozen=True, kw_only=True)
class Dataset(StoredPictures):
    """Which examples to read and how to bring them to one size; plain values only.

    An image is cropped (`crop`), resized (`size`), converted (`channels`) and rounded to 8 bit,
    always in the same way; a stream then crops at random (`random_crop`) and mirrors (`flip`).

    Args:
        name: str. A TFDS name with its configuration ("fashion_mnist", "cycle_gan/horse2zebra"),
            "avatars/pixel_art_64" (procedural faces, see `ganzoo.data.avatars`), or "folder", or a
            mixture of Gaussians: "ring" or "grid". Defaults to "folder".
        folder: str or `None`. For "folder": where the images lie, PNG, JPEG, BMP, GIF or WebP.
            Folders in it are searched too; with `label` each of them is a class, in sorted order.
        split: str. TFDS split, "train[:90%]" included. A folder has none. Defaults to "train".
        size: int, (height, width) or `None`. Size after the resize, which does not keep the aspect
            ratio (see `crop`). Defaults to `None`, which demands images of one size.
        crop: int, "square" or `None`. Centre crop before the resize, in pixels of the stored image;
            "square" takes the largest square. CelebA at 64 px is `crop=108, size=64`.
        random_crop: int, (height, width) or `None`. Crop at a random place after the resize;
            `images` takes the centre instead. CycleGAN is `size=286, random_crop=256`.
        flip: bool. Mirror left to right with probability 1/2. Defaults to `False`.
        channels: 1, 3 or `None`. Convert to grey or RGB; `None` keeps what is stored (in a folder:
            what the first file has). Transparency is dropped, not blended.
        label: str or `None`. The integer feature that becomes `label`, int32 [B]. For a folder or a
            mixture any name, such as "label". Defaults to `None`, no labels.
        attributes: tuple of str. Instead of `label`: binary features below "attributes" (CelebA),
            which become `label`, float32 [B, K] of 0 and 1 in this order.
        image: str. The TFDS feature that holds the image. Defaults to "image".
        limit: int or `None`. Only the first `limit` examples, in stored order.
        resize_method: str. "bilinear", "bicubic", "lanczos3", "lanczos5", "area" or "nearest";
            low-pass filtered when it shrinks. Defaults to "bilinear".
        modes, radius, std: int, float, float. For mixtures only, see `ring` and `grid`; `None`
            takes their defaults.
    Raises:
        ValueError: lists every faulty field.
    Example:
        >>> faces = Dataset(name="celeb_a", crop=108, size=64, flip=True)
    """

    name: str = "folder"
    folder: str | None = None
    split: str = "train"
    size: int | tuple[int, int] | None = None
    crop: int | str | None = None
    random_crop: int | tuple[int, int] | None = None
    flip: bool = False
    channels: int | None = None
    label: str | None = None
    attributes: tuple[str, ...] = ()
    image: str = "image"
    limit: int | None = None
    resize_method: str = "bilinear"
    modes: int | None = None
    radius: float | None = None
    std: float | None = None

    def __post_init__(self):
        lists_to_tuples(self, "size", "random_crop", "attributes")
        faults = _name_faults(self) + value_faults(self)
        if faults:
            raise ValueError("Dataset does not fit together:\n  " + "\n  ".join(faults))
        for field, default in MIXTURES.get(self.name, {}).items():
            if getattr(self, field) is None:
                object.__setattr__(self, field, default)
        if self.is_mixture:
            self.mixture()

    @property
    def is_mixture(self) -> bool:
        return self.name in MIXTURES

    @property
    def kind(self) -> str:
        """See `ganzoo.data.DataSource`: "points" for a mixture, else "images"."""
        return "points" if self.is_mixture else "images"

    def mixture(self) -> Mixture:
        """The mixture of Gaussians that `name`, `modes`, `radius` and `std` describe."""
        if not self.is_mixture:
            raise ValueError(
                f"Only the names {sorted(MIXTURES)} are mixtures. Received: name={self.name!r}"
            )
        return Mixture(layout=self.name, modes=self.modes, radius=self.radius, std=self.std)

    def pictures(self) -> dict[str, str]:
        return {"image": self.image}

    def stream(
        self, batch_size, *, seed=0, start=0, epochs=None, shard=(0, 1), data_dir=None
    ) -> tf.data.Dataset:
        """See `ganzoo.data.stream`."""
        order = dict(seed=seed, start=start, epochs=epochs, shard=shard)
        if self.is_mixture:
            labelled = self.label is not None
            return stream_points(self.mixture(), batch_size, labelled=labelled, **order)
        return super().stream(batch_size, data_dir=data_dir, **order)

    def images(self, *, limit=None, data_dir=None, batch_size=64, labels=False) -> Iterator:
        """See `ganzoo.data.images`, and `labelled_images` for `labels=True`."""
        if labels:
            self._check_labelled()
        source = self._checked_source(limit, data_dir, batch_size)
        batches = self._examples(source, limit, batch_size)
        if labels:
            return ((batch["image"], batch["label"]) for batch in batches)
        return (batch["image"] for batch in batches)

    def splits(self, *, data_dir=None) -> list[str]:
        """See `ganzoo.data.splits`."""
        return [] if self.is_mixture else super().splits(data_dir=data_dir)

    def describe(self) -> str:
        """For a record: `celeb_a crop=108 size=64`; a folder has its full path."""
        return self.mixture().describe() if self.is_mixture else super().describe()

    def get_config(self) -> dict:
        """JSON values; see `ganzoo.data.from_config`."""
        return dataclasses.asdict(self)

    def _checked_source(self, limit, data_dir, batch_size):
        check_stream(batch_size, 0, 0, None)
        if self.is_mixture:
            raise ValueError(
                "A mixture has points, not images; use `dataset.mixture().sample(count)`. "
                f"Received: name={self.name!r}"
            )
        return super()._checked_source(limit, data_dir, batch_size)


def _name_faults(dataset) -> list[str]:
    if not isinstance(dataset.name, str) or not dataset.name:
        return [f"name is a str such as 'fashion_mnist'. Received: name={dataset.name!r}"]
    faults = place_faults(dataset)
    defaults = {field.name: field.default for field in dataclasses.fields(Dataset)}
    changed = {name for name, default in defaults.items() if getattr(dataset, name) != default}
    if dataset.name in MIXTURES:
        foreign = changed - {"name", "folder", "label", "modes", "radius", "std"}
        reason = "a mixture yields points, not images"
    elif changed & {"modes", "radius", "std"}:
        foreign = changed & {"modes", "radius", "std"}
        reason = f"only the mixtures {sorted(MIXTURES)} have modes, radius and std"
    else:
        foreign = changed & {"split", "image", "attributes"} if dataset.name == "folder" else set()
        reason = "a folder has no splits, features or attributes; let `folder` name the part"
    if foreign:
        given = ", ".join(f"{name}={getattr(dataset, name)!r}" for name in sorted(foreign))
        faults.append(f"{reason}. Received: name={dataset.name!r}, {given}")
    return faults
