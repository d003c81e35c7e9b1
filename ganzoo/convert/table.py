"""A converter as data: rows (pattern, address, transform), applied strictly in both directions.

An address is the path of a variable without the name of its network: `up0/kernel` of
`generator/up0/kernel`. Addresses are written in the code of a family and do not depend on the
order of attributes or on the names of classes.
"""

import dataclasses
import re
from collections.abc import Callable

import numpy as np

from ganzoo.addresses import addresses

MAX_FAULTS_SHOWN = 10

# Transforms: PyTorch layouts to Keras layouts. None flips a kernel.


def keep(x) -> np.ndarray:
    """The array as it is."""
    return x


def dense(x) -> np.ndarray:
    """Linear [out, in] to Dense [in, out]."""
    return x.T


def conv2d(x) -> np.ndarray:
    """Conv2d [out, in, h, w] to [h, w, in, out]; ConvTranspose2d [i, o, h, w] to [h, w, o, i]."""
    return x.transpose(2, 3, 1, 0)


def conv1d(x) -> np.ndarray:
    """Conv1d [out, in, t] to [t, in, out]; ConvTranspose1d [i, o, t] to [t, o, i]."""
    return x.transpose(2, 1, 0)


def dense_to_nhwc(channels, height, width) -> Callable[[np.ndarray], np.ndarray]:
    """Transform of a Linear whose output becomes an NCHW image, for a Dense that makes an NHWC one.

    Args: channels, height, width: int > 0. The image behind the layer.
    Returns: function of the weight [C * H * W, in], giving the kernel [in, H * W * C], and of the
        bias [C * H * W], giving [H * W * C].
    """

    def to_nhwc(x):
        image = x.reshape(channels, height, width, *x.shape[1:])
        return np.moveaxis(image, 0, 2).reshape(x.shape).T

    return to_nhwc


def dense_from_nchw(channels, height, width) -> Callable[[np.ndarray], np.ndarray]:
    """Transform of a Linear that takes a flattened NCHW image, for a Dense that takes an NHWC one.

    Args: channels, height, width: int > 0. The image before the layer.
    Returns: function of the weight [out, C * H * W], giving the kernel [H * W * C, out].
    """
    permute = dense_to_nhwc(channels, height, width)

    def from_nchw(x):
        return permute(x.T).T

    return from_nchw


# Rules


@dataclasses.dataclass(frozen=True)
class Rule:
    r"""One row: which foreign arrays it is about, and where they go.

    Args:
        source: str. Regular expression that matches a foreign name in full.
        target: str, an address, in which `\1` stands for the first group of `source`; or `None`
            for arrays that are dropped on purpose.
        transform: function of the array. Defaults to `keep`.
        why: str. Required if `target` is `None`: why nothing is lost.
    Raises: ValueError: if `source` is no regular expression, or a dropping rule gives no reason.
    Example:
        >>> rule = Rule(r"main\.0\.weight", "up0/kernel", conv2d)
    """

    source: str
    target: str | None
    transform: Callable = keep
    why: str = ""

    def __post_init__(self):
        try:
            re.compile(self.source)
        except re.error as error:
            raise ValueError(
                f"Expected a regular expression ({error}). Received: source={self.source!r}"
            ) from error
        if self.target is None and not self.why:
            raise ValueError(
                "A rule that drops arrays must say why nothing is lost. "
                f"Received: source={self.source!r}, target=None, why=''"
            )


def batch_norm(source, target) -> list[Rule]:
    """Rows of one BatchNorm: foreign prefix (taken literally) and address of the layer."""
    names = {
        "weight": "gamma",
        "bias": "beta",
        "running_mean": "moving_mean",
        "running_var": "moving_variance",
    }
    prefix = re.escape(source)
    rules = [Rule(rf"{prefix}\.{theirs}", f"{target}/{ours}") for theirs, ours in names.items()]
    counter = Rule(
        rf"{prefix}\.num_batches_tracked", None, why="A counter that only momentum=None would read."
    )
    return [*rules, counter]


def layer(source, target, transform, *, bias=None) -> list[Rule]:
    """Rows of a layer with kernel and bias: foreign prefix (taken literally) and address.

    Args: bias: transform of the bias. Defaults to `None`, the bias as it is.
    """
    prefix = re.escape(source)
    return [
        Rule(rf"{prefix}\.weight", f"{target}/kernel", transform),
        Rule(rf"{prefix}\.bias", f"{target}/bias", keep if bias is None else bias),
    ]


# DCGAN's stacks of 4 x 4 convolutions, which many publishers have under other names


def up_stack_sizes(shapes) -> dict[str, int] | None:
    """Sizes of a DCGAN generator, whose widths halve from layer to layer.

    Args: shapes: of the ConvTranspose2d weights [in, out, 4, 4] in order.
    Returns: dict with image_size, latent_dim, width and channels; `None` for other shapes.
    """
    if len(shapes) < 2 or any(len(shape) != 4 or shape[2:] != (4, 4) for shape in shapes):
        return None
    blocks, width = len(shapes) - 1, shapes[-1][0]
    maps = [width * 2**i for i in reversed(range(blocks))]
    if [shape[1] for shape in shapes[:-1]] != maps or [shape[0] for shape in shapes[1:]] != maps:
        return None
    return {
        "image_size": 4 * 2**blocks,
        "latent_dim": shapes[0][0],
        "width": width,
        "channels": shapes[-1][1],
    }


def down_stack_sizes(shapes) -> dict[str, int] | None:
    """Sizes of a DCGAN discriminator, whose widths double from layer to layer.

    Args: shapes: of the Conv2d weights [out, in, 4, 4] in order.
    Returns: dict with image_size, width and channels; `None` for other shapes.
    """
    if not shapes or shapes[-1][0] != 1:
        return None
    turned = up_stack_sizes(shapes[::-1])
    if turned is None:
        return None
    return {key: turned[key] for key in ("image_size", "width", "channels")}


@dataclasses.dataclass(frozen=True)
class Recognised:
    """What a source makes of a foreign mapping of arrays, or of a part of it.

    Args:
        family: str. The file in `families/` whose network this is.
        network: str. `"generator"` or `"discriminator"`, a name of the GAN's networks.
        config: dict. Arguments of the GAN that the shapes imply; a generator's win.
        table: sequence of `Rule`, for `assign`.
        prepare: function of the mapping. Gives the mapping that `table` is about, where that is
            another one: this network's share, with arrays folded into others or computed. Called
            once, before `assign`. Defaults to `keep`.
        turned: sequence of `Rule` in place of `table` for BGR images, where the content does not
            tell the order of the channels. Defaults to `None`: the source knows it.
    """

    family: str
    network: str
    config: dict
    table: list
    prepare: Callable = keep
    turned: list | None = None


Match = tuple[str, Recognised, dict[str, np.ndarray]]  # where in the file, what, its arrays


# Networks


def assign(network, arrays, table) -> None:
    """Fill a network with foreign arrays: all of them, all of it, or nothing.

    Each array must match exactly one rule and each variable be filled exactly once, with the
    variable's shape. Nothing is assigned unless everything fits. Variables cast to their dtype.

    Args:
        network: built `keras.Model` or `keras.Layer`.
        arrays: mapping from foreign name to array.
        table: sequence of `Rule`. A rule may match nothing.
    Raises: ValueError: listing up to ten faults, each with names and shapes.
    """
    variables = addresses(network)
    values, origins, faults = {}, {}, []
    for name, array in arrays.items():
        fault = _place(name, array, table, variables, values, origins)
        faults += [fault] if fault else []
    faults += [
        f"`{address}` {tuple(variable.shape)} receives nothing"
        for address, variable in variables.items()
        if address not in origins
    ]
    if faults:
        shown = "\n  ".join(faults[:MAX_FAULTS_SHOWN])
        rest = len(faults) - MAX_FAULTS_SHOWN
        more = f"\n  and {rest} more" if rest > 0 else ""
        raise ValueError(
            "Expected arrays and variables to match one to one. Nothing was assigned. "
            f"Faults while converting to `{network.name}`: {len(faults)}\n  {shown}{more}"
        )
    for address, value in values.items():
        variables[address].assign(value)


def _place(name, array, table, variables, values, origins):
    """Add one array to `values` and `origins` (address -> name), or return what is wrong."""
    label = f"`{name}` {array.shape}"
    hits = [(rule, match) for rule in table if (match := re.fullmatch(rule.source, name))]
    if len(hits) != 1:
        sources = ", ".join(f"`{rule.source}`" for rule, _ in hits)
        return f"{label} matches {len(hits)} rules, not 1" + (f": {sources}" if hits else "")
    rule, match = hits[0]
    if rule.target is None:
        return None
    address = match.expand(rule.target)
    if address not in variables:
        return f"{label} maps to `{address}`, which the network lacks"
    if address in origins:
        return f"{label} and `{origins[address]}` both map to `{address}`"
    origins[address] = name
    shape = tuple(variables[address].shape)
    try:
        value = np.asarray(rule.transform(array))
    except ValueError as error:
        return f"{label} cannot be transformed for `{address}` {shape}: {error}"
    if value.shape != shape:
        return f"{label} becomes {value.shape}, but `{address}` is {shape}"
    values[address] = value
    return None
