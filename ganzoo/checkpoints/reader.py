"""Foreign checkpoints as NumPy arrays, without torch and without running anything.

Reads, recognised by content and never by file name:

* torch zip files (`archive/data.pkl` and one entry per storage; torch >= 1.6),
* torch legacy streams (five pickles, then the bytes of the storages; most files of 2017-2020),
* whole `torch.nn.Module`s in either of these, and NVIDIA's pickles of networks: those of PyTorch,
  whose storages are legacy streams within the pickle, and those of TensorFlow 1 (ProGAN on),
* plain pickles of numbers and NumPy arrays, those of Python 2 among them,
* `.npy`, `.npz`, folders of `.npy`, and `.safetensors`,
* HDF5 of Keras (`.h5`, `.weights.h5`, `.keras`; see `hdf5.py`),
* TensorFlow checkpoints, SavedModels and TF-Hub modules (see `tensor_bundle.py`);

and every single file of these also packed by xz.

A pickle is a program. Here it is read by an interpreter of our own (`_Machine`) that knows the
opcodes which build numbers, strings and containers. A name of a module attribute is looked up in
one closed table, `GLOBALS`, whose entries are functions of this file, then among the modules of
networks in `CLASS_MODULES`, whose classes become objects that only hold their state; any other
name ends the reading with `UnsafeCheckpointError`, and nothing is imported, called or instantiated.
To read a further kind of file, add rows to `GLOBALS` or `CLASS_MODULES`.

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

Everything that a file claims is compared with what it holds before memory is asked for: a storage
with the bytes there are, a tensor with its storage, opcodes, tensors and nesting with the limits
below, over all files within the file. What is not as it should be raises `CorruptCheckpointError`.

Layout of this file: limits; stand-ins; the table of globals; the interpreter; torch zip and
legacy; from stand-ins to arrays; `.npy`, `.npz`, `.safetensors`; the public functions.
"""

import contextlib
import dataclasses
import io
import json
import lzma
import math
import os
import pathlib
import re
import struct
import zipfile
import zlib
from collections.abc import Callable

import ml_dtypes
import numpy as np

from ganzoo.checkpoints import hdf5, tensor_bundle
from ganzoo.checkpoints.limits import (
    FREE_BYTES,
    MAX_DEPTH,
    MAX_DIGITS,
    MAX_ENTRIES,
    MAX_HEADER_BYTES,
    MAX_INFLATION,
    MAX_INTEGER_BYTES,
    MAX_KEY,
    MAX_LINE,
    MAX_NPY_HEADER_BYTES,
    MAX_ODD_KEYS,
    MAX_OPCODES,
    MAX_RANK,
    MAX_TENSORS,
    MAX_UNPACKED,
    MAX_ZIP_LIST,
    META,
    XZ_MEMORY,
)
from ganzoo.errors import CheckpointError, CorruptCheckpointError, UnsafeCheckpointError

# What parsing damaged bytes may raise below; each becomes a CorruptCheckpointError.
_RAW_ERRORS = (
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    EOFError,
    OSError,
    RuntimeError,  # with RecursionError, NotImplementedError
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
)


class _Budget:
    """What the reading of one file may still ask for, with all files that are within it.

    Copies and views are in bytes: those that a file may ask for without holding them.
    """

    def __init__(self, size):
        self.opcodes = MAX_OPCODES
        self.tensors = MAX_TENSORS
        self.copies = self.views = 4 * size + FREE_BYTES

    def opcode(self):
        self.opcodes -= 1
        if self.opcodes < 0:
            raise CorruptCheckpointError(f"A pickle has more than {MAX_OPCODES} instructions.")

    def tensor(self):
        self.tensors -= 1
        if self.tensors < 0:
            raise CorruptCheckpointError(f"It holds more than {MAX_TENSORS} tensors.")

    def copy(self, count):
        self.copies -= count
        if self.copies < 0:
            raise CorruptCheckpointError("A pickle copies far more data than the file holds.")

    def view(self, count):
        self.views -= count
        if self.views < 0:
            raise CorruptCheckpointError("The tensors claim far more items than the file holds.")


# Stand-ins: what a pickle's globals become. None of them can do more than hold data.


@dataclasses.dataclass(frozen=True)
class Call:
    """A function of this file that a pickle may call."""

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


_CALLABLE = (Call, Nested, Class)


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
    home: "_Storages"


@dataclasses.dataclass(frozen=True)
class Tensor:
    """A strided view of a storage; becomes an array once the bytes are there."""

    storage: Storage
    offset: int  # items
    size: tuple
    stride: tuple  # items

    @property
    def nbytes(self):
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
        _drop_sources(state)
        self.state = state


class TorchModule(Network):
    """A `torch.nn.Module`."""


class TensorFlowNetwork(Network):
    """`dnnlib.tflib.network.Network`, or `tfutil.Network` of ProGAN."""


class _PickledDtype:
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


class _PickledArray:
    """`numpy.core.multiarray._reconstruct(...)`; shape and bytes follow as state."""

    def __init__(self, *_):
        self.array = None

    def build(self, state):
        _version, shape, dtype, fortran, raw = state
        raw = raw.encode("latin1") if isinstance(raw, str) else raw  # Python 2 str
        self.array = _array(raw, dtype.dtype, shape, order="F" if fortran else "C")


def _array(raw, dtype, shape, *, order="C"):
    """A read-only array over `raw`, which must have exactly the bytes that the shape needs."""
    _check_integers(shape)
    needed = math.prod(shape) * dtype.itemsize
    if needed != len(raw):
        raise CorruptCheckpointError(
            f"An array of shape {tuple(shape)} and dtype {dtype} needs {needed} bytes, "
            f"but {len(raw)} are there."
        )
    if not raw:
        return np.zeros(shape, dtype)
    array = np.frombuffer(raw, dtype).reshape(shape, order=order)
    array.flags.writeable = False
    return array


def _check_integers(numbers):
    if len(numbers) > MAX_RANK or not all(type(n) is int and 0 <= n < 2**62 for n in numbers):
        raise CorruptCheckpointError("A shape, stride or offset is not a few integers >= 0.")


# The table of globals: (module, name) as a pickle spells them -> stand-in.


def _ordered_dict(pairs=()):
    """`OrderedDict()`, or with a list of pairs from Python 2."""
    if not isinstance(pairs, (list, tuple)) or not all(len(pair) == 2 for pair in pairs):
        raise CorruptCheckpointError("An OrderedDict is not made of a list of pairs.")
    return _fill({}, [part for pair in pairs for part in pair])


def _size(size=()):
    if not isinstance(size, (list, tuple)):
        raise CorruptCheckpointError("A `torch.Size` is made of something that is no tuple.")
    return tuple(size)


def _rebuild_tensor(storage, offset, size, stride, *_):
    """`torch._utils._rebuild_tensor` and `_v2`: `offset` and `stride` in items."""
    if not isinstance(storage, Storage) or len(size) != len(stride):
        raise CorruptCheckpointError("A tensor has no storage, or a size without a stride.")
    _check_integers((offset,))
    _check_integers(size)
    _check_integers(stride)
    last = sum((n - 1) * s for n, s in zip(size, stride))
    end = offset if 0 in size else offset + last + 1
    if end > storage.numel:
        raise CorruptCheckpointError(
            f"A tensor of size {size}, stride {stride} and offset {offset} leaves its storage "
            f"of {storage.numel} items."
        )
    return Tensor(storage, offset, tuple(size), tuple(stride))


def _rebuild_parameter(data, *_):
    if not isinstance(data, Tensor):
        raise CorruptCheckpointError("A parameter is not made of a tensor.")
    return data


def _numpy_scalar(dtype, raw):
    raw = raw.encode("latin1") if isinstance(raw, str) else raw
    return _array(raw, dtype.dtype, ())[()]


def _numpy_frombuffer(raw, dtype, shape, order):
    """`numpy._core.numeric._frombuffer`: how protocol 5 spells a contiguous array."""
    if order not in ("C", "F"):
        raise CorruptCheckpointError("A NumPy array has an unknown order of axes.")
    return _array(raw, dtype.dtype, shape, order=order)


def _encode(text, encoding):
    """Python 3 writes bytes as `_codecs.encode(text, "latin1")` in protocols below 3."""
    if encoding not in ("latin1", "latin-1"):
        raise CorruptCheckpointError("Bytes are spelled in an encoding other than latin1.")
    return text.encode("latin1")


def _namespace():
    return Inert("argparse.Namespace")


def _set(items=()):
    if not isinstance(items, (list, tuple)):
        raise CorruptCheckpointError("A set is not made of a list.")
    return _add(set(), items)


def _frozenset(items=()):
    return frozenset(_set(items))


def _persistent_object(meta):
    """`torch_utils.persistence` of NVIDIA: class name, state and the program text of the class."""
    if not isinstance(meta, dict) or meta.get("type") != "class":
        raise CorruptCheckpointError("A persistent object is not described as one of a class.")
    if not isinstance(meta["class_name"], str):
        raise CorruptCheckpointError("The class of a persistent object has no name.")
    module = TorchModule(meta["class_name"])
    module.build(meta["state"])
    _drop_sources(meta)
    return module


def _drop_sources(state):
    """Removes program text, which is of no use here."""
    for key in ("module_src", "build_module_src"):
        state.pop(key, None)


def _nothing(*_):
    """What says where a tensor was, or how it was computed."""


_STORAGES = {
    "FloatStorage": np.float32,
    "DoubleStorage": np.float64,
    "HalfStorage": np.float16,
    "BFloat16Storage": ml_dtypes.bfloat16,
    "LongStorage": np.int64,
    "IntStorage": np.int32,
    "ShortStorage": np.int16,
    "CharStorage": np.int8,
    "ByteStorage": np.uint8,
    "BoolStorage": np.bool_,
    "ComplexFloatStorage": np.complex64,
    "ComplexDoubleStorage": np.complex128,
}
_DTYPES = "float32 float64 float16 bfloat16 int64 int32 int16 int8 uint8 bool".split()

GLOBALS = {
    ("collections", "OrderedDict"): Call(_ordered_dict),
    ("argparse", "Namespace"): Call(_namespace),
    ("_codecs", "encode"): Call(_encode),
    ("torch._utils", "_rebuild_tensor"): Call(_rebuild_tensor),  # torch < 0.4
    ("torch._utils", "_rebuild_tensor_v2"): Call(_rebuild_tensor),
    ("torch._utils", "_rebuild_parameter"): Call(_rebuild_parameter),
    ("torch._utils", "_rebuild_parameter_with_state"): Call(_rebuild_parameter),
    ("torch.nn.parameter", "Parameter"): Call(_rebuild_parameter),  # torch < 0.4
    ("torch.autograd.variable", "Variable"): Call(_rebuild_parameter),  # torch < 0.4
    ("torch", "Size"): Call(_size),
    ("torch", "device"): Call(_nothing),
    ("torch.nn.backends.thnn", "_get_thnn_function_backend"): Call(_nothing),  # torch < 1.0
    ("torch.storage", "_load_from_bytes"): Nested(),
    ("torch_utils.persistence", "_reconstruct_persistent_obj"): Call(_persistent_object),
    ("dnnlib.util", "EasyDict"): Call(_ordered_dict),
    ("dnnlib.tflib.network", "Network"): Class("dnnlib.tflib.network.Network", TensorFlowNetwork),
    ("tfutil", "Network"): Class("tfutil.Network", TensorFlowNetwork),
    ("numpy", "ndarray"): Constant("numpy.ndarray"),
    ("numpy", "dtype"): Call(_PickledDtype),
}
for _module in ("numpy.core.multiarray", "numpy._core.multiarray"):
    GLOBALS[_module, "_reconstruct"] = Call(_PickledArray)
    GLOBALS[_module, "scalar"] = Call(_numpy_scalar)
for _module in ("numpy.core.numeric", "numpy._core.numeric"):
    GLOBALS[_module, "_frombuffer"] = Call(_numpy_frombuffer)
for _name, _dtype in _STORAGES.items():
    GLOBALS["torch", _name] = StorageType(np.dtype(_dtype))
    GLOBALS["torch.cuda", _name] = StorageType(np.dtype(_dtype))
for _name in _DTYPES:
    GLOBALS["torch", _name] = Constant(f"torch.{_name}")
for _module in ("builtins", "__builtin__"):
    GLOBALS[_module, "set"] = Call(_set)
    GLOBALS[_module, "frozenset"] = Call(_frozenset)

# Modules whose classes are networks: these, and the modules within them.
CLASS_MODULES = (
    "torch.nn.modules",
    "torch.nn.parallel",
    "torch.nn.utils",
    "model",  # DiscoGAN, HiFi-GAN and most research code
    "models",
    "networks",
    "training.networks",
    "training.networks_stylegan2",
    "training.networks_stylegan3",
    "training.augment",
    "R3GAN",
)
_CLASS = re.compile(r"[A-Z][A-Za-z0-9_]*")  # never a function, never an attribute of an attribute
_PACKAGE = re.compile(rf"({'|'.join(map(re.escape, CLASS_MODULES))})(\.[A-Za-z_][A-Za-z0-9_]*)*")


def _look_up(module, name):
    if (module, name) in GLOBALS:
        return GLOBALS[module, name]
    if _PACKAGE.fullmatch(module) and _CLASS.fullmatch(name):
        return Class(f"{module}.{name}", TorchModule)
    raise UnsafeCheckpointError(
        f"It names `{module[:80]}.{name[:80]}`, which is not among the globals that a "
        "checkpoint may name. Nothing of it was imported or run. Expected a file of arrays; "
        "a whole pickled model must be saved anew as `model.state_dict()` by who trusts it."
    )


# The interpreter


class _Source:
    """A seekable binary file of known size, read without ever asking for more than it holds.

    `packed` is the size of the file that it was unpacked from, if it was.
    """

    def __init__(self, file, packed=None):
        self.file = file
        self.size = file.seek(0, io.SEEK_END)
        self.packed = self.size if packed is None else packed
        self.data = file.getvalue() if isinstance(file, io.BytesIO) else None  # shared, no copy
        file.seek(0)

    @property
    def left(self):
        return self.size - self.file.tell()

    def take(self, count):
        data = self.file.read(count) if 0 <= count < 256 or 0 <= count <= self.left else b""
        if len(data) != count:
            raise CorruptCheckpointError(
                f"It ends early: {count} bytes were expected, {self.left + len(data)} are left. "
                "The download or copy may be incomplete."
            )
        return data

    def view(self, count):
        """As `take`, but without a copy of what is in memory anyway."""
        if self.data is None or not 0 <= count <= self.left:
            return self.take(count)
        start = self.file.tell()
        self.file.seek(count, io.SEEK_CUR)
        return memoryview(self.data)[start : start + count]

    def line(self):
        data = self.file.readline(MAX_LINE)
        if not data.endswith(b"\n"):
            raise CorruptCheckpointError("It ends early, within a line of a pickle.")
        return data[:-1]

    def unpack(self, layout):
        return struct.unpack(layout, self.take(struct.calcsize(layout)))[0]


_SCALARS = (str, int, float, bool, bytes, type(None))


def _key(key, others):
    """A key for a dict or set with `others`: text, numbers and short, flat tuples of these.

    What costs little to compare and to hash, and does not collide more often than by chance.
    """
    flat = key if isinstance(key, tuple) else (key,)
    if len(flat) > MAX_RANK or not all(isinstance(k, _SCALARS) for k in flat):
        raise CorruptCheckpointError("A dictionary key or set item is neither text nor number.")
    if any(isinstance(k, (str, bytes)) and len(k) > MAX_KEY for k in flat):
        raise CorruptCheckpointError(f"A dictionary key has more than {MAX_KEY} characters.")
    odd = isinstance(key, (tuple, float)) or (isinstance(key, int) and abs(key) >= 2**60)
    if odd and len(others) >= MAX_ODD_KEYS:
        raise CorruptCheckpointError("A dictionary has very many keys that are no text.")
    return key


def _fill(target, items):
    if not isinstance(target, dict) or len(items) % 2:
        raise CorruptCheckpointError("A pickle sets items of something that is no dictionary.")
    for key, value in zip(items[::2], items[1::2]):
        target[_key(key, target)] = value
    return target


def _add(target, items):
    if not isinstance(target, set):
        raise CorruptCheckpointError("A pickle adds to something that is no set.")
    for item in items:
        target.add(_key(item, target))
    return target


_ODD_ESCAPE = re.compile(rb"""\\(?![nrt'"]|x[0-9a-fA-F]{2})""")
_CONTAINER_BYTES = 256  # that an empty one takes, with its place in the tables of the reader


def _cost(value):
    """Bytes that a copy of `value` takes, roughly; a short file may ask for many copies of one."""
    if isinstance(value, (str, bytes)):
        return len(value)
    return 100 * len(value) if isinstance(value, (list, tuple, dict, set)) else 0


def _no_storage(_pid):
    raise CorruptCheckpointError("A plain pickle refers to storages outside of it.")


class _Machine:
    """Runs one pickle from `source` up to STOP and returns what it builds.

    Args:
        source: `_Source`, at the first opcode; left behind STOP.
        budget: `_Budget` of the file.
        persistent_load: function of a persistent id; torch's name for a storage.
        nested: bool. Whether the pickle is of a file within a pickle, and may not hold another.
    Reference: the opcodes as `pickletools` of the standard library documents them.
    """

    def __init__(self, source, budget, persistent_load=_no_storage, *, nested=False):
        self.source = source
        self.budget = budget
        self.persistent_load = persistent_load
        self.nested = nested
        self.stack = []
        self.marks = []
        self.memo = {}
        self.files = {}  # id of a nested file's bytes -> (bytes, storage)

    def run(self):
        while True:
            self.budget.opcode()
            opcode = self.source.take(1)
            if opcode == b".":
                return self.pop()
            if opcode not in _OPCODES:
                raise CorruptCheckpointError(f"It is no pickle of data: byte {opcode!r}.")
            _OPCODES[opcode](self)

    def push(self, value):
        self.stack.append(value)

    def push_new(self, container):
        self.budget.copy(_CONTAINER_BYTES)
        self.stack.append(container)

    def pop(self):
        if not self.stack or (self.marks and self.marks[-1] >= len(self.stack)):
            raise CorruptCheckpointError("A pickle takes more values than it made.")
        return self.stack.pop()

    def top(self):
        value = self.pop()
        self.push(value)
        return value

    def pop_mark(self):
        if not self.marks:
            raise CorruptCheckpointError("A pickle closes a group that it never opened.")
        start = self.marks.pop()
        items = self.stack[start:]
        del self.stack[start:]
        return items

    def mark(self):
        self.marks.append(len(self.stack))

    def pop_or_mark(self):
        if self.marks and self.marks[-1] == len(self.stack):
            self.marks.pop()
        else:
            self.pop()

    # Memo

    def put(self, index):
        self.memo[index] = self.top()

    def get(self, index):
        if index not in self.memo:
            raise CorruptCheckpointError("A pickle refers to a value that it never made.")
        self.push(self.memo[index])

    # Containers

    def append(self, items):
        target = self.top()
        if not isinstance(target, list):
            raise CorruptCheckpointError("A pickle appends to something that is no list.")
        target.extend(items)

    def add(self, items):
        _add(self.top(), items)

    def set_item(self):
        value, key = self.pop(), self.pop()
        _fill(self.top(), [key, value])

    def set_items(self):
        items = self.pop_mark()
        _fill(self.top(), items)

    def group(self, count):
        self.push_new(tuple([self.pop() for _ in range(count)][::-1]))

    # Text and numbers

    def long(self, layout):
        count = self.source.unpack(layout)
        if not 0 <= count <= MAX_INTEGER_BYTES:
            raise CorruptCheckpointError(f"A pickled integer claims {count} bytes.")
        self.push(int.from_bytes(self.source.take(count), "little", signed=True))

    def index(self):
        return int(self.source.line()[:20])

    def decimal(self):
        text = self.source.line()
        if len(text) > MAX_INTEGER_BYTES:
            raise CorruptCheckpointError(f"A pickled integer claims {len(text)} digits.")
        special = {b"00": False, b"01": True}  # protocol 0 has no other bool
        self.push(special[text] if text in special else int(text.rstrip(b"L")))

    def fraction(self):
        text = self.source.line()
        if len(text) > MAX_DIGITS:
            raise CorruptCheckpointError(f"A pickled number claims {len(text)} digits.")
        self.push(float(text))

    def quoted(self):
        text = self.source.line().strip()
        if len(text) < 2 or text[:1] != text[-1:] or text[:1] not in (b"'", b'"'):
            raise CorruptCheckpointError("A pickled string has no quotes.")
        if _ODD_ESCAPE.search(text.replace(rb"\\", b"")):
            raise CorruptCheckpointError("A pickled string has an escape that Python 2 has not.")
        # Python 2 str: one character per byte.
        self.push(text[1:-1].decode("unicode_escape"))

    def bytes_of(self, layout, decode=bytes):
        self.push(decode(self.source.take(self.source.unpack(layout))))

    # Globals and objects

    def global_lines(self):
        module, name = (self.source.line().decode("utf-8") for _ in range(2))
        self.push(_look_up(module, name))

    def global_stack(self):
        name, module = self.pop(), self.pop()
        if not isinstance(name, str) or not isinstance(module, str):
            raise CorruptCheckpointError("A pickle names a global by something that is no text.")
        self.push(_look_up(module, name))

    def charge(self, values):
        self.budget.copy(_CONTAINER_BYTES + _cost(values))
        self.budget.copy(sum(_cost(value) for value in values))

    def call(self, function, args):
        if not isinstance(function, _CALLABLE):
            raise CorruptCheckpointError("A pickle calls something that is not a function.")
        if not isinstance(args, tuple):
            raise CorruptCheckpointError("A pickle calls a function without a tuple of arguments.")
        self.charge(args)
        self.push(function.call(self, args))

    def load_nested(self, content):
        if self.nested or not isinstance(content, bytes):
            raise CorruptCheckpointError("A storage within a pickle is not made of bytes.")
        if id(content) not in self.files:
            tree = _run_nested(content, self.budget)
            if not isinstance(tree, Storage):
                raise CorruptCheckpointError("A torch file within a pickle is not of a storage.")
            self.files[id(content)] = content, tree
        return self.files[id(content)][1]

    def reduce(self):
        args, function = self.pop(), self.pop()
        self.call(function, args)

    def new_object_with_keywords(self):
        keywords = self.pop()
        if keywords != {}:
            raise CorruptCheckpointError("A pickle calls a function with keyword arguments.")
        self.reduce()

    def instance(self):
        self.global_lines()
        function = self.pop()
        self.call(function, tuple(self.pop_mark()))

    def object_of_group(self):
        function, *args = self.pop_mark()
        self.call(function, tuple(args))

    def build(self):
        state = self.pop()
        target = self.top()
        if isinstance(target, (Inert, _PickledDtype, _PickledArray)):
            self.charge(state if isinstance(state, tuple) else ())
            target.build(state)
        # Not needed: of an OrderedDict torch's `_metadata`, of a parameter what concerns gradients.
        elif not isinstance(target, (dict, Tensor)):
            raise CorruptCheckpointError("A pickle gives a state to something that has none.")

    def extension(self):
        raise UnsafeCheckpointError(
            "It names a global by a `copyreg` extension code, which no checkpoint needs. "
            "Nothing of it was run."
        )


def _latin1(data):
    return data.decode("latin1")


def _utf8(data):
    return data.decode("utf-8", "surrogatepass")


_OPCODES = {
    # stack
    b"\x80": lambda m: m.source.take(1),  # PROTO
    b"\x95": lambda m: m.source.take(8),  # FRAME: a hint for buffering
    b"(": _Machine.mark,
    b"0": _Machine.pop_or_mark,
    b"1": _Machine.pop_mark,
    b"2": lambda m: m.push(m.top()),  # DUP
    # memo
    b"p": lambda m: m.put(m.index()),
    b"q": lambda m: m.put(m.source.unpack("<B")),
    b"r": lambda m: m.put(m.source.unpack("<I")),
    b"\x94": lambda m: m.put(len(m.memo)),  # MEMOIZE
    b"g": lambda m: m.get(m.index()),
    b"h": lambda m: m.get(m.source.unpack("<B")),
    b"j": lambda m: m.get(m.source.unpack("<I")),
    # constants and numbers
    b"N": lambda m: m.push(None),
    b"\x88": lambda m: m.push(True),
    b"\x89": lambda m: m.push(False),
    b"I": _Machine.decimal,
    b"L": _Machine.decimal,
    b"J": lambda m: m.push(m.source.unpack("<i")),
    b"K": lambda m: m.push(m.source.unpack("<B")),
    b"M": lambda m: m.push(m.source.unpack("<H")),
    b"\x8a": lambda m: m.long("<B"),
    b"\x8b": lambda m: m.long("<i"),
    b"F": _Machine.fraction,
    b"G": lambda m: m.push(m.source.unpack(">d")),
    # text and bytes
    b"S": _Machine.quoted,
    b"T": lambda m: m.bytes_of("<I", _latin1),  # Python 2 str
    b"U": lambda m: m.bytes_of("<B", _latin1),  # Python 2 str
    b"V": lambda m: m.push(m.source.line().decode("raw_unicode_escape")),
    b"X": lambda m: m.bytes_of("<I", _utf8),
    b"\x8c": lambda m: m.bytes_of("<B", _utf8),
    b"\x8d": lambda m: m.bytes_of("<Q", _utf8),
    b"B": lambda m: m.bytes_of("<I"),
    b"C": lambda m: m.bytes_of("<B"),
    b"\x8e": lambda m: m.bytes_of("<Q"),
    b"\x96": lambda m: m.bytes_of("<Q"),  # BYTEARRAY8
    # containers
    b")": lambda m: m.push(()),
    b"t": lambda m: m.push_new(tuple(m.pop_mark())),
    b"\x85": lambda m: m.group(1),
    b"\x86": lambda m: m.group(2),
    b"\x87": lambda m: m.group(3),
    b"]": lambda m: m.push_new([]),
    b"l": lambda m: m.push_new(m.pop_mark()),
    b"a": lambda m: m.append([m.pop()]),
    b"e": lambda m: m.append(m.pop_mark()),
    b"}": lambda m: m.push_new({}),
    b"d": lambda m: m.push_new(_fill({}, m.pop_mark())),
    b"s": _Machine.set_item,
    b"u": _Machine.set_items,
    b"\x8f": lambda m: m.push_new(set()),
    b"\x90": lambda m: m.add(m.pop_mark()),
    b"\x91": lambda m: m.push_new(frozenset(_add(set(), m.pop_mark()))),
    # globals and objects
    b"c": _Machine.global_lines,
    b"\x93": _Machine.global_stack,
    b"R": _Machine.reduce,
    b"\x81": _Machine.reduce,  # NEWOBJ
    b"\x92": _Machine.new_object_with_keywords,
    b"i": _Machine.instance,
    b"o": _Machine.object_of_group,
    b"b": _Machine.build,
    b"\x82": _Machine.extension,
    b"\x83": _Machine.extension,
    b"\x84": _Machine.extension,
    # storages
    b"P": lambda m: m.push_new(m.persistent_load(m.source.line().decode("latin1"))),
    b"Q": lambda m: m.push_new(m.persistent_load(m.pop())),
}


# torch files

_MAGIC = 0x1950A86A20F9469CFC6C  # first pickle of a legacy stream
_LEGACY_PROTOCOL = 1001  # second pickle
_NESTED_ENTRIES = 100  # of a zip file within a pickle; torch writes about six


class _Storages:
    """The storages that a pickle mentions; a subclass says where their bytes are."""

    def __init__(self, budget):
        self.budget = budget
        self.loaded = {}

    def persistent_load(self, pid):
        if isinstance(pid, tuple) and len(pid) == 4 and pid[0] == "module":
            return self.network_class(pid)
        if not isinstance(pid, tuple) or len(pid) < 5 or pid[0] != "storage":
            raise CorruptCheckpointError("A persistent id is not that of a torch storage.")
        _, kind, key, _location, numel, *view = pid
        if not isinstance(kind, StorageType) or not isinstance(key, str):
            raise CorruptCheckpointError("A storage has no type or no key.")
        _check_integers((numel,))
        self.declare(kind.dtype, key, numel)
        if view and view[0] is not None:  # legacy: part of a larger storage
            _view_key, start, numel_of_view = view[0]
            _check_integers((start, numel_of_view))
            if start + numel_of_view > numel:
                raise CorruptCheckpointError("A view of a storage leaves that storage.")
            return Storage(kind.dtype, key, start, numel_of_view, self)
        return Storage(kind.dtype, key, 0, numel, self)

    def network_class(self, pid):
        """Legacy streams wrap classes of networks: ("module", class, file, program text)."""
        if not isinstance(pid[1], Class):
            raise CorruptCheckpointError("A persistent id of a class is not of one.")
        return pid[1]

    def array(self, tensor):
        """The view that `tensor` describes, read-only."""
        self.budget.view(tensor.nbytes)
        storage = tensor.storage
        if tensor.nbytes == 0:
            return np.zeros(tensor.size, storage.dtype)
        if storage.key not in self.loaded:
            self.loaded[storage.key] = self.fetch(storage.key)
        item = storage.dtype.itemsize
        items = np.frombuffer(
            self.loaded[storage.key],
            self.native_order(storage.dtype),
            storage.numel - tensor.offset,
            (storage.start + tensor.offset) * item,
        )
        strides = [s * item for s in tensor.stride]
        return np.lib.stride_tricks.as_strided(items, tensor.size, strides, writeable=False)

    def native_order(self, dtype):
        return dtype

    def declare(self, dtype, key, numel):
        raise NotImplementedError

    def fetch(self, key):
        raise NotImplementedError


class _ZipStorages(_Storages):
    def __init__(self, archive, root, budget):
        super().__init__(budget)
        self.archive = archive
        self.root = root
        self.entries = archive.entries
        order = f"{root}byteorder"
        self.big_endian = order in self.entries and archive.read(order).strip() == b"big"

    def declare(self, dtype, key, numel):
        entry = self.entries.get(f"{self.root}data/{key}")
        held = -1 if entry is None else entry.file_size
        if numel * dtype.itemsize > held:
            raise CorruptCheckpointError(
                f"Storage `{key[:40]}` claims {numel} items of {dtype}, "
                + ("but the file lacks it." if entry is None else f"but has {held} bytes.")
            )

    def native_order(self, dtype):
        return dtype.newbyteorder(">") if self.big_endian and dtype.itemsize > 1 else dtype

    def fetch(self, key):
        return self.archive.view(f"{self.root}data/{key}")


class _LegacyStorages(_Storages):
    def __init__(self, source, budget):
        super().__init__(budget)
        self.source = source
        self.declared = {}
        self.places = {}

    def declare(self, dtype, key, numel):
        if self.declared.setdefault(key, (dtype, numel)) != (dtype, numel):
            raise CorruptCheckpointError(f"Storage `{key[:40]}` is described in two ways.")

    def locate(self, keys):
        """Behind the pickles: per key an item count (int64), then the items."""
        if not isinstance(keys, list) or _add(set(), keys) != set(self.declared):
            raise CorruptCheckpointError("The list of storages differs from those that are used.")
        for key in keys:
            dtype, numel = self.declared[key]
            count = self.source.unpack("<q")
            start, length = self.source.file.tell(), numel * dtype.itemsize
            if count != numel or length > self.source.left:
                raise CorruptCheckpointError(
                    f"Storage `{key[:40]}` should hold {numel} items of {dtype}, but the file says "
                    f"{count} and has {self.source.left} bytes left. It may be incomplete."
                )
            self.places[key] = start, length
            self.source.file.seek(length, io.SEEK_CUR)

    def fetch(self, key):
        start, length = self.places[key]
        self.source.file.seek(start)
        return self.source.view(length)


def _unpacked_limit(size):
    return min(MAX_INFLATION * size, 10 * size + MAX_UNPACKED) + FREE_BYTES


class _ZipList:
    """A file for `zipfile` to list: it makes an object of every entry, whose number this limits."""

    def __init__(self, file):
        self.file, self.seek, self.tell = file, file.seek, file.tell

    def read(self, count=-1):
        data = self.file.read(min(count, MAX_ZIP_LIST + 1) if count >= 0 else MAX_ZIP_LIST + 1)
        if len(data) > MAX_ZIP_LIST:
            raise CorruptCheckpointError(f"Its list of files has more than {MAX_ZIP_LIST} bytes.")
        return data


class _Zip:
    """The entries of a zip file; none can be more than what the file's end says of it.

    Reads like `zipfile.ZipFile`, which would inflate an entry up to 2 GB, whatever its size.
    """

    def __init__(self, source):
        self.source = source
        with zipfile.ZipFile(_ZipList(source.file)) as archive:
            listed = archive.infolist()
        self.entries = {entry.filename: entry for entry in listed}
        if len(self.entries) != len(listed):
            raise CorruptCheckpointError("Two of its zip entries have the same name.")
        self.check(listed)

    def check(self, listed):
        """Refuse zips that overlap, hide or inflate their entries."""
        size = self.source.size
        for entry in listed:
            name = entry.filename
            stored = entry.compress_type == zipfile.ZIP_STORED
            if entry.flag_bits & 1 or not (stored or entry.compress_type == zipfile.ZIP_DEFLATED):
                raise CorruptCheckpointError(f"Zip entry `{name[:40]}` is not plain.")
            if stored and entry.file_size != entry.compress_size:
                raise CorruptCheckpointError(f"Zip entry `{name[:40]}` has two sizes.")
            if name.startswith("/") or "\\" in name or ".." in name.split("/"):
                raise CorruptCheckpointError(f"Zip entry `{name[:40]}` is outside of its folder.")
        packed = sum(entry.compress_size for entry in listed)
        unpacked = sum(entry.file_size for entry in listed)
        limit = max(size, _unpacked_limit(self.source.packed))
        if packed > size or unpacked > limit:
            raise CorruptCheckpointError(
                f"Its zip entries claim {packed} bytes packed and {unpacked} unpacked; "
                f"the file has {size}."
            )

    def namelist(self):
        return list(self.entries)

    def read(self, name):
        return bytes(self.view(name))

    def view(self, name):
        """The bytes of an entry, after its checksum was compared; no copy if in memory anyway."""
        entry, source = self.entries[name], self.source
        source.file.seek(entry.header_offset)
        head = struct.unpack("<4s22xHH", source.take(30))
        spelled = source.take(head[1])
        encoding = "utf-8" if entry.flag_bits & 0x800 else "cp437"
        if head[0] != b"PK\x03\x04" or spelled.decode(encoding) != entry.orig_filename:
            raise CorruptCheckpointError(f"Zip entry `{name[:40]}` is not where the list says.")
        source.take(head[2])
        data = source.view(entry.compress_size)
        if entry.compress_type == zipfile.ZIP_DEFLATED:
            data = zlib.decompressobj(-15).decompress(data, entry.file_size + 1)
        if len(data) != entry.file_size or zlib.crc32(data) != entry.CRC:
            raise CorruptCheckpointError(f"Zip entry `{name[:40]}` differs from its checksum.")
        return data


_KERAS_WEIGHTS = "model.weights.h5"


def _load_zip(source):
    archive = _Zip(source)
    names = archive.namelist()
    budget = _Budget(sum(entry.file_size for entry in archive.entries.values()))
    if any(_is_tree(name) for name in names):
        return _resolve(_run_zip(archive, budget), budget)
    if names and all(name.endswith(".npy") for name in names):  # npz
        return {n[: -len(".npy")]: _load_npy(io.BytesIO(archive.read(n))) for n in names}
    if _KERAS_WEIGHTS in names:
        return hdf5.load_keras(archive, _KERAS_WEIGHTS)
    shown = ", ".join(f"`{n[:40]}`" for n in names[:5]) or "nothing"
    raise CorruptCheckpointError(
        "It is a zip file, but neither of torch (one `data.pkl`), nor of Keras "
        f"(`{_KERAS_WEIGHTS}`), nor an `.npz`. It holds {shown}."
    )


def _is_tree(name):
    return name == "data.pkl" or name.endswith("/data.pkl")


def _run_zip(archive, budget, *, nested=False):
    """The tree of a torch zip file, with stand-ins."""
    pickles = [name for name in archive.namelist() if _is_tree(name)]
    if len(pickles) != 1:
        raise CorruptCheckpointError(f"It is a zip file with {len(pickles)} `data.pkl`, not one.")
    storages = _ZipStorages(archive, pickles[0][: -len("data.pkl")], budget)
    stream = _Source(io.BytesIO(archive.read(pickles[0])))
    return _Machine(stream, budget, storages.persistent_load, nested=nested).run()


def _load_pickles(source):
    """A torch legacy stream, or a single plain pickle."""
    budget = _Budget(source.size)
    return _resolve(_run_pickles(source, budget), budget)


def _run_pickles(source, budget, *, nested=False):
    """As `_load_pickles`, with stand-ins."""
    first = _Machine(source, budget, nested=nested).run()
    if type(first) is not int or first != _MAGIC:
        if source.left:
            raise CorruptCheckpointError(
                f"{source.left} bytes follow a pickle that does not begin a torch file."
            )
        return first
    protocol = _Machine(source, budget).run()
    if protocol != _LEGACY_PROTOCOL:
        raise CorruptCheckpointError(f"Its torch protocol is not {_LEGACY_PROTOCOL}.")
    _Machine(source, budget).run()  # byte order and sizes of the writer; the file's own are fixed
    storages = _LegacyStorages(source, budget)
    tree = _Machine(source, budget, storages.persistent_load, nested=nested).run()
    storages.locate(_Machine(source, budget).run())
    return tree


def _run_nested(content, budget):
    """The tree of a torch file whose bytes are within a pickle, with stand-ins."""
    source = _Source(io.BytesIO(content))
    if not content.startswith(b"PK"):
        return _run_pickles(source, budget, nested=True)
    if content.count(b"PK\x01\x02") > _NESTED_ENTRIES:
        raise CorruptCheckpointError("A torch file within a pickle has many entries.")
    archive = _Zip(source)
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.entries.values()):
        raise CorruptCheckpointError("A torch file within a pickle is packed.")
    return _run_zip(archive, budget, nested=True)


# From stand-ins to arrays


def _resolve(tree, budget):
    return _Resolver(budget).resolve(tree)


class _Resolver:
    """Replaces stand-ins by arrays and plain values in a tree; what was shared stays shared."""

    def __init__(self, budget):
        self.budget = budget
        self.done = {}  # id -> (original, result); holding the original keeps the id taken
        self.bared = {}  # likewise

    def resolve(self, value, depth=0):
        if isinstance(value, _SCALARS):
            return value
        if id(value) not in self.done:
            if depth > MAX_DEPTH:  # also where a container holds itself
                raise CorruptCheckpointError(f"Its containers nest more than {MAX_DEPTH} deep.")
            self.done[id(value)] = value, self.convert(value, depth + 1)
        return self.done[id(value)][1]

    def convert(self, value, depth):
        if isinstance(value, (Tensor, Storage, _PickledArray)):
            return self.as_array(value)
        if isinstance(value, dict):
            return {k: self.resolve(v, depth) for k, v in value.items()}
        if isinstance(value, (list, tuple)):
            return type(value)([self.resolve(v, depth) for v in value])
        if isinstance(value, Network):  # which may have its state in common with many others
            self.budget.copy(_cost(value.state) + sum(map(_cost, value.state.values())))
            _drop_sources(value.state)  # again, for items set since
        if isinstance(value, TorchModule):
            return self.torch_module(value, depth)
        if isinstance(value, TensorFlowNetwork):
            return self.tensorflow_network(value, depth)
        if isinstance(value, Inert):
            value.args, value.state = (self.resolve(x, depth) for x in (value.args, value.state))
        if isinstance(value, (Constant, Class)):
            return value.name
        if isinstance(value, _CALLABLE):
            raise CorruptCheckpointError("It holds a function, which is no data.")
        return value.dtype if isinstance(value, (_PickledDtype, StorageType)) else value

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
        if isinstance(value, (*_SCALARS, set, frozenset)):
            return value
        if isinstance(value, (Constant, Class, StorageType, _PickledArray, _PickledDtype)):
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
    found = state.get(part, {})
    if not isinstance(found, dict):
        raise CorruptCheckpointError(f"`{part}` of a network is no dictionary.")
    return found


def _put(tree, name, value):
    if not isinstance(name, str) or name in tree or name == META:
        raise CorruptCheckpointError(f"A network has two entries or none named {name!r:.40}.")
    tree[name] = value


# Arrays: .npy, .npz, .safetensors

_NPY_MAGIC = b"\x93NUMPY"
_NPY_HEADER = re.compile(
    r"\{'descr': '(?P<descr>[^']*)', *'fortran_order': (?P<fortran>True|False), *"
    r"'shape': \((?P<shape>[0-9, L]*)\),? *\}\s*"
)
_SAFETENSORS = {
    "F64": np.float64,
    "F32": np.float32,
    "F16": np.float16,
    "BF16": ml_dtypes.bfloat16,
    "I64": np.int64,
    "I32": np.int32,
    "I16": np.int16,
    "I8": np.int8,
    "U64": np.uint64,
    "U32": np.uint32,
    "U16": np.uint16,
    "U8": np.uint8,
    "BOOL": np.bool_,
}


def _load_npy(file):
    """One array of numbers or text; NumPy's own header, of any version."""
    source = _Source(file)
    source.take(len(_NPY_MAGIC))
    major, _minor = source.take(2)
    length = source.unpack("<H" if major == 1 else "<I")
    if length > MAX_NPY_HEADER_BYTES:
        raise CorruptCheckpointError(f"Its NumPy header claims {length} bytes.")
    header = source.take(length).decode("utf-8" if major == 3 else "latin1")
    match = _NPY_HEADER.fullmatch(header)
    if match is None:
        raise CorruptCheckpointError("Its NumPy header is damaged or of a structured array.")
    if match["descr"].lstrip("|<>=")[:1] == "O":
        raise UnsafeCheckpointError(
            "It is a NumPy array of Python objects, which are stored as a pickle. None was read."
        )
    if not re.fullmatch(r"[<>=|]?([iubfc]\d+|[SU]\d+)", match["descr"]):
        raise CorruptCheckpointError(f"Its NumPy dtype `{match['descr'][:20]}` is not of numbers.")
    shape = tuple(int(n) for n in re.findall(r"\d{1,19}", match["shape"]))
    order = "F" if match["fortran"] == "True" else "C"
    return _array(source.view(source.left), np.dtype(match["descr"]), shape, order=order)


def _is_safetensors(source, head):
    length = int.from_bytes(head[:8], "little")
    return head[8:9] == b"{" and 2 <= length <= source.size - 8


def _json_integer(digits):
    return int(digits[:20])  # of more digits none fits the file


def _load_safetensors(source):
    length = source.unpack("<Q")
    if length > MAX_HEADER_BYTES:
        raise CorruptCheckpointError(f"Its header claims {length} bytes.")
    header = json.loads(source.take(length).decode("utf-8"), parse_int=_json_integer)
    start = 8 + length
    if len(header) > MAX_TENSORS:
        raise CorruptCheckpointError(f"It holds more than {MAX_TENSORS} tensors.")
    arrays, expected = {}, 0
    header.pop("__metadata__", None)
    for name, row in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        if row["dtype"] not in _SAFETENSORS:
            raise CorruptCheckpointError(f"`{name[:40]}` has an odd dtype: {row['dtype']!r:.20}.")
        begin, end = row["data_offsets"]
        _check_integers((begin, end))
        if begin != expected:  # the format allows neither gaps nor overlaps
            raise CorruptCheckpointError(f"The bytes of `{name[:40]}` do not follow the last ones.")
        source.file.seek(start + begin)
        raw = source.view(end - begin)
        arrays[name] = _array(raw, np.dtype(_SAFETENSORS[row["dtype"]]), tuple(row["shape"]))
        expected = end
    if source.size != start + expected:
        raise CorruptCheckpointError(f"Its tensors leave {source.size - start - expected} bytes.")
    return arrays


# The public functions

_HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
_GZIP_MAGIC = b"\x1f\x8b"
_XZ_MAGIC = b"\xfd7zXZ\x00"
_LOOKS = (
    (b"version https://git-lfs", "a git-LFS pointer; fetch the file itself with `git lfs pull`"),
    (_HDF5_MAGIC, "an HDF5 file"),
    (_GZIP_MAGIC, "gzip; unless it is a `.tar.gz` of a TensorFlow checkpoint, unpack it first"),
    (_XZ_MAGIC, "xz"),
    (b"BZh", "bzip2; unpack it first"),
    (b"PK", "a zip file"),
    (b"<", "an HTML or XML page, which a server sends in place of a missing file"),
    (b"{", "JSON text"),
    (b"\x00" * 16, "zeros, as of a download that never ran"),
)


def _describe(head):
    if not head:
        return "It is empty."
    text = head.lstrip(b" \r\n\t\xef\xbb\xbf")  # blanks and a byte-order mark
    looks = [look for start, look in _LOOKS if text.startswith(start)]
    if head[257:262] == b"ustar":
        looks = ["a tar archive; unpack it first (torch files older than 0.1.10 are such archives)"]
    return f"It begins with {head[:16]!r}" + (f": {looks[0]}." if looks else ".")


def _unpack_xz(source):
    unpacker = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=XZ_MEMORY)
    limit = _unpacked_limit(source.size)
    data = unpacker.decompress(source.view(source.left), limit + 1)
    if len(data) > limit:
        raise CorruptCheckpointError(f"It unpacks to more than {limit} bytes.")
    if not unpacker.eof or unpacker.unused_data:
        raise CorruptCheckpointError("Its xz stream is cut off, or bytes follow it.")
    if data.startswith(_XZ_MAGIC):
        raise CorruptCheckpointError("It is packed by xz more than once.")
    return data


def _load_file(file, *, packed=None):
    source = _Source(file, packed)
    head = source.file.read(512)
    source.file.seek(0)
    if not head:
        raise CorruptCheckpointError("It is empty.")
    try:
        if head.startswith(b"PK"):
            return _load_zip(source)
        if head.startswith(_NPY_MAGIC):
            return _load_npy(source.file)
        if head.startswith(_XZ_MAGIC):
            return _load_file(io.BytesIO(_unpack_xz(source)), packed=source.size)
        if _is_safetensors(source, head):
            return _load_safetensors(source)
        if head.startswith(_HDF5_MAGIC):
            return hdf5.load(source.file)
        if head.startswith(_GZIP_MAGIC):
            return tensor_bundle.load_tar_gz(source.file)
        return _load_pickles(source)
    except UnsafeCheckpointError:
        raise
    except CorruptCheckpointError as error:
        raise CorruptCheckpointError(f"{error} {_describe(head)}") from error
    except _RAW_ERRORS as error:
        raise CorruptCheckpointError(
            f"It is damaged or cut off ({type(error).__name__}). {_describe(head)}"
        ) from error


@contextlib.contextmanager
def _named(name):
    try:
        yield
    except CheckpointError as error:
        raise type(error)(f"Cannot read the checkpoint `{name}`. {error}") from error


def _load_folder(folder):
    paths = sorted(path for path in folder.iterdir() if path.suffix == ".npy")
    if not paths:
        raise CorruptCheckpointError(
            f"Cannot read the checkpoint `{folder}`. It is a folder without `.npy` files and "
            "without a TensorFlow checkpoint (`variables/` or `*.index`)."
        )
    return {path.stem: load(path) for path in paths}


def _load_bundle(prefix):
    try:
        return tensor_bundle.load_prefix(prefix)
    except (CheckpointError, OSError):
        raise
    except _RAW_ERRORS as error:
        raise CorruptCheckpointError(
            f"It is damaged or cut off ({type(error).__name__})."
        ) from error


def load(path):
    """The tree that a checkpoint holds: dictionaries, lists, scalars and arrays.

    Args:
        path: str, path or binary file; the latter is read into memory up to its end. A folder
            stands for its `.npy` files, keyed by file name without the suffix, or for the
            TensorFlow checkpoint in it; a checkpoint's `.index` or prefix may be given too.
    Returns: the tree. Arrays are read-only and may share memory, as tied weights do. A single
        `.npy` gives its array; `.npz`, `.safetensors` and folders give `{name: array}`; a network
        in a pickle gives a dict like its weights' names, see the top of this file.
    Raises:
        FileNotFoundError: if there is no such file.
        UnsafeCheckpointError: if the file names a class or function that is neither in `GLOBALS`
            nor a class of `CLASS_MODULES`.
        CorruptCheckpointError: if it is truncated, damaged or of another kind.
    """
    if not isinstance(path, (str, os.PathLike)):
        with _named(path):
            return _load_file(io.BytesIO(path.read()))
    path = pathlib.Path(path)
    prefix = tensor_bundle.prefix_of(path)
    if prefix is not None:
        with _named(prefix):
            return _load_bundle(prefix)
    if path.is_dir():
        return _load_folder(path)
    with open(path, "rb") as file, _named(path):
        return _load_file(file)


def flatten(tree):
    """The arrays of a tree as `{dotted name: array}`, in the order of the tree.

    Keys of dictionaries and positions in lists are joined by dots; scalars are left out, and what
    is under the key `META`.

    Args:
        tree: what `load` returns, or a part of it. A lone array is named `""`.
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
            pending += [(f"{prefix}{k}.", v) for k, v in items if k != META][::-1]
    return arrays


def read(path, pick=None):
    """The arrays of a checkpoint as `{dotted name: array}`, without running anything.

    Args:
        path: as for `load`.
        pick: str. Key of a wrapper, such as `"netG_state_dict"` or `"model_state_dict"`: only
            what is below is returned, named without it. Defaults to `None`, the whole tree.
    Returns: dict of read-only arrays, of the dtypes in the file (bfloat16 through `ml_dtypes`).
    Raises: as `load`; also CheckpointError: if `pick` is not a key, or there are no arrays.
    Example:
        >>> arrays = read("weights.tar", pick="netG_state_dict")
        >>> arrays["main.0.weight"].shape
        (100, 512, 4, 4)
    """
    tree = load(path)
    with _named(path):
        if pick is not None:
            keys = list(tree) if isinstance(tree, dict) else []
            if pick not in keys:
                shown = ", ".join(repr(key) for key in keys[:20]) or "none"
                raise CheckpointError(f"It lacks a key. Received: pick={pick!r}. Keys: {shown}.")
            tree = tree[pick]
        arrays = flatten(tree)
        if not arrays:
            raise CheckpointError("It holds no arrays.")
    return arrays
