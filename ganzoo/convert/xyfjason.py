"""CIFAR-10 checkpoints of xyfJASON/GANs-Implementations (`SimpleCNN`), as data.

Layout: a file `model.pt` with the players `G` and `D`, each of `first_conv`, `layers.<i>`
(BatchNorm `0`, activation, convolution `2`) and `last_conv` (the same); `D.layers.0` has no
BatchNorm. All kernels are 4 x 4, all convolutions have biases, images are made by a tanh. A bias in
front of a BatchNorm changes nothing but its running mean, so it is folded into that.
The runs gan_, lsgan_ and wgan_cifar10 have these networks alike: the content cannot tell which they
are. cgan_cifar10 shows in a discriminator that takes more channels than the generator makes: the
label's. Left out: wgan_gp_cifar10's critic (batch normalisation, which `WGANGP` has not; as family
"dcgan" it loads), the runs with spectral or conditional batch normalisation.
The official code is https://github.com/xyfJASON/gans-pytorch (MIT).
"""

import re

from ganzoo.convert.table import (
    Recognised,
    batch_norm,
    conv2d,
    down_stack_sizes,
    layer,
    up_stack_sizes,
)

KERNEL_4 = {"networks": "dcgan", "kernel_size": 4}
UNCONDITIONAL = {"dcgan": {}, "lsgan": {**KERNEL_4, "prior": "normal"}, "wgan": {}}


def recognise(arrays) -> list[Recognised] | None:
    """What the arrays are (a list of `Recognised`), or `None` for those of another source."""
    pattern = r"[GD]\.(first_conv|layers\.\d+\.[02]|last_conv\.[02])\.\w+"
    if not arrays or not all(re.fullmatch(pattern, name) for name in arrays):
        return None
    up = up_stack_sizes(_shapes(arrays, "G"))
    down = down_stack_sizes(_shapes(arrays, "D"))
    if up is None or down is None or up["image_size"] != down["image_size"]:
        return None
    config = {**up, "use_bias": True}
    classes = down["channels"] - up["channels"]
    if classes == 0:
        config["discriminator_width"] = down["width"]
        candidates = {family: config | more for family, more in UNCONDITIONAL.items()}
    elif classes > 0 and down["width"] == up["width"]:
        config["latent_dim"] -= classes
        candidates = {"cgan": config | KERNEL_4 | {"num_classes": classes}}
    else:
        return None
    return [
        Recognised(family, network, values, table(_depth(arrays, player)), prepare)
        for family, values in candidates.items()
        for network, player, table, prepare in (
            ("generator", "G", _generator_table, _prepare_generator),
            ("discriminator", "D", _discriminator_table, _prepare_discriminator),
        )
    ]


def _depth(arrays, player):
    """The number of `layers`."""
    numbers = {name.split(".")[2] for name in arrays if name.startswith(f"{player}.layers.")}
    return len(numbers)


def _convolutions(depth):
    return ["first_conv", *(f"layers.{i}.2" for i in range(depth)), "last_conv.2"]


def _norms(depth):
    return [*(f"layers.{i}.0" for i in range(depth)), "last_conv.0"]


def _shapes(arrays, player):
    names = [f"{player}.{name}.weight" for name in _convolutions(_depth(arrays, player))]
    return [arrays[name].shape for name in names if name in arrays]


def _generator_table(depth):
    rules = [
        rule
        for i, name in enumerate(_convolutions(depth))
        for rule in layer(f"G.{name}", f"up{i}", conv2d)
    ]
    norms = enumerate(_norms(depth))
    return rules + [rule for i, name in norms for rule in batch_norm(f"G.{name}", f"norm{i}")]


def _discriminator_table(depth):
    first, *middle, last = _convolutions(depth)
    rules = layer(f"D.{first}", "down0", conv2d) + layer(f"D.{last}", "logit", conv2d)
    for i, (name, norm) in enumerate(zip(middle, _norms(depth)[1:]), start=1):
        rules += layer(f"D.{name}", f"down{i}", conv2d) + batch_norm(f"D.{norm}", f"norm{i}")
    return rules


def _prepare_generator(arrays):
    depth = _depth(arrays, "G")
    return _folded(arrays, "G", zip(_convolutions(depth), _norms(depth)))


def _prepare_discriminator(arrays):
    depth = _depth(arrays, "D")
    return _folded(arrays, "D", zip(_convolutions(depth)[1:], _norms(depth)[1:]))


def _folded(arrays, player, pairs):
    """One player's arrays; biases of the convolutions in `pairs` are taken off the norms' means."""
    found = {name: array for name, array in arrays.items() if name.startswith(f"{player}.")}
    for convolution, norm in pairs:
        bias, mean = f"{player}.{convolution}.bias", f"{player}.{norm}.running_mean"
        if bias in found and mean in found:  # else `assign` says what is missing
            found[mean] = found[mean] - found.pop(bias)
    return found
