"""The closed table of the names that a pickle may say.

A name of a module attribute is looked up in `GLOBALS`, whose entries are functions of this file,
then among the modules of networks in `CLASS_MODULES`, whose classes become objects that only hold
their state; any other name ends the reading with `UnsafeCheckpointError`, and nothing is imported,
called or instantiated. To read a further kind of file, add rows to `GLOBALS` or `CLASS_MODULES`.
"""

import re

import ml_dtypes
import numpy as np

from ganzoo.checkpoints.arrays import array_over
from ganzoo.checkpoints.containers import add, fill
from ganzoo.checkpoints.limits import check_integers
from ganzoo.checkpoints.stand_ins import (
    Call,
    Class,
    Constant,
    Inert,
    Nested,
    PickledArray,
    PickledDtype,
    Storage,
    StorageType,
    Tensor,
    TensorFlowNetwork,
    TorchModule,
    drop_sources,
)
from ganzoo.errors import CorruptCheckpointError, UnsafeCheckpointError


def _ordered_dict(pairs=()):
    """`OrderedDict()`, or with a list of pairs from Python 2."""
    if not isinstance(pairs, (list, tuple)) or not all(len(pair) == 2 for pair in pairs):
        raise CorruptCheckpointError("An OrderedDict is not made of a list of pairs.")
    return fill({}, [part for pair in pairs for part in pair])


def _size(size=()):
    if not isinstance(size, (list, tuple)):
        raise CorruptCheckpointError("A `torch.Size` is made of something that is no tuple.")
    return tuple(size)


def _rebuild_tensor(storage, offset, size, stride, *_):
    """`torch._utils._rebuild_tensor` and `_v2`: `offset` and `stride` in items."""
    if not isinstance(storage, Storage) or len(size) != len(stride):
        raise CorruptCheckpointError("A tensor has no storage, or a size without a stride.")
    check_integers((offset,))
    check_integers(size)
    check_integers(stride)
    last = sum((n - 1) * s for n, s in zip(size, stride))
    end = offset if 0 in size else offset + last + 1
    if end > storage.numel:
        raise CorruptCheckpointError(
            f"A tensor of size {size}, stride {stride} and offset {offset} leaves its storage "
            f"of {storage.numel} items."
        )
    return Tensor(storage, offset, tuple(size), tuple(stride))


def _rebuild_parameter(data, *_):
    if not isinstance(data, Tensor):
        raise CorruptCheckpointError("A parameter is not made of a tensor.")
    return data


def _numpy_scalar(dtype, raw):
    raw = raw.encode("latin1") if isinstance(raw, str) else raw
    return array_over(raw, dtype.dtype, ())[()]


def _numpy_frombuffer(raw, dtype, shape, order):
    """`numpy._core.numeric._frombuffer`: how protocol 5 spells a contiguous array."""
    if order not in ("C", "F"):
        raise CorruptCheckpointError("A NumPy array has an unknown order of axes.")
    return array_over(raw, dtype.dtype, shape, order=order)


def _encode(text, encoding):
    """Python 3 writes bytes as `_codecs.encode(text, "latin1")` in protocols below 3."""
    if encoding not in ("latin1", "latin-1"):
        raise CorruptCheckpointError("Bytes are spelled in an encoding other than latin1.")
    return text.encode("latin1")


def _namespace():
    return Inert("argparse.Namespace")


def _set(items=()):
    if not isinstance(items, (list, tuple)):
        raise CorruptCheckpointError("A set is not made of a list.")
    return add(set(), items)


def _frozenset(items=()):
    return frozenset(_set(items))


def _persistent_object(meta):
    """`torch_utils.persistence` of NVIDIA: class name, state and the program text of the class."""
    if not isinstance(meta, dict) or meta.get("type") != "class":
        raise CorruptCheckpointError("A persistent object is not described as one of a class.")
    if not isinstance(meta["class_name"], str):
        raise CorruptCheckpointError("The class of a persistent object has no name.")
    module = TorchModule(meta["class_name"])
    module.build(meta["state"])
    drop_sources(meta)
    return module


def _nothing(*_):
    """What says where a tensor was, or how it was computed."""


_STORAGES = {
    "FloatStorage": np.float32,
    "DoubleStorage": np.float64,
    "HalfStorage": np.float16,
    "BFloat16Storage": ml_dtypes.bfloat16,
    "LongStorage": np.int64,
    "IntStorage": np.int32,
    "ShortStorage": np.int16,
    "CharStorage": np.int8,
    "ByteStorage": np.uint8,
    "BoolStorage": np.bool_,
    "ComplexFloatStorage": np.complex64,
    "ComplexDoubleStorage": np.complex128,
}
_DTYPES = "float32 float64 float16 bfloat16 int64 int32 int16 int8 uint8 bool".split()

GLOBALS = {
    ("collections", "OrderedDict"): Call(_ordered_dict),
    ("argparse", "Namespace"): Call(_namespace),
    ("_codecs", "encode"): Call(_encode),
    ("torch._utils", "_rebuild_tensor"): Call(_rebuild_tensor),  # torch < 0.4
    ("torch._utils", "_rebuild_tensor_v2"): Call(_rebuild_tensor),
    ("torch._utils", "_rebuild_parameter"): Call(_rebuild_parameter),
    ("torch._utils", "_rebuild_parameter_with_state"): Call(_rebuild_parameter),
    ("torch.nn.parameter", "Parameter"): Call(_rebuild_parameter),  # torch < 0.4
    ("torch.autograd.variable", "Variable"): Call(_rebuild_parameter),  # torch < 0.4
    ("torch", "Size"): Call(_size),
    ("torch", "device"): Call(_nothing),
    ("torch.nn.backends.thnn", "_get_thnn_function_backend"): Call(_nothing),  # torch < 1.0
    ("torch.storage", "_load_from_bytes"): Nested(),
    ("torch_utils.persistence", "_reconstruct_persistent_obj"): Call(_persistent_object),
    ("dnnlib.util", "EasyDict"): Call(_ordered_dict),
    ("dnnlib.tflib.network", "Network"): Class("dnnlib.tflib.network.Network", TensorFlowNetwork),
    ("tfutil", "Network"): Class("tfutil.Network", TensorFlowNetwork),
    ("numpy", "ndarray"): Constant("numpy.ndarray"),
    ("numpy", "dtype"): Call(PickledDtype),
}
for _module in ("numpy.core.multiarray", "numpy._core.multiarray"):
    GLOBALS[_module, "_reconstruct"] = Call(PickledArray)
    GLOBALS[_module, "scalar"] = Call(_numpy_scalar)
for _module in ("numpy.core.numeric", "numpy._core.numeric"):
    GLOBALS[_module, "_frombuffer"] = Call(_numpy_frombuffer)
for _name, _dtype in _STORAGES.items():
    GLOBALS["torch", _name] = StorageType(np.dtype(_dtype))
    GLOBALS["torch.cuda", _name] = StorageType(np.dtype(_dtype))
for _name in _DTYPES:
    GLOBALS["torch", _name] = Constant(f"torch.{_name}")
for _module in ("builtins", "__builtin__"):
    GLOBALS[_module, "set"] = Call(_set)
    GLOBALS[_module, "frozenset"] = Call(_frozenset)

# Modules whose classes are networks: these, and the modules within them.
CLASS_MODULES = (
    "torch.nn.modules",
    "torch.nn.parallel",
    "torch.nn.utils",
    "model",  # DiscoGAN, HiFi-GAN and most research code
    "models",
    "networks",
    "training.networks",
    "training.networks_stylegan2",
    "training.networks_stylegan3",
    "training.augment",
    "R3GAN",
)
_CLASS = re.compile(r"[A-Z][A-Za-z0-9_]*")  # never a function, never an attribute of an attribute
_PACKAGE = re.compile(rf"({'|'.join(map(re.escape, CLASS_MODULES))})(\.[A-Za-z_][A-Za-z0-9_]*)*")


def look_up(module, name) -> Call | Nested | Class | Constant | StorageType:
    """The stand-in of a name. Raises: UnsafeCheckpointError: if there is none."""
    if (module, name) in GLOBALS:
        return GLOBALS[module, name]
    if _PACKAGE.fullmatch(module) and _CLASS.fullmatch(name):
        return Class(f"{module}.{name}", TorchModule)
    raise UnsafeCheckpointError(
        f"It names `{module[:80]}.{name[:80]}`, which is not among the globals that a "
        "checkpoint may name. Nothing of it was imported or run. Expected a file of arrays; "
        "a whole pickled model must be saved anew as `model.state_dict()` by who trusts it."
    )
