"""HDF5 files of Keras and h5py as NumPy arrays: `.h5`, `.weights.h5`, the weights of `.keras`.

A reader of our own for the part of the format that Keras and h5py write by default, because the
HDF5 library is C code that a damaged file can crash, and because nothing here may follow a link out
of the file or take more memory than the file justifies. Read are

* superblocks 0, 2 and 3 with 8-byte addresses; object headers 1 and 2,
* groups: symbol tables, and links stored in the header or in a fractal heap,
* data sets: compact, contiguous, chunked (version-1 tree or one chunk), with gzip and shuffle,
* integers, floats (bfloat16 as Keras marks it), complex numbers, booleans, text.

Refused with a message: soft and external links, external and virtual storage, other filters, other
types, data sets that were never written. Attributes of other types are left out.

Reference: HDF5 File Format Specification, version 3.0. Checksums of metadata are not compared.
"""

import bisect
import dataclasses
import io
import json
import math
import struct
import zlib

import ml_dtypes
import numpy as np

from ganzoo.checkpoints.limits import FREE_BYTES, MAX_DEPTH, MAX_RANK, MAX_TENSORS, META
from ganzoo.errors import CorruptCheckpointError

MAGIC = b"\x89HDF\r\n\x1a\n"
MAX_ITEMS = 500_000  # messages, entries, records, chunks and texts of a file
MAX_NAME = 1000  # bytes
MAX_PACKING = 20  # unpacked bytes of chunks per byte of the file, beyond FREE_BYTES
NOWHERE = 2**64 - 1  # the address of what does not exist

# Messages of an object header
SPACE, LINK_INFO, TYPE, EXTERNAL, LAYOUT = 0x01, 0x02, 0x03, 0x07, 0x08
LINK, FILTERS, ATTRIBUTE, CONTINUATION = 0x06, 0x0B, 0x0C, 0x10
SYMBOL_TABLE, ATTRIBUTE_INFO = 0x11, 0x15
GZIP, SHUFFLE = 1, 2


def load(file):
    """The groups of an HDF5 file as nested dictionaries of arrays.

    Args:
        file: seekable binary file. Arrays share the bytes of an `io.BytesIO`, and copy others.
    Returns: dict. Each group is a dict from name to group or read-only array; its attributes, and
        its data sets of text, stand under `reader.META` as plain values.
    Raises: CorruptCheckpointError, or what parsing damaged bytes raises (see `reader.load`).
    """
    return _File(file).root()


def load_keras(archive, weights):
    """The weights of a `.keras` file. Its configuration is data here: no class of it is looked up.

    Args:
        archive: an open zip file, `read(name)` and `namelist()`, whose entries' sizes were checked.
        weights: str. Name of the entry with the weights.
    Returns: as `load`; `reader.META` also has `config` and `metadata`, the parsed JSON files.
    """
    tree = load(io.BytesIO(archive.read(weights)))
    texts = {key: f"{key}.json" for key in ("config", "metadata")}
    names = archive.namelist()
    found = {key: json.loads(archive.read(n)) for key, n in texts.items() if n in names}
    return {**tree, META: {**tree.get(META, {}), **found}}


class Block:
    """Bytes taken from left to right."""

    def __init__(self, data):
        self.data, self.at = data, 0

    @property
    def left(self):
        return len(self.data) - self.at

    def take(self, count):
        if not 0 <= count <= self.left:
            raise CorruptCheckpointError(
                f"A structure ends early: {count} bytes were expected, {self.left} are left."
            )
        self.at += count
        return self.data[self.at - count : self.at]

    def integer(self, size=8):
        return int.from_bytes(self.take(size), "little")

    def text(self):
        """A name that a zero byte ends."""
        end = self.data.find(b"\0", self.at, self.at + MAX_NAME)
        if end < 0:
            raise CorruptCheckpointError(f"A name does not end, or exceeds {MAX_NAME} bytes.")
        name = self.take(end - self.at)
        self.take(1)
        return name.decode("utf-8")


@dataclasses.dataclass(frozen=True)
class _Type:
    """What one item is: `dtype` of a number, else `None`; `kind` "number", "text" or "other"."""

    kind: str
    size: int
    dtype: np.dtype | None = None
    variable: bool = False  # text in a global heap
    name: str = ""


class _File:
    """One file, with what it may still ask for."""

    def __init__(self, file):
        self.file = file
        self.size = file.seek(0, io.SEEK_END)
        self.memory = file.getvalue() if isinstance(file, io.BytesIO) else None  # shared, no copy
        self.items = MAX_ITEMS
        self.budgets = {  # bytes: of structures, of what is stored as it is, and of chunks
            "metadata": 4 * self.size + FREE_BYTES,
            "plain": self.size + FREE_BYTES,
            "packed": MAX_PACKING * self.size + FREE_BYTES,
        }
        self.tensors = 0
        self.nodes = {}  # address of an object header -> group or array, None while it is read
        self.heaps = {}  # address of a global heap -> {index: bytes}

    def root(self):
        address = self.superblock()
        tree, _ = self.node(address, "/", 0)
        if not isinstance(tree, dict):
            raise CorruptCheckpointError("Its root is no group.")
        return tree

    # Bytes

    def bytes_at(self, address, count):
        if count < 0 or address + count > self.size:
            raise CorruptCheckpointError(
                f"It refers to {count} bytes at {address}, but has {self.size}. "
                "The download or copy may be incomplete."
            )
        if self.memory is not None:
            return memoryview(self.memory)[address : address + count]
        self.file.seek(address)
        data = self.file.read(count)
        if len(data) != count:
            raise CorruptCheckpointError("It ends early.")
        return data

    def block(self, address, count, signature=b""):
        """Metadata; they count."""
        self.count()
        self.spend("metadata", count)
        data = bytes(self.bytes_at(address, count))
        if not data.startswith(signature):
            raise CorruptCheckpointError(
                f"At {address}, {signature!r} was expected, {data[:4]!r} is there."
            )
        block = Block(data)
        block.take(len(signature))
        return block

    def count(self, items=1):
        self.items -= items
        if self.items < 0:
            raise CorruptCheckpointError(f"It has more than {MAX_ITEMS} entries.")

    def superblock(self):
        """The address of the root group."""
        head = self.block(0, 9, MAGIC)
        version = head.integer(1)
        if version in (0, 1):
            rest = self.block(9, 67 if version else 63)
            rest.take(4)
            sizes = rest.integer(1), rest.integer(1)
            rest.take(13 if version else 9)
            base, _, end, _, _, root = (rest.integer() for _ in range(6))
        elif version in (2, 3):
            rest = self.block(9, 39)
            sizes = rest.integer(1), rest.integer(1)
            rest.take(1)
            base, _, end, root = (rest.integer() for _ in range(4))
        else:
            raise CorruptCheckpointError(f"Its HDF5 superblock has the unknown version {version}.")
        if sizes != (8, 8) or base:
            raise CorruptCheckpointError(
                f"Expected an HDF5 file with 8-byte addresses from 0; found {sizes} from {base}."
            )
        if end > self.size:
            raise CorruptCheckpointError(
                f"It ends early: it says that it has {end} bytes, {self.size} are there. "
                "The download or copy may be incomplete."
            )
        return root

    # Objects

    def node(self, address, name, depth):
        """(group or array, or text, whether it is text), read once per address."""
        if depth > MAX_DEPTH:
            raise CorruptCheckpointError(f"Its groups nest more than {MAX_DEPTH} deep.")
        if address in self.nodes:
            if self.nodes[address] is None:
                raise CorruptCheckpointError(f"The group `{name:.80}` holds itself.")
            return self.nodes[address]
        self.nodes[address] = None
        messages = self.messages(address)
        if LAYOUT in messages:
            found = self.dataset(messages, name)
        else:
            if not messages.keys() & {SYMBOL_TABLE, LINK_INFO, LINK}:
                raise CorruptCheckpointError(f"`{name:.80}` is neither a group nor a data set.")
            found = self.group(messages, name, depth), False
        self.nodes[address] = found
        return found

    def group(self, messages, name, depth):
        tree, meta = {}, self.attributes(messages)
        for child, address in self.links(messages, name):
            value, is_text = self.node(address, f"{name.rstrip('/')}/{child}", depth + 1)
            if child in tree or child == META:
                raise CorruptCheckpointError(f"`{name:.80}` has the name `{child:.80}` twice.")
            if is_text:
                meta[child] = value
            else:
                tree[child] = value
        return {**tree, META: meta} if meta else tree

    def messages(self, address):
        """{type: [data]} of an object header."""
        if self.bytes_at(address, 4) == b"OHDR":
            pending, read = self.header_2(address)
        else:
            head = self.block(address, 12)
            version, _, _count, _references, size = struct.unpack("<BBHII", head.take(12))
            if version != 1:
                raise CorruptCheckpointError(f"At {address}, an object header was expected.")
            pending, read = [(address + 16, size)], _messages_1
        found, seen = {}, set()
        while pending:
            start, size = pending.pop()
            if start in seen:
                raise CorruptCheckpointError("An object header continues in itself.")
            seen.add(start)
            for kind, flags, data in read(self.block(start, size)):
                self.count()
                if kind == CONTINUATION:
                    pending.append(self.continuation(Block(data), read))
                elif flags & 2 and kind in (SPACE, TYPE, LAYOUT, FILTERS):
                    raise CorruptCheckpointError("It shares types between objects (not Keras).")
                elif not flags & 2:
                    found.setdefault(kind, []).append(data)
        return found

    def continuation(self, block, read):
        start, size = block.integer(), block.integer()
        if read is _messages_1:
            return start, size
        self.block(start, 4, b"OCHK")
        return start + 4, size - 8  # without signature and checksum

    def header_2(self, address):
        head = self.block(address, min(34, self.size - address), b"OHDR")
        version, flags = head.integer(1), head.integer(1)
        if version != 2:
            raise CorruptCheckpointError(f"An object header has the unknown version {version}.")
        head.take((16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0))
        size = head.integer(1 << (flags & 3))
        ordered = bool(flags & 4)
        return [(address + head.at, size)], lambda block: _messages_2(block, ordered)

    # Groups

    def links(self, messages, name):
        """(name, address of the object header) of the members of a group."""
        for data in messages.get(SYMBOL_TABLE, []):
            block = Block(data)
            yield from self.symbols(block.integer(), block.integer(), name)
        for data in messages.get(LINK, []):
            yield _link(Block(data), name)
        for data in messages.get(LINK_INFO, []):
            block = Block(data)
            block.take(1)
            block.take(8 if block.integer(1) & 1 else 0)
            heap, index = block.integer(), block.integer()
            if heap != NOWHERE:
                yield from sorted(_link(block, name) for block in self.heap_objects(heap, index))

    def symbols(self, tree, heap, name):
        head = self.block(heap, 32, b"HEAP")
        head.take(4)
        size, _, start = (head.integer() for _ in range(3))
        names = self.block(start, size)
        for address, _ in self.tree_1(tree, 0, 8):
            node = self.block(address, 8, b"SNOD")
            node.take(2)
            count = node.integer(2)
            node = self.block(address + 8, 40 * count)
            for _ in range(count):
                self.count()
                names.at, header, cached = node.integer(), node.integer(), node.integer(4)
                node.take(20)
                child = names.text()
                self.spend("metadata", len(child))
                if cached == 2:
                    raise CorruptCheckpointError(
                        f"`{child:.80}` in `{name:.80}` is a soft link, which is not followed."
                    )
                yield child, header

    def tree_1(self, address, kind, key_size):
        """(address, key before it) of the leaves' children, in order."""
        pending, seen = [(address, b"", None)], set()
        while pending:
            address, key, expected = pending.pop()
            if address in seen:
                raise CorruptCheckpointError("A tree holds a node twice.")
            seen.add(address)
            if expected == -1:
                yield address, key
                continue
            node = self.block(address, 24, b"TREE")
            found, level, count = node.integer(1), node.integer(1), node.integer(2)
            if found != kind or expected not in (None, level):
                raise CorruptCheckpointError("A tree has a node of another kind or level.")
            self.count(count)
            node = self.block(address + 24, count * (key_size + 8))
            children = [(node.take(key_size), node.integer()) for _ in range(count)]
            pending += [(child, key, level - 1) for key, child in reversed(children)]

    # Links and attributes outside of a header

    def heap_objects(self, heap, index):
        """`Block`s of the objects of a fractal heap that a version-2 tree lists."""
        heap = _Heap(self, heap)
        for record in self.tree_2(index):
            kind = record.integer(1)
            if kind == 8:  # attributes: identifier first
                identifier = record.take(heap.id_size)
            else:  # 5: links by the hash of their name
                record.take(4)
                identifier = record.take(heap.id_size)
            yield heap.get(Block(identifier))

    def tree_2(self, address):
        """A `Block` of the tree's type (1 byte) and the record, for each record."""
        head = self.block(address, 38, b"BTHD")
        _, kind, node_size, record_size, depth = struct.unpack("<BBIHH", head.take(10))
        head.take(2)
        root, count = head.integer(), head.integer(2)
        if kind not in (5, 8) or not 11 <= record_size <= 64 or node_size > 1 << 16 or depth > 8:
            raise CorruptCheckpointError("A tree of links or attributes is damaged.")
        if root == NOWHERE:
            return
        sizes = _node_sizes(node_size, record_size, depth)
        pending, seen = [(root, count, depth)], set()
        while pending:
            address, count, level = pending.pop()
            if address in seen:
                raise CorruptCheckpointError("A tree holds a node twice.")
            seen.add(address)
            node = self.block(address, node_size, b"BTIN" if level else b"BTLF")
            node.take(2)
            for _ in range(count):
                self.count()
                yield Block(bytes([kind]) + node.take(record_size))
            for _ in range(count + 1 if level else 0):
                child, records = node.integer(), node.integer(sizes[0])
                node.take(sizes[level - 1] if level > 1 else 0)
                pending.append((child, records, level - 1))

    # Attributes

    def attributes(self, messages):
        """{name: plain value}; those of types that are not read are left out."""
        blocks = [Block(data) for data in messages.get(ATTRIBUTE, [])]
        for data in messages.get(ATTRIBUTE_INFO, []):
            info = Block(data)
            info.take(1)
            info.take(2 if info.integer(1) & 1 else 0)
            heap, index = info.integer(), info.integer()
            if heap != NOWHERE:
                blocks += self.heap_objects(heap, index)
        found = {}
        for block in blocks:
            name, kind, shape, data = _attribute(block)
            if kind is not None and kind.kind != "other" and shape is not None:
                found[name] = self.plain_value(kind, shape, data)
        return found

    def plain_value(self, kind, shape, data):
        """A number, a text, or lists of these."""
        count = math.prod(shape)
        self.count(count)
        if count * kind.size > len(data):
            raise CorruptCheckpointError("An attribute or text has fewer items than it says.")
        data = bytes(data)
        if kind.kind == "number":
            return np.frombuffer(data, kind.dtype, count).reshape(shape).tolist()
        pieces = [data[i * kind.size : (i + 1) * kind.size] for i in range(count)]
        texts = [self.heap_text(piece) if kind.variable else piece for piece in pieces]
        texts = [text.rstrip(b"\0").decode("utf-8", "replace") for text in texts]
        if not shape:
            return texts[0]
        return np.array(texts, object).reshape(shape).tolist()

    def heap_text(self, piece):
        length, address, index = struct.unpack("<IQI", piece)
        if length == 0:
            return b""
        if address not in self.heaps:
            self.heaps[address] = self.heap(address)
        if len(self.heaps[address].get(index, b"")) < length:
            raise CorruptCheckpointError("A text refers to nothing.")
        self.spend("plain", length)
        return self.heaps[address][index][:length]

    def heap(self, address):
        head = self.block(address, 16, b"GCOL")
        head.take(4)
        block = self.block(address + 16, head.integer() - 16)
        found = {}
        while block.left >= 16:
            self.count()
            index, _, _, size = struct.unpack("<HHIQ", block.take(16))
            if index == 0:  # the free space at the end
                break
            found[index] = block.take(size)
            block.take(min(-size % 8, block.left))
        return found

    # Data sets

    def dataset(self, messages, name):
        """(array, False), or (text, True)."""
        self.tensors += 1
        if self.tensors > MAX_TENSORS:
            raise CorruptCheckpointError(f"It holds more than {MAX_TENSORS} data sets.")
        if EXTERNAL in messages:
            raise CorruptCheckpointError(f"`{name:.80}` is stored in another file. None was read.")
        shape, kind = _space(Block(_only(messages, SPACE))), _type(Block(_only(messages, TYPE)))
        if kind.name == "opaque" and self.attributes(messages).get("dtype") == "bfloat16":
            kind = _Type("number", 2, np.dtype(ml_dtypes.bfloat16))
        if kind.kind == "other":
            raise CorruptCheckpointError(f"`{name:.80}` is of type {kind.name}, not of numbers.")
        if shape is None:
            shape = (0,)
        filters = _filters(Block(messages[FILTERS][0])) if FILTERS in messages else []
        data = self.stored(Block(_only(messages, LAYOUT)), shape, kind.size, filters, name)
        if kind.kind == "text":
            return self.plain_value(kind, shape, data), True
        if not len(data):
            return np.zeros(shape, kind.dtype), False
        array = np.frombuffer(data, kind.dtype).reshape(shape)
        array = array.astype(array.dtype.newbyteorder("="), copy=False)
        array.flags.writeable = False
        return array, False

    def stored(self, layout, shape, item, filters, name):
        """The bytes of a data set, row after row."""
        needed = math.prod(shape) * item
        version, kind = layout.integer(1), layout.integer(1)
        if version not in (3, 4) or kind > 2:
            what = "virtual" if kind == 3 else f"stored in layout {version}.{kind}"
            raise CorruptCheckpointError(f"`{name:.80}` is {what}, which is not read.")
        if needed == 0:
            return b""
        if kind == 2:
            chunks = self.chunks_3 if version == 3 else self.chunks_4
            size, chunks = chunks(layout, len(shape), item, name)
            return self.assemble(chunks, shape, size, item, filters, name)
        self.spend("plain", needed)
        data = self.contiguous(layout, name) if kind else layout.take(layout.integer(2))
        if len(data) < needed:
            raise CorruptCheckpointError(
                f"`{name:.80}` of shape {shape} needs {needed} bytes, but {len(data)} are there."
            )
        return data[:needed] if len(data) > needed else data

    def contiguous(self, layout, name):
        address, size = layout.integer(), layout.integer()
        if address == NOWHERE:
            raise CorruptCheckpointError(f"`{name:.80}` was never written.")
        return self.bytes_at(address, size)

    def spend(self, budget, count):
        self.budgets[budget] -= count
        if self.budgets[budget] < 0:
            raise CorruptCheckpointError(
                f"Its {budget} parts claim far more bytes than the file has; some repeat."
            )

    def chunks_3(self, layout, rank, item, name):
        """(shape of a chunk, iterator of (offsets, address, stored size, mask of filters))."""
        if layout.integer(1) != rank + 1:
            raise CorruptCheckpointError(f"The chunks of `{name:.80}` have another rank.")
        tree = layout.integer()
        *size, stored_item = (layout.integer(4) for _ in range(rank + 1))
        if tree == NOWHERE:
            raise CorruptCheckpointError(f"`{name:.80}` was never written.")
        if stored_item != item:
            raise CorruptCheckpointError(f"The chunks of `{name:.80}` have other items.")

        def chunks():
            for address, key in self.tree_1(tree, 1, 8 + 8 * (rank + 1)):
                stored, mask, *offsets = struct.unpack(f"<II{rank + 1}Q", key)
                yield tuple(offsets[:-1]), address, stored, mask

        return size, chunks()

    def chunks_4(self, layout, rank, item, name):
        flags, dimensions, width = (layout.integer(1) for _ in range(3))
        if dimensions != rank + 1 or not 1 <= width <= 8:
            raise CorruptCheckpointError(f"The chunks of `{name:.80}` have another rank.")
        *size, _ = (layout.integer(width) for _ in range(dimensions))
        if layout.integer(1) != 1:
            raise CorruptCheckpointError(
                f'`{name:.80}` has an index of chunks that `libver="latest"` writes and that is '
                "not read. Save the file anew without it."
            )
        stored, mask = (layout.integer(), layout.integer(4)) if flags & 2 else (None, 0)
        stored = math.prod(size) * item if stored is None else stored
        return size, iter([((0,) * rank, layout.integer(), stored, mask)])

    def assemble(self, chunks, shape, size, item, filters, name):
        if 0 in size:
            raise CorruptCheckpointError(f"The chunks of `{name:.80}` are empty.")
        needed = math.prod(size) * item
        self.spend("packed", math.prod(shape) * item)
        whole = np.empty((*shape, item), np.uint8)
        count, seen = math.prod(-(-n // c) for n, c in zip(shape, size)), set()
        for offsets, address, stored, mask in chunks:
            self.count()
            self.spend("packed", needed + stored)
            if any(o % c or o >= n for o, c, n in zip(offsets, size, shape)):
                raise CorruptCheckpointError(f"A chunk of `{name:.80}` lies outside of it.")
            data = _unfilter(self.bytes_at(address, stored), filters, mask, needed)
            place = tuple(slice(o, o + c) for o, c in zip(offsets, size))
            part = whole[place]
            chunk = np.frombuffer(data, np.uint8).reshape(*size, item)
            part[...] = chunk[tuple(slice(n) for n in part.shape)]
            seen.add(offsets)
        if len(seen) != count:
            raise CorruptCheckpointError(f"`{name:.80}` has {len(seen)} of its {count} chunks.")
        return whole.reshape(-1)


class _Heap:
    """A fractal heap: objects by identifier, in blocks whose sizes double."""

    def __init__(self, file, address):
        self.file = file
        head = file.block(address, 146, b"FRHP")
        head.take(1)
        self.id_size, filters, flags = head.integer(2), head.integer(2), head.integer(1)
        if filters or not 7 <= self.id_size <= 32:
            raise CorruptCheckpointError("A heap of links or attributes is packed or damaged.")
        head.take(4 + 12 * 8)
        self.width, self.start = head.integer(2), head.integer()
        largest, bits = head.integer(), head.integer(2)
        head.take(2)
        self.root, self.rows = head.integer(), head.integer(2)
        self.offset_size = -(-bits // 8)
        self.header = 13 + self.offset_size + (4 if flags & 2 else 0)
        direct_rows = largest.bit_length() - max(self.start, 1).bit_length() + 2
        if self.start < 1 or self.rows > direct_rows:
            raise CorruptCheckpointError("A heap of links or attributes is too large.")
        if not 1 <= self.width <= 64:
            raise CorruptCheckpointError("A heap of links or attributes is damaged.")
        self.blocks = self.direct_blocks()

    def direct_blocks(self):
        """[(first offset, size, address)], in order."""
        if self.rows == 0:
            return [(0, self.start, self.root)]
        count = self.rows * self.width
        node = self.file.block(self.root, 13 + self.offset_size + 8 * count, b"FHIB")
        node.take(9 + self.offset_size)
        found, offset = [], 0
        for i in range(count):
            size = self.start << max(i // self.width - 1, 0)
            found.append((offset, size, node.integer()))
            offset += size
        return found

    def get(self, identifier):
        if identifier.integer(1) & 0x30:
            raise CorruptCheckpointError("A link or attribute is too large to be read.")
        offset, length = identifier.integer(self.offset_size), identifier.integer(identifier.left)
        behind = bisect.bisect_right(self.blocks, offset, key=lambda block: block[0])
        first, size, address = self.blocks[behind - 1]
        if offset < first + self.header or offset + length > first + size:
            raise CorruptCheckpointError("A link or attribute lies outside of its heap.")
        return self.file.block(address + offset - first, length)


def _node_sizes(node_size, record_size, depth):
    """Bytes of a count of records: in a node, then below nodes of level 1, 2, ..."""

    def width(count):
        return (count.bit_length() - 1) // 8 + 1

    most = (node_size - 10) // record_size
    sizes = [width(most)]
    total = most
    for level in range(1, depth + 1):
        pointer = 8 + sizes[0] + (sizes[level - 1] if level > 1 else 0)
        count = (node_size - 10 - pointer) // (record_size + pointer)
        total = (count + 1) * total + count
        sizes.append(width(total))
    return sizes


def _messages_1(block):
    while block.left >= 8:
        kind, size, flags = block.integer(2), block.integer(2), block.integer(1)
        block.take(3)
        yield kind, flags, block.take(size)


def _messages_2(block, ordered):
    while block.left >= (6 if ordered else 4):
        kind, size, flags = block.integer(1), block.integer(2), block.integer(1)
        block.take(2 if ordered else 0)
        yield kind, flags, block.take(size)


def _only(messages, kind):
    if len(messages.get(kind, [])) != 1:
        raise CorruptCheckpointError("A data set lacks its shape, type or layout.")
    return messages[kind][0]


def _link(block, group):
    """(name, address of the object header)."""
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


def _space(block):
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


def _type(block, depth=0):
    head = block.integer(1)
    kind, version = head & 15, head >> 4
    bits, size = block.integer(3), block.integer(4)
    order = ">" if bits & 1 else "<"
    if not 1 <= version <= 4 or size < 1 or depth > 4:
        raise CorruptCheckpointError("A type is damaged.")
    if kind == 0:
        start, precision = block.integer(2), block.integer(2)
        if start or precision != 8 * size or size not in (1, 2, 4, 8):
            return _Type("other", size, name="odd integer")
        return _Type("number", size, np.dtype(f"{order}{'i' if bits & 8 else 'u'}{size}"))
    if kind == 1:
        start, *form = struct.unpack("<HHBBBBI", block.take(12))
        if start or bits & 0x40 or _FLOATS.get(size) != tuple(form):
            return _Type("other", size, name="odd float")
        return _Type("number", size, np.dtype(f"{order}f{size}"))
    if kind == 3:
        return _Type("text", size)
    if kind == 6:
        return _complex(block, version, bits & 0xFFFF, size, depth)
    if kind == 8:
        return _enumeration(block, version, bits & 0xFFFF, size, depth)
    if kind == 9:
        is_text = bits & 15 == 1 and size == 16
        return _Type("text" if is_text else "other", size, variable=True, name="sequence")
    return _Type("other", size, name=_OTHER.get(kind, f"class {kind}"))


def _enumeration(block, version, count, size, depth):
    """A boolean as h5py writes it, or the integers below the names."""
    base = _type(block, depth + 1)
    names = []
    for _ in range(count):
        start = block.at
        names.append(block.text())
        block.take(-(block.at - start) % 8 if version < 3 else 0)
    is_bool = names == ["FALSE", "TRUE"] and base.dtype == np.int8 and block.take(2) == b"\0\1"
    return _Type("number", size, np.dtype(bool)) if is_bool else base


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
        base = _type(block, depth + 1)
    if fields != [("r", 0), ("i", size // 2)] or base.dtype not in (np.float32, np.float64):
        return _Type("other", size, name="compound")
    return _Type("number", size, np.dtype(f"<c{size}"))


def _attribute(block):
    """(name, `_Type` or `None`, shape or `None`, bytes)."""
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
    return name, _type(Block(parts[1])), _space(Block(parts[2])), block.take(block.left)


def _filters(block):
    """[(filter, first parameter)] in the order of writing."""
    version, count = block.integer(1), block.integer(1)
    block.take(6 if version == 1 else 0)
    found = []
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
        found.append((kind, parameters[0] if parameters else 0))
    return found


def _unfilter(data, filters, mask, size):
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
