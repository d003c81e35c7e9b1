"""The hub: names to models.

A published model is a row of `weights_manifest.json` (see `weights_manifest.schema.json`): family,
files with their mirrors and sha256, licence. Weights in ganzoo's own form are `config.json` and one
safetensors file keyed `<network>/<address>`, where the address of a weight is its path inside the
network (`up0/kernel`), written in the family's code. Other people's files are read by
`convert.reader`, filled in by `foreign`, and kept beside the download in ganzoo's own form, so that
they are converted once. A published file is parsed only after its sha256 is verified, and nothing
in any file is ever executed.
"""

import collections.abc
import contextlib
import dataclasses
import difflib
import fnmatch
import functools
import hashlib
import json
import os
import pathlib
import re
import warnings
import zipfile

from ganzoo import families, fetch, resources
from ganzoo.errors import (
    CacheError,
    CheckpointError,
    HashError,
    LicenseError,
    PlannedModelError,
    UnknownModelError,
    UnsafeCheckpointError,
    WeightsError,
)

CONFIG, WEIGHTS = "config.json", "model.safetensors"
INITIAL = "initial weights"
LARGEST_CONFIG = 1 << 26  # bytes
ALIGNMENT = 64  # bytes; TensorFlow takes over a NumPy array whose memory begins so, without a copy
READABLE = ".pth .pt .ckpt .bin .tar .pkl .npz .npy .h5 .keras .safetensors".split()


# --- names


@functools.cache
def manifest() -> dict[str, dict]:
    """Every published model: {name: row}, see `weights_manifest.schema.json`."""
    return json.loads(resources.MANIFEST.read_text("utf-8"))


def full_name(name: str) -> str:
    """The manifest's name of a name or alias.

    Raises: UnknownModelError: with the nearest names.
    """
    rows = manifest()
    if name in rows:
        return name
    for full, row in rows.items():
        if name in row["aliases"]:
            return full
    known = [*rows, *(alias for row in rows.values() for alias in row["aliases"])]
    near = difflib.get_close_matches(str(name), known, n=4, cutoff=0.4)
    hint = f"The nearest names are {near}" if near else "`ganzoo list` shows every name"
    raise UnknownModelError(f"There is no model named {name!r}. {hint}. Received: name={name!r}")


def row_of(name: str) -> dict:
    """The manifest row of a name or alias.

    Raises: UnknownModelError: with the nearest names.
    """
    return manifest()[full_name(name)]


def list_models(
    pattern: str = "*", *, family=None, commercial=None, status: str | None = "available"
) -> list[str]:
    """Sorted names of published models.

    Args:
        pattern: of the shell, for names or aliases: `list_models("*fashion*")`.
        family: file in `families/`, such as `"dcgan"`; also of one that is only planned.
        commercial: `True`: only weights whose licence allows commercial use; `False`: only others.
        status: `"available"`, `"planned"` (ganzoo cannot read them yet), or `None` for both.

    Raises: ValueError: for a family or status that no row has.
    """
    rows = manifest()
    for argument, value in (("family", family), ("status", status)):
        legal = sorted({row[argument] for row in rows.values()})
        if value is not None and value not in legal:
            raise ValueError(f"`{argument}` must be one of {legal}. Received: {argument}={value!r}")
    return sorted(
        name
        for name, row in rows.items()
        if any(fnmatch.fnmatchcase(word, pattern) for word in (name, *row["aliases"]))
        and family in (None, row["family"])
        and status in (None, row["status"])
        and commercial in (None, not row["non_commercial"])
    )


def family_class(family: str):
    """The GAN class of `families/<family>.py`. Raises: ValueError: for one that does not exist."""
    return families.family_class(family)


# --- licences


def _check_licence(name, row, accepted):
    """Raises: LicenseError: for non-commercial weights, unless accepted now, once before or by
    `GANZOO_ACCEPT_LICENSE`.
    """
    if not row["non_commercial"]:
        return
    record = fetch.home() / "accepted_licenses.json"
    if name in _recorded(record) or _accepted_by_environment(name, row):
        return
    if not accepted:
        raise LicenseError(
            f"{name!r} is published under {row['license']!r} ({row['origin']}), which does not "
            "allow commercial use. If you agree to it: `accept_license=True` once, or "
            f"GANZOO_ACCEPT_LICENSE={name}; on the command line --accept-license"
        )
    with contextlib.suppress(CacheError, OSError), fetch.locked(record):  # else only this once
        scratch = record.with_suffix(f".{os.getpid()}")
        scratch.write_text(json.dumps(sorted({*_recorded(record), name})), "utf-8")
        scratch.replace(record)


def _recorded(record):
    return json.loads(record.read_text("utf-8")) if record.is_file() else []


def _accepted_by_environment(name, row):
    words = [word.strip() for word in os.environ.get("GANZOO_ACCEPT_LICENSE", "").split(",")]
    return any(word in (name, *row["aliases"], row["license"]) for word in words if word)


# --- loading


def load(
    name, *, family=None, pick=None, channel_order=None, accept_license=False, **overrides
):
    """A pretrained model, ready to `generate`, `compile` and `fit`.

    Args:
        name: a name or alias of `list_models()`; `hf://org/repo[@revision][/file]`; an
            `https://...` file; a folder written by `save_pretrained` or by `ganzoo train`; a
            `.keras` file of `gan.save`; or a foreign checkpoint (`.pth`, `.tar`, `.pkl`, `.npz`, a
            folder of `.npy`, ...), whose layout is recognised from its content: every network
            that it holds is filled.
        family: the file in `families/` that the model must be of, for a foreign file whose layout
            several families share. Defaults to `None`, any.
        pick: key of a foreign file under which the model lies, such as `"netG_ema"`, where it holds
            several. Defaults to `None`, whatever it holds.
        channel_order: `"rgb"` or `"bgr"`, of the images that a foreign file's networks make, where
            the file does not tell; ours are always RGB. Defaults to `None`.
        accept_license: bool. Non-commercial weights need it once; see the error.
        **overrides: constructor arguments of the family that differ from the published ones, such
            as `seed`, `ema`, `critic_steps`, `num_classes`, `channels`, `image_size` (or
            `resolution`). Where one changes the shape of weights, those that still fit are copied
            and `gan.unmatched` and a warning tell the others.

    Returns: the family's `GAN`. `gan.provenance` says per network where its weights came from: both
        players exist, and one that the checkpoint does not hold keeps its initial weights.
    Raises: ValueError: unknown family, pick or override; the types of `ganzoo.errors`:
        UnknownModelError, PlannedModelError, LicenseError, DownloadError (and its kinds),
        WeightsError (and its kinds).
    Example: `ganzoo.load("dcgan-digiface-64").generate(16, seed=0)`
    """
    place = locate(name, accept_license=accept_license)
    given = {"pick": pick, "channel_order": channel_order}
    given = {key: value for key, value in given.items() if value is not None}
    if given and place.kind != "foreign":
        key, value = next(iter(given.items()))
        raise ValueError(
            f"`{key}` is for foreign files; {place.origin!r} is none. Received: {key}={value!r}"
        )
    place = dataclasses.replace(place, files=[{**file, **given} for file in place.files])
    if place.kind == "keras":
        return _load_keras(place, family, overrides)
    if place.kind == "foreign" and not place.cached:
        return _load_file(place, family, overrides)
    row, arrays = _stored(place, family)
    _check_family(row["family"], family, place.origin)
    return _filled(row, arrays, place.origin, overrides)


def load_generator(name, *, accept_license=False):
    """The bare network that `load(name).generate` draws from, without a discriminator.

    Args, Raises: as `load`; for a `.keras` or a local foreign file the whole model is built on the
        way.
    Returns: `Generator`, for serving.
    """
    place = locate(name, accept_license=accept_license)
    if place.kind == "keras" or (place.kind == "foreign" and not place.cached):
        return _generator_of(load(name, accept_license=accept_license), place.origin)
    row, arrays = _stored(place)
    held = _networks_of(arrays)
    network = "generator_ema" if "generator_ema" in held else "generator"
    if network not in held:
        raise WeightsError(f"{place.origin!r} holds no generator. Received: networks={held}")
    return _lean(_network_class(row, place.origin), row, network, arrays.of(network), place.origin)


def _lean(cls, row, name, arrays, origin):
    """The network, whose variables begin as the stored arrays: no random numbers are drawn, and no
    weight is in memory twice.
    """
    import keras

    with keras.StatelessScope():  # variables are initialised when it ends
        network = cls.from_config(row["generator"]["config"])
        for key, variable in _check_fit({name: network}, arrays, origin).items():
            variable._initializer = functools.partial(_value, arrays, key)
    return network


def _value(arrays, key, shape, dtype=None):
    """A stored array as a tensor in the same memory, which TensorFlow needs to be aligned."""
    import tensorflow as tf

    array = arrays.read(key, tf.as_dtype(dtype).as_numpy_dtype)
    return tf.experimental.dlpack.from_dlpack(array.__dlpack__())


def download(name, *, accept_license=False) -> list[pathlib.Path]:
    """Brings every file of a published model, of an `hf://` or `https://` address into the cache.

    Returns: the local files (or folder), verified. Raises: as `load`.
    """
    return [
        pathlib.Path(file["path"]) for file in locate(name, accept_license=accept_license).files
    ]


def verify(name) -> list[dict]:
    """Checks the local files of a published model and that they fit its networks.

    Args: name: a name or alias of `list_models()` whose files are in the package or in the cache,
        and whose licence was accepted.
    Returns: for each file {"file", "ok", "message"}; nothing is fetched where `fetch.offline()`.
    """
    try:
        place, gan = locate(name), load(name)
    except (ValueError, OSError) as error:
        return [{"file": str(name), "ok": False, "message": _line(error)}]
    held = [net for net, origin in gan.provenance.items() if origin != INITIAL]
    message = f"{type(gan).__name__}: {', '.join(held)}"
    return [{"file": str(file["path"]), "ok": True, "message": message} for file in place.files]


# --- where weights are


@dataclasses.dataclass(frozen=True)
class Place:
    """Local files that `name` stands for.

    Args:
        kind: `"native"` (ganzoo's own form), `"keras"` or `"foreign"`.
        origin: for messages and `gan.provenance`.
        files: dicts with `path`, and for foreign files what `foreign.load` takes.
        row: of the manifest, or the `config.json` of a folder; `None` for other files.
        cached: bool. Downloaded, so that a conversion is kept.
    """

    kind: str
    origin: str
    files: list
    row: dict | None = None
    cached: bool = False


def locate(name, *, accept_license=False) -> Place:
    """Finds, or fetches, what `load(name)` reads. Raises: as `load`."""
    text = str(name)
    if text.startswith("hf://"):
        return _on_the_hub(text)
    if text.startswith(("https://", "http://")):
        return _of_file(fetch.fetch_url(text), text, cached=True)
    path = pathlib.Path(name)
    if not path.exists() or _is_published(text):
        if not _is_published(text) and (path.suffix in READABLE or len(path.parts) > 1):
            raise WeightsError(f"There is no file or folder {text!r}. Received: name={text!r}")
        return _published(full_name(text), accept_license)
    return _of_folder(path, text) if path.is_dir() else _of_file(path, text)


def _is_published(name):
    return name in manifest() or any(name in row["aliases"] for row in manifest().values())


def _published(name, accept_license):
    row = manifest()[name]
    if row["status"] == "planned":
        raise PlannedModelError(
            f"{name!r} is listed but cannot be loaded yet: {row['why']}. `ganzoo list` shows the "
            "models that can"
        )
    _check_licence(name, row, accept_license)
    files = [{**file, "path": fetch.fetch(file, name)} for file in row["files"]]
    native = all(file["converter"] is None for file in files)
    return Place("native" if native else "foreign", name, files, row, cached=True)


def _on_the_hub(text):
    match = re.fullmatch(r"hf://([^/@]+/[^/@]+)(?:@([^/]+))?(?:/(.+))?", text)
    if match is None:
        raise ValueError(
            "A model on the Hugging Face Hub is `hf://org/repo`, `hf://org/repo@revision` or "
            f"`hf://org/repo@revision/file`. Received: name={text!r}"
        )
    repo, revision, file = match.groups()
    if file is not None:
        return _of_file(fetch.fetch_hf(repo, file, revision), text, cached=True)
    return _of_folder(fetch.fetch_repo(repo, revision), text, cached=True)


def _of_folder(folder, origin, cached=False):
    if (folder / CONFIG).is_file() and (folder / WEIGHTS).is_file():
        return Place("native", origin, [{"path": folder / WEIGHTS}], _read_config(folder / CONFIG))
    arrays = sorted(folder.glob("*.npy"))
    if arrays:
        return Place("foreign", origin, [{"path": path} for path in arrays], cached=cached)
    if any(folder.glob("variables/variables*.index")) or any(folder.glob("*.index")):
        return Place("foreign", origin, [{"path": folder}], cached=cached)
    found = sorted(path for path in folder.iterdir() if path.suffix in READABLE)
    if len(found) == 1:
        return _of_file(found[0], origin, cached)
    raise WeightsError(
        f"{origin!r} holds no model: neither {CONFIG} with {WEIGHTS} (`gan.save_pretrained` writes "
        f"them) nor one checkpoint; name one of its files. Received: {[p.name for p in found]}"
    )


def _of_file(path, origin, cached=False):
    kind = "keras" if path.suffix == ".keras" else "foreign"
    return Place(kind, origin, [{"path": path}], cached=cached)


# --- foreign files


def _load_file(place, family, overrides):
    """A foreign file of the user's: the overrides settle what shapes do not tell, or change it."""
    try:
        gan, held = _convert(place, family, overrides)
    except CheckpointError:
        raise
    except WeightsError:
        if not overrides:
            raise
        gan, held = _convert(place, family)
        return _altered(gan, held, place.origin, overrides)
    gan.provenance = _complete(gan.networks(), held, place.origin)
    return gan


def _convert(place, family, overrides=None):
    """(GAN, names of the networks that the files hold)."""
    from ganzoo import foreign

    row = place.row or {}
    family = family or row.get("family")
    config = {**row.get("config", {}), **(overrides or {})}
    return foreign.load(
        place.files,
        family=family,
        config=config,
        channel_order=row.get("channel_order"),
        where=place.origin,
    )


def _stored(place, family=None):
    """(row, arrays) of a native place, or of the conversion of downloaded foreign files, which is
    made now if there is none or if it is damaged.
    """
    if place.kind == "native":
        return _read(place)
    folder = fetch.converted(_conversion_key(place, family))
    try:
        return _read(_of_folder(folder, place.origin))
    except (WeightsError, OSError):
        _keep(place, folder, family)
    return _read(_of_folder(folder, place.origin))


def _keep(place, folder, family):
    """Converts into a folder of the cache, unless another process has done so meanwhile."""
    from ganzoo import publish

    with fetch.locked(folder):
        try:
            _read(_of_folder(folder, place.origin))
        except (WeightsError, OSError):
            gan, held = _convert(place, family)
            with fetch.fresh_folder(folder) as scratch:
                publish.save(gan, scratch, networks=sorted(held))


def _conversion_key(place, family):
    """Changes with the files, with what was asked for and with the code that converts."""
    row = place.row or {}
    name = row.get("family") or family or "foreign"
    digest = hashlib.sha256()
    for file in place.files:
        known = file.get("sha256") or fetch.sha256_of(file["path"])
        asked = [file.get(key) for key in ("converter", "pick", "channel_order")]
        digest.update(f"{known} {asked} ".encode())
    digest.update(f"{family} {json.dumps(row.get('config'))}".encode())
    for source in sorted(resources.CONVERT.glob("*.py")):
        digest.update(source.read_bytes())
    return f"{name}-{digest.hexdigest()[:24]}"


# --- ganzoo's own form


def _read(place):
    """(row, {key: array}) of a native place; the arrays are read when they are asked for."""
    if place.kind != "native":
        raise WeightsError(f"{place.origin!r} has no {CONFIG} beside its weights")
    sha256 = place.row.get("sha256")  # of a folder; a published file was verified by `fetch`
    return place.row, read_safetensors(place.files[0]["path"], sha256=sha256)


def _read_config(path):
    try:
        row = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise WeightsError(
            f"{str(path)!r} is not readable as a model configuration ({_line(error)}); "
            "`gan.save_pretrained` writes one"
        ) from error
    keys = set(row) if isinstance(row, dict) else set()
    missing = {"family", "config", "generator"} - keys
    if missing:
        raise WeightsError(f"{str(path)!r} lacks {sorted(missing)}. Received: keys {sorted(keys)}")
    return row


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

    def shape(self, key):
        return self._places[key][1]

    def of(self, network):
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
            f"The weights file {str(path)!r} cannot be read: {_line(error)}"
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
            f"{str(path)!r} is not a whole safetensors file ({_line(error)}): {size} bytes "
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


def _networks_of(arrays):
    return sorted({key.split("/")[0] for key in arrays})


def _check_family(found, family, origin):
    if family is not None and family_class(family) is not family_class(found):
        raise ValueError(f"{origin!r} is of family {found!r}. Received: family={family!r}")


def _network_class(row, origin):
    module = families.module_of(row["family"])
    name = row["generator"]["class_name"]
    if name not in vars(module):
        raise WeightsError(
            f"{origin!r} names a network that its family lacks. Received: class_name={name!r}"
        )
    return vars(module)[name]


def _generator_of(gan, origin):
    if gan.provenance["generator"] == INITIAL:
        raise WeightsError(f"{origin!r} holds no generator. Received: provenance={gan.provenance}")
    return gan.published


def _load_keras(place, family, overrides):
    import keras

    path = place.files[0]["path"]
    if overrides:
        raise ValueError(f"A .keras file is loaded as it was saved. Received: {sorted(overrides)}")
    families.import_all()
    try:
        _refuse_other_classes(path, place.origin)
        gan = keras.models.load_model(path)
    except UnsafeCheckpointError:
        raise
    except (OSError, ValueError, TypeError, KeyError, zipfile.BadZipFile) as error:
        raise WeightsError(
            f"{place.origin!r} is not a readable .keras file: {_line(error)}"
        ) from error
    _check_family(type(gan).__module__.rpartition(".")[2], family, place.origin)
    gan.provenance = {network: place.origin for network in gan.networks()}
    return gan


def _refuse_other_classes(path, origin):
    """Keras imports whatever module a configuration names; only its own and ours are let through.

    Raises: UnsafeCheckpointError: naming the class. ValueError, KeyError, BadZipFile: damaged.
    """
    with zipfile.ZipFile(path) as archive:
        if archive.getinfo(CONFIG).file_size > LARGEST_CONFIG:
            raise ValueError(f"its {CONFIG} has more than {LARGEST_CONFIG} bytes")
        pending = [json.loads(archive.read(CONFIG))]
    while pending:
        value = pending.pop()
        parts = value.values() if isinstance(value, dict) else value
        pending += [part for part in parts if isinstance(part, (dict, list))]
        named = isinstance(value, dict) and ("class_name" in value or "module" in value)
        module = str((value.get("module") if named else None) or "keras")
        name = str(value.get("class_name")) if named else ""
        if module.split(".")[0] not in ("keras", "ganzoo") or "Lambda" in name:
            raise UnsafeCheckpointError(
                f"{origin!r} names the class `{module[:80]}.{name[:80]}`; only those of Keras and "
                "ganzoo are loaded. Nothing of it was imported"
            )


def _line(error):
    return (str(error).strip() or type(error).__name__).splitlines()[0]


# --- filling


def _filled(row, arrays, origin, overrides):
    """The GAN of a row with its weights; with overrides, those that still fit."""
    import keras

    families.module_of(row["family"])  # registers what the configuration names
    arguments = keras.saving.deserialize_keras_object(row["config"])
    gan = families.construct(row["family"], {**arguments, **overrides})
    gan.provenance = fill(gan.networks(), arrays, origin, partial=bool(overrides))
    if overrides:  # without them everything fitted
        gan.unmatched = _unmatched(gan.networks(), arrays)
        _warn(gan, origin)
    return gan


def _altered(gan, held, origin, overrides):
    """As `_filled`, of a model that was converted just now."""
    from ganzoo import publish
    from ganzoo.addresses import addresses

    arrays = _InMemory(
        {
            f"{name}/{address}": variable.numpy()
            for name in held
            for address, variable in addresses(gan.networks()[name]).items()
        }
    )
    return _filled(publish.describe(gan), arrays, origin, overrides)


class _InMemory(dict):
    def shape(self, key):
        return self[key].shape


def _wanted(networks, arrays):
    """{key: variable} of the networks of which `arrays` holds something."""
    from ganzoo.addresses import addresses

    held = _networks_of(arrays)
    return {
        f"{name}/{address}": variable
        for name, network in networks.items()
        if name in held
        for address, variable in addresses(network).items()
    }


def _unmatched(networks, arrays) -> dict[str, str]:
    """{key: why} for every weight and every array that has no partner of its shape."""
    wanted = _wanted(networks, arrays)
    faults = {key: "the file lacks it" for key in wanted if key not in arrays}
    faults |= {key: "the model lacks it" for key in arrays if key not in wanted}
    return faults | {
        key: f"{arrays.shape(key)} in the file, {tuple(variable.shape)} in the model"
        for key, variable in wanted.items()
        if key in arrays and arrays.shape(key) != tuple(variable.shape)
    }


def _warn(gan, origin):
    if gan.unmatched:
        shown = "; ".join(f"`{key}`: {why}" for key, why in list(gan.unmatched.items())[:4])
        warnings.warn(
            f"{len(gan.unmatched)} weights of {origin!r} do not fit the altered model, whose own "
            f"keep their initial values there: {shown}. All of them: `gan.unmatched`",
            stacklevel=4,
        )


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
    arrays = arrays if isinstance(arrays, (Arrays, _InMemory)) else _InMemory(arrays)
    for key, variable in _check_fit(networks, arrays, origin, partial).items():
        variable.assign(arrays[key].astype(variable.dtype, copy=False))
    return _complete(networks, set(_networks_of(arrays)), origin)


def _check_fit(networks, arrays, origin, partial=False):
    """{key: variable} of all that fits. Raises: as `fill`."""
    wanted, faults = _wanted(networks, arrays), _unmatched(networks, arrays)
    fitting = {key: variable for key, variable in wanted.items() if key not in faults}
    generators = {name for name in _networks_of(arrays) if name.startswith("generator")}
    trunk = not generators or any(key.split("/")[0] in generators for key in fitting)
    if faults and not (partial and fitting and trunk):
        shown = "; ".join(f"`{key}`: {why}" for key, why in list(faults.items())[:10])
        raise WeightsError(
            f"The weights of {origin!r} do not fit the model in {len(faults)} places: {shown}"
        )
    return fitting


def _complete(networks, held, origin):
    """The provenance, after copying one half of `generator`, `generator_ema` to a half not held."""
    provenance = {name: origin if name in held else INITIAL for name in networks}
    for name, other in (("generator", "generator_ema"), ("generator_ema", "generator")):
        if name in networks and name not in held and other in held and other in networks:
            networks[name].set_weights(networks[other].get_weights())
            provenance[name] = f"{origin}, copied from {other}"
    return provenance
