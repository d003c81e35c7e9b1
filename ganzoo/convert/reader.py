"""Foreign checkpoints as NumPy arrays, without torch and without running anything.

Reads, recognised by content and never by file name:

* torch zip files (`archive/data.pkl` and one entry per storage; torch >= 1.6),
* torch legacy streams (five pickles, then the bytes of the storages; most files of 2017-2020),
* plain pickles of numbers and NumPy arrays, those of Python 2 among them,
* `.npy`, `.npz`, folders of `.npy`, and `.safetensors`.

A pickle is a program. Here it is read by an interpreter of our own (`_Machine`) that knows the
opcodes which build numbers, strings and containers. A name of a module attribute is looked up in
one closed table, `GLOBALS`, whose entries are functions of this file; any other name ends the
reading with `UnsafeCheckpointError`, and nothing is imported, called or instantiated. To read
a further kind of file, add rows to `GLOBALS`.

Everything that a file claims is compared with what it holds before memory is asked for: a storage
with the bytes there are, a tensor with its storage, opcodes, tensors and nesting with the limits
below. What is not as it should be raises `CorruptCheckpointError`.

Layout of this file: errors and limits; stand-ins; the table of globals; the interpreter; torch zip
and legacy; arrays (`.npy`, `.npz`, `.safetensors`); the public functions.
"""

import contextlib
import dataclasses
import io
import json
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

# Errors and limits


class CheckpointError(ValueError):
    """A checkpoint cannot be read; the message names the file."""


class CorruptCheckpointError(CheckpointError):
    """The file is truncated, damaged or no checkpoint; the message says what it looks like."""


class UnsafeCheckpointError(CheckpointError):
    """The file names a class or function outside of `GLOBALS`. Nothing of it was run."""


MAX_OPCODES = 2_000_000  # per pickle; the largest published StyleGAN pickles need below 100,000
MAX_TENSORS = 100_000  # per file
MAX_DEPTH = 100  # containers within containers
MAX_ENTRIES = 1_000_000  # items visited by `flatten`; shared containers count each time
MAX_RANK = 32  # numpy 1.x refuses more dimensions
MAX_INTEGER_BYTES = 256  # of a pickled long; torch's magic number has 10
MAX_INFLATION = 100  # unpacked bytes per packed byte of a zip, and ...
FREE_BYTES = 1 << 26  # ... 64 MiB in any case; also for copies and views that repeat bytes

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
)


# Stand-ins: what a pickle's globals become. None of them can do more than hold data.


@dataclasses.dataclass(frozen=True)
class Call:
    """A function of this file that a pickle may call."""

    function: Callable


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
    """`numel` items of `dtype`, from item `start` on of the bytes known as `key`."""

    dtype: np.dtype
    key: str
    start: int
    numel: int


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
    ("torch", "Size"): Call(_size),
    ("torch", "device"): Call(lambda *_: None),
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
for _name in _DTYPES:
    GLOBALS["torch", _name] = Constant(f"torch.{_name}")


def _look_up(module, name):
    if (module, name) not in GLOBALS:
        raise UnsafeCheckpointError(
            f"It names `{module[:80]}.{name[:80]}`, which is not among the globals that a "
            "checkpoint may name. Nothing of it was imported or run. Expected a file of arrays; "
            "a whole pickled model must be saved anew as `model.state_dict()` by who trusts it."
        )
    return GLOBALS[module, name]


# The interpreter


class _Source:
    """A seekable binary file of known size, read without ever asking for more than it holds."""

    def __init__(self, file):
        self.file = file
        self.size = file.seek(0, io.SEEK_END)
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

    def line(self):
        data = self.file.readline(1 << 20)
        if not data.endswith(b"\n"):
            raise CorruptCheckpointError("It ends early, within a line of a pickle.")
        return data[:-1]

    def unpack(self, layout):
        return struct.unpack(layout, self.take(struct.calcsize(layout)))[0]


_SCALARS = (str, int, float, bool, bytes, type(None))


def _key(key):
    """Keys that are cheap to hash, and only those: scalars and short, flat tuples of scalars."""
    flat = key if isinstance(key, tuple) else (key,)
    if len(flat) > MAX_RANK or not all(isinstance(k, _SCALARS) for k in flat):
        raise CorruptCheckpointError("A dictionary key or set item is neither text nor number.")
    return key


def _fill(target, items):
    if not isinstance(target, dict) or len(items) % 2:
        raise CorruptCheckpointError("A pickle sets items of something that is no dictionary.")
    target.update((_key(k), v) for k, v in zip(items[::2], items[1::2]))
    return target


def _cost(value):
    """Bytes that a copy of `value` takes, roughly; a short file may ask for many copies of one."""
    if isinstance(value, (str, bytes)):
        return len(value)
    return 100 * len(value) if isinstance(value, (list, tuple, dict)) else 0


def _no_storage(_pid):
    raise CorruptCheckpointError("A plain pickle refers to storages outside of it.")


class _Machine:
    """Runs one pickle from `source` up to STOP and returns what it builds.

    Args:
        source: `_Source`, at the first opcode; left behind STOP.
        persistent_load: function of a persistent id; torch's name for a storage.
    Reference: the opcodes as `pickletools` of the standard library documents them.
    """

    def __init__(self, source, persistent_load=_no_storage):
        self.source = source
        self.persistent_load = persistent_load
        self.stack = []
        self.marks = []
        self.memo = {}
        self.budget = 4 * source.size + FREE_BYTES

    def run(self):
        for _ in range(MAX_OPCODES):
            opcode = self.source.take(1)
            if opcode == b".":
                return self.pop()
            if opcode not in _OPCODES:
                raise CorruptCheckpointError(f"It is no pickle of data: byte {opcode!r}.")
            _OPCODES[opcode](self)
        raise CorruptCheckpointError(f"A pickle has more than {MAX_OPCODES} instructions.")

    def push(self, value):
        self.stack.append(value)

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
        target = self.top()
        if not isinstance(target, set):
            raise CorruptCheckpointError("A pickle adds to something that is no set.")
        target.update(_key(item) for item in items)

    def set_item(self):
        value, key = self.pop(), self.pop()
        _fill(self.top(), [key, value])

    def set_items(self):
        items = self.pop_mark()
        _fill(self.top(), items)

    def group(self, count):
        self.push(tuple([self.pop() for _ in range(count)][::-1]))

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
        special = {b"00": False, b"01": True}
        self.push(special[text] if text in special else int(text.rstrip(b"L")))

    def quoted(self):
        text = self.source.line().strip()
        if len(text) < 2 or text[:1] != text[-1:] or text[:1] not in (b"'", b'"'):
            raise CorruptCheckpointError("A pickled string has no quotes.")
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
        self.budget -= sum(_cost(value) for value in values)
        if self.budget < 0:
            raise CorruptCheckpointError("A pickle copies far more data than the file holds.")

    def call(self, function, args):
        if not isinstance(function, Call):
            raise CorruptCheckpointError("A pickle calls something that is not a function.")
        if not isinstance(args, tuple):
            raise CorruptCheckpointError("A pickle calls a function without a tuple of arguments.")
        self.charge(args)
        self.push(function.function(*args))

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
        elif not isinstance(target, dict):  # OrderedDict: torch's `_metadata`, not needed
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
    b"F": lambda m: m.push(float(m.source.line())),
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
    b"t": lambda m: m.push(tuple(m.pop_mark())),
    b"\x85": lambda m: m.group(1),
    b"\x86": lambda m: m.group(2),
    b"\x87": lambda m: m.group(3),
    b"]": lambda m: m.push([]),
    b"l": lambda m: m.push(m.pop_mark()),
    b"a": lambda m: m.append([m.pop()]),
    b"e": lambda m: m.append(m.pop_mark()),
    b"}": lambda m: m.push({}),
    b"d": lambda m: m.push(_fill({}, m.pop_mark())),
    b"s": _Machine.set_item,
    b"u": _Machine.set_items,
    b"\x8f": lambda m: m.push(set()),
    b"\x90": lambda m: m.add(m.pop_mark()),
    b"\x91": lambda m: m.push(frozenset(_key(item) for item in m.pop_mark())),
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
    b"P": lambda m: m.push(m.persistent_load(m.source.line().decode("latin1"))),
    b"Q": lambda m: m.push(m.persistent_load(m.pop())),
}


# torch files

_MAGIC = 0x1950A86A20F9469CFC6C  # first pickle of a legacy stream
_LEGACY_PROTOCOL = 1001  # second pickle


class _Storages:
    """The storages that a pickle mentions; a subclass says where their bytes are.

    `limit` is the number of bytes that views on them may claim in all.
    """

    def __init__(self, limit):
        self.limit = limit
        self.loaded = {}

    def persistent_load(self, pid):
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
            return Storage(kind.dtype, key, start, numel_of_view)
        return Storage(kind.dtype, key, 0, numel)

    def array(self, tensor):
        """The view that `tensor` describes, read-only."""
        self.limit -= tensor.nbytes
        if self.limit < 0:
            raise CorruptCheckpointError("The tensors claim far more items than the file holds.")
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
    def __init__(self, archive, root, limit):
        super().__init__(limit)
        self.archive = archive
        self.root = root
        self.entries = {entry.filename: entry for entry in archive.infolist()}
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
        return self.archive.read(f"{self.root}data/{key}")


class _LegacyStorages(_Storages):
    def __init__(self, source):
        super().__init__(4 * source.size + FREE_BYTES)
        self.source = source
        self.declared = {}
        self.places = {}

    def declare(self, dtype, key, numel):
        if self.declared.setdefault(key, (dtype, numel)) != (dtype, numel):
            raise CorruptCheckpointError(f"Storage `{key[:40]}` is described in two ways.")

    def locate(self, keys):
        """Behind the pickles: per key an item count (int64), then the items."""
        if not isinstance(keys, list) or set(map(_key, keys)) != set(self.declared):
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
        return self.source.take(length)


def _check_zip(archive, size):
    """Refuse zips that overlap, hide or inflate their entries."""
    entries = archive.infolist()
    for entry in entries:
        stored = entry.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
        if entry.flag_bits & 1 or not stored:
            raise CorruptCheckpointError(f"Zip entry `{entry.filename[:40]}` is not plain.")
    packed = sum(entry.compress_size for entry in entries)
    unpacked = sum(entry.file_size for entry in entries)
    if packed > size or unpacked > MAX_INFLATION * size + FREE_BYTES:
        raise CorruptCheckpointError(
            f"Its zip entries claim {packed} bytes packed and {unpacked} unpacked; "
            f"the file has {size}."
        )
    return 4 * unpacked + FREE_BYTES


def _load_zip(source):
    with zipfile.ZipFile(source.file) as archive:
        limit = _check_zip(archive, source.size)
        names = archive.namelist()
        pickles = [n for n in names if n == "data.pkl" or n.endswith("/data.pkl")]
        arrays = [n for n in names if n.endswith(".npy")]
        if len(pickles) == 1:
            storages = _ZipStorages(archive, pickles[0][: -len("data.pkl")], limit)
            stream = _Source(io.BytesIO(archive.read(pickles[0])))
            tree = _Machine(stream, storages.persistent_load).run()
            return _Resolver(storages.array).resolve(tree)
        if arrays and len(arrays) == len(names):  # npz
            return {n[: -len(".npy")]: _load_npy(io.BytesIO(archive.read(n))) for n in names}
    shown = ", ".join(f"`{n[:40]}`" for n in names[:5]) or "nothing"
    raise CorruptCheckpointError(
        f"It is a zip file, but neither of torch (one `data.pkl`) nor an `.npz`. It holds {shown}."
    )


def _load_pickles(source):
    """A torch legacy stream, or a single plain pickle."""
    first = _Machine(source).run()
    if type(first) is not int or first != _MAGIC:
        if source.left:
            raise CorruptCheckpointError(
                f"{source.left} bytes follow a pickle that does not begin a torch file."
            )
        return _Resolver(_no_storage).resolve(first)
    protocol = _Machine(source).run()
    if protocol != _LEGACY_PROTOCOL:
        raise CorruptCheckpointError(f"Its torch protocol is not {_LEGACY_PROTOCOL}.")
    _Machine(source).run()  # the writer's byte order and integer sizes; the file's are fixed
    storages = _LegacyStorages(source)
    tree = _Machine(source, storages.persistent_load).run()
    storages.locate(_Machine(source).run())
    return _Resolver(storages.array).resolve(tree)


class _Resolver:
    """Replaces tensors by arrays in a tree; what was shared stays shared."""

    def __init__(self, array):
        self.array = array
        self.done = {}  # id -> (original, result); holding the original keeps the id taken
        self.tensors = 0

    def resolve(self, value, depth=0):
        if isinstance(value, _SCALARS):
            return value
        if id(value) not in self.done:
            if depth > MAX_DEPTH:  # also where a container holds itself
                raise CorruptCheckpointError(f"Its containers nest more than {MAX_DEPTH} deep.")
            self.done[id(value)] = value, self.convert(value, depth + 1)
        return self.done[id(value)][1]

    def convert(self, value, depth):
        if isinstance(value, (Tensor, _PickledArray)):
            return self.as_array(value)
        if isinstance(value, dict):
            return {k: self.resolve(v, depth) for k, v in value.items()}
        if isinstance(value, (list, tuple)):
            return type(value)([self.resolve(v, depth) for v in value])
        if isinstance(value, Inert):
            value.args, value.state = (self.resolve(x, depth) for x in (value.args, value.state))
        return value.dtype if isinstance(value, (_PickledDtype, StorageType)) else value

    def as_array(self, value):
        self.tensors += 1
        if self.tensors > MAX_TENSORS:
            raise CorruptCheckpointError(f"It holds more than {MAX_TENSORS} tensors.")
        if isinstance(value, Tensor):
            return self.array(value)
        if value.array is None:
            raise CorruptCheckpointError("A NumPy array has no content.")
        return value.array


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
    return _array(source.take(source.left), np.dtype(match["descr"]), shape, order=order)


def _is_safetensors(source, head):
    length = int.from_bytes(head[:8], "little")
    return head[8:9] == b"{" and 2 <= length <= source.size - 8


def _load_safetensors(source):
    length = source.unpack("<Q")
    header = json.loads(source.take(length))
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
        raw = source.take(end - begin)
        arrays[name] = _array(raw, np.dtype(_SAFETENSORS[row["dtype"]]), tuple(row["shape"]))
        expected = end
    if source.size != start + expected:
        raise CorruptCheckpointError(f"Its tensors leave {source.size - start - expected} bytes.")
    return arrays


# The public functions

_LOOKS = (
    (b"version https://git-lfs", "a git-LFS pointer; fetch the file itself with `git lfs pull`"),
    (b"\x89HDF", "an HDF5 file; Keras reads it with `load_weights`"),
    (b"\x1f\x8b", "gzip; unpack it first"),
    (b"\xfd7zXZ", "xz; unpack it first, or pass `lzma.open(path)`"),
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


def _load_file(file):
    source = _Source(file)
    head = source.file.read(512)
    source.file.seek(0)
    if not head:
        raise CorruptCheckpointError("It is empty.")
    try:
        if head.startswith(b"PK"):
            return _load_zip(source)
        if head.startswith(_NPY_MAGIC):
            return _load_npy(source.file)
        if _is_safetensors(source, head):
            return _load_safetensors(source)
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
            f"Cannot read the checkpoint `{folder}`. It is a folder without `.npy` files."
        )
    return {path.stem: load(path) for path in paths}


def load(path):
    """The tree that a checkpoint holds: dictionaries, lists, scalars and arrays.

    Args:
        path: str, path or binary file; the latter is read into memory up to its end. A folder
            stands for its `.npy` files, keyed by file name without the suffix.
    Returns: the tree. Arrays are read-only and may share memory, as tied weights do. A single
        `.npy` gives its array; `.npz`, `.safetensors` and folders give `{name: array}`.
    Raises:
        FileNotFoundError: if there is no such file.
        UnsafeCheckpointError: if the file names a class or function outside of `GLOBALS`.
        CorruptCheckpointError: if it is truncated, damaged or of another kind.
    """
    if not isinstance(path, (str, os.PathLike)):
        with _named(path):
            return _load_file(io.BytesIO(path.read()))
    path = pathlib.Path(path)
    if path.is_dir():
        return _load_folder(path)
    with open(path, "rb") as file, _named(path):
        return _load_file(file)


def flatten(tree):
    """The arrays of a tree as `{dotted name: array}`, in the order of the tree.

    Keys of dictionaries and positions in lists are joined by dots; scalars are left out.

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
        left -= 1
        if left < 0 or len(prefix) > 10_000:
            raise CorruptCheckpointError(f"The tree has more than {MAX_ENTRIES} entries.")
        if isinstance(value, np.ndarray):
            name = prefix[:-1]
            if name in arrays:
                raise CorruptCheckpointError(f"Two arrays of the tree are named `{name}`.")
            arrays[name] = value
        elif isinstance(value, dict):
            pending += [(f"{prefix}{k}.", v) for k, v in reversed(value.items())]
        elif isinstance(value, (list, tuple)):
            pending += [(f"{prefix}{k}.", v) for k, v in reversed(list(enumerate(value)))]
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
