"""The hub: names to models, weights to files and back.

A published model is a row of `weights_manifest.json`: family, configuration, files with their
sha256, licence. Its weights are one safetensors file keyed `<network>/<address>`, where the address
of a weight is its path inside the network (`up0/kernel`), written in the family's code. A published
file is parsed only after its sha256 is verified, and nothing in any file is ever executed.
"""

import difflib
import fnmatch
import functools
import hashlib
import importlib
import json
import pathlib

HERE = pathlib.Path(__file__).parent
CONFIG, WEIGHTS = "config.json", "model.safetensors"
INITIAL = "initial weights"


class WeightsError(ValueError):
    """A weights file that is absent, corrupt, truncated or made for another network."""


# --- names


@functools.cache
def manifest() -> dict[str, dict]:
    """Every published model: {name: row}, see `weights_manifest.json`."""
    return json.loads((HERE / "weights_manifest.json").read_text("utf-8"))


def list_models(pattern: str = "*") -> list[str]:
    """Sorted names that match a shell pattern: `list_models("*fashion*")`."""
    return sorted(fnmatch.filter(manifest(), pattern))


def row_of(name: str) -> dict:
    """The manifest row of a model.

    Raises: ValueError: for an unknown name, with the nearest ones.
    """
    if name in manifest():
        return manifest()[name]
    near = difflib.get_close_matches(name, manifest(), n=4, cutoff=0.4)
    hint = f"The nearest names are {near}" if near else "`ganzoo list` shows every name"
    raise ValueError(f"There is no model named {name!r}. {hint}. Received: name={name!r}")


def family_class(family: str):
    """The GAN class of `families/<family>.py`: its lower-cased name is the file's without
    underscores.

    Raises: ValueError: for a family that does not exist.
    """
    known = sorted(p.stem for p in (HERE / "families").glob("[!_]*.py"))
    if family not in known:
        near = difflib.get_close_matches(family, known, n=3)
        raise ValueError(
            f"`family` must be one of {known}; nearest {near}. Received: family={family!r}"
        )
    module = importlib.import_module(f"ganzoo.families.{family}")
    wanted = family.replace("_", "")
    return next(value for key, value in vars(module).items() if key.lower() == wanted)


# --- loading


def load(name, *, family: str | None = None, pick: str | None = None, **overrides):
    """A pretrained model, ready to `generate`, `compile` and `fit`.

    Args:
        name: a name of `list_models()`, a folder written by `save`, a `.keras` file of `gan.save`,
            or a foreign checkpoint (`.pth`, `.tar`, `.npz`, a folder of `.npy`, ...), whose layout
            is recognised from its content; every network that it holds is filled.
        family: the file in `families/` that the model must be of, for a foreign file whose layout
            several families share. Defaults to `None`, any.
        pick: key of a foreign file under which the model lies, such as `"netG_ema"`, where it holds
            several. Defaults to `None`, whatever it holds.
        **overrides: constructor arguments of the family that differ from the published ones, such
            as `seed`, `ema` or `critic_steps`; they may not change a weight's shape.

    Returns: the family's `GAN`. `gan.provenance` says per network where its weights came from: both
        players exist, and one that the checkpoint does not hold keeps its initial weights.
    Raises: ValueError: unknown name, family, pick or override; a foreign file that is damaged.
        WeightsError: a file that is absent, corrupt or for another network.
    Example: `ganzoo.load("dcgan-digiface-64").generate(16, seed=0)`
    """
    kind = _kind(name)
    if pick is not None and kind != "foreign":
        raise ValueError(
            f"`pick` is for foreign files; {str(name)!r} is none. Received: pick={pick!r}"
        )
    if kind == "foreign":
        return _load_foreign(pathlib.Path(name), family, pick, overrides)
    if kind == "keras":
        return _load_keras(pathlib.Path(name), family, overrides)
    row, arrays, origin = _fetch(name)
    _check_family(row["family"], family, origin)
    gan = _construct(row, overrides)
    gan.provenance = fill(gan.networks(), arrays, origin)
    return gan


def load_generator(name):
    """The bare network that `load(name).generate` draws from, without a discriminator.

    Args, Raises: as `load`; for a `.keras` or a foreign file the whole model is built on the way.
    Returns: `Generator`, for serving.
    """
    if _kind(name) in ("keras", "foreign"):
        return _generator_of(load(name), name)
    row, arrays, origin = _fetch(name)
    held = {key.split("/")[0] for key in arrays}
    network = "generator_ema" if "generator_ema" in held else "generator"
    if network not in held:
        raise WeightsError(f"{origin!r} holds no generator. Received: networks={sorted(held)}")
    generator = _network_class(row, origin).from_config(row["generator"]["config"])
    arrays = {key: value for key, value in arrays.items() if key.startswith(f"{network}/")}
    fill({network: generator}, arrays, origin)
    return generator


def _kind(name) -> str:
    """What `name` is: "published", "folder", "keras" or "foreign".

    Raises: ValueError: if it is no published name and no file or folder either.
    """
    path = pathlib.Path(name)
    if name in manifest():
        return "published"
    if path.is_dir():
        arrays = any(path.glob("*.npy")) and not (path / CONFIG).exists()
        return "foreign" if arrays else "folder"
    if path.suffix == ".keras":
        return "keras"
    if path.is_file():
        return "foreign"
    if path.suffix or len(path.parts) > 1:
        raise ValueError(f"There is no file or folder {str(name)!r}. Received: name={str(name)!r}")
    row_of(name)  # raises
    return "published"


def _check_family(found, family, origin):
    if family is not None and family_class(family) is not family_class(found):
        raise ValueError(f"{origin!r} is of family {found!r}. Received: family={family!r}")


def _construct(row, overrides):
    """The GAN of a row, with initial weights."""
    import keras

    cls = family_class(row["family"])
    arguments = {**keras.saving.deserialize_keras_object(row["config"]), **overrides}
    try:
        return cls(**arguments)
    except TypeError as error:
        raise ValueError(
            f"{cls.__name__} cannot be built: {_line(error)}. Received: {sorted(arguments)}"
        ) from error


def _network_class(row, origin):
    family_class(row["family"])  # raises for one that does not exist
    module = importlib.import_module(f"ganzoo.families.{row['family']}")
    name = row["generator"]["class_name"]
    if name not in vars(module):
        raise WeightsError(
            f"{origin!r} names a network that its family lacks. Received: class_name={name!r}"
        )
    return vars(module)[name]


def _generator_of(gan, name):
    if gan.provenance["generator"] == INITIAL:
        raise WeightsError(
            f"{str(name)!r} holds no generator. Received: provenance={gan.provenance}"
        )
    return gan.published


def _load_keras(path, family, overrides):
    import keras

    if not path.is_file():
        raise WeightsError(f"There is no file {str(path)!r}; `gan.save` writes one")
    if overrides:
        raise ValueError(f"A .keras file is loaded as it was saved. Received: {sorted(overrides)}")
    for file in (HERE / "families").glob("[!_]*.py"):  # registers every class the file may name
        importlib.import_module(f"ganzoo.families.{file.stem}")
    try:
        gan = keras.models.load_model(path)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise WeightsError(
            f"{str(path)!r} is not a readable .keras file: {_line(error)}"
        ) from error
    _check_family(type(gan).__module__.rpartition(".")[2], family, str(path))
    gan.provenance = {network: str(path) for network in gan.networks()}
    return gan


def _fetch(name):
    """(row, arrays, where from) of a manifest name or of a folder."""
    if name not in manifest():
        folder = pathlib.Path(name)
        row = _read_config(folder / CONFIG)
        return row, read_safetensors(folder / WEIGHTS), str(folder)
    row = row_of(name)
    file = row["files"][0]
    if "package" not in file:
        raise WeightsError(f"{name!r} has no file in the package. Received: files={row['files']}")
    path = HERE / "weights" / file["package"]
    return row, read_safetensors(path, sha256=file["sha256"]), name


def _read_config(path):
    try:
        row = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise WeightsError(
            f"{str(path)!r} is not readable as a model configuration ({_line(error)}); "
            "`ganzoo.hub.save` writes one"
        ) from error
    keys = set(row) if isinstance(row, dict) else set()
    missing = {"family", "config", "generator"} - keys
    if missing:
        raise WeightsError(f"{str(path)!r} lacks {sorted(missing)}. Received: keys {sorted(keys)}")
    return row


def read_safetensors(path, *, sha256=None) -> dict:
    """{key: NumPy array} of a safetensors file, verified first.

    Args: sha256: 64 hex digits or `None`.
    Raises: WeightsError: absent, wrong hash, truncated or not safetensors; names the file.
    """
    import safetensors
    import safetensors.numpy

    path = pathlib.Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise WeightsError(
            f"The weights file {str(path)!r} cannot be read: {_line(error)}"
        ) from error
    if sha256 is not None:
        found = hashlib.sha256(data).hexdigest()
        if found != sha256:
            raise WeightsError(
                f"{str(path)!r} is corrupt: sha256 {found} instead of {sha256}, {len(data)} bytes "
                f"beginning {data[:16]!r}. Reinstall keras-ganzoo or fetch the file again"
            )
    try:
        return safetensors.numpy.load(data)
    except (safetensors.SafetensorError, ValueError, KeyError) as error:
        raise WeightsError(
            f"{str(path)!r} is not a whole safetensors file ({_line(error)}): {len(data)} bytes "
            f"beginning {data[:16]!r}. Fetch it again"
        ) from error


def _line(error):
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def fill(networks: dict, arrays: dict, origin: str) -> dict[str, str]:
    """Assigns every array to its weight, strictly; returns the provenance per network.

    A network of which the file holds nothing keeps its initial weights; if it is one half of the
    pair `generator`, `generator_ema`, it gets the other half's.

    Raises: WeightsError: listing up to ten arrays or weights that do not fit; then nothing was
        assigned.
    """
    from ganzoo.convert.table import addresses

    held = {key.split("/")[0] for key in arrays}
    wanted = {
        f"{name}/{address}": variable
        for name, network in networks.items()
        if name in held
        for address, variable in addresses(network).items()
    }
    faults = [f"the file lacks `{key}`" for key in wanted if key not in arrays]
    faults += [f"the model lacks `{key}`" for key in arrays if key not in wanted]
    faults += [
        f"`{key}` is {arrays[key].shape} in the file, {tuple(variable.shape)} in the model"
        for key, variable in wanted.items()
        if key in arrays and arrays[key].shape != tuple(variable.shape)
    ]
    if faults:
        shown = "; ".join(faults[:10])
        raise WeightsError(
            f"The weights of {origin!r} do not fit the model in {len(faults)} places: {shown}"
        )
    for key, variable in wanted.items():
        variable.assign(arrays[key].astype(variable.dtype))
    return _complete(networks, held, origin)


def _complete(networks, held, origin):
    """The provenance, after copying one half of `generator`, `generator_ema` to a half not held."""
    provenance = {name: origin if name in held else INITIAL for name in networks}
    for name, other in (("generator", "generator_ema"), ("generator_ema", "generator")):
        if name in networks and name not in held and other in held and other in networks:
            networks[name].set_weights(networks[other].get_weights())
            provenance[name] = f"{origin}, copied from {other}"
    return provenance


# --- foreign files


def sources() -> dict:
    """{name: module} of `convert/`: those that `recognise` the arrays of a foreign layout."""
    names = sorted(path.stem for path in (HERE / "convert").glob("[!_]*.py"))
    modules = {name: importlib.import_module(f"ganzoo.convert.{name}") for name in names}
    return {name: module for name, module in modules.items() if "recognise" in vars(module)}


def _load_foreign(path, family, pick, overrides):
    from ganzoo.convert import reader, table

    if family is not None:
        family_class(family)  # raises for one that does not exist
    tree = reader.load(path)
    if pick is not None:
        tree = _pick(tree, pick, path)
    found = _one_each(_recognise(tree, family), tree, path)
    config = {}
    for name in sorted(found):  # "discriminator" first: the generator's word counts
        config |= found[name][1].config
    gan = _construct({"family": next(iter(found.values()))[1].family, "config": config}, overrides)
    for name, (where, part, arrays) in found.items():
        try:
            table.assign(gan.networks()[name], arrays, part.table)
        except ValueError as error:
            raise WeightsError(
                f"{str(path)!r}{where} does not fit {type(gan).__name__}: {error}"
            ) from error
    gan.provenance = _complete(gan.networks(), set(found), str(path))
    return gan


def _pick(tree, pick, path):
    if not isinstance(tree, dict) or pick not in tree:
        keys = list(tree)[:20] if isinstance(tree, dict) else []
        raise WeightsError(f"{str(path)!r} lacks the key; it has {keys}. Received: pick={pick!r}")
    return tree[pick]


def _recognise(tree, family):
    """(where, `Recognised`, arrays) of every mapping in the tree that a source knows.

    Args: family: what they must be of, or `None`.
    """
    from ganzoo.convert import reader

    known, found, pending, seen = sources(), [], [("", tree)], set()
    while pending:
        where, value = pending.pop(0)
        if not isinstance(value, (dict, list, tuple)) or id(value) in seen:
            continue
        seen.add(id(value))
        arrays = _unwrap(reader.flatten(value))
        parts = [module.recognise(arrays) for module in known.values()] if arrays else []
        parts = [p for p in parts if p is not None and family in (None, p.family)]
        found += [(where, part, arrays) for part in parts]
        if not parts:
            items = value.items() if isinstance(value, dict) else enumerate(value)
            pending += [(f"{where}[{key!r}]", item) for key, item in items]
    return found


def _unwrap(arrays):
    """Without the prefix that `torch.nn.DataParallel` puts before every name."""
    if all(name.startswith("module.") for name in arrays):
        return {name.removeprefix("module."): array for name, array in arrays.items()}
    return arrays


def _one_each(found, tree, path):
    """{network: (where, `Recognised`, arrays)}, all of one family.

    Raises: WeightsError: if nothing was recognised, or one network more than once.
    """
    if not found:
        from ganzoo.convert import reader

        names = list(reader.flatten(tree))
        raise WeightsError(
            f"{str(path)!r} holds no network that one of the sources {list(sources())} recognises, "
            f"of the family asked for. Received: {len(names)} arrays, such as {names[:3]}"
        )
    families = sorted({part.family for _, part, _ in found})
    if len(families) > 1:
        raise WeightsError(f"{str(path)!r} may be of {families}; choose one with `family=`")
    for _, part, _ in found:
        places = [where for where, other, _ in found if other.network == part.network]
        if len(places) > 1:
            raise WeightsError(
                f"{str(path)!r} holds a {part.network} in {places}; choose a key with `pick=`"
            )
    return {part.network: (where, part, arrays) for where, part, arrays in found}


# --- saving


def describe(gan) -> dict:
    """What `config.json` and a manifest row say of a model."""
    import keras

    return {
        "family": type(gan).__module__.rpartition(".")[2],
        "config": {k: v for k, v in gan.get_config().items() if k != "name"},
        "generator": {
            "class_name": type(gan.published).__name__,
            "config": gan.published.get_config(),
        },
        "holds": sorted(gan.networks()),
        "keras_version": keras.__version__,
    }


def save(gan, folder, *, networks=None, dtype="float32") -> pathlib.Path:
    """Writes `config.json` and `model.safetensors`, which `load(folder)` reads.

    Args:
        folder: made if absent.
        networks: names out of `gan.networks()`. Defaults to all of them.
        dtype: `"float32"` or `"float16"`, of the stored kernels; biases and normalisations stay as
            they are. Loading restores the variable's own.

    Returns: the folder.
    Raises: ValueError: for an unknown network or dtype, or a kernel too large for it. OSError: if
        the folder cannot be written.
    """
    import safetensors.numpy

    from ganzoo.convert.table import addresses

    networks = list(gan.networks()) if networks is None else list(networks)
    unknown = sorted(set(networks) - set(gan.networks()))
    if unknown or dtype not in ("float16", "float32"):
        raise ValueError(
            f"`networks` are some of {list(gan.networks())}, `dtype` is 'float16' or 'float32'. "
            f"Received: networks={networks}, dtype={dtype!r}"
        )
    arrays = {}
    for name in networks:
        for address, variable in addresses(gan.networks()[name]).items():
            arrays[f"{name}/{address}"] = _stored(variable.numpy(), dtype, f"{name}/{address}")
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    safetensors.numpy.save_file(arrays, folder / WEIGHTS, metadata={"format": "ganzoo"})
    config = {**describe(gan), "holds": sorted(networks)}
    (folder / CONFIG).write_text(json.dumps(config, indent=2) + "\n", "utf-8")
    return folder


def _stored(value, dtype, key):
    import numpy as np

    if value.dtype.kind != "f" or value.ndim < 2:  # a batch norm's numbers: few, and they matter
        return value
    with np.errstate(over="ignore"):
        stored = value.astype(dtype)
    if np.isinf(stored).any() and not np.isinf(value).any():
        largest = np.abs(value).max()
        raise ValueError(
            f"`{key}` exceeds {dtype}: use dtype='float32'. Received: values up to {largest:.4g}"
        )
    return stored


def ship(gan, name, *, networks, facts, dtype="float16", folder=None) -> dict:
    """For maintainers, in a checkout: weights into the package, their row into the manifest.

    Args:
        name: `family-dataset-size`, the name to load it by.
        networks: which of `gan.networks()` the file holds.
        facts: what only a person knows: dataset, resolution, license, paper, origin and so on.
        folder: the package. Defaults to this one.

    Returns: the row. The manifest's other rows stay as they are.
    """
    import tempfile

    folder = HERE if folder is None else pathlib.Path(folder)
    with tempfile.TemporaryDirectory() as scratch:
        data = (save(gan, scratch, networks=networks, dtype=dtype) / WEIGHTS).read_bytes()
    file = f"{name}.safetensors"
    (folder / "weights").mkdir(exist_ok=True)
    (folder / "weights" / file).write_bytes(data)
    described = {**describe(gan), "holds": sorted(networks)}
    described.pop("keras_version")
    entry = {
        "package": file,
        "bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "dtype": dtype,
    }
    row = {**described, "files": [entry], **facts}
    path = folder / "weights_manifest.json"
    rows = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    rows[name] = row
    text = json.dumps(dict(sorted(rows.items())), indent=2, ensure_ascii=False)
    path.write_text(f"{text}\n", "utf-8")
    manifest.cache_clear()
    return row
