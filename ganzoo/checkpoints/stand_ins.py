"""What the names in a pickle become. None of these can do more than hold data."""

import dataclasses
import math
import re
from collections.abc import Callable

import numpy as np

from ganzoo.checkpoints.arrays import array_over
from ganzoo.errors import CorruptCheckpointError


@dataclasses.dataclass(frozen=True)
class Call:
    """A function of `vocabulary` that a pickle may call."""

    function: Callable

    def call(self, machine, args):
        return self.function(*args)


class Nested:
    """`torch.storage._load_from_bytes`: the bytes are a torch file of one storage."""

    def call(self, machine, args):
        return machine.load_nested(*args)


@dataclasses.dataclass(frozen=True)
class Class:
    """A class that is not here; its objects are stand-ins of type `kind`."""

    name: str
    kind: type

    def call(self, machine, args):
        return self.kind(self.name, *args)


CALLABLE = (Call, Nested, Class)


@dataclasses.dataclass(frozen=True)
class Constant:
    """A global that is only mentioned: a dtype, a class passed as an argument."""

    name: str


@dataclasses.dataclass(frozen=True)
class StorageType:
    """`torch.FloatStorage` and its kin."""

    dtype: np.dtype


@dataclasses.dataclass(frozen=True)
class Storage:
    """`numel` items of `dtype`, from item `start` on of the bytes that `home` knows as `key`."""

    dtype: np.dtype
    key: str
    start: int
    numel: int
    home: object  # the `torch_files` object that has the bytes


@dataclasses.dataclass(frozen=True)
class Tensor:
    """A strided view of a storage; becomes an array once the bytes are there."""

    storage: Storage
    offset: int  # items
    size: tuple
    stride: tuple  # items

    @property
    def nbytes(self) -> int:
        return math.prod(self.size) * self.storage.dtype.itemsize


class Inert:
    """An object of a class that is not here: its name and its pickled state, no behaviour."""

    def __init__(self, name, *args):
        self.name = name
        self.args = args
        self.state = None

    def build(self, state):
        self.state = state


class Network(Inert):
    """A network of PyTorch or TensorFlow; becomes a dict."""

    def __init__(self, name, *args):
        super().__init__(name, *args)
        self.state = {}

    def build(self, state):
        if not isinstance(state, dict):
            raise CorruptCheckpointError(f"The state of `{self.name[:80]}` is no dictionary.")
        drop_sources(state)
        self.state = state


class TorchModule(Network):
    """A `torch.nn.Module`."""


class TensorFlowNetwork(Network):
    """`dnnlib.tflib.network.Network`, or `tfutil.Network` of ProGAN."""


class PickledDtype:
    """`numpy.dtype("f4", 0, 1)`; its byte order follows as state."""

    def __init__(self, code, *_):
        if not re.fullmatch(r"[<>=|]?([iu][1248]|f[248]|c8|c16|b1)", code):
            raise CorruptCheckpointError(f"It holds a NumPy array of `{code[:20]}`, not numbers.")
        self.dtype = np.dtype(code)

    def build(self, state):
        order = state[1]
        if order not in ("<", ">", "=", "|"):
            raise CorruptCheckpointError("A NumPy dtype has an unknown byte order.")
        self.dtype = self.dtype.newbyteorder(order)


class PickledArray:
    """`numpy.core.multiarray._reconstruct(...)`; shape and bytes follow as state."""

    def __init__(self, *_):
        self.array = None

    def build(self, state):
        _version, shape, dtype, fortran, raw = state
        raw = raw.encode("latin1") if isinstance(raw, str) else raw  # Python 2 str
        self.array = array_over(raw, dtype.dtype, shape, order="F" if fortran else "C")


def drop_sources(state) -> None:
    """Removes program text, which is of no use here."""
    for key in ("module_src", "build_module_src"):
        state.pop(key, None)
