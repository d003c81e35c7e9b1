"""Old places of modules: `ganzoo.publish` is `ganzoo.hub.publish`, and so on.

Programs, recipes and `.keras` files name modules where they lay before rooms were laid anew. The
names go on working; each is the very module of the new place.
"""

import importlib
import importlib.machinery
import sys

MOVED = {
    "audit": "hub.audit",
    "avatars": "data.avatars",
    "cards": "hub.cards",
    "convert.hdf5": "checkpoints.hdf5",
    "convert.reader": "checkpoints.reader",
    "convert.tensor_bundle": "checkpoints.tensor_bundle",
    "demonstration": "cli.demonstration",
    "editing.commands": "cli.editing",
    "foreign": "convert.foreign",
    "publish": "hub.publish",
}


class Finder:
    """Finds a module of `MOVED` at its new place; for `sys.meta_path`."""

    def find_spec(self, name, path=None, target=None):
        package, _, old = name.partition(".")
        if package != __package__ or old not in MOVED:
            return None
        return importlib.machinery.ModuleSpec(name, self)

    def create_module(self, spec):
        old = spec.name.partition(".")[2]
        module = importlib.import_module(f"{__package__}.{MOVED[old]}")
        spec.loader_state = module.__spec__  # the import system puts the new one into the module
        return module

    def exec_module(self, module):
        module.__spec__ = module.__spec__.loader_state


def install() -> None:
    """Makes old places importable, behind everything that exists."""
    sys.meta_path.append(Finder())
