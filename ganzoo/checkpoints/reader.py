"""Foreign checkpoints as NumPy arrays, without torch and without running anything.

Reads, recognised by content and never by file name:

* torch zip files and legacy streams of storages (see `torch_files`),
* whole `torch.nn.Module`s in either of these, and NVIDIA's pickles of networks: those of PyTorch,
  whose storages are legacy streams within the pickle, and those of TensorFlow 1 (ProGAN on); see
  `networks` for what they become,
* plain pickles of numbers and NumPy arrays, those of Python 2 among them (see `pickles`),
* `.npy`, `.npz`, folders of `.npy`, and `.safetensors` (see `arrays`),
* HDF5 of Keras (`.h5`, `.weights.h5`, `.keras`; see `hdf5`),
* TensorFlow checkpoints, SavedModels and TF-Hub modules (see `tensor_bundle`);

and every single file of these also packed by xz.

Everything that a file claims is compared with what it holds before memory is asked for: a storage
with the bytes there are, a tensor with its storage, opcodes, tensors and nesting with `limits`,
over all files within the file. What is not as it should be raises `CorruptCheckpointError`.
"""

import contextlib
import io
import os
import pathlib

from ganzoo.checkpoints import hdf5, networks, tensor_bundle, torch_files
from ganzoo.checkpoints.archives import GZIP_MAGIC, XZ_MAGIC, Zip, unpack_xz
from ganzoo.checkpoints.arrays import NPY_MAGIC, is_safetensors, load_npy, load_safetensors
from ganzoo.checkpoints.limits import RAW_ERRORS, Budget
from ganzoo.checkpoints.source import Source
from ganzoo.checkpoints.trees import META, flatten
from ganzoo.errors import CheckpointError, CorruptCheckpointError, UnsafeCheckpointError

__all__ = ["META", "flatten", "load", "read"]

_LOOKS = (
    (b"version https://git-lfs", "a git-LFS pointer; fetch the file itself with `git lfs pull`"),
    (hdf5.MAGIC, "an HDF5 file"),
    (GZIP_MAGIC, "gzip; unless it is a `.tar.gz` of a TensorFlow checkpoint, unpack it first"),
    (XZ_MAGIC, "xz"),
    (b"BZh", "bzip2; unpack it first"),
    (b"PK", "a zip file"),
    (b"<", "an HTML or XML page, which a server sends in place of a missing file"),
    (b"{", "JSON text"),
    (b"\x00" * 16, "zeros, as of a download that never ran"),
)


def _describe(head):
    if not head:
        return "It is empty."
    text = head.lstrip(b" \r\n\t\xef\xbb\xbf")  # blanks and a byte-order mark
    looks = [look for start, look in _LOOKS if text.startswith(start)]
    if head[257:262] == b"ustar":
        looks = ["a tar archive; unpack it first (torch files older than 0.1.10 are such archives)"]
    return f"It begins with {head[:16]!r}" + (f": {looks[0]}." if looks else ".")


def _load_zip(source):
    archive = Zip(source)
    names = archive.namelist()
    budget = Budget(sum(entry.file_size for entry in archive.entries.values()))
    if any(torch_files.is_tree(name) for name in names):
        return networks.resolve(torch_files.run_zip(archive, budget), budget)
    if names and all(name.endswith(".npy") for name in names):  # npz
        return {n[: -len(".npy")]: load_npy(Source(io.BytesIO(archive.read(n)))) for n in names}
    if hdf5.KERAS_WEIGHTS in names:
        return hdf5.load_keras(archive, hdf5.KERAS_WEIGHTS)
    shown = ", ".join(f"`{n[:40]}`" for n in names[:5]) or "nothing"
    raise CorruptCheckpointError(
        "It is a zip file, but neither of torch (one `data.pkl`), nor of Keras "
        f"(`{hdf5.KERAS_WEIGHTS}`), nor an `.npz`. It holds {shown}."
    )


def _load_pickles(source):
    """A torch legacy stream, or a single plain pickle."""
    budget = Budget(source.size)
    return networks.resolve(torch_files.run_pickles(source, budget), budget)


def _load_file(file, *, packed=None):
    source = Source(file, packed)
    head = source.file.read(512)
    source.file.seek(0)
    if not head:
        raise CorruptCheckpointError("It is empty.")
    try:
        if head.startswith(b"PK"):
            return _load_zip(source)
        if head.startswith(NPY_MAGIC):
            return load_npy(source)
        if head.startswith(XZ_MAGIC):
            return _load_file(io.BytesIO(unpack_xz(source)), packed=source.size)
        if is_safetensors(source, head):
            return load_safetensors(source)
        if head.startswith(hdf5.MAGIC):
            return hdf5.load(source.file)
        if head.startswith(GZIP_MAGIC):
            return tensor_bundle.load_tar_gz(source.file)
        return _load_pickles(source)
    except UnsafeCheckpointError:
        raise
    except CorruptCheckpointError as error:
        raise CorruptCheckpointError(f"{error} {_describe(head)}") from error
    except RAW_ERRORS as error:
        raise CorruptCheckpointError(
            f"It is damaged or cut off ({type(error).__name__}). {_describe(head)}"
        ) from error


@contextlib.contextmanager
def _named(name):
    try:
        yield
    except CheckpointError as error:
        raise type(error)(f"Cannot read the checkpoint `{name}`. {error}") from error


def _load_folder(folder):
    paths = sorted(path for path in folder.iterdir() if path.suffix == ".npy")
    if not paths:
        raise CorruptCheckpointError(
            f"Cannot read the checkpoint `{folder}`. It is a folder without `.npy` files and "
            "without a TensorFlow checkpoint (`variables/` or `*.index`)."
        )
    return {path.stem: load(path) for path in paths}


def _load_bundle(prefix):
    try:
        return tensor_bundle.load_prefix(prefix)
    except (CheckpointError, OSError):
        raise
    except RAW_ERRORS as error:
        raise CorruptCheckpointError(
            f"It is damaged or cut off ({type(error).__name__})."
        ) from error


def load(path) -> object:
    """The tree that a checkpoint holds: dictionaries, lists, scalars and arrays.

    Args:
        path: str, path or binary file; the latter is read into memory up to its end. A folder
            stands for its `.npy` files, keyed by file name without the suffix, or for the
            TensorFlow checkpoint in it; a checkpoint's `.index` or prefix may be given too.
    Returns: the tree. Arrays are read-only and may share memory, as tied weights do. A single
        `.npy` gives its array; `.npz`, `.safetensors` and folders give `{name: array}`; a network
        in a pickle gives a dict like its weights' names, see `networks`.
    Raises:
        FileNotFoundError: if there is no such file.
        UnsafeCheckpointError: if the file names a class or function that is neither in the
            `GLOBALS` nor of the `CLASS_MODULES` of `vocabulary`.
        CorruptCheckpointError: if it is truncated, damaged or of another kind.
    """
    if not isinstance(path, (str, os.PathLike)):
        with _named(path):
            return _load_file(io.BytesIO(path.read()))
    path = pathlib.Path(path)
    prefix = tensor_bundle.prefix_of(path)
    if prefix is not None:
        with _named(prefix):
            return _load_bundle(prefix)
    if path.is_dir():
        return _load_folder(path)
    with open(path, "rb") as file, _named(path):
        return _load_file(file)


def read(path, pick=None) -> dict:
    """The arrays of a checkpoint as `{dotted name: array}`, without running anything.

    Args:
        path: as for `load`.
        pick: str. Key of a wrapper, such as `"netG_state_dict"` or `"model_state_dict"`: only
            what is below is returned, named without it. Defaults to `None`, the whole tree.
    Returns: dict of read-only arrays, of the dtypes in the file (bfloat16 through `ml_dtypes`).
    Raises: as `load`; also CheckpointError: if `pick` is not a key, or there are no arrays.
    Example:
        >>> arrays = read("weights.tar", pick="netG_state_dict")
        >>> arrays["main.0.weight"].shape
        (100, 512, 4, 4)
    """
    tree = load(path)
    with _named(path):
        if pick is not None:
            keys = list(tree) if isinstance(tree, dict) else []
            if pick not in keys:
                shown = ", ".join(repr(key) for key in keys[:20]) or "none"
                raise CheckpointError(f"It lacks a key. Received: pick={pick!r}. Keys: {shown}.")
            tree = tree[pick]
        arrays = flatten(tree)
        if not arrays:
            raise CheckpointError("It holds no arrays.")
    return arrays
