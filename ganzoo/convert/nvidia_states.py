"""State dicts of NVIDIA's PyTorch generators, StyleGAN2 and StyleGAN3.

Layout: the arrays of `stylegan2_torch` or `stylegan3_torch` by their dotted names, without what the
constructors were given, as `torch.save(G.state_dict(), ...)` writes them, and PyTorch-StudioGAN
under the key `state_dict`. Sizes come from shapes, StyleGAN3's also from the layers' names. What no
array tells is taken to be as NVIDIA trains: leaky ReLU, a mapping of rate 0.01, outputs of
convolutions clamped to 256. A file does not say whether its generator is the averaged one.
Discriminators are not read: the size of the groups of their minibatch deviation is in no array.
The official code is https://github.com/NVlabs/stylegan3 and, for StudioGAN's files,
https://github.com/POSTECH-CVLab/PyTorch-StudioGAN (MIT).
"""

import re

import numpy as np

from ganzoo.checkpoints.reader import flatten
from ganzoo.convert.rosinality import block_maps
from ganzoo.convert.stylegan2_torch import generator_rules, taps_of
from ganzoo.convert.stylegan3_torch import generator_table
from ganzoo.convert.table import Match, Recognised
from ganzoo.errors import WeightsError
from ganzoo.layers.bands import layer_bands, layer_widths

AVERAGE = "mapping.w_avg"  # a dotted name: trees of modules are nested, and not of this layout
CONST = "synthesis.b4.const"  # of StyleGAN2
WAVES = "synthesis.input.freqs"  # of StyleGAN3
CLAMP = 256


def recognise_networks(tree) -> list[Match]:
    """(where, `Recognised`, arrays) of the generator that a state dict is."""
    if not isinstance(tree, dict) or AVERAGE not in tree:
        return []
    arrays = flatten(tree)
    makers = {CONST: _stylegan2, WAVES: _stylegan3}
    return [("", make(arrays), arrays) for sign, make in makers.items() if sign in arrays]


def _stylegan3(arrays):
    config, names = stylegan3_config(arrays, "")
    return Recognised("stylegan3", "generator", config, generator_table(names))


def _stylegan2(arrays):
    try:
        config = _stylegan2_config(arrays)
    except KeyError as error:
        raise WeightsError(f"The generator lacks {error}, which every StyleGAN2 has.") from error
    return Recognised("stylegan2", "generator", config, generator_rules())


# --- StyleGAN2


def _stylegan2_config(arrays):
    """Constructor arguments of our `StyleGAN2`."""
    sides = [re.fullmatch(r"synthesis\.b(\d+)\.conv1\.weight", name) for name in arrays]
    sides = sorted(int(match[1]) for match in sides if match)
    blocks = [f"synthesis.b{side}" for side in sides]
    convs = [arrays[f"{block}.conv1.weight"] for block in blocks]
    if sides != [4 * 2**i for i in range(len(sides))]:
        raise WeightsError(
            f"The generator must have a block for each side from 4 on. Received: sides {sides}"
        )
    layers, hidden, inputs = _mapping(arrays)
    embed = arrays.get("mapping.embed.weight")
    config = {
        "image_size": sides[-1],
        "latent_dim": inputs - (0 if embed is None else embed.shape[0]),
        "style_dim": len(arrays[AVERAGE]),
        "channels": len(arrays[f"{blocks[-1]}.torgb.bias"]),
        "num_classes": 0 if embed is None else embed.shape[1],
        **block_maps({side: len(kernel) for side, kernel in zip(sides, convs)}, ""),
        "architecture": _architecture(arrays, blocks),
        "noise": "stored" if f"{blocks[0]}.conv1.noise_const" in arrays else "none",
        "kernel_size": convs[0].shape[-1],
        "conv_clamp": CLAMP,
        "taps": taps_of([arrays[f"{block}.resample_filter"] for block in blocks], ""),
    }
    mapping = {"num_layers": layers, "hidden_dim": hidden}
    if embed is not None:
        mapping["embed_dim"] = embed.shape[0]
    return {**config, "mapping": mapping}


def _mapping(arrays):
    """(layers, units of the hidden ones, inputs) of the mapping."""
    layers = sum(re.fullmatch(r"mapping\.fc\d+\.weight", name) is not None for name in arrays)
    hidden, inputs = arrays["mapping.fc0.weight"].shape
    return layers, hidden, inputs


def _architecture(arrays, blocks):
    if f"{blocks[-1]}.skip.weight" in arrays:
        return "resnet"
    return "skip" if f"{blocks[0]}.torgb.weight" in arrays else "orig"


# --- StyleGAN3


def stylegan3_config(arrays, where) -> tuple[dict, tuple[str, ...]]:
    """(constructor arguments of our `StyleGAN3`, official names of the layers in order).

    Sizes are those in the layers' names, `L<index>_<side>_<maps>`, and of the filters.

    Args:
        arrays: {name: array} of a generator.
        where: str, for messages.
    Raises: WeightsError: if arrays lack, or sides or maps are not those of a StyleGAN3.
    """
    try:
        return _stylegan3_config(arrays, where)
    except KeyError as error:
        raise WeightsError(
            f"The generator{where} lacks {error}, which every StyleGAN3 has."
        ) from error


def _stylegan3_config(arrays, where):
    layers = {}
    for name in arrays:
        if match := re.fullmatch(r"synthesis\.(L(\d+)_(\d+)_(\d+))\.weight", name):
            index, side, maps = map(int, match.groups()[1:])
            layers[index] = match[1], side, maps
    missing = sorted(set(range(max(layers, default=0))) - set(layers))
    if missing or not layers:
        raise WeightsError(f"The network{where} lacks the weights of layers {missing or 'all'}.")
    names, sides, maps = zip(*(layers[i] for i in range(len(layers))))
    first = f"synthesis.{names[0]}"
    size, count = sides[-1], len(names) - 1
    bands = layer_bands(size, num_layers=count)
    if sides != tuple(band.size for band in bands):
        raise WeightsError(
            f"The network{where} has layers of other sides than a StyleGAN3 of {size} x {size} "
            f"with {count} layers: {[band.size for band in bands]}. Received: {list(sides)}"
        )
    mapping_layers, style, inputs = _mapping(arrays)
    classes = arrays["mapping.embed.weight"].shape[1] if "mapping.embed.weight" in arrays else 0
    radial = any(x.ndim == 2 for name, x in arrays.items() if name.endswith(".down_filter"))
    kernel = arrays[f"{first}.weight"].shape[-1]
    config = {
        "image_size": size,
        "latent_dim": inputs - style if classes else inputs,
        "style_dim": style,
        "channels": maps[-1],
        "num_classes": classes,
        "equivariance": "rotation" if radial and kernel == 1 else "translation",
        **maps_of(bands, maps, where),
        "mapping": {"num_layers": mapping_layers},
        "bands": {"num_layers": count},
        "layers_options": {"kernel_size": kernel, "lowpass": "radial" if radial else "separable"},
    }
    return config, names


def maps_of(bands, maps, where) -> dict[str, int]:
    """`channel_base` and `channel_max` that give these maps.

    Layers of fewer maps than the most confine the base to an interval: of the numbers in it, that
    with the largest power of two as a factor.

    Args:
        bands: list of `Band` behind each layer.
        maps: list of int. Of each layer; the last is the image's channels.
        where: str, for messages.
    Returns: dict of two int. Raises: WeightsError: if there are none.
    """
    most, cutoffs = max(maps[:-1]), np.array([band.cutoff for band in bands[:-1]])
    fewer = np.array(maps[:-1]) < most
    counts = np.where(fewer, maps[:-1], most)
    low = (2 * cutoffs * (counts - 0.5)).max()
    high = (2 * cutoffs * (counts + 0.5))[fewer].min() if fewer.any() else 2 * low
    step = 2 ** int(np.log2(high))
    while step >= 1 and not low <= high // step * step <= high:
        step //= 2
    base = int(high // max(step, 1) * max(step, 1))
    wanted = layer_widths(bands, base, most, maps[-1])
    if list(maps) != wanted:
        raise WeightsError(
            f"The network{where} has maps that are not those of a StyleGAN3, {wanted}. "
            f"Received: {list(maps)}"
        )
    return {"channel_base": base, "channel_max": most}
