"""Arrays of numbers laid flat in a file: bytes, `.npy` and `.safetensors`."""

import json
import math
import re

import ml_dtypes
import numpy as np

from ganzoo.checkpoints.limits import (
    MAX_HEADER_BYTES,
    MAX_NPY_HEADER_BYTES,
    MAX_TENSORS,
    check_integers,
)
from ganzoo.errors import CorruptCheckpointError, UnsafeCheckpointError

NPY_MAGIC = b"\x93NUMPY"
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


def array_over(raw, dtype, shape, *, order="C") -> np.ndarray:
    """A read-only array over `raw`, which must have exactly the bytes that the shape needs."""
    check_integers(shape)
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


def load_npy(source) -> np.ndarray:
    """One array of numbers or text; NumPy's own header, of any version."""
    source.take(len(NPY_MAGIC))
    major, _minor = source.take(2)
    length = source.unpack("<H" if major == 1 else "<I")
    if length > MAX_NPY_HEADER_BYTES:
        raise CorruptCheckpointError(f"Its NumPy header claims {length} bytes.")
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
    return array_over(source.view(source.left), np.dtype(match["descr"]), shape, order=order)


def is_safetensors(source, head) -> bool:
    """Whether a file that begins so may be one: the length of a JSON header, then the header."""
    length = int.from_bytes(head[:8], "little")
    return head[8:9] == b"{" and 2 <= length <= source.size - 8


def _json_integer(digits):
    return int(digits[:20])  # of more digits none fits the file


def load_safetensors(source) -> dict[str, np.ndarray]:
    """{name: array} of a `.safetensors` file."""
    length = source.unpack("<Q")
    if length > MAX_HEADER_BYTES:
        raise CorruptCheckpointError(f"Its header claims {length} bytes.")
    header = json.loads(source.take(length).decode("utf-8"), parse_int=_json_integer)
    start = 8 + length
    if len(header) > MAX_TENSORS:
        raise CorruptCheckpointError(f"It holds more than {MAX_TENSORS} tensors.")
    arrays, expected = {}, 0
    header.pop("__metadata__", None)
    for name, row in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        if row["dtype"] not in _SAFETENSORS:
            raise CorruptCheckpointError(f"`{name[:40]}` has an odd dtype: {row['dtype']!r:.20}.")
        begin, end = row["data_offsets"]
        check_integers((begin, end))
        if begin != expected:  # the format allows neither gaps nor overlaps
            raise CorruptCheckpointError(f"The bytes of `{name[:40]}` do not follow the last ones.")
        source.file.seek(start + begin)
        raw = source.view(end - begin)
        arrays[name] = array_over(raw, np.dtype(_SAFETENSORS[row["dtype"]]), tuple(row["shape"]))
        expected = end
    if source.size != start + expected:
        raise CorruptCheckpointError(f"Its tensors leave {source.size - start - expected} bytes.")
    return arrays
