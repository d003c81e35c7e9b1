"""MNIST GANs of fully connected layers from csinva/gan-vae-pretrained-pytorch, as data.

Layout: one bare `nn.Sequential` of Linears with activations between: `0`, `2`, `4`, ... The
generator has ReLUs and a tanh, its last Linear makes the pixels of a square grey image; the
discriminator has LeakyReLUs of slope 0.2 and a sigmoid, its last Linear makes the logit.
The official code is https://github.com/csinva/gan-vae-pretrained-pytorch, `mnist_gan_mlp` (MIT).
"""

import math
import re

from ganzoo.convert.table import Recognised, dense, layer

SMALLEST = 8  # side of an image; below, the outputs may as well be a classifier's classes


def recognise(arrays) -> Recognised | None:
    """What the arrays are, or `None` for those of another source."""
    shapes = _shapes(arrays)
    if shapes is None:
        return None
    widths = tuple(outputs for outputs, _ in shapes[:-1])
    pixels = {"generator": shapes[-1][0], "discriminator": shapes[0][1]}
    network = "discriminator" if shapes[-1][0] == 1 else "generator"
    side = math.isqrt(pixels[network])
    if side * side != pixels[network] or side < SMALLEST:
        return None
    config = {
        "shape": (side, side, 1),
        "output": "tanh",
        "discriminator": "leaky_relu",
        "dropout": (0.0, 0.0),
    }
    if network == "generator":
        config |= {"latent_dim": shapes[0][1], "widths": widths}
    else:
        config |= {"discriminator_widths": widths}
    return Recognised("vanilla_gan", network, config, _table(network, len(widths)))


def _table(network, hidden):
    last = "output" if network == "generator" else "logit"
    targets = [f"hidden{i}" for i in range(hidden)] + [last]
    return [rule for i, target in enumerate(targets) for rule in layer(str(2 * i), target, dense)]


def _shapes(arrays):
    """Weights' shapes [out, in], or `None` unless there are Linears alone, each fed by the last."""
    matches = [re.fullmatch(r"(\d+)\.(weight|bias)", name) for name in arrays]
    if not matches or None in matches:
        return None
    numbers = sorted({int(match[1]) for match in matches})
    if numbers != list(range(0, 2 * len(numbers), 2)) or len(numbers) < 2:
        return None
    if len(arrays) != 2 * len(numbers):
        return None
    shapes = [arrays[f"{number}.weight"].shape for number in numbers]
    if any(len(shape) != 2 for shape in shapes):
        return None
    fed = all(before[0] == after[1] for before, after in zip(shapes, shapes[1:]))
    return shapes if fed else None
