"""StyleGAN2 checkpoints of rosinality/stylegan2-pytorch, trained there or converted from NVIDIA's.

Layout: {"g", "d", "g_ema"} of state dicts beside optimizers and arguments; converted files hold the
average style `latent_avg` too. Where it is missing, publishers take the mean style of random
latents at each start; here 4096 latents of a fixed seed are taken. Scales at run time, such as the
mapping's 0.01, are not in the file. Kernels are those of the PyTorch StyleGAN2, turned nowhere;
styles' biases hold the 1; noise images lie apart; resampling filters are stored, and must agree.
The same networks with other names are in MMGeneration (`mmgen_stylegan2`).
The official code is https://github.com/rosinality/stylegan2-pytorch (MIT).
"""

import dataclasses
import re

import numpy as np

from ganzoo.checkpoints.reader import flatten
from ganzoo.convert.table import Match, Recognised, Rule, conv2d, dense, dense_from_nchw, keep
from ganzoo.errors import WeightsError

NETWORKS = {"g": "generator", "d": "discriminator", "g_ema": "generator_ema"}
TAPS = [1, 3, 3, 1]
LR_MULTIPLIER = 0.01
AVERAGED, SEED = 4096, 0
COMPUTED = "Computed from the configuration's taps."


@dataclasses.dataclass(frozen=True)
class Names:
    """What a layout calls its arrays (plain text, `{}` for a number), and its channels' order.

    Args:
        mapping, const, noise, modulation, strength: of the generator.
        weight, linear, conv: suffixes of a modulated kernel, a dense layer's and a convolution's.
        colours: 1 for RGB, -1 for BGR.
    """

    mapping: str = "style.{}"
    const: str = "input.input"
    noise: str = "noises.noise_{}"
    modulation: str = "modulation"
    strength: str = "noise.weight"
    weight: str = "weight"
    linear: str = "weight"
    conv: str = "weight"
    colours: int = 1


ROSINALITY = Names()


def recognise_networks(tree) -> list[Match]:
    """(where, `Recognised`, arrays) of the networks of a file, or of one state dict."""
    if not isinstance(tree, dict):
        return []
    average = tree.get("latent_avg")
    parts = [(f"[{k!r}]", name, tree[k]) for k, name in NETWORKS.items() if k in tree]
    parts = [(where, name, flatten(part)) for where, name, part in parts if isinstance(part, dict)]
    if not parts and ROSINALITY.const in tree:
        parts = [("", "generator", flatten(tree))]
    found = [(part[0], made(*part, ROSINALITY, average)) for part in parts]
    return [(where, *both) for where, both in found if both is not None]


def made(
    where, network, arrays, names, average=None
) -> tuple[Recognised, dict[str, np.ndarray]] | None:
    """(`Recognised`, arrays) of a state dict, or `None` for one of another layout.

    Args:
        where: str, for messages.
        network: str, a name of the GAN's networks.
        arrays: {name: array} of the state dict.
        names: `Names`.
        average: float [style_dim], the average style, or `None`.
    Raises: WeightsError: for sizes or filters that StyleGAN2 has not.
    """
    make, sign = _generator, names.const
    if network == "discriminator":
        make, sign = _discriminator, f"final_linear.0.{names.linear}"
    if sign not in arrays:
        return None
    try:
        return make(arrays, network, where, names, average), arrays
    except KeyError as error:
        raise WeightsError(
            f"The {network}{where} lacks {error}, which every StyleGAN2 of this layout has."
        ) from error


# --- sizes


def _count(arrays, pattern):
    return sum(re.fullmatch(pattern, name) is not None for name in arrays)


def block_maps(widths, where) -> dict[str, int]:
    """`channel_base` and `channel_max` that give these maps.

    Args:
        widths: {side: maps} of a StyleGAN2's blocks.
        where: str, for messages.
    Returns: dict of two int. Raises: WeightsError: if there are none.
    """
    size = max(widths)
    base, most = size * widths[size], max(widths.values())
    wrong = {side: n for side, n in widths.items() if min(base // side, most) != n}
    if wrong:
        raise WeightsError(
            f"The network{where} of {size} x {size} has maps that are not {base} / side, at most "
            f"{most}. Received: {wrong}"
        )
    return {"channel_base": base, "channel_max": most}


def _taps(arrays, total, where):
    """Taps of the resampling, which all filters of the network must share.

    Raises: WeightsError: if filters differ, do not sum to `total`, or are no product of 4 taps.
    """
    kernels = {name: x for name, x in arrays.items() if name.endswith(".kernel")}
    if not kernels:
        return TAPS
    taps = next(iter(kernels.values())).sum(0) / total
    wanted = total * np.outer(taps, taps)
    wrong = [
        name
        for name, x in kernels.items()
        if x.shape != (4, 4) or not np.allclose(x, wanted, rtol=1e-5, atol=1e-7)
    ]
    if wrong:
        raise WeightsError(
            f"Filters{where} must be one product of 4 taps with the sum {total}. "
            f"Received: others in {wrong[:10]}"
        )
    return TAPS if np.allclose(taps, np.array(TAPS) / 8, rtol=1e-5) else taps.tolist()


# --- generator


def _generator(arrays, network, where, names, average):
    layers = _count(arrays, re.escape(names.mapping).replace(r"\{\}", r"\d+") + r"\.bias")
    count = _count(arrays, r"to_rgbs\.\d+\.bias")
    widths = {4: arrays[names.const].shape[1]}
    for i in range(count):
        widths[8 * 2**i] = arrays[f"convs.{2 * i}.conv.{names.weight}"].shape[1]
    style = arrays[f"conv1.conv.{names.modulation}.{names.linear}"].shape[1]
    config = {
        "image_size": 4 * 2**count,
        "latent_dim": style,
        "style_dim": style,
        "channels": arrays[f"to_rgb1.conv.{names.weight}"].shape[1],
        **block_maps(widths, where),
        "taps": _taps(arrays, 4, where),
        "mapping": {"num_layers": layers, "lr_multiplier": LR_MULTIPLIER},
    }
    table = _generator_table(names, layers, count)
    return Recognised("stylegan2", network, config, table, _averaged(names, layers, average))


def _averaged(names, layers, average):
    """Function of the arrays that adds the average style."""

    def prepare(arrays):
        if average is not None:
            return {**arrays, "latent_avg": np.asarray(average).reshape(-1)}
        return {**arrays, "latent_avg": _mean_style(arrays, names, layers)}

    return prepare


def _mean_style(arrays, names, layers):
    """Mean style of `AVERAGED` latents."""
    width = arrays[f"conv1.conv.{names.modulation}.{names.linear}"].shape[1]
    w = np.random.RandomState(SEED).randn(AVERAGED, width).astype("float32")
    w /= np.sqrt(np.mean(w**2, 1, keepdims=True) + 1e-8)
    for i in range(1, layers + 1):
        weight = arrays[f"{names.mapping.format(i)}.{names.linear}"]
        w = w @ (weight.T * (LR_MULTIPLIER / np.sqrt(weight.shape[1])))
        w = w + LR_MULTIPLIER * arrays[f"{names.mapping.format(i)}.bias"]
        w = np.float32(2**0.5) * np.where(w < 0, np.float32(0.2) * w, w)
    return w.mean(0)


def _generator_table(names, layers, count):
    rules = [Rule(r".*\.kernel", None, why=COMPUTED), Rule("latent_avg", "mapping/w_avg")]
    for i in range(layers):
        rules += _dense(names.mapping.format(i + 1), f"mapping/fc{i}", names)
    rules.append(_rule(names.const, "synthesis/b4/const", lambda x: x[0].transpose(1, 2, 0)))
    sides = [8 * 2**i for i in range(count)]
    styled = [("conv1", "b4/conv1")]
    styled += [(f"convs.{2 * i + j}", f"b{s}/conv{j}") for i, s in enumerate(sides) for j in (0, 1)]
    for i, (source, target) in enumerate(styled):
        rules += _styled(source, f"synthesis/{target}", names)
        rules.append(_rule(f"{source}.activate.bias", f"synthesis/{target}/bias", _flat))
        strength = f"{source}.{names.strength}"
        rules.append(_rule(strength, f"synthesis/{target}/noise_strength", _scalar))
        rules.append(_rule(names.noise.format(i), f"synthesis/{target}/noise", lambda x: x[0, 0]))
    images = [("to_rgb1", 4), *((f"to_rgbs.{i}", side) for i, side in enumerate(sides))]
    for source, side in images:
        target, order = f"synthesis/b{side}/torgb", names.colours
        rules += _styled(source, target, names, lambda x: x[..., ::order])
        rules.append(_rule(f"{source}.bias", f"{target}/bias", lambda x: _flat(x)[::order]))
    return rules


def _styled(source, target, names, colours=keep):
    return [
        _rule(f"{source}.conv.{names.weight}", f"{target}/kernel", lambda x: colours(conv2d(x[0]))),
        *_dense(f"{source}.conv.{names.modulation}", f"{target}/affine", names),
    ]


def _rule(source, target, transform=keep):
    """A rule about one array."""
    return Rule(re.escape(source), target, transform)


def _dense(source, target, names, transform=dense):
    return [
        _rule(f"{source}.{names.linear}", f"{target}/kernel", transform),
        _rule(f"{source}.bias", f"{target}/bias"),
    ]


def _flat(x):
    return x.reshape(-1)


def _scalar(x):
    return x.reshape(())


# --- discriminator


def _discriminator(arrays, network, where, names, _):
    count = _count(arrays, r"convs\.\d+\.conv2\.2\.bias")
    size = 4 * 2**count
    first = arrays[f"convs.0.0.{names.conv}"]
    widths = {size: first.shape[0]}
    for i in range(1, count + 1):
        widths[size // 2**i] = arrays[f"convs.{i}.conv2.1.{names.conv}"].shape[0]
    own = {**block_maps(widths, where), "group_size": 4, "std_channels": 1}
    config = {
        "image_size": size,
        "channels": first.shape[1],
        "discriminator": {**own, "taps": _taps(arrays, 1, where)},
    }
    return Recognised("stylegan2", network, config, _discriminator_table(names, size, widths[4]))


def _discriminator_table(names, size, maps):
    order = names.colours
    from_nchw = dense_from_nchw(maps, 4, 4)
    rules = [
        Rule(r".*\.kernel", None, why=COMPUTED),
        *_conv("convs.0", 0, f"b{size}/fromrgb", names, lambda x: conv2d(x[:, ::order])),
        *_conv("final_conv", 0, "b4/conv", names),
        *_dense("final_linear.0", "b4/fc", names, from_nchw),
        *_dense("final_linear.1", "b4/out", names),
    ]
    for i in range(1, size.bit_length() - 2):
        source, target = f"convs.{i}", f"b{size // 2 ** (i - 1)}"
        rules += _conv(f"{source}.conv1", 0, f"{target}/conv0", names)
        rules += _conv(f"{source}.conv2", 1, f"{target}/conv1", names)
        rules.append(_rule(f"{source}.skip.1.{names.conv}", f"{target}/skip/kernel", conv2d))
    return rules


def _conv(source, number, target, names, transform=conv2d):
    """A convolution, and the biased activation behind it."""
    return [
        _rule(f"{source}.{number}.{names.conv}", f"{target}/kernel", transform),
        _rule(f"{source}.{number + 1}.bias", f"{target}/bias", _flat),
    ]
