"""Other people's checkpoints: from arrays to one of our models.

The arrays come from `checkpoints.reader`, which runs nothing. Which network they are is asked of
every source in `convert/`: a module whose `recognise(arrays)` knows a layout and infers all sizes
from shapes. A source whose files say what they are (their `reader.META`) has
`recognise_networks(tree)` instead, which is shown trees with all that they know of themselves.
Nothing here depends on file names, except that a set of `.npy` files is one checkpoint.
"""

import dataclasses
import importlib
import pathlib
from typing import Any

from ganzoo import families, resources
from ganzoo.checkpoints import reader
from ganzoo.convert import table
from ganzoo.errors import WeightsError

ORDERS = ("rgb", "bgr")


def sources() -> dict:
    """{name: module} of `convert/`: those that recognise a foreign layout."""
    names = sorted(path.stem for path in resources.CONVERT.glob("[!_]*.py"))
    modules = {name: importlib.import_module(f"ganzoo.convert.{name}") for name in names}
    questions = {"recognise", "recognise_networks"}
    return {name: module for name, module in modules.items() if questions & set(vars(module))}


def load(
    files: list[dict], *, family=None, config=None, channel_order=None, where: str
) -> tuple[Any, set[str]]:
    """The model that the files hold between them, and the names of the networks it holds.

    Args:
        files: dicts with `path`, and optionally `converter` (the only source that is asked), `pick`
            (the key under which the network lies), `network` (its name) and `channel_order`
            (`"rgb"` or `"bgr"`), each where the content does not tell. `.npy` files are read as
            one folder of arrays.
        family: what it must be of, or `None`.
        config: constructor arguments that win over those inferred from shapes.
        channel_order: as published, for files that neither tell it nor were given one.
        where: for messages.

    Returns: (`GAN`, set of network names).
    Raises: WeightsError: nothing or too much was recognised, or it does not fit; ValueError: a
        file's `channel_order` is unknown, or not needed.
    """
    if family is not None:
        families.family_class(family)  # raises for one that does not exist
    matches, names, others = [], [], set()
    for file, tree in _trees(files):
        if file.get("pick") is not None:
            tree = _pick(tree, file["pick"], file["path"])
        parts = _recognise(tree, file.get("converter"))
        others |= {part.family for _, part, _ in parts}
        parts = [match for match in parts if family in (None, match[1].family)]
        matches += [
            (place, _settled(part, file, channel_order), arrays) for place, part, arrays in parts
        ]
        names += [] if parts else _some_names(tree)
    if not matches and others:
        raise WeightsError(f"{where!r} is of family {sorted(others)}. Received: family={family!r}")
    networks = _one_each(matches, names, where)
    gan = families.construct(_family(networks), {**_config(networks), **(config or {})})
    _assign(gan, networks, where)
    return gan, set(networks)


def _trees(files):
    """(file, tree) of each; all `.npy` files together are one tree."""
    arrays = [file for file in files if pathlib.Path(file["path"]).suffix == ".npy"]
    if arrays:
        yield (
            {**arrays[0], "path": pathlib.Path(arrays[0]["path"]).parent},
            {pathlib.Path(file["path"]).stem: reader.load(file["path"]) for file in arrays},
        )
    for file in files:
        if file not in arrays:
            yield file, reader.load(file["path"])


def _pick(tree, pick, path):
    if not isinstance(tree, dict) or pick not in tree:
        keys = list(tree)[:20] if isinstance(tree, dict) else []
        raise WeightsError(f"{str(path)!r} lacks the key; it has {keys}. Received: pick={pick!r}")
    return tree[pick]


def _recognise(tree, converter=None):
    """(where, `Recognised`, arrays) of every mapping in the tree that a source knows."""
    modules, matches, pending, seen = sources(), [], [("", tree)], set()
    if converter is not None:
        modules = {converter: modules[converter]}
    while pending:
        where, value = pending.pop(0)
        if not isinstance(value, (dict, list, tuple)) or id(value) in seen:
            continue
        seen.add(id(value))
        arrays = _unwrap(reader.flatten(value))
        parts = [p for m in modules.values() for p in _seen_by(m, value, arrays)] if arrays else []
        matches += [(where + place, part, share) for place, part, share in parts]
        if not parts:
            items = value.items() if isinstance(value, dict) else enumerate(value)
            pending += [(f"{where}[{k!r}]", item) for k, item in items if k != reader.META]
    return matches


def _seen_by(module, tree, arrays):
    """(where in the tree, `Recognised`, arrays) of each network that a source sees."""
    if "recognise_networks" in vars(module):
        return module.recognise_networks(tree)
    answer = module.recognise(arrays)
    parts = answer if isinstance(answer, list) else [] if answer is None else [answer]
    return [("", part, arrays) for part in parts]


def _unwrap(arrays):
    """Without the prefix that `torch.nn.DataParallel` puts before every name."""
    if all(name.startswith("module.") for name in arrays):
        return {name.removeprefix("module."): array for name, array in arrays.items()}
    return arrays


def _some_names(tree):
    return list(reader.flatten(tree))


def _settled(part, file, published_order):
    """What was recognised, with what only the caller, or the manifest, can tell."""
    network, order = file.get("network") or part.network, file.get("channel_order")
    if order is not None and (part.turned is None or order not in ORDERS):
        legal = "`None`: this file's layout has one order" if part.turned is None else ORDERS
        raise ValueError(f"`channel_order` must be {legal}. Received: channel_order={order!r}")
    if part.turned is None:
        return dataclasses.replace(part, network=network)
    order = order or published_order
    if order is None:
        raise WeightsError(
            f"{str(file['path'])!r} does not tell whether its images are RGB or BGR; choose one of "
            f"{ORDERS} with `channel_order=`, or once and for all with `ganzoo convert "
            "--channel-order`."
        )
    table = part.turned if order == "bgr" else part.table
    return dataclasses.replace(part, network=network, table=table)


def _one_each(matches, names, where):
    """{network: (place, `Recognised`, arrays)}, all of one family.

    Raises: WeightsError: if nothing was recognised, or one network more than once.
    """
    if not matches:
        raise WeightsError(
            f"{where!r} holds no network that one of the sources {list(sources())} recognises. "
            f"Received: {len(names)} arrays, such as {names[:3]}"
        )
    kinds = sorted({part.family for _, part, _ in matches})
    if len(kinds) > 1:
        raise WeightsError(f"{where!r} may be of {kinds}; choose one with `family=`")
    for _, part, _ in matches:
        places = [place for place, other, _ in matches if other.network == part.network]
        if len(places) > 1:
            raise WeightsError(
                f"{where!r} holds a {part.network} in {places}; choose a key with `pick=`"
            )
    return {part.network: (place, part, arrays) for place, part, arrays in matches}


def _family(networks):
    return next(iter(networks.values()))[1].family


def _config(networks):
    config = {}
    for name in sorted(networks):  # "discriminator" first: the generator's word counts
        config |= networks[name][1].config
    return config


def _assign(gan, networks, where):
    for name, (place, part, arrays) in networks.items():
        if name not in gan.networks():
            raise WeightsError(
                f"{where!r}{place} is a {name}, which {type(gan).__name__} lacks: it has "
                f"{sorted(gan.networks())}"
            )
        try:
            table.assign(gan.networks()[name], part.prepare(arrays), part.table)
        except ValueError as error:
            raise WeightsError(
                f"{where!r}{place} does not fit {type(gan).__name__}: {error}"
            ) from error
