"""torch's two layouts: zip files and legacy streams, with the storages that their pickles mention.

A zip file has `archive/data.pkl` and one entry for each storage (torch >= 1.6); a legacy stream is
five pickles, then the bytes of the storages (most files of 2017-2020).
"""

import io
import zipfile

import numpy as np

from ganzoo.checkpoints.archives import Zip
from ganzoo.checkpoints.containers import add
from ganzoo.checkpoints.limits import check_integers
from ganzoo.checkpoints.pickles import Machine, no_storage
from ganzoo.checkpoints.source import Source
from ganzoo.checkpoints.stand_ins import Class, Storage, StorageType
from ganzoo.errors import CorruptCheckpointError

_MAGIC = 0x1950A86A20F9469CFC6C  # first pickle of a legacy stream
_LEGACY_PROTOCOL = 1001  # second pickle
_NESTED_ENTRIES = 100  # of a zip file within a pickle; torch writes about six


class _Storages:
    """The storages that a pickle mentions; a subclass says where their bytes are."""

    def __init__(self, budget):
        self.budget = budget
        self.loaded = {}

    def persistent_load(self, pid):
        if isinstance(pid, tuple) and len(pid) == 4 and pid[0] == "module":
            return self.network_class(pid)
        if not isinstance(pid, tuple) or len(pid) < 5 or pid[0] != "storage":
            raise CorruptCheckpointError("A persistent id is not that of a torch storage.")
        _, kind, key, _location, numel, *view = pid
        if not isinstance(kind, StorageType) or not isinstance(key, str):
            raise CorruptCheckpointError("A storage has no type or no key.")
        check_integers((numel,))
        self.declare(kind.dtype, key, numel)
        if view and view[0] is not None:  # legacy: part of a larger storage
            _view_key, start, numel_of_view = view[0]
            check_integers((start, numel_of_view))
            if start + numel_of_view > numel:
                raise CorruptCheckpointError("A view of a storage leaves that storage.")
            return Storage(kind.dtype, key, start, numel_of_view, self)
        return Storage(kind.dtype, key, 0, numel, self)

    def network_class(self, pid):
        """Legacy streams wrap classes of networks: ("module", class, file, program text)."""
        if not isinstance(pid[1], Class):
            raise CorruptCheckpointError("A persistent id of a class is not of one.")
        return pid[1]

    def array(self, tensor):
        """The view that `tensor` describes, read-only."""
        self.budget.view(tensor.nbytes)
        storage = tensor.storage
        if tensor.nbytes == 0:
            return np.zeros(tensor.size, storage.dtype)
        if storage.key not in self.loaded:
            self.loaded[storage.key] = self.fetch(storage.key)
        item = storage.dtype.itemsize
        items = np.frombuffer(
            self.loaded[storage.key],
            self.native_order(storage.dtype),
            storage.numel - tensor.offset,
            (storage.start + tensor.offset) * item,
        )
        strides = [s * item for s in tensor.stride]
        return np.lib.stride_tricks.as_strided(items, tensor.size, strides, writeable=False)

    def native_order(self, dtype):
        return dtype

    def declare(self, dtype, key, numel):
        raise NotImplementedError

    def fetch(self, key):
        raise NotImplementedError


class _ZipStorages(_Storages):
    def __init__(self, archive, root, budget):
        super().__init__(budget)
        self.archive = archive
        self.root = root
        self.entries = archive.entries
        order = f"{root}byteorder"
        self.big_endian = order in self.entries and archive.read(order).strip() == b"big"

    def declare(self, dtype, key, numel):
        entry = self.entries.get(f"{self.root}data/{key}")
        available = -1 if entry is None else entry.file_size
        if numel * dtype.itemsize > available:
            raise CorruptCheckpointError(
                f"Storage `{key[:40]}` claims {numel} items of {dtype}, "
                + ("but the file lacks it." if entry is None else f"but has {available} bytes.")
            )

    def native_order(self, dtype):
        return dtype.newbyteorder(">") if self.big_endian and dtype.itemsize > 1 else dtype

    def fetch(self, key):
        return self.archive.view(f"{self.root}data/{key}")


class _LegacyStorages(_Storages):
    def __init__(self, source, budget):
        super().__init__(budget)
        self.source = source
        self.declared = {}
        self.places = {}

    def declare(self, dtype, key, numel):
        if self.declared.setdefault(key, (dtype, numel)) != (dtype, numel):
            raise CorruptCheckpointError(f"Storage `{key[:40]}` is described in two ways.")

    def locate(self, keys):
        """Behind the pickles: per key an item count (int64), then the items."""
        if not isinstance(keys, list) or add(set(), keys) != set(self.declared):
            raise CorruptCheckpointError("The list of storages differs from those that are used.")
        for key in keys:
            dtype, numel = self.declared[key]
            count = self.source.unpack("<q")
            start, length = self.source.file.tell(), numel * dtype.itemsize
            if count != numel or length > self.source.left:
                raise CorruptCheckpointError(
                    f"Storage `{key[:40]}` should hold {numel} items of {dtype}, but the file says "
                    f"{count} and has {self.source.left} bytes left. It may be incomplete."
                )
            self.places[key] = start, length
            self.source.file.seek(length, io.SEEK_CUR)

    def fetch(self, key):
        start, length = self.places[key]
        self.source.file.seek(start)
        return self.source.view(length)


def is_tree(name) -> bool:
    """Whether a zip entry is the pickle of a torch file."""
    return name == "data.pkl" or name.endswith("/data.pkl")


def _run(source, budget, persistent_load=no_storage, *, nested=False):
    """The tree of one pickle. `nested`: it is of a file within a pickle, and holds no other."""
    return Machine(source, budget, persistent_load, None if nested else _run_nested).run()


def run_zip(archive, budget, *, nested=False) -> object:
    """The tree of a torch zip file, with stand-ins."""
    pickles = [name for name in archive.namelist() if is_tree(name)]
    if len(pickles) != 1:
        raise CorruptCheckpointError(f"It is a zip file with {len(pickles)} `data.pkl`, not one.")
    storages = _ZipStorages(archive, pickles[0][: -len("data.pkl")], budget)
    stream = Source(io.BytesIO(archive.read(pickles[0])))
    return _run(stream, budget, storages.persistent_load, nested=nested)


def run_pickles(source, budget, *, nested=False) -> object:
    """The tree of a torch legacy stream, or of a single plain pickle, with stand-ins."""
    first = _run(source, budget, nested=nested)
    if type(first) is not int or first != _MAGIC:
        if source.left:
            raise CorruptCheckpointError(
                f"{source.left} bytes follow a pickle that does not begin a torch file."
            )
        return first
    protocol = _run(source, budget)
    if protocol != _LEGACY_PROTOCOL:
        raise CorruptCheckpointError(f"Its torch protocol is not {_LEGACY_PROTOCOL}.")
    _run(source, budget)  # byte order and sizes of the writer; the file's own are fixed
    storages = _LegacyStorages(source, budget)
    tree = _run(source, budget, storages.persistent_load, nested=nested)
    storages.locate(_run(source, budget))
    return tree


def _run_nested(content, budget):
    """The tree of a torch file whose bytes are within a pickle, with stand-ins."""
    source = Source(io.BytesIO(content))
    if not content.startswith(b"PK"):
        return run_pickles(source, budget, nested=True)
    if content.count(b"PK\x01\x02") > _NESTED_ENTRIES:
        raise CorruptCheckpointError("A torch file within a pickle has many entries.")
    archive = Zip(source)
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.entries.values()):
        raise CorruptCheckpointError("A torch file within a pickle is packed.")
    return run_zip(archive, budget, nested=True)
