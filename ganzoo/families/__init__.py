"""One file a paper. The GAN class of `<family>.py` is the one whose lower-cased name is the file's
without underscores; nothing else registers it.
"""

import difflib
import functools
import importlib
import inspect

from ganzoo import resources


@functools.cache
def names() -> tuple[str, ...]:
    """The families that exist, sorted."""
    return tuple(sorted(path.stem for path in resources.FAMILIES.glob("[!_]*.py")))


def module_of(family: str):
    """The module `ganzoo.families.<family>`.

    Raises: ValueError: for a family that does not exist.
    """
    if family not in names():
        near = difflib.get_close_matches(str(family), names(), n=3)
        raise ValueError(
            f"`family` must be one of {list(names())}; nearest {near}. Received: family={family!r}"
        )
    return importlib.import_module(f"ganzoo.families.{family}")


def family_class(family: str):
    """The GAN class of a family.

    Raises: ValueError: for a family that does not exist.
    """
    wanted = family.replace("_", "") if isinstance(family, str) else family
    return next(value for key, value in vars(module_of(family)).items() if key.lower() == wanted)


def construct(family: str, arguments: dict):
    """A GAN with initial weights.

    Args: arguments: of the class' constructor; `resolution` is `image_size` by another name, and
        wins.
    Raises: ValueError: for an unknown family or argument.
    """
    cls = family_class(family)
    known = inspect.signature(cls).parameters
    if "resolution" in arguments and "resolution" not in known and "image_size" in known:
        arguments = {**arguments, "image_size": arguments["resolution"]}
        del arguments["resolution"]
    try:
        return cls(**arguments)
    except TypeError as error:
        line = (str(error).strip() or "TypeError").splitlines()[0]
        raise ValueError(
            f"{cls.__name__} cannot be built: {line}. Received: {sorted(arguments)}"
        ) from error


def import_all():
    """Imports every family, which registers all classes that a `.keras` file may name."""
    for family in names():
        module_of(family)
