"""How HDF5 lays out what it refers to: superblock, object headers, trees and heaps.

Checksums of metadata are not compared.
"""

import bisect
import io
import struct
from collections.abc import Callable, Iterator

from ganzoo.checkpoints.hdf5_messages import (
    CONTINUATION,
    FILTERS,
    LAYOUT,
    LINK,
    LINK_INFO,
    SPACE,
    SYMBOL_TABLE,
    TYPE,
    Block,
    link,
    messages_1,
    messages_2,
)
from ganzoo.checkpoints.limits import FREE_BYTES
from ganzoo.errors import CorruptCheckpointError

MAGIC = b"\x89HDF\r\n\x1a\n"
MAX_ITEMS = 500_000  # messages, entries, records, chunks and texts of a file
MAX_PACKING = 20  # unpacked bytes of chunks per byte of the file, beyond FREE_BYTES
NOWHERE = 2**64 - 1  # the address of what does not exist


class Structures:
    """The structures of one file, with what it may still ask for."""

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
        self.heaps = {}  # address of a global heap -> {index: bytes}

    # Bytes

    def bytes_at(self, address, count) -> bytes | memoryview:
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

    def block(self, address, count, signature=b"") -> Block:
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

    def count(self, items=1) -> None:
        self.items -= items
        if self.items < 0:
            raise CorruptCheckpointError(f"It has more than {MAX_ITEMS} entries.")

    def spend(self, budget, count) -> None:
        self.budgets[budget] -= count
        if self.budgets[budget] < 0:
            raise CorruptCheckpointError(
                f"Its {budget} parts claim far more bytes than the file has; some repeat."
            )

    def superblock(self) -> int:
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

    # Object headers

    def messages(self, address) -> dict[int, list[bytes]]:
        """{type: [data]} of an object header."""
        if self.bytes_at(address, 4) == b"OHDR":
            pending, read = self.header_2(address)
        else:
            head = self.block(address, 12)
            version, _, _count, _references, size = struct.unpack("<BBHII", head.take(12))
            if version != 1:
                raise CorruptCheckpointError(f"At {address}, an object header was expected.")
            pending, read = [(address + 16, size)], messages_1
        by_kind, seen = {}, set()
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
                    by_kind.setdefault(kind, []).append(data)
        return by_kind

    def continuation(self, block, read) -> tuple[int, int]:
        start, size = block.integer(), block.integer()
        if read is messages_1:
            return start, size
        self.block(start, 4, b"OCHK")
        return start + 4, size - 8  # without signature and checksum

    def header_2(self, address) -> tuple[list[tuple[int, int]], Callable[[Block], Iterator]]:
        head = self.block(address, min(34, self.size - address), b"OHDR")
        version, flags = head.integer(1), head.integer(1)
        if version != 2:
            raise CorruptCheckpointError(f"An object header has the unknown version {version}.")
        head.take((16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0))
        size = head.integer(1 << (flags & 3))
        ordered = bool(flags & 4)
        return [(address + head.at, size)], lambda block: messages_2(block, ordered)

    # Members of groups

    def links(self, messages, name) -> Iterator[tuple[str, int]]:
        """(name, address of the object header) of the members of a group."""
        for data in messages.get(SYMBOL_TABLE, []):
            block = Block(data)
            yield from self.symbols(block.integer(), block.integer(), name)
        for data in messages.get(LINK, []):
            yield link(Block(data), name)
        for data in messages.get(LINK_INFO, []):
            block = Block(data)
            block.take(1)
            block.take(8 if block.integer(1) & 1 else 0)
            heap, index = block.integer(), block.integer()
            if heap != NOWHERE:
                yield from sorted(link(block, name) for block in self.heap_objects(heap, index))

    def symbols(self, tree, heap, name) -> Iterator[tuple[str, int]]:
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

    def tree_1(self, address, kind, key_size) -> Iterator[tuple[int, bytes]]:
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
            actual, level, count = node.integer(1), node.integer(1), node.integer(2)
            if actual != kind or expected not in (None, level):
                raise CorruptCheckpointError("A tree has a node of another kind or level.")
            self.count(count)
            node = self.block(address + 24, count * (key_size + 8))
            children = [(node.take(key_size), node.integer()) for _ in range(count)]
            pending += [(child, key, level - 1) for key, child in reversed(children)]

    # Links and attributes outside of a header

    def heap_objects(self, heap, index) -> Iterator[Block]:
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

    def tree_2(self, address) -> Iterator[Block]:
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

    # Texts

    def heap_text(self, piece) -> bytes:
        length, address, index = struct.unpack("<IQI", piece)
        if length == 0:
            return b""
        if address not in self.heaps:
            self.heaps[address] = self.heap(address)
        if len(self.heaps[address].get(index, b"")) < length:
            raise CorruptCheckpointError("A text refers to nothing.")
        self.spend("plain", length)
        return self.heaps[address][index][:length]

    def heap(self, address) -> dict[int, bytes]:
        head = self.block(address, 16, b"GCOL")
        head.take(4)
        block = self.block(address + 16, head.integer() - 16)
        texts = {}
        while block.left >= 16:
            self.count()
            index, _, _, size = struct.unpack("<HHIQ", block.take(16))
            if index == 0:  # the free space at the end
                break
            texts[index] = block.take(size)
            block.take(min(-size % 8, block.left))
        return texts


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
        blocks, offset = [], 0
        for i in range(count):
            size = self.start << max(i // self.width - 1, 0)
            blocks.append((offset, size, node.integer()))
            offset += size
        return blocks

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
