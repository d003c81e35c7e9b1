"""What HDF5's object headers say, from bytes alone: types, shapes, links, attributes, filters."""

import dataclasses
import struct
import zlib
from collections.abc import Iterator

import numpy as np

from ganzoo.checkpoints.limits import MAX_RANK
from ganzoo.errors import CorruptCheckpointError

MAX_NAME = 1000  # bytes

# Messages of an object header
SPACE, LINK_INFO, TYPE, EXTERNAL, LAYOUT = 0x01, 0x02, 0x03, 0x07, 0x08
LINK, FILTERS, ATTRIBUTE, CONTINUATION = 0x06, 0x0B, 0x0C, 0x10
SYMBOL_TABLE, ATTRIBUTE_INFO = 0x11, 0x15
GZIP, SHUFFLE = 1, 2


class Block:
    """Bytes taken from left to right."""

    def __init__(self, data):
        self.data, self.at = data, 0

    @property
    def left(self) -> int:
        return len(self.data) - self.at

    def take(self, count) -> bytes:
        if not 0 <= count <= self.left:
            raise CorruptCheckpointError(
                f"A structure ends early: {count} bytes were expected, {self.left} are left."
            )
        self.at += count
        return self.data[self.at - count : self.at]

    def integer(self, size=8) -> int:
        return int.from_bytes(self.take(size), "little")

    def text(self) -> str:
        """A name that a zero byte ends."""
        end = self.data.find(b"\0", self.at, self.at + MAX_NAME)
        if end < 0:
            raise CorruptCheckpointError(f"A name does not end, or exceeds {MAX_NAME} bytes.")
        name = self.take(end - self.at)
        self.take(1)
        return name.decode("utf-8")


@dataclasses.dataclass(frozen=True)
class Type:
    """What one item is: `dtype` of a number, else `None`; `kind` "number", "text" or "other"."""

    kind: str
    size: int
    dtype: np.dtype | None = None
    variable: bool = False  # text in a global heap
    name: str = ""


def messages_1(block) -> Iterator[tuple[int, int, bytes]]:
    """(type, flags, data) of each message of an object header of version 1."""
    while block.left >= 8:
        kind, size, flags = block.integer(2), block.integer(2), block.integer(1)
        block.take(3)
        yield kind, flags, block.take(size)


def messages_2(block, ordered) -> Iterator[tuple[int, int, bytes]]:
    """As `messages_1`, of version 2."""
    while block.left >= (6 if ordered else 4):
        kind, size, flags = block.integer(1), block.integer(2), block.integer(1)
        block.take(2 if ordered else 0)
        yield kind, flags, block.take(size)


def only(messages, kind) -> bytes:
    """The data of a message that a data set has exactly once."""
    if len(messages.get(kind, [])) != 1:
        raise CorruptCheckpointError("A data set lacks its shape, type or layout.")
    return messages[kind][0]


def link(block, group) -> tuple[str, int]:
    """(name, address of the object header) of a member of `group`."""
    block.take(1)
    flags = block.integer(1)
    kind = block.integer(1) if flags & 8 else 0
    block.take((8 if flags & 4 else 0) + (1 if flags & 16 else 0))
    name = block.take(block.integer(1 << (flags & 3))).decode("utf-8")
    if len(name) > MAX_NAME:
        raise CorruptCheckpointError(f"A name exceeds {MAX_NAME} bytes.")
    if kind:
        what = {1: "a soft link", 64: "a link to another file"}.get(kind, "an odd link")
        raise CorruptCheckpointError(
            f"`{name:.80}` in `{group:.80}` is {what}, which is not followed."
        )
    return name, block.integer()


def space(block) -> tuple[int, ...] | None:
    """A shape, or `None` for a space without items."""
    version, rank, flags = (block.integer(1) for _ in range(3))
    if version == 1:
        block.take(5)
    elif version == 2:
        if block.integer(1) == 2:
            return None
    if version not in (1, 2) or rank > MAX_RANK or flags & ~1:
        raise CorruptCheckpointError("The shape of a data set or attribute is damaged.")
    return tuple(block.integer() for _ in range(rank))


_OTHER = {2: "time", 4: "bits", 5: "opaque", 6: "compound", 7: "reference", 10: "array"}
_FLOATS = {  # size -> precision, exponent's bit and width, mantissa's bit and width, bias
    2: (16, 10, 5, 0, 10, 15),
    4: (32, 23, 8, 0, 23, 127),
    8: (64, 52, 11, 0, 52, 1023),
}


def type_of(block, depth=0) -> Type:
    """The `Type` of a data set or attribute."""
    head = block.integer(1)
    kind, version = head & 15, head >> 4
    bits, size = block.integer(3), block.integer(4)
    order = ">" if bits & 1 else "<"
    if not 1 <= version <= 4 or size < 1 or depth > 4:
        raise CorruptCheckpointError("A type is damaged.")
    if kind == 0:
        start, precision = block.integer(2), block.integer(2)
        if start or precision != 8 * size or size not in (1, 2, 4, 8):
            return Type("other", size, name="odd integer")
        return Type("number", size, np.dtype(f"{order}{'i' if bits & 8 else 'u'}{size}"))
    if kind == 1:
        start, *form = struct.unpack("<HHBBBBI", block.take(12))
        if start or bits & 0x40 or _FLOATS.get(size) != tuple(form):
            return Type("other", size, name="odd float")
        return Type("number", size, np.dtype(f"{order}f{size}"))
    if kind == 3:
        return Type("text", size)
    if kind == 6:
        return _complex(block, version, bits & 0xFFFF, size, depth)
    if kind == 8:
        return _enumeration(block, version, bits & 0xFFFF, size, depth)
    if kind == 9:
        is_text = bits & 15 == 1 and size == 16
        return Type("text" if is_text else "other", size, variable=True, name="sequence")
    return Type("other", size, name=_OTHER.get(kind, f"class {kind}"))


def _enumeration(block, version, count, size, depth):
    """A boolean as h5py writes it, or the integers below the names."""
    base = type_of(block, depth + 1)
    names = []
    for _ in range(count):
        start = block.at
        names.append(block.text())
        block.take(-(block.at - start) % 8 if version < 3 else 0)
    is_bool = names == ["FALSE", "TRUE"] and base.dtype == np.int8 and block.take(2) == b"\0\1"
    return Type("number", size, np.dtype(bool)) if is_bool else base


def _complex(block, version, count, size, depth):
    """A complex number as h5py writes it; no other structures."""
    fields = []
    for _ in range(count if count == 2 else 0):
        start = block.at
        name = block.text()
        block.take(-(block.at - start) % 8 if version < 3 else 0)
        width = 4 if version < 3 else (size.bit_length() + 7) // 8
        fields.append((name, block.integer(width)))
        block.take(28 if version == 1 else 0)
        base = type_of(block, depth + 1)
    if fields != [("r", 0), ("i", size // 2)] or base.dtype not in (np.float32, np.float64):
        return Type("other", size, name="compound")
    return Type("number", size, np.dtype(f"<c{size}"))


def attribute(block) -> tuple[str, Type | None, tuple[int, ...] | None, bytes]:
    """(name, `Type` or `None`, shape or `None`, bytes)."""
    version, flags = block.integer(1), block.integer(1)
    sizes = [block.integer(2) for _ in range(3)]
    block.take(1 if version == 3 else 0)
    if version not in (1, 2, 3):
        raise CorruptCheckpointError(f"An attribute has the unknown version {version}.")
    parts = []
    for size in sizes:
        parts.append(block.take(size))
        block.take(-size % 8 if version == 1 else 0)
    name = parts[0].rstrip(b"\0").decode("utf-8")
    if version > 1 and flags & 3:  # shared type or space
        return name, None, None, b""
    return name, type_of(Block(parts[1])), space(Block(parts[2])), block.take(block.left)


def filters_of(block) -> list[tuple[int, int]]:
    """[(filter, first parameter)] in the order of writing."""
    version, count = block.integer(1), block.integer(1)
    block.take(6 if version == 1 else 0)
    filters = []
    for _ in range(count):
        kind = block.integer(2)
        length = block.integer(2) if version == 1 or kind >= 256 else 0
        block.take(2)
        values = block.integer(2)
        name = block.take(length).rstrip(b"\0").decode("latin1")
        parameters = [block.integer(4) for _ in range(values)]
        block.take(4 if version == 1 and values % 2 else 0)
        if kind not in (GZIP, SHUFFLE) or (kind == SHUFFLE and not parameters):
            raise CorruptCheckpointError(
                f"It is packed by the filter {kind} {name[:20]!r}. Only gzip and shuffle are read; "
                "save the file anew with these or none."
            )
        filters.append((kind, parameters[0] if parameters else 0))
    return filters


def unfilter(data, filters, mask, size) -> bytes | memoryview:
    """The `size` bytes of a chunk."""
    for i, (kind, parameter) in reversed(list(enumerate(filters))):
        if mask >> i & 1:
            continue
        if kind == GZIP:
            stream = zlib.decompressobj()
            data = stream.decompress(data, size + 1)
            if not stream.eof:  # also: its checksum is wrong
                raise CorruptCheckpointError("A packed chunk is damaged or too long.")
        elif 1 < parameter <= len(data):
            count = len(data) // parameter
            planes = np.frombuffer(data, np.uint8, count * parameter).reshape(parameter, count)
            data = planes.T.tobytes() + data[count * parameter :]
    if len(data) != size:
        raise CorruptCheckpointError(f"A chunk unpacks to {len(data)} bytes, not {size}.")
    return data
