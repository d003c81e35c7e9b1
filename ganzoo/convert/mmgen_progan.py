"""Generators of ProGAN checkpoints of MMGeneration.

Layout: one `state_dict` with `generator.`, `generator_ema.` and `discriminator.` side by side. The
upsampling layers are transposed convolutions [in, out, 3, 3], turned round, and equalised by the
number of their outputs, where the paper has inputs: the kernels are scaled here. Trained on BGR
images (channels are turned round here, once). Pixel norms add 1e-6 to the root, where the official
code adds 1e-8 inside of it. How far networks have grown is stored beside them; without it, they are
taken as fully grown.
Left out: the discriminator, which computes the minibatch standard deviation one layer later than
ProGAN's; it keeps its initial weights.
The official code is https://github.com/open-mmlab/mmgeneration (Apache-2.0).
"""

import re

import numpy as np

from ganzoo.checkpoints.reader import flatten
from ganzoo.convert.table import Match, Recognised, Rule, conv2d, dense_to_nhwc
from ganzoo.errors import WeightsError

NETWORKS = ("generator", "generator_ema")
UNREAD = ("discriminator", "gen_auxiliary_losses", "disc_auxiliary_losses")
SIDE, WEIGHT = "_curr_scale_int", "_curr_transition_weight"  # of the newest images
GROWTH = (SIDE, WEIGHT, "_next_scale_int", "shown_nkimg")
FIRST = "noise2feat.linear.weight_orig"


def recognise_networks(tree) -> list[Match]:
    """(where, `Recognised`, arrays) of the generators of a state dict."""
    if not isinstance(tree, dict) or not {f"{name}.{FIRST}" for name in NETWORKS} & set(tree):
        return []
    arrays = flatten(tree)
    known = {*NETWORKS, *UNREAD, *GROWTH}
    other = [name for name in arrays if name.partition(".")[0] not in known]
    if other:
        raise WeightsError(
            f"A ProGAN of MMGeneration holds {sorted(known)} and nothing else. "
            f"Received: {len(other)} other arrays, such as {other[:10]}"
        )
    parts = [(name, _share(arrays, name)) for name in NETWORKS]
    growth = {name: float(arrays[name]) for name in GROWTH if name in arrays}
    return [(f"[{name!r}]", _generator(own, name, growth), own) for name, own in parts if own]


def _share(arrays, network):
    """The network's arrays, without its prefix."""
    prefix = f"{network}."
    return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}


def _generator(arrays, network, growth):
    count = sum(re.fullmatch(r"torgb_layers\.\d+\.conv\.bias", name) is not None for name in arrays)
    names = [FIRST, *(f"torgb_layers.{i}.conv.weight_orig" for i in range(count))]
    lost = [name for name in names if name not in arrays]
    if lost or count == 0:
        raise WeightsError(f"The {network} of a ProGAN of MMGeneration lacks {lost or 'an image'}.")
    widths, config = sizes(arrays, names, network)
    size = config["image_size"]
    return Recognised("progan", network, config, _table(widths), _grown(size, growth))


def sizes(arrays, names, network) -> tuple[list[int], dict[str, int]]:
    """The maps of the blocks, from 4 x 4 on, and our arguments.

    Args: names: of the kernels of the first layer, [out, in], and of those that make an image of
        each size, [channels, in, 1, 1].
    Raises: WeightsError: these are no ProGAN's maps.
    """
    widths = [arrays[name].shape[1] for name in names[1:]]
    size = 4 * 2 ** (len(widths) - 1)
    base, most = size * widths[-1], max(widths)
    if [min(base // (4 * 2**i), most) for i in range(len(widths))] != widths:
        raise WeightsError(
            f"The {network} has maps that are not {base} / side, at most {most}. "
            f"Received: {widths}, from 4 x 4 to {size} x {size}"
        )
    return widths, {
        "image_size": size,
        "latent_dim": arrays[names[0]].shape[1],
        "channels": arrays[names[-1]].shape[0],
        "channel_base": base,
        "channel_max": most,
    }


def _grown(size, growth):
    """Function of the arrays that adds the level of detail."""
    lod = np.log2(size / growth.get(SIDE, size)) + 1 - growth.get(WEIGHT, 1.0)

    def prepare(arrays):
        return {**arrays, "lod": np.array(lod, "float32")}

    return prepare


def _table(widths):
    rules = [
        Rule("lod", "synthesis/lod"),
        Rule(re.escape(FIRST), "synthesis/b4/dense/kernel", dense_to_nhwc(widths[0], 4, 4)),
        Rule(r"noise2feat\.bias", "synthesis/b4/bias", lambda x: x.reshape(-1)),
        *_conv("conv_blocks.0", "synthesis/b4/conv1", conv2d),
    ]
    for i in range(len(widths)):
        block = f"synthesis/b{4 * 2**i}"
        rules += _conv(f"torgb_layers.{i}", f"{block}/torgb", lambda x: conv2d(x[::-1]), _reversed)
        if i:
            rules += _conv(f"conv_blocks.{2 * i - 1}", f"{block}/conv0", _upscaling)
            rules += _conv(f"conv_blocks.{2 * i}", f"{block}/conv1", conv2d)
    return rules


def _conv(source, target, transform, bias=lambda x: x):
    source = re.escape(source)
    return [
        Rule(rf"{source}\.conv\.weight_orig", f"{target}/kernel", transform),
        Rule(rf"{source}\.conv\.bias", f"{target}/bias", bias),
    ]


def _reversed(x):
    return x[::-1]


def _upscaling(x):
    """Kernel [in, out, 3, 3] of a transposed convolution, scaled for its number of inputs."""
    scale = np.sqrt(x.shape[0] / x.shape[1]).astype("float32")
    return scale * x[:, :, ::-1, ::-1].transpose(2, 3, 0, 1)
