"""Procedural faces whose attributes are known: a TFDS data set that is drawn, not downloaded.

    ganzoo.data.Dataset(name="avatars/pixel_art_64", attributes=("glasses", "hat"))

DiceBear draws a face from a seed and options; every choice that the options leave open depends on
the seed alone, so that `changed(person, glasses=True)` is the same person with glasses: ground
truth for translations. Attributes are independent coins, except that in `avataaars` a hat replaces
the hair. These are compositional cartoons, and the captions a toy language: numbers on them say
nothing of photographs. Needs the extra `avatars`, whose pinned versions decide the pixels.
"""

import dataclasses
import functools
import importlib.metadata
import io
import json
import random
from collections.abc import Iterator

import numpy as np
import tensorflow_datasets as tfds

from ganzoo.errors import PackageError

PACKAGES = {"dicebear-core": "10.7.0", "dicebear-styles": "10.6.0", "resvg-py": "0.5.0"}
STYLES = ("pixel-art", "avataaars")
SIZES = (32, 64, 128)
TRAIN, TEST = 20_000, 2_000
ATTRIBUTES = ("glasses", "smiling", "facial_hair", "hat", "long_hair")
HAIR_COLORS = ("black", "brown", "blond", "red")  # the order decides the draw
LABELS = ("background", "hair", "skin", "clothes", "hat", "accessories", "other")
LICENSES = {
    "pixel-art": "CC0-1.0 (Pixel Art by DiceBear)",
    "avataaars": "free for personal and commercial use (Avataaars by Pablo Stanley)",
}
_BACKGROUND = "#b6e3f4"
_HAIR = {
    "pixel-art": ("#28150a", "#83623b", "#cab188", "#bd1700"),
    "avataaars": ("#2c1b18", "#724133", "#d6b370", "#c93305"),
}
_AVATAAARS = {
    "long": "bigHair bob curly curvy longButNotTooLong miaWallace straight01 straight02 "
    "straightAndStrand shaggy",
    "short": "shortCurly shortFlat shortRound shortWaved theCaesar theCaesarAndSidePart dreads01 "
    "frizzle sides shaggyMullet",
    "hat": "hat winterHat02 winterHat03 winterHat04 winterHat1",
    "glasses": "prescription01 prescription02 round sunglasses wayfarers",
    "smile": "smile default twinkle",
    "sad": "sad serious concerned grimace",
    "eyes": "default happy side squint surprised closed",
}
# Colours in which a label map is drawn, and the options that they replace.
_PALETTE = np.float32(
    [
        [0, 0, 0], [255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 0], [255, 0, 255],
        [255, 255, 255],
    ]
)
_FLAT = {
    "hairColor": "#ff0000",
    "facialHairColor": "#ff0000",
    "skinColor": "#00ff00",
    "clothesColor": "#0000ff",
    "clothingColor": "#0000ff",
    "hatColor": "#ffff00",
    "accessoriesColor": "#ff00ff",
    "glassesColor": "#ff00ff",
    "eyesColor": "#ffffff",
    "mouthColor": "#ffffff",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Person:
    """Who is drawn.

    Args:
        style: out of `STYLES`.
        seed: str. Decides all that the attributes leave open.
        hair_color: out of `HAIR_COLORS`.
        attributes: dict of `ATTRIBUTES` to bool.
    Raises: ValueError: naming another style, colour or attribute.
    """

    style: str
    seed: str
    hair_color: str
    attributes: dict

    def __post_init__(self):
        for name, legal in (("style", STYLES), ("hair_color", HAIR_COLORS)):
            value = getattr(self, name)
            if value not in legal:
                raise ValueError(f"`{name}` is one of {legal}. Received: {name}={value!r}")
        if set(self.attributes) != set(ATTRIBUTES):
            raise ValueError(
                f"`attributes` are {ATTRIBUTES}, each true or false. "
                f"Received: {sorted(self.attributes)}"
            )


def people(style, count, *, seed=0) -> Iterator[Person]:
    """`count` people with attributes by chance, one half each; the same for the same seed."""
    draws = random.Random(f"{style}-{seed}")
    for number in range(count):
        attributes = {name: draws.random() < 0.5 for name in ATTRIBUTES}
        color = draws.choice(HAIR_COLORS)
        if style == "avataaars" and attributes["hat"]:
            attributes["long_hair"] = False  # a hat replaces the hair
        yield Person(
            style=style, seed=f"{seed}-{number}", hair_color=color, attributes=attributes
        )


def changed(person, *, hair_color=None, **attributes) -> Person:
    """The same person with other attributes. Raises: ValueError: for an unknown one."""
    unknown = sorted(set(attributes) - set(ATTRIBUTES))
    if unknown:
        raise ValueError(f"Attributes are {ATTRIBUTES}. Received: {unknown}")
    return dataclasses.replace(
        person,
        hair_color=hair_color or person.hair_color,
        attributes={**person.attributes, **attributes},
    )


def render(person, size) -> np.ndarray:
    """uint8 [size, size, 3]. Raises: PackageError: see the module."""
    return _raster(person, {"backgroundColor": [_BACKGROUND]}, size, background="#ffffff")


def label_map(person, size) -> np.ndarray:
    """uint8 [size, size], the number in `LABELS` of what each pixel of `render` shows."""
    flat = {name: [color] for name, color in _FLAT.items()}
    options = {**flat, "backgroundColor": ["#000000"]}
    drawn = _raster(person, options, size, background="#000", shape_rendering="crisp_edges")
    distances = np.square(drawn[:, :, np.newaxis].astype("float32") - _PALETTE).sum(axis=-1)
    return distances.argmin(axis=-1).astype("uint8")


def caption(person) -> str:
    """A sentence that tells every attribute."""
    has = person.attributes
    mood = "smiling" if has["smiling"] else "sad"
    length = "long" if has["long_hair"] else "short"
    things = [("glasses", "glasses"), ("facial_hair", "a beard"), ("hat", "a hat")]
    more = "".join(f", {words}" for name, words in things if has[name])
    return f"a {mood} person with {length} {person.hair_color} hair{more}"


def _raster(person, options, size, **settings):
    _check_packages()
    import resvg_py
    from dicebear import Avatar
    from PIL import Image

    chosen = {"seed": person.seed, **_options(person), **options}
    drawing = Avatar(_style(person.style), chosen).to_string()
    data = resvg_py.svg_to_bytes(
        svg_string=drawing, width=size, height=size, skip_system_fonts=True, **settings
    )
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


@functools.cache
def _definition(style):
    from importlib.resources import files

    return json.loads(files("dicebear_styles").joinpath(f"{style}.json").read_text("utf-8"))


@functools.cache
def _style(style):
    from dicebear import Style

    return Style(_definition(style))


def _options(person):
    """DiceBear's options: what the attributes decide, and nothing else."""
    has = person.attributes
    color = [_HAIR[person.style][HAIR_COLORS.index(person.hair_color)]]
    if person.style == "pixel-art":
        return {
            "hairColor": color,
            "glassesProbability": 100 * has["glasses"],
            "beardProbability": 100 * has["facial_hair"],
            "hatProbability": 100 * has["hat"],
            "accessoriesProbability": 0,
            "mouthVariant": _variants("mouth", "happy" if has["smiling"] else "sad"),
            "hairVariant": _variants("hair", "long" if has["long_hair"] else "short"),
        }
    top = "hat" if has["hat"] else "long" if has["long_hair"] else "short"
    return {
        "hairColor": color,
        "facialHairProbability": 100 * has["facial_hair"],
        "facialHairColor": color,
        "accessoriesProbability": 100 * has["glasses"],
        "accessoriesVariant": _AVATAAARS["glasses"].split(),
        "accessoriesColor": ["#262e33"],
        "mouthVariant": _AVATAAARS["smile" if has["smiling"] else "sad"].split(),
        "eyesVariant": _AVATAAARS["eyes"].split(),
        "topProbability": 100,
        "topVariant": _AVATAAARS[top].split(),
    }


def _variants(part, prefix):
    variants = _definition("pixel-art")["components"][part]["variants"]
    return [name for name in variants if name.startswith(prefix)]


@functools.cache
def _check_packages():
    """Raises: PackageError: naming what is missing or of another version."""
    faults = []
    for name, pinned in PACKAGES.items():
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            version = "not installed"
        if version != pinned:
            faults.append(f"{name} {pinned} ({version})")
    if faults:
        raise PackageError(
            f"Avatars are drawn by {', '.join(faults)}; other versions draw other pixels. "
            "Run: pip install 'keras-ganzoo[avatars]'"
        )


# The data set


class AvatarsConfig(tfds.core.BuilderConfig):
    """One style at one size.

    Args:
        style: out of `STYLES`.
        size: int > 0. Pixels of a side.
        train, test: int > 0. Examples of each split; the people of the two differ.
    """

    def __init__(self, *, style, size, train=TRAIN, test=TEST, **options):
        options.setdefault("name", f"{style.replace('-', '_')}_{size}")
        super().__init__(**options)
        self.style, self.size = style, size
        self.counts = {"train": train, "test": test}


class Avatars(tfds.core.GeneratorBasedBuilder):
    """Faces with attributes, hair colour, label map and caption; see the module."""

    VERSION = tfds.core.Version("1.0.0")
    BUILDER_CONFIGS = [AvatarsConfig(style=style, size=size) for style in STYLES for size in SIZES]

    def _info(self):
        size = self.builder_config.size
        features = {
            "image": tfds.features.Image(shape=(size, size, 3), encoding_format="png"),
            "label_map": tfds.features.Image(shape=(size, size, 1), encoding_format="png"),
            "attributes": {name: np.bool_ for name in ATTRIBUTES},
            "hair_color": tfds.features.ClassLabel(names=list(HAIR_COLORS)),
            "caption": tfds.features.Text(),
            "seed": tfds.features.Text(),
        }
        return tfds.core.DatasetInfo(
            builder=self,
            description="Procedural faces with known attributes, drawn by DiceBear.",
            features=tfds.features.FeaturesDict(features),
            homepage="https://www.dicebear.com",
            license=LICENSES[self.builder_config.style],
            metadata=tfds.core.MetadataDict(packages=PACKAGES),
        )

    def _split_generators(self, dl_manager):
        _check_packages()
        return {split: self._generate_examples(split) for split in ("train", "test")}

    def _generate_examples(self, split):
        config = self.builder_config
        for person in people(config.style, config.counts[split], seed=split):
            example = {
                "image": render(person, config.size),
                "label_map": label_map(person, config.size)[..., np.newaxis],
                "attributes": person.attributes,
                "hair_color": person.hair_color,
                "caption": caption(person),
                "seed": person.seed,
            }
            yield person.seed, example
