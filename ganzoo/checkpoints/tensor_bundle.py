"""TensorFlow checkpoints as NumPy arrays, without TensorFlow: SavedModels, checkpoints, TF-Hub.

A checkpoint is a set of files with one prefix (a "tensor bundle"): `<prefix>.index`, a sorted
table from name to place, and `<prefix>.data-00000-of-00002`, the bytes. Keras 2 and TensorFlow
write it as `variables/variables.*` of a SavedModel folder, `tf.train.Checkpoint` and TF 1's `Saver`
under any prefix; TF-Hub serves such a folder as `.tar.gz`. The graph of a SavedModel is never read.

Every block and tensor has a checksum (CRC-32C), which is compared. Text tensors are left out.

Reference: tensorflow/core/util/tensor_bundle and tensorflow/core/protobuf/tensor_bundle.proto.
"""

import contextlib
import math
import os
import pathlib
import re

import ml_dtypes
import numpy as np

from ganzoo.checkpoints import level_table
from ganzoo.checkpoints.archives import Buffer, gunzip, tar_members
from ganzoo.checkpoints.checksums import masked_crc32c
from ganzoo.checkpoints.limits import FREE_BYTES, MAX_RANK
from ganzoo.checkpoints.protobuf import message, one, signed, varint
from ganzoo.checkpoints.trees import META
from ganzoo.errors import CorruptCheckpointError

MAX_GRAPH_BYTES = 1 << 22  # of the object graph, which only gives second names
VARIABLE = "/.ATTRIBUTES/VARIABLE_VALUE"  # how object-based checkpoints end every name
OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
STRING = 7
DTYPES = {  # tensorflow/core/framework/types.proto
    1: np.float32,
    2: np.float64,
    3: np.int32,
    4: np.uint8,
    5: np.int16,
    6: np.int8,
    8: np.complex64,
    9: np.int64,
    10: np.bool_,
    14: ml_dtypes.bfloat16,
    17: np.uint16,
    18: np.complex128,
    19: np.float16,
    22: np.uint32,
    23: np.uint64,
}


# --- where the files are


def prefix_of(path) -> pathlib.Path | None:
    """The prefix of the checkpoint that a path stands for, or `None`.

    Args: path: `pathlib.Path`: `<prefix>.index`, `<prefix>` itself, a folder that holds one index,
        or a SavedModel or TF-Hub folder.
    Returns: `pathlib.Path` or `None`. A folder of several checkpoints gives that which its file
        `checkpoint` names.
    Raises: CorruptCheckpointError: if a folder holds several, and says nothing of the latest.
    """
    if path.is_dir():
        inner = path / "variables" / "variables"
        if _index_of(inner).is_file():
            return inner
        prefixes = sorted(p.with_name(p.name[: -len(".index")]) for p in path.glob("*.index"))
        return path / _latest(path, [p.name for p in prefixes]) if prefixes else None
    if path.suffix == ".index" and path.is_file():
        return path.with_name(path.name[: -len(".index")])
    return path if not path.exists() and _index_of(path).is_file() else None


def _index_of(prefix):
    return prefix.with_name(prefix.name + ".index")


def _latest(folder, names):
    if len(names) == 1:
        return names[0]
    with contextlib.suppress(FileNotFoundError):
        text = (folder / "checkpoint").read_bytes()[: 1 << 16].decode("utf-8", "replace")
        match = re.search(r'^model_checkpoint_path: "([^"]*)"', text, re.MULTILINE)
        name = re.split(r"[/\\]", match[1])[-1] if match else None
        if name in names:
            return name
    raise CorruptCheckpointError(
        f"Cannot read the checkpoint `{folder}`. It holds several, {names[:5]}, and no file "
        "`checkpoint` that names one of them; give the path of one `.index` file."
    )


def load_prefix(prefix) -> dict:
    """The arrays of the checkpoint `<prefix>.index` on disk; see `load_files`."""

    @contextlib.contextmanager
    def opened(name):
        try:
            file = open(prefix.with_name(name), "rb")
        except FileNotFoundError as error:
            raise CorruptCheckpointError(
                f"It lacks the file `{name}`, which belongs beside the index."
            ) from error
        with file:
            yield file

    return load_files(opened, prefix.name)


def load_tar_gz(file) -> dict:
    """The arrays of the one checkpoint in a `.tar.gz`, as TF-Hub serves them.

    Everything is unpacked in memory; no path of the archive is ever opened.

    Args: file: seekable binary file.
    Returns: as `load_files`.
    """
    members = tar_members(gunzip(file))
    indices = [name for name in members if name.endswith(".index")]
    if len(indices) != 1:
        shown = ", ".join(f"`{name[:60]}`" for name in list(members)[:5]) or "nothing"
        raise CorruptCheckpointError(
            f"Expected an archive with one TensorFlow checkpoint (a file `*.index`); it has "
            f"{len(indices)}. It holds {shown}."
        )
    folder, _, prefix = indices[0][: -len(".index")].rpartition("/")

    @contextlib.contextmanager
    def opened(name):
        full = f"{folder}/{name}" if folder else name
        if full not in members:
            raise CorruptCheckpointError(f"The archive lacks the file `{full[:80]}`.")
        yield Buffer(members[full])

    return load_files(opened, prefix)


# --- the bundle


def load_files(opened, prefix) -> dict:
    """The arrays of a bundle.

    Args:
        opened: function of a file name, giving a context manager of a seekable binary file.
        prefix: str. What the names of the bundle's files begin with.
    Returns: dict from variable name to read-only array. Names are those in the index, without the
        ending `/.ATTRIBUTES/VARIABLE_VALUE`. `reader.META` has `full_names`: what the layers of an
        object-based checkpoint call their variables.
    Raises: CorruptCheckpointError, or what parsing damaged bytes raises (see `reader.load`).
    """
    with opened(f"{prefix}.index") as file:
        table = level_table.read(file)
    header = message(table.pop(b"", b""))
    shards = one(header, 1)
    if not 1 <= shards <= 99_999 or one(header, 2) not in (0, 1):
        raise CorruptCheckpointError(f"Its index has no sound header: {shards} data files.")
    with contextlib.ExitStack() as stack:
        data = _Data(opened, prefix, shards, ">" if one(header, 2) else "<", stack)
        return _tree(table, data)


def _tree(table, data):
    tree, meta = {}, {}
    for key, value in table.items():
        if key.startswith(b"\0"):  # a part of a partitioned variable
            continue
        entry, name = _Entry(value), key.decode("utf-8")
        if name == OBJECT_GRAPH:
            names = _full_names(data.text(entry))
            meta = {META: {"full_names": names}} if names else {}
        elif entry.dtype != STRING:
            name = name.removesuffix(VARIABLE)
            if name in tree or name == META:
                raise CorruptCheckpointError(f"It holds the name `{name:.80}` twice.")
            tree[name] = data.whole(key, entry, table)
            tree[name].flags.writeable = False
    return {**tree, **meta}


class _Entry:
    """`BundleEntryProto`."""

    def __init__(self, value):
        fields = message(value)
        self.dtype, self.shard = one(fields, 1), one(fields, 3)
        self.offset, self.size = one(fields, 4), one(fields, 5)
        self.checksum = one(fields, 6)
        self.slices = [_extents(part) for part in fields.get(7, [])]
        dims = message(one(fields, 2, b"")).get(2, [])
        self.shape = tuple(signed(one(message(dim), 1)) for dim in dims)
        if len(self.shape) > MAX_RANK or any(n < 0 for n in self.shape):
            raise CorruptCheckpointError("A tensor's shape is damaged.")


class _Data:
    """The data files."""

    def __init__(self, opened, prefix, shards, order, stack):
        self.opened, self.prefix, self.shards, self.order = opened, prefix, shards, order
        self.stack = stack
        self.files = {}  # shard -> (file, size)
        self.left = FREE_BYTES  # and what the shards have: bytes that arrays may still take

    def file(self, shard):
        if not 0 <= shard < self.shards:
            raise CorruptCheckpointError(f"A tensor lies in data file {shard} of {self.shards}.")
        if shard not in self.files:
            if len(self.files) == 256:
                raise CorruptCheckpointError("It has more than 256 data files.")
            name = f"{self.prefix}.data-{shard:05d}-of-{self.shards:05d}"
            file = self.stack.enter_context(self.opened(name))
            self.files[shard] = file, file.seek(0, os.SEEK_END)
            self.left += 2 * self.files[shard][1]
        return self.files[shard]

    def bytes(self, entry):
        file, size = self.file(entry.shard)
        if not 0 <= entry.offset <= entry.offset + entry.size <= size:
            raise CorruptCheckpointError(
                f"A tensor ends at {entry.offset + entry.size} of a data file with {size} bytes. "
                "The download or copy may be incomplete."
            )
        self.spend(entry.size)
        file.seek(entry.offset)
        return file.read(entry.size)

    def spend(self, count):
        self.left -= count
        if self.left < 0:
            raise CorruptCheckpointError("Its tensors overlap: together they exceed the files.")

    def text(self, entry):
        """The one text of a scalar: its length, a checksum of the length, the text."""
        if entry.dtype != STRING or entry.shape or entry.size > MAX_GRAPH_BYTES:
            return b""
        data = bytes(self.bytes(entry))
        length, at = varint(data, 0)
        text = data[at + 4 :]
        if len(text) != length:
            raise CorruptCheckpointError("A text has another length than it says.")
        return text

    def whole(self, key, entry, table):
        """The array of an entry, put together if it is partitioned."""
        if not entry.slices:
            return self.array(key, entry)
        self.spend(math.prod(entry.shape) * _dtype(entry).itemsize)
        array = np.empty(entry.shape, _dtype(entry))
        filled = 0
        seen = np.zeros(entry.shape, bool)
        for extents in entry.slices:
            part_key = slice_key(key, extents)
            if part_key not in table or len(extents) != array.ndim:
                raise CorruptCheckpointError(f"`{key[:80]!r}` lacks a part.")
            part = _Entry(table[part_key])
            if part.slices or part.dtype != entry.dtype:
                raise CorruptCheckpointError(f"`{key[:80]!r}` has a part of another type.")
            place = tuple(
                slice(None) if length < 0 else slice(start, start + length)
                for start, length in extents
            )
            if array[place].shape != part.shape or not array[place].size or seen[place].any():
                raise CorruptCheckpointError(f"The parts of `{key[:80]!r}` do not fit.")
            array[place] = self.array(part_key, part)
            seen[place] = True
            filled += array[place].size
        if filled != array.size:
            raise CorruptCheckpointError(f"`{key[:80]!r}` lacks a part.")
        return array

    def array(self, key, entry):
        dtype = _dtype(entry)
        if math.prod(entry.shape) * dtype.itemsize != entry.size:
            raise CorruptCheckpointError(
                f"`{key[:80]!r}` of shape {entry.shape} and dtype {dtype} has {entry.size} bytes."
            )
        data = self.bytes(entry)
        if masked_crc32c(data) != entry.checksum:
            raise CorruptCheckpointError(f"The checksum of `{key[:80]!r}` is wrong.")
        if not entry.size:
            return np.zeros(entry.shape, dtype)
        array = np.frombuffer(data, dtype.newbyteorder(self.order)).reshape(entry.shape)
        return array.astype(dtype, copy=False)


def _dtype(entry):
    if entry.dtype not in DTYPES:
        raise CorruptCheckpointError(f"A tensor has the dtype {entry.dtype}, which is not read.")
    return np.dtype(DTYPES[entry.dtype])


def _extents(value):
    """[(start, length)] of a `TensorSliceProto`; length -1 for a whole axis."""
    parts = [message(part) for part in message(value).get(1, [])]
    return [(signed(one(part, 1)), signed(one(part, 2)) if 2 in part else -1) for part in parts]


def slice_key(name, extents) -> bytes:
    """The key of a part: TensorFlow's "ordered code" of 0, the name, the rank and the extents."""
    name = name.replace(b"\0", b"\0\xff").replace(b"\xff", b"\xff\0") if b"\0" in name else name
    rank = len(extents)
    key = b"\0" + name + b"\0\1" + (bytes([1, rank]) if rank else b"\0")
    return key + b"".join(_ordered(n) for extent in extents for n in extent)


def _ordered(number):
    """Signed integers such that their bytes sort as they do: 6 bits, 13, 20, ..."""
    size = next(n for n in range(1, 10) if -(1 << 7 * n - 1) <= number < 1 << 7 * n - 1)
    head = ((1 << size) - 1) << 7 * size  # as many ones as bytes, then a zero, then the number
    value = head | number if number >= 0 else ~(head | ~number)
    return (value & (1 << 8 * size) - 1).to_bytes(size, "big")


def _full_names(graph):
    """{name in the checkpoint: name given by the layer} of a `TrackableObjectGraph`."""
    names = {}
    for node in message(graph).get(1, []):
        for attribute in message(node).get(2, []):
            fields = message(attribute)
            key, full = one(fields, 3, b"").decode(), one(fields, 2, b"").decode()
            if full and key.endswith(VARIABLE):
                names[key.removesuffix(VARIABLE)] = full
    return names
