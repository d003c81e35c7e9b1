"""LPIPS weights: torchvision's backbones and the official heads, for `ganzoo.metrics.lpips`.

Layouts. Backbone: torchvision's `alexnet`, `vgg16` or `squeezenet1_1`, a state dict with
`features.<i>.weight`, for SqueezeNet `features.<i>.<squeeze|expand1x1|expand3x3>.weight`; the
classifier that whole files also hold is left out. Heads: `lpips/weights/v0.1/<backbone>.pth` of
richzhang/PerceptualSimilarity (BSD-2), a state dict with `lin<k>.model.1.weight` [1, C, 1, 1].
"""

from ganzoo.convert.table import Rule, assign, conv2d, keep

# The names of an LPIPS network's own weights begin with those of its parts.
HEADS = [Rule(r"lin(\d)\.model\.1\.weight", r"head\1/kernel", lambda x: x.reshape(-1))]
CLASSIFIER = Rule(r"classifier\..*", None, why="LPIPS ends before the classifier.")
FIRE = r"features\.(\d+)\.(squeeze|expand1x1|expand3x3)"


def table(backbone) -> list[Rule]:
    """Rows for `LPIPS(backbone)`, of both files together.

    Args: backbone: `"alex"`, `"vgg"` or `"squeeze"`.
    Returns: list of `Rule`.
    """
    rules = [*HEADS, CLASSIFIER]
    for part, target, transform in (("weight", "kernel", conv2d), ("bias", "bias", keep)):
        rules.append(Rule(rf"features\.(\d+)\.{part}", rf"conv\1/{target}", transform))
        if backbone == "squeeze":
            rules.append(Rule(rf"{FIRE}\.{part}", rf"fire\1_\2/{target}", transform))
    return rules


def fill(network, backbone, heads) -> None:
    """Fills a `ganzoo.metrics.lpips.LPIPS`: all of it or nothing.

    Args:
        network: `LPIPS`.
        backbone: mapping from foreign name to array, of torchvision's state dict.
        heads: the same of the official heads.
    Raises: ValueError: listing what does not fit, with names and shapes, such as heads of another
        backbone; or heads with negative weights, which are no squared distance.
    """
    negative = [name for name, array in heads.items() if (array < 0).any()]
    if negative:
        raise ValueError(
            "Expected LPIPS heads without negative weights, as all published ones are. "
            f"Received: negative ones in {negative}"
        )
    assign(network, {**backbone, **heads}, table(network.backbone))
