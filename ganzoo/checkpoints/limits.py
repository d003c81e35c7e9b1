"""What a file may ask for, whatever its format, and what damaged bytes may raise."""

import lzma
import struct
import zipfile
import zlib

from ganzoo.errors import CorruptCheckpointError

MAX_OPCODES = 1_000_000  # per file; the largest published StyleGAN pickles need below 100,000
MAX_TENSORS = 100_000  # per file
MAX_DEPTH = 100  # containers within containers
MAX_ENTRIES = 1_000_000  # items visited by `flatten`; shared containers count each time
MAX_ZIP_LIST = 1 << 23  # bytes; about 100,000 files in a zip
MAX_RANK = 32  # numpy 1.x refuses more dimensions
MAX_KEY = 10_000  # characters of a key
MAX_ODD_KEYS = 100  # of a dictionary: those whose hash a file may choose, so that all collide
MAX_INTEGER_BYTES = 256  # of a pickled long; torch's magic number has 10
MAX_LINE = 1 << 20  # bytes of a line in a pickle
MAX_DIGITS = 100  # of a float spelled in decimal
MAX_HEADER_BYTES = 1 << 23  # of `.safetensors`; about 60,000 tensors
MAX_NPY_HEADER_BYTES = 1 << 16
XZ_MEMORY = 1 << 27  # for xz's own window
MAX_INFLATION = 100  # unpacked bytes per packed byte of a zip or xz, and ...
FREE_BYTES = 1 << 26  # ... 64 MiB in any case; also for copies and views that repeat bytes
MAX_UNPACKED = 1 << 30  # where that is more, ten bytes per byte and 1 GiB

# What parsing damaged bytes may raise; each becomes a CorruptCheckpointError.
RAW_ERRORS = (
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


class Budget:
    """What the reading of one file may still ask for, with all files that are within it.

    Copies and views are in bytes: those that a file may ask for without holding them.
    """

    def __init__(self, size):
        self.opcodes = MAX_OPCODES
        self.tensors = MAX_TENSORS
        self.copies = self.views = 4 * size + FREE_BYTES

    def opcode(self) -> None:
        self.opcodes -= 1
        if self.opcodes < 0:
            raise CorruptCheckpointError(f"A pickle has more than {MAX_OPCODES} instructions.")

    def tensor(self) -> None:
        self.tensors -= 1
        if self.tensors < 0:
            raise CorruptCheckpointError(f"It holds more than {MAX_TENSORS} tensors.")

    def copy(self, count) -> None:
        self.copies -= count
        if self.copies < 0:
            raise CorruptCheckpointError("A pickle copies far more data than the file holds.")

    def view(self, count) -> None:
        self.views -= count
        if self.views < 0:
            raise CorruptCheckpointError("The tensors claim far more items than the file holds.")


def unpacked_limit(size) -> int:
    """Bytes that `size` packed ones may become."""
    return min(MAX_INFLATION * size, 10 * size + MAX_UNPACKED) + FREE_BYTES


def check_integers(numbers) -> None:
    """Raises: CorruptCheckpointError: if these are not what shapes and offsets are made of."""
    if len(numbers) > MAX_RANK or not all(type(n) is int and 0 <= n < 2**62 for n in numbers):
        raise CorruptCheckpointError("A shape, stride or offset is not a few integers >= 0.")
