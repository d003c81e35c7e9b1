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

import io
import json
import math
import os
import struct

import ml_dtypes
import numpy as np

from ganzoo.checkpoints.archives import Zip
from ganzoo.checkpoints.hdf5_messages import (
    ATTRIBUTE,
    ATTRIBUTE_INFO,
    EXTERNAL,
    FILTERS,
    LAYOUT,
    LINK,
    LINK_INFO,
    SPACE,
    SYMBOL_TABLE,
    TYPE,
    Block,
    Type,
    attribute,
    filters_of,
    only,
    space,
    type_of,
    unfilter,
)
from ganzoo.checkpoints.hdf5_structures import MAGIC, NOWHERE, Structures
from ganzoo.checkpoints.limits import MAX_DEPTH, MAX_TENSORS, RAW_ERRORS
from ganzoo.checkpoints.source import Source
from ganzoo.checkpoints.trees import META, flatten
from ganzoo.errors import CorruptCheckpointError

__all__ = ["KERAS_WEIGHTS", "MAGIC", "arrays", "load", "load_keras"]

KERAS_WEIGHTS = "model.weights.h5"  # the entry of a `.keras` file, which is a zip


def arrays(file, entry=None) -> dict:
    """The arrays of an HDF5 file by their paths, as Keras' `model.weights.h5` has them.

    Args:
        file: str or path; a seekable binary file; or the bytes, of which arrays are views.
        entry: str. Where `file` is a zip: the name of its entry that is the HDF5 file, such as
            `KERAS_WEIGHTS` of a `.keras` file. It is unpacked in memory, within the limits of
            `archives.Zip`. Defaults to `None`: `file` is the HDF5 file itself.
    Returns: {path from the root, without a leading slash: read-only array}. Attributes, data sets
        of text and groups without arrays are left out.
    Raises:
        FileNotFoundError: if there is no such file.
        CorruptCheckpointError: if it is truncated, damaged or of another kind, lacks the entry,
            refers to another file, or claims more than it holds.
    Example:
        >>> arrays("dcgan.keras", KERAS_WEIGHTS)["discriminator/layers/conv2d/vars/0"].shape
        (4, 4, 1, 4)
    """
    if isinstance(file, (str, os.PathLike)):
        with open(file, "rb") as opened:
            return arrays(opened, entry)
    if isinstance(file, (bytes, bytearray, memoryview)):
        return arrays(io.BytesIO(file), entry)
    try:
        if entry is not None:
            archive = Zip(Source(file))
            if entry not in archive.entries:
                raise CorruptCheckpointError(f"The zip file lacks the entry `{entry}`.")
            file = io.BytesIO(archive.read(entry))
        return flatten(load(file), separator="/")
    except CorruptCheckpointError:
        raise
    except RAW_ERRORS as error:
        raise CorruptCheckpointError(
            f"It is damaged or cut off ({type(error).__name__})."
        ) from error


def load(file) -> dict:
    """The groups of an HDF5 file as nested dictionaries of arrays.

    Args:
        file: seekable binary file. Arrays share the bytes of an `io.BytesIO`, and copy others.
    Returns: dict. Each group is a dict from name to group or read-only array; its attributes, and
        its data sets of text, stand under `reader.META` as plain values.
    Raises: CorruptCheckpointError, or what parsing damaged bytes raises (see `reader.load`).
    """
    return _File(file).root()


def load_keras(archive, weights) -> dict:
    """The weights of a `.keras` file. Its configuration is data here: no class of it is looked up.

    Args:
        archive: an open zip file, `read(name)` and `namelist()`, whose entries' sizes were checked.
        weights: str. Name of the entry with the weights.
    Returns: as `load`; `reader.META` also has `config` and `metadata`, the parsed JSON files.
    """
    tree = load(io.BytesIO(archive.read(weights)))
    texts = {key: f"{key}.json" for key in ("config", "metadata")}
    names = archive.namelist()
    settings = {key: json.loads(archive.read(n)) for key, n in texts.items() if n in names}
    return {**tree, META: {**tree.get(META, {}), **settings}}


class _File(Structures):
    """One file: its groups, data sets and attributes."""

    def __init__(self, file):
        super().__init__(file)
        self.tensors = 0
        self.nodes = {}  # address of an object header -> group or array, None while it is read

    def root(self):
        address = self.superblock()
        tree, _ = self.node(address, "/", 0)
        if not isinstance(tree, dict):
            raise CorruptCheckpointError("Its root is no group.")
        return tree

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
            content = self.dataset(messages, name)
        else:
            if not messages.keys() & {SYMBOL_TABLE, LINK_INFO, LINK}:
                raise CorruptCheckpointError(f"`{name:.80}` is neither a group nor a data set.")
            content = self.group(messages, name, depth), False
        self.nodes[address] = content
        return content

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
        values = {}
        for block in blocks:
            name, kind, shape, data = attribute(block)
            if kind is not None and kind.kind != "other" and shape is not None:
                values[name] = self.plain_value(kind, shape, data)
        return values

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

    # Data sets

    def dataset(self, messages, name):
        """(array, False), or (text, True)."""
        self.tensors += 1
        if self.tensors > MAX_TENSORS:
            raise CorruptCheckpointError(f"It holds more than {MAX_TENSORS} data sets.")
        if EXTERNAL in messages:
            raise CorruptCheckpointError(f"`{name:.80}` is stored in another file. None was read.")
        shape, kind = space(Block(only(messages, SPACE))), type_of(Block(only(messages, TYPE)))
        if kind.name == "opaque" and self.attributes(messages).get("dtype") == "bfloat16":
            kind = Type("number", 2, np.dtype(ml_dtypes.bfloat16))
        if kind.kind == "other":
            raise CorruptCheckpointError(f"`{name:.80}` is of type {kind.name}, not of numbers.")
        if shape is None:
            shape = (0,)
        filters = filters_of(Block(messages[FILTERS][0])) if FILTERS in messages else []
        data = self.stored(Block(only(messages, LAYOUT)), shape, kind.size, filters, name)
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
            data = unfilter(self.bytes_at(address, stored), filters, mask, needed)
            place = tuple(slice(o, o + c) for o, c in zip(offsets, size))
            part = whole[place]
            chunk = np.frombuffer(data, np.uint8).reshape(*size, item)
            part[...] = chunk[tuple(slice(n) for n in part.shape)]
            seen.add(offsets)
        if len(seen) != count:
            raise CorruptCheckpointError(f"`{name:.80}` has {len(seen)} of its {count} chunks.")
        return whole.reshape(-1)
