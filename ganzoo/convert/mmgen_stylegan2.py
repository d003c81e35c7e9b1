"""StyleGAN2 checkpoints of MMGeneration, trained there or converted from NVIDIA's.

Layout: one `state_dict` with `generator.`, `generator_ema.` and `discriminator.` side by side. The
networks are those of `rosinality` under other names; equalised kernels are called `weight_orig`.
No average style is stored: it is computed as in `rosinality`. Trained on BGR images: the channels
are turned round here, once.
The official code is https://github.com/open-mmlab/mmgeneration (Apache-2.0).
"""

import dataclasses

import numpy as np

from ganzoo.checkpoints.reader import flatten
from ganzoo.convert.rosinality import Names, made
from ganzoo.convert.table import Match
from ganzoo.errors import WeightsError

NETWORKS = ("generator", "discriminator", "generator_ema")
LOSSES = ("gen_auxiliary_losses", "disc_auxiliary_losses")  # such as the mean path length
RGB = Names(
    mapping="style_mapping.{}",
    const="constant_input.input",
    noise="injected_noise_{}",
    modulation="style_modulation",
    strength="noise_injector.weight",
    weight="weight_orig",
    linear="linear.weight_orig",
    conv="conv.weight_orig",
)
BGR = dataclasses.replace(RGB, colours=-1)
STYLEGAN3 = "style_mapping.w_avg"  # an array of its generator, see `mmgen_stylegan3`
SIGNS = (f"conv1.conv.{RGB.weight}", "convs.0.0.conv.weight_orig")


def recognise_networks(tree) -> list[Match]:
    """(where, `Recognised`, arrays) of the networks of a state dict."""
    known = {f"{network}.{sign}" for network in NETWORKS for sign in SIGNS}
    if not isinstance(tree, dict) or not known & set(tree):
        return []
    if any(f"{network}.{STYLEGAN3}" in tree for network in NETWORKS):
        return []  # its discriminator is StyleGAN2's
    arrays = flatten(tree)
    other = [name for name in arrays if name.partition(".")[0] not in NETWORKS + LOSSES]
    if other:
        raise WeightsError(
            f"A StyleGAN2 of MMGeneration holds {NETWORKS + LOSSES} and nothing else. "
            f"Received: {len(other)} other arrays, such as {other[:10]}"
        )
    parts = [(network, share(arrays, network)) for network in NETWORKS]
    found = [(name, made(f"[{name!r}]", name, own, BGR)) for name, own in parts if own]
    return [(f"[{name!r}]", *both) for name, both in found if both is not None]


def share(arrays, network) -> dict[str, np.ndarray]:
    """The network's arrays, without its prefix."""
    prefix = f"{network}."
    return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}
