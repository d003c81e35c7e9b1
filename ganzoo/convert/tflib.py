"""What the converters of the TensorFlow 1 pickles of ProGAN and StyleGAN have in common.

Such a file is (G, D, Gs): networks that hold the arguments of the functions which build them.
"""

from ganzoo.checkpoints.reader import META, flatten
from ganzoo.convert.table import Match, Rule, dense_from_nchw
from ganzoo.errors import WeightsError

NETWORKS = {"G": "generator", "D": "discriminator", "Gs": "generator_ema"}


def recognised(tree, makers) -> list[Match]:
    """[(where, `Recognised`, arrays)] of the networks of a file, or of one network.

    Args: makers: {name of the building function: (network's tree, its name, where) ->
        `Recognised`}.
    Raises: WeightsError: for a network that a maker knows but cannot read, or of unknown name.
    """
    single = not isinstance(tree, (list, tuple))
    found = []
    for where, part in [("", tree)] if single else [(f"[{i}]", x) for i, x in enumerate(tree)]:
        said = part.get(META, {}) if isinstance(part, dict) else {}
        function = said.get("build_func_name")
        if function in makers:
            network = _network(said, where)
            try:
                found.append((where, makers[function](part, network, where), flatten(part)))
            except KeyError as error:
                raise WeightsError(
                    f"The {network}{where} lacks {error}, which `{function}` makes: the file is "
                    "damaged, or of a version that ganzoo does not know."
                ) from error
    return found


def _network(said, where):
    if said["name"] not in NETWORKS:
        raise WeightsError(
            f"The network{where} that `{said['build_func_name']}` made is named {said['name']!r}; "
            f"ganzoo knows {tuple(NETWORKS)}, by which the official files tell the trained network "
            "from its average."
        )
    return NETWORKS[said["name"]]


def options(said, *, known, only, ignored, versions, where) -> dict:
    """The building function's arguments.

    Args:
        said: what the network's tree holds under `META`.
        known, ignored: names of arguments that the caller reads, or that make no difference.
        only: {name: the values that are known}.
        versions: of the file format.
    Raises: WeightsError: for arguments or values that are not known, and for another version.
    """
    if said["version"] not in versions:
        raise WeightsError(
            f"{said['name']}{where} is of version {said['version']} of the file format; "
            f"`{said['build_func_name']}` is known in version {versions}."
        )
    given = dict(said["static_kwargs"])
    odd = {
        name: value
        for name, value in given.items()
        if (name in only and value not in only[name]) or name not in {*known, *ignored, *only}
    }
    if odd:
        raise WeightsError(
            f"{said['name']}{where} was made with options that ganzoo does not know, so its "
            f"results would be others. Known: {sorted(known)}, and {only}. Received: {odd}"
        )
    return {name: value for name, value in given.items() if name in known}


# Rules


def sides(image_size) -> list[int]:
    """4, 8, ..., `image_size`."""
    return [2**k for k in range(2, image_size.bit_length())]


def layer(source, target, transform=lambda x: x) -> list[Rule]:
    """Rules of a layer with weight and bias."""
    return [
        Rule(f"{source}/weight", f"{target}/kernel", transform),
        Rule(f"{source}/bias", f"{target}/bias"),
    ]


def images(source, target, image_size) -> list[Rule]:
    """Rules of the layers to or from images, which are counted from the largest side."""
    rules = []
    for lod, side in enumerate(reversed(sides(image_size))):
        rules += layer(f"{source}_lod{lod}", target.format(side))
    return rules


def discriminator_table(tree, image_size) -> list[Rule]:
    """Rules of a discriminator."""
    from_nchw = dense_from_nchw(tree["4x4/Conv/bias"].shape[0], 4, 4)
    rules = [
        Rule("lod", "trunk/lod"),
        *images("FromRGB", "trunk/b{}/fromrgb", image_size),
        *layer("4x4/Conv", "trunk/b4/conv"),
        *layer("4x4/Dense0", "trunk/b4/fc", lambda x: from_nchw(x.T) if x.ndim == 2 else x),
        *layer("4x4/Dense1", "trunk/b4/out"),
    ]
    for side in sides(image_size)[1:]:
        rules += layer(f"{side}x{side}/Conv0", f"trunk/b{side}/conv0")
        rules += layer(f"{side}x{side}/Conv1(?:_down)?", f"trunk/b{side}/conv1")
    return rules
