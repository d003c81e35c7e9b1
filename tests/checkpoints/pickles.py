"""Small checkpoints without torch or TensorFlow: pickles put together from their opcodes."""

import io
import pickle
import struct
import zipfile

import numpy as np

MAGIC = 0x1950A86A20F9469CFC6C  # of a legacy stream
W = np.arange(12, dtype=np.float32)


def literal(value):
    """Opcodes that push a plain value."""
    return pickle.dumps(value, 2)[2:-1]


def name(module, attribute):
    return f"c{module}\n{attribute}\n".encode()


def by_stack(module, attribute):
    return literal(module) + literal(attribute) + b"\x93"


def table(**rows):
    """A dict whose values are given as opcodes."""
    return b"}(" + b"".join(literal(key) + row for key, row in rows.items()) + b"u"


def program(body, protocol=2):
    return bytes([0x80, protocol]) + body + b"."


ORDERED = name("collections", "OrderedDict")


# torch files


def storage(key, numel, kind="FloatStorage", *, view=None, legacy=False):
    tail = literal(view) if legacy else b""
    pid = literal("storage") + name("torch", kind) + literal(key) + literal("cuda:0")
    return b"(" + pid + literal(numel) + tail + b"tQ"


def tensor(place, size, stride, offset=0):
    tail = literal(False) + ORDERED + b")R"
    view = literal(offset) + literal(size) + literal(stride)
    return name("torch._utils", "_rebuild_tensor_v2") + b"(" + place + view + tail + b"tR"


def state(**rows):
    """An OrderedDict of tensors with torch's `_metadata` as its state."""
    items = b"".join(literal(key.replace("__", ".")) + row for key, row in rows.items())
    metadata = literal({"_metadata": {"": {"version": 1}}})
    return ORDERED + b")R(" + items + b"u" + metadata + b"b"


def torch_zip(body, storages, *, method=zipfile.ZIP_STORED, **entries):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        archive.writestr("archive/data.pkl", program(body))
        for key, array in storages.items():
            archive.writestr(f"archive/data/{key}", np.asarray(array).tobytes())
        for key, content in {"version": b"3\n", **entries}.items():
            archive.writestr(f"archive/{key}", content)
    return file.getvalue()


def torch_legacy(body, storages):
    head = [pickle.dumps(x, 2) for x in (MAGIC, 1001, {"little_endian": True})]
    data = b""
    for array in storages.values():
        data += struct.pack("<q", array.size) + array.tobytes()
    return b"".join(head) + program(body) + pickle.dumps(list(storages), 2) + data


# Networks


def from_bytes(content):
    """A storage in a plain pickle: a torch file within it."""
    call = name("torch.storage", "_load_from_bytes")
    return call + b"B" + struct.pack("<I", len(content)) + content + b"\x85R"


def storage_file(array=W, kind="FloatStorage"):
    return torch_legacy(storage("k", array.size, kind, legacy=True), {"k": array})


def array(values=W):
    """A tensor of a plain pickle."""
    return tensor(from_bytes(storage_file(values.ravel())), values.shape, (1,) * values.ndim)


def module(cls="Generator", source="raise SystemExit", **state):
    """A persistent object of NVIDIA's; the values of its state are opcodes."""
    rows = {"_parameters": b"}", "_buffers": b"}", "_modules": b"}", **state}
    meta = {"type": literal("class"), "version": literal(6), "module_src": literal(source)}
    call = name("torch_utils.persistence", "_reconstruct_persistent_obj")
    return call + table(**meta, class_name=literal(cls), state=table(**rows)) + b"\x85R"


def live(path, attribute, **state):
    """A module whose class is given by reference."""
    rows = {"_parameters": b"}", "_buffers": b"}", "_modules": b"}", **state}
    return name(path, attribute) + b")\x81" + table(**rows) + b"b"


def wrapped(path, attribute, **state):
    """As `live`, in a legacy stream: with the file and text of the class."""
    pid = b"(" + literal("module") + name(path, attribute) + literal("m.py") + literal("text")
    return pid + b"tQ" + live(path, attribute, **state)[len(name(path, attribute)) :]


def network(cls=("dnnlib.tflib.network", "Network"), **state):
    """A TensorFlow network."""
    rows = {"version": literal(4), "name": literal("G"), "variables": b"]", **state}
    return name(*cls) + b")\x81" + table(**rows) + b"b"
