"""A file that is read from left to right, never asked for more than it holds."""

import io
import struct

from ganzoo.checkpoints.limits import MAX_LINE
from ganzoo.errors import CorruptCheckpointError


class Source:
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
    def left(self) -> int:
        return self.size - self.file.tell()

    def take(self, count) -> bytes:
        data = self.file.read(count) if 0 <= count < 256 or 0 <= count <= self.left else b""
        if len(data) != count:
            raise CorruptCheckpointError(
                f"It ends early: {count} bytes were expected, {self.left + len(data)} are left. "
                "The download or copy may be incomplete."
            )
        return data

    def view(self, count) -> bytes | memoryview:
        """As `take`, but without a copy of what is in memory anyway."""
        if self.data is None or not 0 <= count <= self.left:
            return self.take(count)
        start = self.file.tell()
        self.file.seek(count, io.SEEK_CUR)
        return memoryview(self.data)[start : start + count]

    def line(self) -> bytes:
        data = self.file.readline(MAX_LINE)
        if not data.endswith(b"\n"):
            raise CorruptCheckpointError("It ends early, within a line of a pickle.")
        return data[:-1]

    def unpack(self, layout) -> int | float:
        return struct.unpack(layout, self.take(struct.calcsize(layout)))[0]
