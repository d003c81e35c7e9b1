"""TensorFlow checkpoints as NumPy arrays, without TensorFlow: SavedModels, checkpoints, TF-Hub.

A checkpoint is a set of files with one prefix (a "tensor bundle"): `<prefix>.index`, a sorted
table from name to place, and `<prefix>.data-00000-of-00002`, the bytes. Keras 2 and TensorFlow
write it as `variables/variables.*` of a SavedModel folder, `tf.train.Checkpoint` and TF 1's `Saver`
under any prefix; TF-Hub serves such a folder as `.tar.gz`. The graph of a SavedModel is never read.

Every block and tensor has a checksum (CRC-32C), which is compared. Text tensors are left out.

Reference: tensorflow/core/util/tensor_bundle and tensorflow/core/protobuf/tensor_bundle.proto;
LevelDB's doc/table_format.md; google/snappy's format_description.txt; protobuf.dev's encoding.
"""

import contextlib
import functools
import math
import os
import re
import struct
import zlib

import ml_dtypes
import numpy as np

from ganzoo.checkpoints.limits import FREE_BYTES, MAX_RANK, MAX_TENSORS, META
from ganzoo.errors import CorruptCheckpointError

TABLE_MAGIC = 0xDB4775248B80FB57
MAX_INDEX_BYTES = 1 << 24  # about 150,000 tensors
MAX_KEY, MAX_ENTRY = 1000, 1 << 16  # bytes in the index; parts of variables make entries long
MAX_GRAPH_BYTES = 1 << 22  # of the object graph, which only gives second names
MAX_PACKING = 10  # bytes of an archive per byte of the file, beyond FREE_BYTES
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


def prefix_of(path):
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


def load_prefix(prefix):
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


def load_tar_gz(file):
    """The arrays of the one checkpoint in a `.tar.gz`, as TF-Hub serves them.

    Everything is unpacked in memory; no path of the archive is ever opened.

    Args: file: seekable binary file.
    Returns: as `load_files`.
    """
    members = _members(_gunzip(file))
    found = [name for name in members if name.endswith(".index")]
    if len(found) != 1:
        shown = ", ".join(f"`{name[:60]}`" for name in list(members)[:5]) or "nothing"
        raise CorruptCheckpointError(
            f"Expected an archive with one TensorFlow checkpoint (a file `*.index`); it has "
            f"{len(found)}. It holds {shown}."
        )
    folder, _, prefix = found[0][: -len(".index")].rpartition("/")

    @contextlib.contextmanager
    def opened(name):
        full = f"{folder}/{name}" if folder else name
        if full not in members:
            raise CorruptCheckpointError(f"The archive lacks the file `{full[:80]}`.")
        yield _Bytes(members[full])

    return load_files(opened, prefix)


class _Bytes:
    """A memoryview as a file whose reads copy nothing."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def seek(self, offset, whence=os.SEEK_SET):
        self.at = offset + (len(self.data) if whence == os.SEEK_END else 0)
        return self.at

    def read(self, count):
        self.at += count
        return self.data[self.at - count : self.at]


def _gunzip(file):
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    limit = MAX_PACKING * size + FREE_BYTES
    stream, data = zlib.decompressobj(wbits=31), bytearray()
    while not stream.eof:
        packed = stream.unconsumed_tail or file.read(1 << 20)
        if not packed:
            raise CorruptCheckpointError("It ends early, within its gzip stream.")
        data += stream.decompress(packed, 1 << 20)
        if len(data) > limit:
            raise CorruptCheckpointError(f"It unpacks to more than {limit} bytes.")
    return memoryview(data).toreadonly()


def _members(data):
    """{name: bytes} of the plain files of a tar archive; names are only ever compared."""
    found, at, override = {}, 0, {}
    while at + 512 <= len(data) and any(head := bytes(data[at : at + 512])):
        size = int(override.get("size", head[124:136].strip(b" \0").decode() or "0"), 8)
        if not 0 <= size <= len(data) - at - 512 or len(found) > MAX_TENSORS:
            raise CorruptCheckpointError("Its tar archive ends early or is damaged.")
        body, kind = data[at + 512 : at + 512 + size], head[156:157]
        at += 512 + -(-size // 512) * 512
        if kind == b"L":  # GNU: the next member's name
            override = {"path": bytes(body[: 1 << 16]).rstrip(b"\0").decode("utf-8", "replace")}
        elif kind == b"x":  # POSIX: records about the next member
            override = _pax(bytes(body[: 1 << 16]))
        elif kind != b"g":
            name, ustar = _text(head[:100]), head[257:262] == b"ustar"
            name = f"{_text(head[345:500])}/{name}" if ustar and head[345] else name
            name = override.get("path", name).removeprefix("./")
            override = {}
            if kind in (b"0", b"\0"):
                found[name] = body
    return found


def _text(field):
    return field.split(b"\0")[0].decode("utf-8", "replace")


def _pax(data):
    """{key: value} of records `<length> <key>=<value>` and a line feed; `size` in octal digits."""
    found, at = {}, 0
    while at < len(data) and (match := re.compile(rb"(\d{1,9}) ").match(data, at)):
        length = max(int(match[1]), 1)
        record = data[match.end() : at + length - 1].decode("utf-8", "replace")
        key, _, value = record.partition("=")
        found[key] = oct(int(value[:20]))[2:] if key == "size" else value
        at += length
    return found


# --- the bundle


def load_files(opened, prefix):
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
        table = _table(file)
    header = _message(table.pop(b"", b""))
    shards = _one(header, 1)
    if not 1 <= shards <= 99_999 or _one(header, 2) not in (0, 1):
        raise CorruptCheckpointError(f"Its index has no sound header: {shards} data files.")
    with contextlib.ExitStack() as stack:
        data = _Data(opened, prefix, shards, ">" if _one(header, 2) else "<", stack)
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
        fields = _message(value)
        self.dtype, self.shard = _one(fields, 1), _one(fields, 3)
        self.offset, self.size = _one(fields, 4), _one(fields, 5)
        self.checksum = _one(fields, 6)
        self.slices = [_extents(part) for part in fields.get(7, [])]
        dims = _message(_one(fields, 2, b"")).get(2, [])
        self.shape = tuple(_signed(_one(_message(dim), 1)) for dim in dims)
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
        length, at = _varint(data, 0)
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
    parts = [_message(part) for part in _message(value).get(1, [])]
    return [
        (_signed(_one(part, 1)), _signed(_one(part, 2)) if 2 in part else -1) for part in parts
    ]


def slice_key(name, extents):
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
    found = {}
    for node in _message(graph).get(1, []):
        for attribute in _message(node).get(2, []):
            fields = _message(attribute)
            key, full = _one(fields, 3, b"").decode(), _one(fields, 2, b"").decode()
            if full and key.endswith(VARIABLE):
                found[key.removesuffix(VARIABLE)] = full
    return found


# --- protocol buffers


def _varint(data, at):
    value = 0
    for shift in range(0, 70, 7):
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value & (1 << 64) - 1, at
    raise CorruptCheckpointError("A number is too long.")


def _message(data):
    """{field number: [values]}: integers, or bytes of texts and messages."""
    fields, at = {}, 0
    while at < len(data):
        tag, at = _varint(data, at)
        kind, size = tag & 7, {1: 8, 5: 4}.get(tag & 7)
        if kind == 0:
            value, at = _varint(data, at)
        elif kind in (1, 2, 5):
            if kind == 2:
                size, at = _varint(data, at)
            value = data[at : at + size]
            at += size
            if len(value) != size:
                raise CorruptCheckpointError("A message ends early.")
            value = value if kind == 2 else int.from_bytes(value, "little")
        else:
            raise CorruptCheckpointError("A message is damaged.")
        fields.setdefault(tag >> 3, []).append(value)
    return fields


def _one(fields, number, default=0):
    value = fields.get(number, [default])[-1]
    if type(value) is not type(default):
        raise CorruptCheckpointError("A message has a field of another type.")
    return value


def _signed(value):
    return value - (1 << 64) if value >> 63 else value


# --- the index: a LevelDB table


def _table(file):
    """{key: value}."""
    size = file.seek(0, os.SEEK_END)
    if not 48 <= size <= MAX_INDEX_BYTES:
        raise CorruptCheckpointError(f"Its index has {size} bytes.")
    file.seek(0)
    data = bytes(file.read(size))
    if struct.unpack("<Q", data[-8:])[0] != TABLE_MAGIC:
        raise CorruptCheckpointError(
            f"Its index ends in {data[-8:]!r}, not as a TensorFlow index. "
            "The download or copy may be incomplete."
        )
    _, at = _handle(data, len(data) - 48)  # the index of filters
    handle, _ = _handle(data, at)
    table, left = {}, 2 * size + FREE_BYTES  # bytes of keys and blocks
    for _, value in _entries(_block(data, handle)):
        block = _block(data, _handle(value, 0)[0])
        left -= len(block)
        for key, entry in _entries(block):
            left -= len(key)
            if key in table:
                raise CorruptCheckpointError(f"Its index holds the key {key[:80]!r} twice.")
            if len(table) > MAX_TENSORS or left < 0:
                raise CorruptCheckpointError(f"It holds more than {MAX_TENSORS} tensors.")
            table[key] = entry
    return table


def _handle(data, at):
    offset, at = _varint(data, at)
    size, at = _varint(data, at)
    return (offset, size), at


def _block(data, handle):
    """The bytes of a block, unpacked; how it is packed and a checksum follow it."""
    offset, size = handle
    stored = data[offset : offset + size + 5]
    if len(stored) != size + 5:
        raise CorruptCheckpointError("Its index refers to bytes outside of it.")
    if masked_crc32c(stored[:-4]) != int.from_bytes(stored[-4:], "little"):
        raise CorruptCheckpointError("A checksum of its index is wrong.")
    if stored[-5] not in (0, 1):
        raise CorruptCheckpointError(f"Its index is packed by the unknown method {stored[-5]}.")
    return unsnappy(stored[:-5]) if stored[-5] else stored[:-5]


def _entries(block):
    """(key, value); a key shares its beginning with the last one."""
    restarts = int.from_bytes(block[-4:], "little")
    end = len(block) - 4 - 4 * restarts
    if len(block) < 4 or end < 0:
        raise CorruptCheckpointError("A block of its index is damaged.")
    at, key = 0, b""
    while at < end:
        shared, at = _varint(block, at)
        fresh, at = _varint(block, at)
        length, at = _varint(block, at)
        if shared > len(key) or at + fresh + length > end:
            raise CorruptCheckpointError("A block of its index is damaged.")
        if shared + fresh > MAX_KEY or length > MAX_ENTRY:
            raise CorruptCheckpointError("Its index has an entry of an odd size.")
        key = key[:shared] + block[at : at + fresh]
        at += fresh + length
        yield key, block[at - length : at]


def unsnappy(data):
    """Unpack a snappy block: literals, and copies of what came before.

    Raises: CorruptCheckpointError: if it is damaged.
    """
    size, at = _varint(data, 0)
    if size > 22 * len(data) + 1024:  # a copy makes at most 64 bytes of 3
        raise CorruptCheckpointError(f"A snappy block of {len(data)} bytes claims {size}.")
    out = bytearray()
    while at < len(data) and len(out) <= size:
        tag = data[at]
        kind, at = tag & 3, at + 1
        if kind == 0:
            length = tag >> 2
            extra = max(length - 59, 0)
            if extra:
                length = int.from_bytes(data[at : at + extra], "little")
            at += extra + length + 1
            out += data[at - length - 1 : at]
            continue
        width = (1, 2, 4)[kind - 1]
        offset = int.from_bytes(data[at : at + width], "little")
        at += width
        length = (tag >> 2) + 1
        if kind == 1:
            length, offset = (tag >> 2 & 7) + 4, (tag >> 5) << 8 | offset
        if not 1 <= offset <= len(out):
            raise CorruptCheckpointError("A snappy block refers to what is not there.")
        piece = out[-offset:][:length]  # repeats itself if it is shorter than `length`
        out += (piece * -(-length // len(piece)))[:length]
    if at != len(data) or len(out) != size:
        raise CorruptCheckpointError(f"A snappy block unpacks to {len(out)} bytes, not {size}.")
    return bytes(out)


# --- checksums

_LANES = (4096, 64)  # 32-bit words that are folded at a time


def masked_crc32c(data):
    """CRC-32C of bytes, as the table format stores it: rotated by 15 bits, plus a constant."""
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def crc32c(data):
    """CRC-32C (Castagnoli) of bytes."""
    return _advance(data, 0xFFFFFFFF) ^ 0xFFFFFFFF


def _advance(data, state):
    """The state behind the bytes.

    A checksum is linear: rows of many words are first folded into one row, all words at once, by
    sending what is above past the bytes of a row; the last row and the rest go byte by byte.
    """
    for lanes in _LANES:
        rows = len(data) // (4 * lanes)
        if rows > 1:
            words = np.frombuffer(data, "<u4", rows * lanes).reshape(rows, lanes)
            low, high = _row_tables(lanes)
            row = words[0].astype(np.uint32)
            row[0] ^= state
            for below in words[1:]:
                row = low[row & 0xFFFF] ^ high[row >> 16] ^ below
            state = _advance(row.astype("<u4").tobytes(), 0)
            data = data[rows * lanes * 4 :]
    return _bytewise(data, state)


def _bytewise(data, state):
    table = _byte_table()
    for byte in bytes(data):
        state = table[(state ^ byte) & 255] ^ state >> 8
    return state


@functools.cache
def _byte_table():
    table = []
    for state in range(256):
        for _ in range(8):
            state = state >> 1 ^ (0x82F63B78 if state & 1 else 0)
        table.append(state)
    return table


@functools.cache
def _row_tables(lanes):
    """Tables of the lower and upper half of a state: what a row of zero bytes makes of it."""
    images = [_bytewise(bytes(4), 1 << bit) for bit in range(32)]  # past 4 zero bytes
    for _ in range(lanes.bit_length() - 1):
        images = [_apply(images, image) for image in images]  # past twice as many
    tables = []
    for half in (images[:16], images[16:]):
        table = np.zeros(1, np.uint32)
        for image in half:
            table = np.concatenate([table, table ^ np.uint32(image)])
        tables.append(table)
    return tables


def _apply(images, state):
    result = 0
    for bit in range(32):
        if state >> bit & 1:
            result ^= images[bit]
    return result
