"""StyleGAN3 checkpoints of MMGeneration, trained there or converted from NVIDIA's.

Layout: one `state_dict` with `generator.`, `generator_ema.` and `discriminator.` side by side. The
generators are those of `stylegan3_torch` but for the mapping's name, without their constructors'
arguments: sizes are those in the layers' names (`L<index>_<side>_<maps>`) and of the filters. The
discriminators are those of `mmgen_stylegan2`. Networks trained there draw BGR images, those
converted from NVIDIA's (`rgb` in their names) RGB, and the content does not tell which.
The official code is https://github.com/open-mmlab/mmgeneration (Apache-2.0).
"""

import dataclasses
import re

import numpy as np

from ganzoo.convert.mmgen_stylegan2 import BGR, LOSSES, NETWORKS, RGB, STYLEGAN3, share
from ganzoo.convert.reader import flatten
from ganzoo.convert.rosinality import made
from ganzoo.convert.stylegan3_torch import generator_table
from ganzoo.convert.table import Recognised
from ganzoo.errors import WeightsError
from ganzoo.layers.bands import layer_bands, layer_widths

SIGNS = {f"{network}.{STYLEGAN3}" for network in NETWORKS}
AUGMENTATION = "discriminator.ada_aug."  # its filters and its probability


def recognise_networks(tree):
    """(where, `Recognised`, arrays) of the networks of a state dict."""
    if not isinstance(tree, dict) or not SIGNS & set(tree):
        return []
    arrays = {k: v for k, v in flatten(tree).items() if not k.startswith(AUGMENTATION)}
    other = [name for name in arrays if name.partition(".")[0] not in NETWORKS + LOSSES]
    if other:
        raise WeightsError(
            f"A StyleGAN3 of MMGeneration holds {NETWORKS + LOSSES} and nothing else. "
            f"Received: {len(other)} other arrays, such as {other[:10]}"
        )
    found = []
    for network in NETWORKS:
        own, where = share(arrays, network), f"[{network!r}]"
        if own and network == "discriminator":
            found.append((where, _discriminator(own, where), own))
        elif own:
            own = {k.removeprefix("style_"): v for k, v in own.items()}
            found.append((where, _generator(own, network, where), own))
    return found


def _discriminator(arrays, where):
    found = made(where, "discriminator", arrays, RGB)
    if found is None:
        raise WeightsError(
            f"The network{where} is no StyleGAN2 discriminator of MMGeneration. "
            f"Received: arrays such as {list(arrays)[:10]}"
        )
    part, _ = found
    own = {**part.config["discriminator"], "conv_clamp": None}
    turned, _ = made(where, "discriminator", arrays, BGR)
    return dataclasses.replace(
        part, family="stylegan3", config={**part.config, "discriminator": own}, turned=turned.table
    )


def _generator(arrays, network, where):
    try:
        config, names = _config(arrays, where)
    except KeyError as error:
        raise WeightsError(
            f"The {network}{where} lacks {error}, which every StyleGAN3 of this layout has."
        ) from error
    table, turned = generator_table(names), generator_table(names, colours=-1)
    return Recognised("stylegan3", network, config, table, turned=turned)


def _config(arrays, where):
    """(constructor arguments of our GAN, names of the layers in order)."""
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
    style, inputs = arrays["mapping.fc0.weight"].shape
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
        "mapping": {"num_layers": sum(f"mapping.fc{i}.bias" in arrays for i in range(99))},
        "bands": {"num_layers": count},
        "layers_options": {"kernel_size": kernel, "lowpass": "radial" if radial else "separable"},
    }
    return config, names


def maps_of(bands, maps, where):
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
