"""What a checkpoint becomes: a tree of dictionaries, lists, scalars and arrays."""

import numpy as np

from ganzoo.checkpoints.limits import MAX_ENTRIES
from ganzoo.errors import CorruptCheckpointError

META = "__meta__"  # the key under which a tree has what is no array: attributes, names, versions


def flatten(tree, *, separator=".") -> dict:
    """The arrays of a tree as `{dotted name: array}`, in the order of the tree.

    Keys of dictionaries and positions in lists are joined by dots; scalars are left out, and what
    is under the key `META`.

    Args:
        tree: what `load` returns, or a part of it. A lone array is named `""`.
        separator: str of one character in place of the dots.
    Raises: CorruptCheckpointError: if two arrays have one name, or the tree is unreasonably large.
    Example:
        >>> flatten({"layer": {"weight": np.zeros(2)}, "step": 3})
        {'layer.weight': array([0., 0.])}
    """
    arrays, left = {}, MAX_ENTRIES
    pending = [("", tree)]
    while pending:
        prefix, value = pending.pop()
        if isinstance(value, np.ndarray):
            name = prefix[:-1]
            if name in arrays:
                raise CorruptCheckpointError(f"Two arrays of the tree are named `{name}`.")
            arrays[name] = value
        elif isinstance(value, (dict, list, tuple)):
            left -= len(value) * (1 + len(prefix) // 100)  # before a name is made for each
            if left < 0:
                raise CorruptCheckpointError(f"The tree has more than {MAX_ENTRIES} entries.")
            items = value.items() if isinstance(value, dict) else enumerate(value)
            pending += [(f"{prefix}{k}{separator}", v) for k, v in items if k != META][::-1]
    return arrays
