"""Generators of ProGAN checkpoints of facebookresearch/pytorch_GAN_zoo, torch.hub's `PGAN`.

Layout: {"config", "netG", "netD", "avgG"}: the settings as an object, and `state_dict`s, in some
versions with `module.` before `weight` and `bias`. Every layer is scaled by sqrt(2 / fan_in), the
first and the last, too, and scales its bias as well: kernels and biases are scaled here. The first
layer has one bias for each of its 4 x 4 pixels. How much of the next smaller image is mixed in is
one of the settings.
Left out: the discriminator, whose minibatch standard deviation divides by the number of images
less one, where ProGAN divides by their number; it keeps its initial weights.
The official code is https://github.com/facebookresearch/pytorch_GAN_zoo (BSD-3-Clause).
"""

import re

import numpy as np

from ganzoo.checkpoints.reader import META, flatten
from ganzoo.convert.mmgen_progan import sizes
from ganzoo.convert.table import Match, Recognised, Rule, conv2d, dense_to_nhwc
from ganzoo.errors import WeightsError

NETWORKS = {"netG": "generator", "avgG": "generator_ema"}
FIRST = "formatLayer.weight"
KNOWN = {  # settings that decide what a generator computes: the value that is known
    "lossCriterion": "WGANGP",  # others end in a tanh
    "leakyReluLeak": 0.2,
    "perChannelNormalization": True,
    "equalizedlR": True,
    "attribKeysOrder": None,
}


def recognise_networks(tree) -> list[Match]:
    """(where, `Recognised`, arrays) of the generators of a checkpoint."""
    if not isinstance(tree, dict):
        return []
    held = {key: _plain(tree[key]) for key in NETWORKS if isinstance(tree.get(key), dict)}
    held = {key: arrays for key, arrays in held.items() if FIRST in arrays}
    if not held:
        return []
    lod = _mixed(tree.get("config"))
    return [
        (f"[{key!r}]", _generator(arrays, NETWORKS[key], lod), arrays)
        for key, arrays in held.items()
    ]


def _plain(state):
    """The arrays without the name of the layer inside of a layer, or of `DataParallel`."""
    return {re.sub(r"(^|\.)module\.", r"\1", name): x for name, x in flatten(state).items()}


def _mixed(config):
    """Fraction of the next smaller image in a generator's; checks the settings.

    Raises: WeightsError: naming those that ganzoo does not know.
    """
    said = config.get(META, {}).get("attributes", {}) if isinstance(config, dict) else {}
    other = {k: said[k] for k, value in KNOWN.items() if k in said and said[k] != value}
    if other:
        raise WeightsError(
            "The generator was made with settings that ganzoo does not know, so its images would "
            f"be others. Known: {KNOWN}. Received: {other}"
        )
    return float(said.get("alpha", 0))


def _generator(arrays, network, lod):
    names, count = [FIRST], 0
    while f"toRGBLayers.{count}.weight" in arrays:
        names.append(f"toRGBLayers.{count}.weight")
        count += 1
    if count == 0:
        raise WeightsError(f"The {network} of a ProGAN lacks `toRGBLayers.0.weight`.")
    widths, config = sizes(arrays, names, network)
    config["first_bias"] = "pixel"
    return Recognised("progan", network, config, _table(widths), _prepare(lod))


def _prepare(lod):
    """Function of the arrays: biases as they are added, and the level of detail."""

    def prepare(arrays):
        ready = dict(arrays)
        for name in [name for name in arrays if name.endswith(".bias")]:
            kernel = arrays.get(f"{name.removesuffix('bias')}weight")
            if kernel is not None:
                fan_in = np.prod(kernel.shape[1:])
                ready[name] = arrays[name] * np.sqrt(2 / fan_in).astype("float32")
        return {**ready, "lod": np.array(lod, "float32")}

    return prepare


def _table(widths):
    to_nhwc = dense_to_nhwc(widths[0], 4, 4)
    first = "synthesis/b4"
    rules = [
        Rule("lod", "synthesis/lod"),
        # ProGAN's gain is sqrt(2) / 4 here
        Rule(r"formatLayer\.weight", f"{first}/dense/kernel", lambda x: 4 * to_nhwc(x)),
        Rule(r"formatLayer\.bias", f"{first}/bias", lambda x: to_nhwc(x).reshape(4, 4, -1)),
        *_conv("groupScale0.0", f"{first}/conv1"),
    ]
    for i in range(len(widths)):
        block = f"synthesis/b{4 * 2**i}"
        rules += _conv(f"toRGBLayers.{i}", f"{block}/torgb", _last)
        if i:
            rules += _conv(f"scaleLayers.{i - 1}.0", f"{block}/conv0")
            rules += _conv(f"scaleLayers.{i - 1}.1", f"{block}/conv1")
    return rules


def _conv(source, target, transform=conv2d):
    source = re.escape(source)
    return [
        Rule(rf"{source}\.weight", f"{target}/kernel", transform),
        Rule(rf"{source}\.bias", f"{target}/bias"),
    ]


def _last(x):
    """ProGAN's gain is 1 here."""
    return np.sqrt(2).astype("float32") * conv2d(x)
