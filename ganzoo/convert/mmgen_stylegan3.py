"""StyleGAN3 checkpoints of MMGeneration, trained there or converted from NVIDIA's.

Layout: one `state_dict` with `generator.`, `generator_ema.` and `discriminator.` side by side. The
generators are those of `nvidia_states` but for the mapping's name, the discriminators those of
`mmgen_stylegan2`. Networks trained there draw BGR images, those converted from NVIDIA's (`rgb` in
their names) RGB, and the content does not tell which.
The official code is https://github.com/open-mmlab/mmgeneration (Apache-2.0).
"""

import dataclasses

from ganzoo.checkpoints.reader import flatten
from ganzoo.convert.mmgen_stylegan2 import BGR, LOSSES, NETWORKS, RGB, STYLEGAN3, share
from ganzoo.convert.nvidia_states import stylegan3_config
from ganzoo.convert.rosinality import made
from ganzoo.convert.stylegan3_torch import generator_table
from ganzoo.convert.table import Match, Recognised
from ganzoo.errors import WeightsError

SIGNS = {f"{network}.{STYLEGAN3}" for network in NETWORKS}
AUGMENTATION = "discriminator.ada_aug."  # its filters and its probability


def recognise_networks(tree) -> list[Match]:
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
    config, names = stylegan3_config(arrays, where)
    table, turned = generator_table(names), generator_table(names, colours=-1)
    return Recognised("stylegan3", network, config, table, turned=turned)
