"""From the stand-ins of a pickle to arrays and plain values, and from networks to dictionaries.

A network becomes a dict like its weights' names. That of PyTorch has one entry for each parameter,
buffer and submodule, in this order, so that `flatten` gives the names of its `state_dict()`; that
of TensorFlow 1 has one for each variable (numbers as arrays without axes) and component. What else
it knows of itself is under the key `META`, which `flatten` passes over:

* PyTorch: `class` (with its module, if the file has it), `init_args` (list), `init_kwargs`,
  `attributes` (its other members as far as they are numbers, text or containers of such),
  `non_persistent` (names of buffers that `state_dict()` leaves out);
* TensorFlow 1: `class`, and of its state what is no array: `name`, `version`, `build_func_name`,
  `static_kwargs` and so on.

Program text that a file holds is never part of the tree.
"""

import numpy as np

from ganzoo.checkpoints.containers import SCALARS, cost
from ganzoo.checkpoints.limits import MAX_DEPTH
from ganzoo.checkpoints.stand_ins import (
    CALLABLE,
    Class,
    Constant,
    Inert,
    Network,
    PickledArray,
    PickledDtype,
    Storage,
    StorageType,
    Tensor,
    TensorFlowNetwork,
    TorchModule,
    drop_sources,
)
from ganzoo.checkpoints.trees import META
from ganzoo.errors import CorruptCheckpointError


def resolve(tree, budget) -> object:
    """The tree without stand-ins."""
    return _Resolver(budget).resolve(tree)


class _Resolver:
    """Replaces stand-ins by arrays and plain values in a tree; what was shared stays shared."""

    def __init__(self, budget):
        self.budget = budget
        self.done = {}  # id -> (original, result); holding the original keeps the id taken
        self.bared = {}  # likewise

    def resolve(self, value, depth=0):
        if isinstance(value, SCALARS):
            return value
        if id(value) not in self.done:
            if depth > MAX_DEPTH:  # also where a container holds itself
                raise CorruptCheckpointError(f"Its containers nest more than {MAX_DEPTH} deep.")
            self.done[id(value)] = value, self.convert(value, depth + 1)
        return self.done[id(value)][1]

    def convert(self, value, depth):
        if isinstance(value, (Tensor, Storage, PickledArray)):
            return self.as_array(value)
        if isinstance(value, dict):
            return {k: self.resolve(v, depth) for k, v in value.items()}
        if isinstance(value, (list, tuple)):
            return type(value)([self.resolve(v, depth) for v in value])
        if isinstance(value, Network):  # which may have its state in common with many others
            self.budget.copy(cost(value.state) + sum(map(cost, value.state.values())))
            drop_sources(value.state)  # again, for items set since
        if isinstance(value, TorchModule):
            return self.torch_module(value, depth)
        if isinstance(value, TensorFlowNetwork):
            return self.tensorflow_network(value, depth)
        if isinstance(value, Inert):
            value.args, value.state = (self.resolve(x, depth) for x in (value.args, value.state))
        if isinstance(value, (Constant, Class)):
            return value.name
        if isinstance(value, CALLABLE):
            raise CorruptCheckpointError("It holds a function, which is no data.")
        return value.dtype if isinstance(value, (PickledDtype, StorageType)) else value

    def as_array(self, value):
        self.budget.tensor()
        if isinstance(value, Tensor):
            return value.storage.home.array(value)
        if isinstance(value, Storage):
            return value.home.array(Tensor(value, 0, (value.numel,), (1,)))
        if value.array is None:
            raise CorruptCheckpointError("A NumPy array has no content.")
        return value.array

    def torch_module(self, module, depth):
        """Parameters, buffers and submodules in the order of `state_dict()`, and `META`."""
        state, tree = module.state, {}
        for part in ("_parameters", "_buffers", "_modules"):
            for name, value in _mapping(state, part).items():
                if value is not None:
                    _put(tree, name, self.resolve(value, depth))
        hidden = state.get("_non_persistent_buffers_set")
        tree[META] = {
            "class": module.name,
            "init_args": self.bare(list(state.get("_init_args", ())), depth),
            "init_kwargs": self.bare(_mapping(state, "_init_kwargs"), depth),
            "attributes": self.bare({k: v for k, v in state.items() if f"{k}"[:1] != "_"}, depth),
            "non_persistent": sorted(map(str, hidden)) if isinstance(hidden, set) else [],
        }
        return tree

    def tensorflow_network(self, network, depth):
        """Variables, components and `META`. ProGAN knows no components."""
        state, tree = network.state, {}
        if not isinstance(state.get("variables"), list):
            raise CorruptCheckpointError(f"`{network.name}` has no list of variables.")
        for name, value in state["variables"]:
            value = self.resolve(value, depth)
            if isinstance(value, (np.generic, float, int)):
                value = np.asarray(value)
                value.flags.writeable = False
            if not isinstance(value, np.ndarray):
                raise CorruptCheckpointError(f"The variable `{name!r:.40}` is no array.")
            _put(tree, name, value)
        for name, component in _mapping(state, "components").items():
            if not isinstance(component, TensorFlowNetwork):
                raise CorruptCheckpointError(f"The component `{name!r:.40}` is no network.")
            _put(tree, name, self.resolve(component, depth))
        rest = {k: v for k, v in state.items() if k not in ("variables", "components")}
        tree[META] = {"class": network.name, **self.bare(rest, depth)}
        return tree

    def bare(self, value, depth):
        """`value` as numbers, text, arrays and containers of them; what is none of it is left out
        of dictionaries, `None` in lists, and `...` alone.
        """
        if isinstance(value, np.generic):
            return value.item()
        if isinstance(value, (*SCALARS, set, frozenset)):
            return value
        if isinstance(value, (Constant, Class, StorageType, PickledArray, PickledDtype)):
            return self.resolve(value, depth)
        if not isinstance(value, (dict, list, tuple)) or depth > MAX_DEPTH:
            return ...
        if id(value) not in self.bared:
            self.bared[id(value)] = value, self.bare_container(value, depth + 1)
        return self.bared[id(value)][1]

    def bare_container(self, value, depth):
        if isinstance(value, dict):
            items = {k: self.bare(v, depth) for k, v in value.items()}
            return {k: v for k, v in items.items() if v is not ...}
        items = [self.bare(v, depth) for v in value]
        return type(value)([None if v is ... else v for v in items])


def _mapping(state, part):
    rows = state.get(part, {})
    if not isinstance(rows, dict):
        raise CorruptCheckpointError(f"`{part}` of a network is no dictionary.")
    return rows


def _put(tree, name, value):
    if not isinstance(name, str) or name in tree or name == META:
        raise CorruptCheckpointError(f"A network has two entries or none named {name!r:.40}.")
    tree[name] = value
