"""One file a paper. The GAN class of `<family>.py` is the one whose lower-cased name is the file's
without underscores; nothing else registers it. A family of somebody's own, outside this package, is
known by the name under which its class is registered with Keras.
"""

import difflib
import functools
import importlib
import inspect
import types

from ganzoo import resources
from ganzoo.errors import UnknownFamilyError, first_line

PLAIN = ("Functional", "Sequential")  # Keras' own classes of networks


@functools.cache
def names() -> tuple[str, ...]:
    """The families that exist here, sorted."""
    return tuple(sorted(path.stem for path in resources.FAMILIES.glob("[!_]*.py")))


def module_of(family: str) -> types.ModuleType:
    """The module `ganzoo.families.<family>`.

    Raises: ValueError: for a family that does not exist.
    """
    if family not in names():
        near = difflib.get_close_matches(str(family), names(), n=3)
        raise ValueError(
            f"`family` must be one of {list(names())}; nearest {near}. Received: family={family!r}"
        )
    return importlib.import_module(f"ganzoo.families.{family}")


def is_own(family) -> bool:
    """Whether a `config.json` names a family outside this package: `mine>TwoWay`."""
    return isinstance(family, str) and ">" in family


def family_class(family: str) -> type:
    """The GAN class of a family.

    Raises: ValueError: for a family that does not exist. UnknownFamilyError: for one outside this
        package whose module was not imported.
    """
    if is_own(family):
        return registered(family)
    word = family.replace("_", "") if isinstance(family, str) else family
    return next(value for key, value in vars(module_of(family)).items() if key.lower() == word)


def registered(name: str) -> type:
    """The class that somebody registered with Keras in this process.

    Raises: UnknownFamilyError: nobody did.
    """
    import keras

    cls = keras.saving.get_registered_object(name)
    if cls is None:
        raise UnknownFamilyError(
            f"No class is registered as {name!r} in this process. It lies outside ganzoo, and "
            "nothing that a file names is imported: import its module first (on the command line "
            "`ganzoo --import FILE_OR_MODULE ...`), which has to say "
            f'`@keras.saving.register_keras_serializable(package={name.partition(">")[0]!r})`. '
            f"Received: family={name!r}"
        )
    return cls


def name_of(cls) -> str:
    """What `config.json` calls a GAN class: its file here, or the name that Keras knows it by.

    Raises: ValueError: for a class that is not registered, since nobody could build it again.
    """
    if cls.__module__.startswith(f"{__name__}."):
        return cls.__module__.rpartition(".")[2]
    return _registered_name(cls)


def network_name(family: str, cls) -> str:
    """What `config.json` calls the class of a network: its name in the family's file, one of
    `PLAIN`, or its registered name. Raises: as `name_of`.
    """
    if cls.__name__ in PLAIN:
        return cls.__name__
    if not is_own(family) and vars(module_of(family)).get(cls.__name__) is cls:
        return cls.__name__
    return _registered_name(cls)


def _registered_name(cls):
    import keras

    name = keras.saving.get_registered_name(cls)
    if keras.saving.get_registered_object(name) is None:  # of a file that ran twice, the newer one
        raise ValueError(
            "`load` can build the families of `ganzoo.families` and registered classes only: put "
            '`@keras.saving.register_keras_serializable(package="mine")` above yours, or keep the '
            f"model with `gan.save('model.keras')`. Received: {cls.__qualname__}"
        )
    return name


def network_class(family: str, name: str) -> type | None:
    """The class of `network_name`, or `None` where the family lacks it.

    Raises: UnknownFamilyError: it is somebody's own and was not imported.
    """
    if ">" in name:
        return registered(name)
    if name in PLAIN:
        import keras

        return keras.Sequential if name == "Sequential" else keras.Model
    return None if is_own(family) else vars(module_of(family)).get(name)


def construct(family: str, arguments: dict):
    """A GAN with initial weights.

    Args: arguments: of the class' constructor; `resolution` is `image_size` by another name, and
        wins.
    Raises: ValueError: for an unknown family or argument.
    """
    cls = family_class(family)
    parameters = inspect.signature(cls).parameters
    if (
        "resolution" in arguments
        and "resolution" not in parameters
        and "image_size" in parameters
    ):
        arguments = {**arguments, "image_size": arguments["resolution"]}
        del arguments["resolution"]
    try:
        return cls(**arguments)
    except TypeError as error:
        raise ValueError(
            f"{cls.__name__} cannot be built: {first_line(error)}. Received: {sorted(arguments)}"
        ) from error


def import_all() -> None:
    """Imports every family, which registers all classes that a `.keras` file may name."""
    for family in names():
        module_of(family)
