"""Which layers of a synthesis network a w enters, and how large their maps are."""

import dataclasses
from collections.abc import Callable

import keras
import numpy as np

from ganzoo.editing.space import EditingError, check_generator
from ganzoo.generator import StyleGenerator

GROUPS = ("coarse", "middle", "fine")
PAPER_SIZE = 64  # pixels from which each of the paper's groups has a layer


@dataclasses.dataclass(frozen=True)
class StyleLayer:
    """A place where a w enters.

    Attributes:
        index: int. Of its w.
        side: int. Pixels of its maps; StyleGAN3: samples along the image's side.
        affine: `EqualizedDense` from w to the layer's style, or `None`.
        noise: the layer with `noise` and `noise_strength`, or `None` where there is no noise.
    """

    index: int
    side: int
    affine: keras.layers.Layer | None
    noise: keras.layers.Layer | None


def _stylegan(synthesis):
    return [
        StyleLayer(
            2 * i + j,
            block.side,
            epilogue.affine if "style" in epilogue.steps else None,
            epilogue if "noise" in epilogue.steps else None,
        )
        for i, block in enumerate(synthesis.blocks)
        for j, epilogue in enumerate(block.epilogues)
    ]


def _stylegan2(synthesis):
    """A block's way to the image shares its w with the next block's first layer: not listed."""
    found = []
    for block in synthesis.blocks:
        for layer in (block.conv1,) if block.side == 4 else (block.conv0, block.conv1):
            noise = layer if layer.noise_side else None
            found.append(StyleLayer(len(found), block.side, layer.affine, noise))
    return [*found, StyleLayer(len(found), block.side, block.torgb.affine, None)]


def _stylegan3(synthesis):
    layers = [synthesis.features, *synthesis.convolutions]
    bands = [synthesis.bands[0], *synthesis.bands]
    return [StyleLayer(i, bands[i].rate, x.affine, None) for i, x in enumerate(layers)]


@dataclasses.dataclass(frozen=True)
class Architecture:
    """How to list a synthesis network's layers, and whether their maps begin at 4 x 4."""

    layers: Callable
    from_four: bool = True


ARCHITECTURES = {  # by the class of the layer "synthesis"
    "StyleGANSynthesis": Architecture(_stylegan),
    "Synthesis": Architecture(_stylegan2),
    "AliasFreeSynthesis": Architecture(_stylegan3, from_four=False),
}


def _architecture(generator):
    check_generator(generator)
    if isinstance(generator, StyleGenerator):
        for cls in type(generator.get_layer("synthesis")).__mro__:
            if cls.__name__ in ARCHITECTURES:
                return ARCHITECTURES[cls.__name__]
    raise EditingError(
        f"{type(generator).__name__} has no layers with styles; take one of the StyleGANs, or "
        "leave `layers` at 'all'."
    )


def style_layers(generator) -> list[StyleLayer]:
    """One for each w, in its order.

    Raises: EditingError: for a generator without styles.
    """
    return _architecture(generator).layers(generator.get_layer("synthesis"))


def groups(generator) -> dict[str, tuple[int, ...]]:
    """"coarse", "middle" and "fine": numbers of layers.

    StyleGAN and StyleGAN2 of at least 64 pixels: sides 4 and 8; 16 and 32; 64 and more, as in the
    paper. Smaller ones, which would have no fine layer: thirds of the layers. StyleGAN3, where no
    layer has so few samples: the first and the second quarter, and the other half.

    Reference: Karras et al. 2019 (arXiv:1812.04948), figure 3.
    """
    layers, architecture = style_layers(generator), _architecture(generator)
    numbers = np.arange(len(layers))
    if not architecture.from_four:
        parts = np.split(numbers, [len(layers) // 4, len(layers) // 2])
    elif generator.image_size < PAPER_SIZE:
        parts = np.array_split(numbers, 3)
    else:
        sides = np.array([layer.side for layer in layers])
        parts = [numbers[sides <= 8], numbers[(sides > 8) & (sides <= 32)], numbers[sides > 32]]
    return {name: tuple(part.tolist()) for name, part in zip(GROUPS, parts)}


def layers_of(generator, layers="all") -> list[int]:
    """Numbers of layers, in order.

    Args:
        layers: "all", a name of `groups`, "0-3,6" (numbers and ranges with both ends), a slice, or
            ints.
    Raises: EditingError: for another name, a number that there is not, or no layer at all.
    """
    count = len(style_layers(generator))
    if isinstance(layers, str) and layers in GROUPS:
        found = groups(generator)[layers]
    elif isinstance(layers, str):
        found = range(count) if layers == "all" else _numbers(layers, count)
    else:
        found = range(count)[layers] if isinstance(layers, slice) else layers
    try:
        found = sorted({int(number) for number in found})
    except (TypeError, ValueError):
        _refuse(layers, count)
    if not found or found[0] < 0 or found[-1] >= count:
        _refuse(layers, count)
    return found


def _numbers(text, count):
    found = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            _refuse(text, count)
        found += range(int(first), min(int(last or first), count) + 1)
    return found


def _refuse(layers, count):
    raise EditingError(
        f"`layers` must be 'all', one of {GROUPS}, numbers from 0 to {count - 1} such as '0-3,6', "
        f"or a slice, and hold at least one layer. Received: layers={layers!r}"
    )
