"""Packed files, unpacked in memory within limits: zip, xz and `.tar.gz`.

No path of an archive is ever opened.
"""

import lzma
import os
import re
import struct
import zipfile
import zlib

from ganzoo.checkpoints.limits import (
    FREE_BYTES,
    MAX_TENSORS,
    MAX_ZIP_LIST,
    XZ_MEMORY,
    unpacked_limit,
)
from ganzoo.errors import CorruptCheckpointError

GZIP_MAGIC = b"\x1f\x8b"
XZ_MAGIC = b"\xfd7zXZ\x00"
MAX_PACKING = 10  # bytes of a `.tar.gz` per byte of the file, beyond FREE_BYTES


class _ZipList:
    """A file for `zipfile` to list: it makes an object of every entry, whose number this limits."""

    def __init__(self, file):
        self.file, self.seek, self.tell = file, file.seek, file.tell

    def read(self, count=-1):
        data = self.file.read(min(count, MAX_ZIP_LIST + 1) if count >= 0 else MAX_ZIP_LIST + 1)
        if len(data) > MAX_ZIP_LIST:
            raise CorruptCheckpointError(f"Its list of files has more than {MAX_ZIP_LIST} bytes.")
        return data


class Zip:
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

    def check(self, listed) -> None:
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
        limit = max(size, unpacked_limit(self.source.packed))
        if packed > size or unpacked > limit:
            raise CorruptCheckpointError(
                f"Its zip entries claim {packed} bytes packed and {unpacked} unpacked; "
                f"the file has {size}."
            )

    def namelist(self) -> list[str]:
        return list(self.entries)

    def read(self, name) -> bytes:
        return bytes(self.view(name))

    def view(self, name) -> bytes | memoryview:
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


def unpack_xz(source) -> bytes:
    """The bytes that are packed in the whole of `source`, once."""
    unpacker = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=XZ_MEMORY)
    limit = unpacked_limit(source.size)
    data = unpacker.decompress(source.view(source.left), limit + 1)
    if len(data) > limit:
        raise CorruptCheckpointError(f"It unpacks to more than {limit} bytes.")
    if not unpacker.eof or unpacker.unused_data:
        raise CorruptCheckpointError("Its xz stream is cut off, or bytes follow it.")
    if data.startswith(XZ_MAGIC):
        raise CorruptCheckpointError("It is packed by xz more than once.")
    return data


class Buffer:
    """A memoryview as a binary file whose reads copy nothing."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def seek(self, offset, whence=os.SEEK_SET) -> int:
        self.at = offset + (len(self.data) if whence == os.SEEK_END else 0)
        return self.at

    def read(self, count) -> memoryview:
        self.at += count
        return self.data[self.at - count : self.at]


def gunzip(file) -> memoryview:
    """The bytes that a gzip file holds, unpacked as far as its size allows."""
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


def tar_members(data) -> dict[str, memoryview]:
    """{name: bytes} of the plain files of a tar archive; names are only ever compared."""
    members, at, override = {}, 0, {}
    while at + 512 <= len(data) and any(head := bytes(data[at : at + 512])):
        size = int(override.get("size", head[124:136].strip(b" \0").decode() or "0"), 8)
        if not 0 <= size <= len(data) - at - 512 or len(members) > MAX_TENSORS:
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
                members[name] = body
    return members


def _text(field):
    return field.split(b"\0")[0].decode("utf-8", "replace")


def _pax(data):
    """{key: value} of records `<length> <key>=<value>` and a line feed; `size` in octal digits."""
    records, at = {}, 0
    while at < len(data) and (match := re.compile(rb"(\d{1,9}) ").match(data, at)):
        length = max(int(match[1]), 1)
        record = data[match.end() : at + length - 1].decode("utf-8", "replace")
        key, _, value = record.partition("=")
        records[key] = oct(int(value[:20]))[2:] if key == "size" else value
        at += length
    return records
