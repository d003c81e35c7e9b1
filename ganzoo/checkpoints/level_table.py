"""The index of a TensorFlow checkpoint: a LevelDB table, packed by snappy or not.

Reference: LevelDB's doc/table_format.md; google/snappy's format_description.txt.
"""

import os
import struct

from ganzoo.checkpoints.checksums import masked_crc32c
from ganzoo.checkpoints.limits import FREE_BYTES, MAX_TENSORS
from ganzoo.checkpoints.protobuf import varint
from ganzoo.errors import CorruptCheckpointError

MAGIC = 0xDB4775248B80FB57
MAX_INDEX_BYTES = 1 << 24  # about 150,000 tensors
MAX_KEY, MAX_ENTRY = 1000, 1 << 16  # bytes in the index; parts of variables make entries long


def read(file) -> dict[bytes, bytes]:
    """{key: value} of an index, a seekable binary file."""
    size = file.seek(0, os.SEEK_END)
    if not 48 <= size <= MAX_INDEX_BYTES:
        raise CorruptCheckpointError(f"Its index has {size} bytes.")
    file.seek(0)
    data = bytes(file.read(size))
    if struct.unpack("<Q", data[-8:])[0] != MAGIC:
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
    offset, at = varint(data, at)
    size, at = varint(data, at)
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
        shared, at = varint(block, at)
        fresh, at = varint(block, at)
        length, at = varint(block, at)
        if shared > len(key) or at + fresh + length > end:
            raise CorruptCheckpointError("A block of its index is damaged.")
        if shared + fresh > MAX_KEY or length > MAX_ENTRY:
            raise CorruptCheckpointError("Its index has an entry of an odd size.")
        key = key[:shared] + block[at : at + fresh]
        at += fresh + length
        yield key, block[at - length : at]


def unsnappy(data) -> bytes:
    """Unpack a snappy block: literals, and copies of what came before.

    Raises: CorruptCheckpointError: if it is damaged.
    """
    size, at = varint(data, 0)
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
