"""A model on disk, both ways: `config.json` and one safetensors file keyed `<network>/<address>`.
"""

import collections.abc
import contextlib
import json
import os
import pathlib
import shutil
import tempfile
import time

from ganzoo import families, fetch
from ganzoo.addresses import addresses
from ganzoo.errors import HashError, WeightsError, first_line
from ganzoo.origin import INITIAL, Origin

CONFIG, WEIGHTS = "config.json", "model.safetensors"
ROW = ("family", "config")  # what tells our config.json from another's
SCRATCH = ".ganzoo-"  # folders inside the model's, from which finished files are moved
ALIGNMENT = 64  # bytes; TensorFlow takes over a NumPy array whose memory begins so, without a copy


# --- reading


def read_config(path) -> dict:
    """The `config.json` of a model's folder. Raises: WeightsError: damaged, or another's."""
    try:
        row = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise WeightsError(
            f"{str(path)!r} is not readable as a model configuration ({first_line(error)}); "
            "`gan.save_pretrained` writes one"
        ) from error
    keys = set(row) if isinstance(row, dict) else set()
    missing = {*ROW, "generator"} - keys - ({"generator"} if "generators" in keys else set())
    if missing:
        raise WeightsError(f"{str(path)!r} lacks {sorted(missing)}. Received: keys {sorted(keys)}")
    return row


def generators_of(row) -> dict[str, dict]:
    """{name: {"class_name", "config"}} of the networks that a row offers one by one, the main one
    first. Rows of one generator have said `generator`.
    """
    if "generators" in row:
        return row["generators"]
    ema = "generator_ema" in row.get("holds", ()) or row["config"].get("ema") is not None
    return {"generator_ema" if ema else "generator": row["generator"]}


class Arrays(collections.abc.Mapping):
    """The arrays of a safetensors file, each read from disk when it is looked up."""

    def __init__(self, path, places):
        self.path = path
        self._places = places  # key -> (dtype, shape, first byte)

    def __getitem__(self, key):
        return self.read(key)

    def read(self, key, dtype=None):
        """The array, in memory that begins at a multiple of `ALIGNMENT`."""
        import numpy as np

        stored, shape, start = self._places[key]
        size = int(np.prod(shape, dtype="int64")) * stored.itemsize
        array = _aligned(size).view(stored).reshape(shape)
        with open(self.path, "rb") as file:
            file.seek(start)
            file.readinto(array.reshape(-1).view("uint8"))
        if dtype in (None, stored):
            return array
        other = _aligned(array.size * np.dtype(dtype).itemsize).view(dtype).reshape(shape)
        other[...] = array
        return other

    def __iter__(self):
        return iter(self._places)

    def __len__(self):
        return len(self._places)

    def shape(self, key) -> tuple[int, ...]:
        return self._places[key][1]

    def of(self, network) -> "Arrays":
        """Those of one network."""
        chosen = {k: place for k, place in self._places.items() if k.startswith(f"{network}/")}
        return Arrays(self.path, chosen)


def _aligned(size):
    import numpy as np

    room = np.empty(size + ALIGNMENT, "uint8")
    first = -room.ctypes.data % ALIGNMENT
    return room[first : first + size]


def read_safetensors(path, *, sha256=None) -> Arrays:
    """The arrays of a safetensors file, verified first and read one at a time.

    Args: sha256: 64 hex digits or `None`.
    Raises: WeightsError: absent, truncated or not safetensors; HashError: wrong hash. Both name the
        file.
    """
    import safetensors

    path = pathlib.Path(path)
    try:
        size, found = path.stat().st_size, fetch.sha256_of(path) if sha256 else None
        with open(path, "rb") as file:
            head = file.read(16)
    except OSError as error:
        raise WeightsError(
            f"The weights file {str(path)!r} cannot be read: {first_line(error)}"
        ) from error
    if found != sha256:
        raise HashError(
            f"{str(path)!r} is corrupt: sha256 {found} instead of {sha256}, {size} bytes "
            f"beginning {head!r}. Reinstall keras-ganzoo or fetch the file again"
        )
    try:
        with safetensors.safe_open(path, "np"):  # checks the header against the file's size
            return Arrays(path, _places_in(path))
    except (safetensors.SafetensorError, ValueError, KeyError) as error:
        raise WeightsError(
            f"{str(path)!r} is not a whole safetensors file ({first_line(error)}): {size} bytes "
            f"beginning {head!r}. Fetch it again"
        ) from error


def _places_in(path):
    import ml_dtypes
    import numpy as np

    kinds = {"F16": "f2", "F32": "f4", "F64": "f8", "I32": "i4", "I64": "i8", "U8": "u1"}
    kinds = {name: np.dtype(f"<{kind}") for name, kind in kinds.items()}
    kinds |= {"BF16": np.dtype(ml_dtypes.bfloat16), "BOOL": np.dtype(bool)}
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
    header.pop("__metadata__", None)
    return {
        key: (kinds[row["dtype"]], tuple(row["shape"]), 8 + length + row["data_offsets"][0])
        for key, row in header.items()
    }


def networks_of(arrays) -> list[str]:
    """Names of the networks of which `arrays` holds something."""
    return sorted({key.split("/")[0] for key in arrays})


class InMemory(dict):
    """`Arrays` that are NumPy arrays."""

    def shape(self, key) -> tuple[int, ...]:
        return self[key].shape


# --- filling


def _variables(networks, arrays):
    """{key: variable} of the networks of which `arrays` holds something."""
    names = networks_of(arrays)
    return {
        f"{name}/{address}": variable
        for name, network in networks.items()
        if name in names
        for address, variable in addresses(network).items()
    }


def unmatched(networks, arrays) -> dict[str, str]:
    """{key: why} for every weight and every array that has no partner of its shape."""
    variables = _variables(networks, arrays)
    faults = {key: "the file lacks it" for key in variables if key not in arrays}
    faults |= {key: "the model lacks it" for key in arrays if key not in variables}
    return faults | {
        key: f"{arrays.shape(key)} in the file, {tuple(variable.shape)} in the model"
        for key, variable in variables.items()
        if key in arrays and arrays.shape(key) != tuple(variable.shape)
    }


def fill(networks: dict, arrays, origin: str, *, partial=False) -> dict[str, str]:
    """Assigns every array to its weight; returns the provenance per network.

    A network of which the file holds nothing keeps its initial weights; if it is one half of the
    pair `generator`, `generator_ema`, it gets the other half's.

    Args:
        arrays: `Arrays`, or {key: NumPy array}.
        partial: bool. Arrays without a weight of their shape are left out, as long as something
            of a generator fits; by default they are an error.

    Raises: WeightsError: listing up to ten arrays or weights that do not fit; then nothing was
        assigned.
    """
    arrays = arrays if isinstance(arrays, (Arrays, InMemory)) else InMemory(arrays)
    for key, variable in check_fit(networks, arrays, origin, partial).items():
        variable.assign(arrays[key].astype(variable.dtype, copy=False))
    return complete(networks, set(networks_of(arrays)), origin)


def check_fit(networks, arrays, origin, partial=False) -> dict:
    """{key: variable} of all that fits. Raises: as `fill`."""
    faults = unmatched(networks, arrays)
    variables = _variables(networks, arrays)
    fitting = {key: variable for key, variable in variables.items() if key not in faults}
    generators = {name for name in networks_of(arrays) if name.startswith("generator")}
    trunk = not generators or any(key.split("/")[0] in generators for key in fitting)
    if faults and not (partial and fitting and trunk):
        shown = "; ".join(f"`{key}`: {why}" for key, why in list(faults.items())[:10])
        raise WeightsError(
            f"The weights of {origin!r} do not fit the model in {len(faults)} places: {shown}"
        )
    return fitting


def complete(networks, held, origin) -> dict[str, Origin]:
    """The provenance, after copying one half of every pair `X`, `X_ema` to a half not held.

    Args: held: names of the networks that the source holds.
    """
    provenance = {name: Origin(origin) if name in held else INITIAL for name in networks}
    for name in networks:
        other = name.removesuffix("_ema") if name.endswith("_ema") else f"{name}_ema"
        if name not in held and other in held and other in networks:
            networks[name].set_weights(networks[other].get_weights())
            provenance[name] = Origin(origin, copied_from=other)
    return provenance


# --- writing


def describe(gan) -> dict:
    """What `config.json` and a manifest row say of a model."""
    import keras

    family = families.name_of(type(gan))
    return {
        "family": family,
        "config": {k: v for k, v in gan.get_config().items() if k != "name"},
        "generators": {
            name: {
                "class_name": families.network_name(family, type(network)),
                "config": network.get_config(),
            }
            for name, network in gan.generators().items()
        },
        "holds": sorted(gan.networks()),
        "keras_version": keras.__version__,
    }


def save(gan, folder, *, networks=None, dtype="float32") -> pathlib.Path:
    """Writes `config.json` and `model.safetensors`, which `load(folder)` reads.

    Args:
        folder: made if absent. Its other files stay.
        networks: names out of `gan.networks()`. Defaults to all of them.
        dtype: `"float32"` or `"float16"`, of the stored kernels; biases and normalisations stay as
            they are. Loading restores the variable's own.

    Returns: the folder.
    Raises: ValueError: for an unknown network or dtype, or a kernel too large for it. OSError: if
        the folder cannot be written.
    """
    networks, folder = chosen(gan, networks, dtype), pathlib.Path(folder)
    with replacing(folder) as scratch:
        write_model(gan, scratch, networks, dtype)
    return folder


def chosen(gan, networks, dtype) -> list[str]:
    """`networks`, or all of them. Raises: ValueError: unknown ones, or another `dtype`."""
    networks = list(gan.networks()) if networks is None else list(networks)
    unknown = sorted(set(networks) - set(gan.networks()))
    if unknown or not networks or dtype not in ("float16", "float32"):
        raise ValueError(
            f"`networks` are some of {list(gan.networks())}, `dtype` is 'float16' or 'float32'. "
            f"Received: networks={networks}, dtype={dtype!r}"
        )
    return networks


def write_model(gan, folder, networks, dtype) -> None:
    """`config.json` and the weights into an existing folder."""
    import safetensors.numpy

    arrays = {}
    for name in networks:
        for address, variable in addresses(gan.networks()[name]).items():
            arrays[f"{name}/{address}"] = _stored(variable.numpy(), dtype, f"{name}/{address}")
    safetensors.numpy.save_file(arrays, folder / WEIGHTS, metadata={"format": "ganzoo"})
    config = {**describe(gan), "holds": sorted(networks)}
    config["sha256"] = fetch.sha256_of(folder / WEIGHTS)
    _write_json(folder / CONFIG, config)
    shutil.copymode(folder / CONFIG, folder / WEIGHTS)  # safetensors lets the owner alone read


def _write_json(path, value):
    path.write_text(json.dumps(value, indent=2) + "\n", "utf-8")


def _stored(value, dtype, key):
    import numpy as np

    if value.dtype.kind != "f" or value.ndim < 2:  # a batch norm's numbers: few, and they matter
        return np.asarray(value)  # TensorFlow gives scalars of no array
    with np.errstate(over="ignore"):
        stored = value.astype(dtype)
    if np.isinf(stored).any() and not np.isinf(value).any():
        largest = np.abs(value).max()
        raise ValueError(
            f"`{key}` exceeds {dtype}: use dtype='float32'. Received: values up to {largest:.4g}"
        )
    return stored


# --- replacing a model's files


@contextlib.contextmanager
def replacing(folder) -> collections.abc.Iterator[pathlib.Path]:
    """A scratch folder inside `folder`, whose files take their places at success.

    Raises: OSError: naming the folder, where it cannot be written.
    """
    import safetensors

    try:
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.glob(f"{SCRATCH}*"):
            if time.time() - left.stat().st_mtime > 3600:  # of a process that was killed
                shutil.rmtree(left, ignore_errors=True)
        with tempfile.TemporaryDirectory(prefix=SCRATCH, dir=folder) as scratch:
            yield pathlib.Path(scratch)
            _take_over(pathlib.Path(scratch), folder)
    except (OSError, safetensors.SafetensorError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        wrapped = OSError(
            f"The model's folder {str(folder)!r} cannot be written ({reason}); make room or name "
            "another"
        )
        wrapped.errno = error.errno if isinstance(error, OSError) else None
        raise wrapped from error


def _take_over(scratch, folder):
    """Moves the files of a model out of `scratch`, so that `folder` can be loaded at any moment.

    `config.json` holds the weights' hash; while the weights change it is without.
    """
    for path in scratch.iterdir():
        with path.open("rb+") as stream:
            os.fsync(stream.fileno())
    old = config_in(folder)
    if old is None:
        os.replace(scratch / CONFIG, folder / CONFIG)
        os.replace(scratch / WEIGHTS, folder / WEIGHTS)
    else:
        unpinned = scratch / f"unpinned-{CONFIG}"
        _write_json(unpinned, {key: value for key, value in old.items() if key != "sha256"})
        os.replace(unpinned, folder / CONFIG)
        os.replace(scratch / WEIGHTS, folder / WEIGHTS)
        os.replace(scratch / CONFIG, folder / CONFIG)
    for path in scratch.iterdir():
        os.replace(path, folder / path.name)


def config_in(folder) -> dict | None:
    """Our `config.json` of a folder; `None` where there is none, or another's."""
    try:
        config = json.loads((folder / CONFIG).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return config if isinstance(config, dict) and set(ROW) <= set(config) else None
