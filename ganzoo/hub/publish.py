"""Weights from a model to a folder, to the Hugging Face Hub and into this package.

What is written is what `ganzoo.hub.load` reads: `config.json` and one safetensors file keyed
`<network>/<address>`; `save_pretrained` and `push_to_hub` add a card and a grid of samples.
"""

import contextlib
import json
import math
import os
import pathlib
import re
import shutil
import sys
import tempfile

from ganzoo import fetch, resources
from ganzoo.errors import AccessError, DownloadError, OfflineError
from ganzoo.hub import cards, loading, rows
from ganzoo.hub.store import (
    CONFIG,
    SCRATCH,
    WEIGHTS,
    chosen,
    config_in,
    describe,
    replacing,
    save,
    write_model,
)
from ganzoo.origin import INITIAL

CARD, SAMPLES, LICENSE = "README.md", "samples.png", "LICENSE"
RUN = ("recipe.json", "log.csv", "result.json")  # the record of a training


def _card_row(gan, folder, networks, dtype, facts) -> dict:
    """What a card says of the model in `folder`, in the manifest's form; `facts` win."""
    module = sys.modules.get(type(gan).__module__)
    paper = re.search(r"arXiv:\d{4}\.\d{4,5}", f"{module and module.__doc__} {type(gan).__doc__}")
    stated = json.loads((folder / CONFIG).read_text("utf-8"))
    file = {"bytes": (folder / WEIGHTS).stat().st_size, "sha256": stated["sha256"], "dtype": dtype}
    return {
        **stated,
        "holds": [_said(gan, name) for name in sorted(networks)],
        "files": [file],
        "resolution": gan.resolution,
        "task": gan.task,
        "example": gan.example,
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
    origin = gan.provenance.get(next(iter(gan.generators())), INITIAL)
    return None if origin == INITIAL else origin.source


def _origin(gan):
    source, steps = _source(gan), int(gan.step.numpy())
    if source and not rows.published(source) and "://" not in source:
        source = pathlib.Path(source).name  # the other folders are nobody's business
    parts = [f"weights of {source}"] if source else []
    if steps:
        images = int(gan.images_seen.numpy())
        parts.append(f"trained with ganzoo for {steps:,} steps on {images:,} real images")
    return "; ".join(parts) or "initial weights, not trained"


def _facts(gan, license, dataset, measured) -> dict:
    """The arguments that were given; else what the manifest says of weights that came from it."""
    facts = {}
    row = rows.published(_source(gan))
    if row is not None and license is None:
        facts |= {key: row[key] for key in ("license", "license_url") if key in row}
    if row is not None and not int(gan.step.numpy()):
        facts |= {"dataset": row["dataset"]}
    _check_measured(measured or {})
    given = {"license": license, "dataset": dataset, "measured": measured}
    return facts | {key: value for key, value in given.items() if value is not None}


def _check_measured(measured):
    for metric, entry in measured.items():
        complete = isinstance(entry, dict) and {"value", "command"} <= set(entry)
        number = complete and isinstance(entry["value"], (int, float))
        if not number or not math.isfinite(entry["value"]) or not entry["command"]:
            raise ValueError(
                "`measured` is {metric: {'value': number, 'command': what measured it}}; a number "
                f"without its record is not published. Received: measured[{metric!r}]={entry!r}"
            )


# --- to a folder


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
    gan = loading.load(name, **options)
    return save_pretrained(gan, folder, license=license, networks=_held(gan))


def _save(gan, folder, facts, *, name, text=None, networks=None, dtype="float32", **options):
    """`save_pretrained`; the options are those of `cards.card`."""
    networks = chosen(gan, networks, dtype)
    describe(gan)  # before anything is written: a class that nobody could build again
    with replacing(folder) as scratch:
        write_model(gan, scratch, networks, dtype)
        _write_samples(gan, scratch / SAMPLES)
        row = _card_row(gan, scratch, networks, dtype, facts)
        text = _text(gan) if text is None else text
        card = cards.card(name, row, text=text, **options)
        (scratch / CARD).write_text(card, "utf-8")
        published = rows.published(_source(gan))
        if published and "license_file" in published:  # must be passed on with the weights
            shutil.copyfile(resources.WEIGHTS / published["license_file"], scratch / LICENSE)
    return folder


def _held(gan):
    """The networks that the file held: no initial weights, no copies of the others."""
    origins = gan.provenance.items()
    return sorted(name for name, o in origins if o != INITIAL and o.copied_from is None)


def _text(gan):
    return (
        f"{_article(type(gan).__name__)} that {gan.purpose}. What it is for, and what it is not "
        "good for, is not stated."
    )


def _article(name):
    return f"An {name}" if name[0] in "AEIO" else f"A {name}"


def _write_samples(gan, path):
    """A preview of the model, at most about 1,024 pixels wide where its samples are images."""
    from ganzoo import pictures

    side = max(gan.preview(1, 1, 0).shape[1:3])
    columns = max(2, min(10, 1024 // side))
    pictures.write_grid(path, gan.preview(columns**2, columns, 0), columns=columns)


def _is_empty(folder):
    return all(path.name.startswith(SCRATCH) for path in folder.iterdir())


def _refuse_others(folder):
    if not folder.exists() or (folder.is_dir() and (_is_empty(folder) or config_in(folder))):
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
    place = loading.locate(name, accept_license=accept_license)
    gan = place.open()
    folder = None if place.cached or not pathlib.Path(name).is_dir() else pathlib.Path(name)
    with tempfile.TemporaryDirectory() as top:
        if folder is not None and (folder / CARD).is_file() and config_in(folder):
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
    row, result = rows.published(_source(gan)), None
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
    listing = json.loads(listed.read_text("utf-8")) if listed.is_file() else {}
    listing[name] = row
    text = json.dumps(dict(sorted(listing.items())), indent=2, ensure_ascii=False)
    listed.write_text(f"{text}\n", "utf-8")
    rows.forget()
    return row
