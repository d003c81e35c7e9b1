"""Weights from a model to a folder, to the Hugging Face Hub and into this package.

What is written is what `ganzoo.hub.load` reads: `config.json` and one safetensors file keyed
`<network>/<address>`; `save_pretrained` and `push_to_hub` add a card and a grid of samples.
"""

import contextlib
import json
import os
import pathlib
import re
import shutil
import sys
import tempfile
import time

from ganzoo import fetch, hub, resources
from ganzoo.errors import AccessError, DownloadError, OfflineError
from ganzoo.hub import CONFIG, INITIAL, WEIGHTS

CARD, SAMPLES, LICENSE = "README.md", "samples.png", "LICENSE"
SCRATCH = ".ganzoo-"  # folders inside the model's, from which finished files are moved
RUN = ("recipe.json", "log.csv", "result.json")  # the record of a training
COPY = ", copied from "  # in `gan.provenance`
ROW = ("family", "config", "generator")  # what tells our config.json from another's


# --- what a model is


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


def _card_row(gan, folder, networks, dtype, facts) -> dict:
    """What a card says of the model in `folder`, in the manifest's form; `facts` win."""
    shape = gan.published.sample_shape
    sides = list(shape[:2]) if len(shape) == 3 else [None, None]
    paper = re.search(r"arXiv:\d{4}\.\d{4,5}", sys.modules[type(gan).__module__].__doc__ or "")
    stated = json.loads((folder / CONFIG).read_text("utf-8"))
    file = {"bytes": (folder / WEIGHTS).stat().st_size, "sha256": stated["sha256"], "dtype": dtype}
    return {
        **stated,
        "holds": [_said(gan, name) for name in sorted(networks)],
        "files": [file],
        "resolution": sides[0] if sides[0] == sides[1] else sides,
        "paper": paper[0] if paper else None,
        "origin": _origin(gan),
        **{"dataset": None, "license": None, "recipe": None, "measured": {}},
        **facts,
    }


def _said(gan, network):
    untouched = gan.provenance.get(network) == INITIAL and not int(gan.step.numpy())
    return f"{network} (initial weights)" if untouched and _source(gan) else network


def _source(gan):
    """Where the weights of the published network came from; `None` for initial ones."""
    name = next(name for name, net in gan.networks().items() if net is gan.published)
    found = gan.provenance.get(name, INITIAL).partition(COPY)[0]
    return None if found == INITIAL else found


def _origin(gan):
    source, steps = _source(gan), int(gan.step.numpy())
    if source and source not in hub.manifest() and "://" not in source:
        source = pathlib.Path(source).name  # the other folders are nobody's business
    parts = [f"weights of {source}"] if source else []
    if steps:
        images = int(gan.images_seen.numpy())
        parts.append(f"trained with ganzoo for {steps:,} steps on {images:,} real images")
    return "; ".join(parts) or "initial weights, not trained"


def _facts(gan, license, dataset, measured) -> dict:
    """The arguments that were given; else what the manifest says of weights that came from it."""
    facts = {}
    row = hub.manifest().get(_source(gan))
    if row is not None and license is None:
        facts |= {key: row[key] for key in ("license", "license_url") if key in row}
    if row is not None and not int(gan.step.numpy()):
        facts |= {"dataset": row["dataset"]}
    _check_measured(measured or {})
    given = {"license": license, "dataset": dataset, "measured": measured}
    return facts | {key: value for key, value in given.items() if value is not None}


def _check_measured(measured):
    for metric, entry in measured.items():
        known = isinstance(entry, dict) and {"value", "command"} <= set(entry)
        if not known or not isinstance(entry["value"], (int, float)) or not entry["command"]:
            raise ValueError(
                "`measured` is {metric: {'value': number, 'command': what measured it}}; a number "
                f"without its record is not published. Received: measured[{metric!r}]={entry!r}"
            )


# --- to a folder


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
    networks, folder = _chosen(gan, networks, dtype), pathlib.Path(folder)
    with _replacing(folder) as scratch:
        _write_model(gan, scratch, networks, dtype)
    return folder


def save_pretrained(
    gan,
    folder,
    *,
    license=None,
    dataset=None,
    text=None,
    measured=None,
    networks=None,
    dtype="float32",
) -> pathlib.Path:
    """Writes a model that `load(folder)` reads, its card and a grid of its samples.

    The files are `config.json`, `model.safetensors`, `README.md` and `samples.png`. Those of a
    model that is there are replaced when the new ones are whole; whoever stops it finds the old
    model or the new one. (Only of a model with other sizes the two may be mixed for the instant
    between two renames; `load` says so, and saving again cures it.)

    Args:
        folder: absent, empty or a model's.
        license: SPDX identifier or name, such as `"MIT"`. Defaults to that of the published
            weights which the model came from; else the card says that none is stated.
        dataset: what it was trained on, such as `"Fashion-MNIST"` or the Hub's `"org/name"`.
        text: Markdown for the card: what the model is and what it is not good for.
        measured: {metric: {"value": number, "command": what measured it}}. Nothing else is shown
            as measured.
        networks, dtype: as for `save`. By default all networks as float32, so that the loaded model
            gives the same images to the last bit.

    Returns: the folder.
    Raises: ValueError: for a folder that holds something else, a model whose class is not one of
        `ganzoo.families`, a number without its command. OSError: if the folder cannot be written.
    """
    folder = pathlib.Path(folder)
    _refuse_others(folder)
    facts = _facts(gan, license, dataset, measured)
    name = folder.resolve().name
    return _save(gan, folder, facts, name=name, text=text, networks=networks, dtype=dtype)


def convert(name, folder, *, license=None, **options) -> pathlib.Path:
    """Writes what `load(name)` loads to a new folder, in ganzoo's own form.

    Args:
        name: as for `load`.
        folder: absent or empty.
        license: as for `save_pretrained`.
        **options: `family`, `pick`, `channel_order`, `accept_license`, as for `load`.

    Returns: the folder; it holds only the networks that the file held.
    Raises: ValueError: for a folder that holds anything; as `load`.
    """
    folder = pathlib.Path(folder)
    if folder.exists() and not (folder.is_dir() and _is_empty(folder)):
        raise ValueError(f"{str(folder)!r} exists already; remove it or name another folder")
    gan = hub.load(name, **options)
    return save_pretrained(gan, folder, license=license, networks=_held(gan))


def _save(gan, folder, facts, *, name, text=None, networks=None, dtype="float32", **options):
    """`save_pretrained`; the options are those of `cards.card`."""
    from ganzoo import cards

    networks = _chosen(gan, networks, dtype)
    if not type(gan).__module__.startswith("ganzoo.families."):
        raise ValueError(
            "`load` can build the families of `ganzoo.families` only; keep a model of your own "
            f"class with `gan.save('model.keras')`. Received: {type(gan).__qualname__}"
        )
    with _replacing(folder) as scratch:
        _write_model(gan, scratch, networks, dtype)
        _write_samples(gan, scratch / SAMPLES)
        row = _card_row(gan, scratch, networks, dtype, facts)
        text = _text(gan) if text is None else text
        card = cards.card(name, row, text=text, **options)
        (scratch / CARD).write_text(card, "utf-8")
        published = hub.manifest().get(_source(gan), {})
        if "license_file" in published:  # whoever passes the weights on must pass it on
            shutil.copyfile(resources.WEIGHTS / published["license_file"], scratch / LICENSE)
    return folder


def _held(gan):
    """The networks that the file held: no initial weights, no copies of the others."""
    provenance = gan.provenance.items()
    return sorted(name for name, text in provenance if text != INITIAL and COPY not in text)


def _text(gan):
    shape = gan.published.sample_shape
    sides, depth = " x ".join(map(str, shape[:2])), shape[-1]
    pixels = f"images of {sides} pixels with {depth} channel{'s' if depth > 1 else ''}"
    made = pixels if len(shape) == 3 else f"points of {depth} coordinates"
    classes = f" of {gan.published.num_classes} classes" if gan.published.num_classes else ""
    return (
        f"A {type(gan).__name__} that draws {made}{classes}. What it is for, and what it is not "
        "good for, is not stated."
    )


def _chosen(gan, networks, dtype):
    networks = list(gan.networks()) if networks is None else list(networks)
    unknown = sorted(set(networks) - set(gan.networks()))
    if unknown or not networks or dtype not in ("float16", "float32"):
        raise ValueError(
            f"`networks` are some of {list(gan.networks())}, `dtype` is 'float16' or 'float32'. "
            f"Received: networks={networks}, dtype={dtype!r}"
        )
    return networks


def _write_model(gan, folder, networks, dtype):
    import safetensors.numpy

    from ganzoo.addresses import addresses

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


def _write_samples(gan, path):
    """A square grid, at most about 1,024 pixels wide; points are one picture of a thousand."""
    from ganzoo import pictures

    shape = gan.published.sample_shape
    columns = max(2, min(10, 1024 // max(shape[:2]))) if len(shape) == 3 else 1
    count = columns**2 if len(shape) == 3 else 1000
    samples = pictures.samples_for_grid(gan, count, columns)
    pictures.write_grid(path, samples, columns=columns)


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
def _replacing(folder):
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
    old = _config_in(folder)
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


def _config_in(folder):
    """Our `config.json` of a folder; `None` where there is none, or another's."""
    try:
        config = json.loads((folder / CONFIG).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return config if isinstance(config, dict) and set(ROW) <= set(config) else None


def _is_empty(folder):
    return all(path.name.startswith(SCRATCH) for path in folder.iterdir())


def _refuse_others(folder):
    if not folder.exists() or (folder.is_dir() and (_is_empty(folder) or _config_in(folder))):
        return
    names = sorted(path.name for path in folder.iterdir())[:5] if folder.is_dir() else "a file"
    raise ValueError(
        f"{str(folder)!r} holds something else than a model; name a new or an empty folder. "
        f"Received: {names}"
    )


# --- to the Hub


def push_to_hub(
    gan,
    repo_id: str,
    *,
    license=None,
    dataset=None,
    text=None,
    measured=None,
    dtype="float32",
    private=None,
    branch=None,
    commit_message=None,
    token=None,
) -> str:
    """Writes what `save_pretrained` writes to a repository of the Hugging Face Hub, in one commit.

    Args:
        repo_id: `"org/repo"`; made if absent. Its other files stay.
        license, dataset, text, measured, dtype: as for `save_pretrained`.
        private: bool or `None`, the account's default. An existing repository is not changed.
        branch: made if absent. Defaults to `None`, the main one.
        commit_message: str.
        token: str. Defaults to `HF_TOKEN` or what `hf auth login` kept.

    Returns: the address that `load` takes, `hf://org/repo` or `hf://org/repo@branch`.
    Raises: ValueError: for a malformed `repo_id`, or a public repository where `private=True`.
        AccessError: no token, or none that may write there. OfflineError: where GANZOO_OFFLINE or
        HF_HUB_OFFLINE is set. DownloadError: the Hub cannot be reached or refuses.
    """
    address = _address(repo_id, branch)
    facts = _facts(gan, license, dataset, measured)
    with tempfile.TemporaryDirectory() as top:
        folder, name = pathlib.Path(top) / "model", repo_id.partition("/")[2]
        _save(gan, folder, facts, name=name, text=text, dtype=dtype, address=address)
        _upload(folder, repo_id, private, branch, commit_message, token)
    return address


def push(
    name,
    repo_id: str,
    *,
    license=None,
    dataset=None,
    accept_license=False,
    private=None,
    branch=None,
    commit_message=None,
    token=None,
) -> str:
    """Publishes a folder, or anything else that `load` reads, on the Hugging Face Hub.

    The files of a folder that `save_pretrained` wrote go there as they are, the card with what
    became of it since; a published model keeps its licence, origin and measured numbers.

    Args:
        name, accept_license: as for `load`.
        the others: as for `push_to_hub`.

    Returns, Raises: as `push_to_hub`.
    """
    address = _address(repo_id, branch)
    place = hub.locate(name, accept_license=accept_license)
    gan = hub.load(name, accept_license=accept_license)
    folder = None if place.cached or not pathlib.Path(name).is_dir() else pathlib.Path(name)
    with tempfile.TemporaryDirectory() as top:
        if folder is not None and (folder / CARD).is_file() and _config_in(folder):
            if license is not None or dataset is not None:
                raise ValueError(
                    f"Licence and data set of {str(folder)!r} are in its card; edit "
                    f"'{folder / CARD}'. Received: license={license!r}, dataset={dataset!r}"
                )
        else:
            facts = _facts(gan, license, dataset, None)
            target, title = pathlib.Path(top) / "model", repo_id.partition("/")[2]
            _gather(gan, folder, target, facts, name=title, address=address)
            folder = target
        _upload(folder, repo_id, private, branch, commit_message, token)
    return address


def _gather(gan, source, folder, facts, **options):
    """Writes a model that has no card yet, with its licence and its training's record.

    Args:
        source: the folder of a run, or `None`.
    """
    from ganzoo import cards

    row, result = hub.manifest().get(_source(gan)), None
    if row is not None:
        known = "dataset license license_url paper origin recipe measured".split()
        facts = {key: row[key] for key in known if key in row} | facts
    if source is not None and all((source / file).is_file() for file in RUN):
        result = cards.record_of(source)
        trained = {"recipe": result["recipe"], "dataset": result["dataset"]}
        facts = {**trained, "origin": "trained with ganzoo"} | facts
    _save(gan, folder, facts, networks=_held(gan), result=result, **options)
    for file in RUN if result is not None else ():
        shutil.copyfile(source / file, folder / file)


def _address(repo_id, branch):
    if fetch.offline():
        raise OfflineError(
            f"{repo_id!r} cannot be pushed to while GANZOO_OFFLINE or HF_HUB_OFFLINE is set; unset "
            "it, or write a folder with `save_pretrained`"
        )
    from huggingface_hub import errors, utils

    try:
        utils.validate_repo_id(repo_id)
        fault = None if repo_id.count("/") == 1 else "the organisation or user is missing"
    except errors.HFValidationError as error:
        fault = str(error)
    if fault:
        raise ValueError(f"A repository is `org/repo`: {fault}. Received: repo_id={repo_id!r}")
    return f"hf://{repo_id}@{branch}" if branch else f"hf://{repo_id}"


def _upload(folder, repo_id, private, branch, message, token):
    import huggingface_hub

    api = huggingface_hub.HfApi(endpoint=os.environ.get("HF_ENDPOINT"), token=token)
    with _hub_errors(repo_id):
        wanted = {} if private is None else {"private": private}
        api.create_repo(repo_id, exist_ok=True, **wanted)
        public = private and not api.model_info(repo_id).private
        if not public:
            if branch:
                api.create_branch(repo_id, branch=branch, exist_ok=True)
            api.upload_folder(
                repo_id=repo_id,
                folder_path=folder,
                revision=branch,
                commit_message=message or "Upload a model with ganzoo",
                allow_patterns=[CONFIG, WEIGHTS, CARD, SAMPLES, LICENSE, *RUN],
            )
    if public:
        raise ValueError(
            f"{repo_id!r} exists and is public: make it private in its settings on the Hub, or "
            "name another. Received: private=True"
        )


@contextlib.contextmanager
def _hub_errors(repo_id):
    """The client's errors as ours."""
    from huggingface_hub import errors

    try:
        yield
    except (errors.HTTPError, OSError, ValueError, RuntimeError) as error:
        chain = [error]
        while chain[-1].__cause__ is not None:
            chain.append(chain[-1].__cause__)
        answers = [e for e in chain if isinstance(e, errors.HfHubHTTPError)]
        status = answers[0].response.status_code if answers else None
        telling = (answers or chain[-1:])[0]
        text = " ".join(str(telling).split())[:300] or type(telling).__name__
        if isinstance(chain[-1], errors.OfflineModeIsEnabled):
            raise OfflineError(f"{repo_id!r}: huggingface_hub was imported offline") from error
        if status in (401, 403, 404) or isinstance(error, errors.LocalTokenNotFoundError):
            raise AccessError(
                f"{repo_id!r} may not be written to ({status or 'no token'}): {text}. Log in with "
                "`hf auth login`, or set HF_TOKEN to a token that may write there"
            ) from error
        raise DownloadError(
            f"{repo_id!r} could not be pushed to: {text}. Try again later"
        ) from error


# --- into this package


def ship(gan, name, *, networks, facts, dtype="float16", folder=None) -> dict:
    """For maintainers, in a checkout: weights into the package, their row into the manifest.

    Args:
        name: `family-dataset-size`, the name to load it by.
        networks: which of `gan.networks()` the file holds.
        facts: what only a person knows: dataset, resolution, license, paper, origin and so on.
        folder: the package. Defaults to this one.

    Returns: the row. The manifest's other rows stay as they are.
    """
    folder = resources.PACKAGE if folder is None else pathlib.Path(folder)
    (folder / "weights").mkdir(exist_ok=True)
    path = folder / "weights" / f"{name}.safetensors"
    with tempfile.TemporaryDirectory() as scratch:
        shutil.copyfile(save(gan, scratch, networks=networks, dtype=dtype) / WEIGHTS, path)
    described = {**describe(gan), "holds": sorted(networks)}
    described.pop("keras_version")
    entry = {
        "mirrors": [{"package": path.name}],
        "bytes": path.stat().st_size,
        "sha256": fetch.sha256_of(path),
        "dtype": dtype,
        "converter": None,
    }
    row = {"status": "available", "aliases": [], **described, "files": [entry], **facts}
    listed = folder / "weights_manifest.json"
    rows = json.loads(listed.read_text("utf-8")) if listed.is_file() else {}
    rows[name] = row
    text = json.dumps(dict(sorted(rows.items())), indent=2, ensure_ascii=False)
    listed.write_text(f"{text}\n", "utf-8")
    hub.manifest.cache_clear()
    return row
