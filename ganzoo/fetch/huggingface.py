"""Files and repositories of the Hugging Face Hub, through its own client and its cache."""

import contextlib
import os
import pathlib
import time

from ganzoo import files
from ganzoo.errors import (
    AccessError,
    DownloadError,
    HashError,
    MissingFileError,
    OfflineError,
    WrongBodyError,
)
from ganzoo.fetch import bodies, expected, progress, settings

HUB = "https://huggingface.co"
TRIES = 4
PATIENT = 5  # seconds after which newer clients have tried again themselves
MODEL_SUFFIXES = tuple(".safetensors .bin .pth .pt .pkl .ckpt .tar .npz .h5 .keras .pb".split())
MANY = 4  # foreign files of a repository beyond which one must be chosen


# --- one file


def fetch_hf(
    repo,
    path,
    revision=None,
    *,
    sha256=None,
    sha256_prefix=None,
    size=None,
    name=None,
    offline: bool | None = None,
) -> pathlib.Path:
    """The verified local copy of a file of a Hugging Face repository.

    What was fetched once is not asked for again, whatever became of the branch.

    Args:
        repo, path: `org/name`, and the file's path in it.
        revision: a commit, branch or tag. Defaults to `None`, the branch `main`.
        sha256, sha256_prefix, size, name, offline: as for `fetch_url`.

    Returns: a path, not to be written to.
    Raises: as `fetch_url`.
    """
    facts = dict(sha256=sha256, sha256_prefix=sha256_prefix, size=size, name=name)
    return _fetch(file_of(repo, path, revision, facts), repo, path, revision, offline)


def file_of(repo, path, revision, facts) -> expected.File:
    """Where a repository's file is recorded, with what is published of it."""
    source = f"{_source(repo, revision)}/{path}"
    folder = settings.home() / "records" / expected.key_of(source)
    return expected.File(folder, path.rsplit("/", 1)[-1], source, **facts, kind="hf")


def _source(repo, revision):
    return f"hf://{repo}@{revision}" if revision else f"hf://{repo}"


def _fetch(file, repo, path, revision, offline):
    def call(client, **where):
        files.sweep(pathlib.Path(where["cache_dir"]).glob("models--*/blobs/*.incomplete"))
        return client.hf_hub_download(repo, path, revision=revision, **where)

    def download():
        return _accept(file, pathlib.Path(_ask(file.source, call)))

    return expected.once(file, download, offline)


def _accept(file, path):
    """Records a file that the client fetched; one that is wrong is taken out of its cache.

    Raises: WrongBodyError, HashError.
    """
    mark, digest = expected.mark_of(path), expected.sha256_of(path)
    try:
        kind = bodies.kind_of_file(path)
        if kind.startswith(("a Git-LFS", "a web page")) and path.suffix != ".md":
            raise WrongBodyError(f"{file.source} is {kind} instead of the file of {file.title!r}")
        file.check(path, digest, "The publisher may have changed it")
        expected.check_recorded(file, digest)
    except (WrongBodyError, HashError):
        expected.discard(path)
        raise
    with files.writing(file.folder):
        file.folder.mkdir(parents=True, exist_ok=True)
        expected.record(file, path, digest, mark)
    return path


# --- a repository


def fetch_repo(repo, revision=None, *, offline: bool | None = None) -> pathlib.Path:
    """A local folder with the model files at the top of a Hugging Face repository.

    Of a repository in ganzoo's form: `config.json`, the safetensors and the card; of any other: its
    checkpoints and JSON files. The Hub is asked for the newest commit; where it cannot be reached,
    the last one fetched is used.

    Args: repo, revision, offline: as for `fetch_hf`.
    Returns: a folder, not to be written to.
    Raises: as `fetch_url`; DownloadError too where the repository holds many checkpoints.
    """
    source = _source(repo, revision)
    folder = settings.home() / "records" / expected.key_of(source)
    last = _last_snapshot(folder)
    if settings.offline(offline):
        if last is None:
            raise expected.offline_error(source, settings.home() / "hf", offline)
        return last

    def call(client, endpoint, **_):
        api = client.HfApi(endpoint=endpoint)
        return api.model_info(repo, revision=revision, files_metadata=True)

    try:
        info = _ask(source, call)
    except DownloadError as error:
        if last is None or isinstance(error, (AccessError, MissingFileError)):
            raise
        files.say(f"{error}\nThe copy in the cache is used: {last}")
        return last
    snapshot = _fetch_snapshot(repo, source, info, offline)
    if snapshot != last:
        _remember_snapshot(folder, source, snapshot)
    return snapshot


def _last_snapshot(folder):
    place = files.read_json(folder / expected.RECORD).get("snapshot")
    path = place and pathlib.Path(os.path.normpath(folder / place))
    return path if path and path.is_dir() else None


def _remember_snapshot(folder, source, snapshot):
    with files.writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        place = os.path.relpath(snapshot, folder)
        entry = {"kind": "hf", "url": source, "snapshot": place}
        files.write_json(folder / expected.RECORD, entry)


def _fetch_snapshot(repo, source, info, offline):
    """Fetches the model's files of one commit; returns their folder."""
    siblings = {sibling.rfilename: sibling for sibling in info.siblings}
    for name in _model_files(list(siblings), source):
        lfs = siblings[name].lfs  # what lies in Git itself, such as config.json, has none
        facts = {"sha256": lfs.sha256 if lfs else None, "size": siblings[name].size, "name": repo}
        file = file_of(repo, name, info.sha, {**facts, "quiet": True})
        path = _fetch(file, repo, name, info.sha, offline)
    return path.parent


def _model_files(names, source):
    """Which files of a repository make up the model."""
    top = sorted(name for name in names if "/" not in name)
    ours = [name for name in top if name.endswith(".safetensors")]
    if ours and "config.json" in top:
        return ["config.json", *ours, *(name for name in top if name == "README.md")]
    models = [name for name in top if name.endswith(MODEL_SUFFIXES)]
    arrays = [name for name in top if name.endswith(".npy")]  # together one model
    if not models and not arrays:
        raise MissingFileError(
            f"{source} holds no model at its top: it has {sorted(names)[:10]}. One file further "
            f"down is loaded as `{source}/<path>`"
        )
    if len(models) > MANY:
        raise DownloadError(
            f"{source} holds {len(models)} checkpoints: {models[:20]}. Load one as "
            f"`{source}/{models[0]}`"
        )
    return [*(models or arrays), *(name for name in top if name.endswith(".json"))]


# --- the client


def _ask(source, call):
    """`call(huggingface_hub, endpoint=..., cache_dir=...)`, with our errors; tried a few times."""
    import huggingface_hub as client
    from huggingface_hub import errors

    endpoint = settings.rewritten((os.environ.get("HF_ENDPOINT") or HUB).rstrip("/"))
    where = {"endpoint": endpoint, "cache_dir": str(settings.home() / "hf")}
    for tries in range(TRIES):
        start = time.monotonic()
        try:
            with _bars():
                return call(client, **where)
        except (errors.HTTPError, OSError, ValueError, RuntimeError) as error:
            wrapped, temporary = _error_of(error, source)
            patient = time.monotonic() - start > PATIENT
            if not temporary or patient or tries == TRIES - 1:
                raise wrapped from error
            time.sleep(settings.BACKOFF * 2**tries)


def _error_of(error, source):
    """(our error for one of the client's, whether another try may help)."""
    from huggingface_hub import errors

    chain = [error]
    while chain[-1].__cause__ is not None:
        chain.append(chain[-1].__cause__)
    answers = [e for e in chain if isinstance(e, errors.HfHubHTTPError) and e.response is not None]
    status = answers[0].response.status_code if answers else None
    telling = (answers or chain[-1:])[0]
    text = " ".join(str(telling).split())[:300] or type(telling).__name__
    if isinstance(error, OSError) and error.errno in files.DISK:
        return files.cache_error(settings.home() / "hf", error), False
    if isinstance(chain[-1], errors.OfflineModeIsEnabled):
        return OfflineError(f"{source}: huggingface_hub was imported offline. {text}"), False
    if status in (401, 403):
        return AccessError(
            f"{source} needs a login or an accepted agreement, or does not exist ({status}): "
            f"{text}. Accept its terms on the Hub, then `hf auth login` or set HF_TOKEN"
        ), False
    missing = (errors.RevisionNotFoundError, errors.RepositoryNotFoundError)
    if status in (404, 410) or isinstance(error, missing):
        return MissingFileError(f"{source} does not exist ({status}): {text}"), False
    temporary = not isinstance(error, errors.HFValidationError)
    return DownloadError(f"{source} cannot be fetched: {text}. Try again later"), temporary


@contextlib.contextmanager
def _bars():
    """The client's progress bars, where ours would show."""
    from huggingface_hub import utils

    if progress.shown() or utils.are_progress_bars_disabled():
        yield
        return
    utils.disable_progress_bars()
    try:
        yield
    finally:
        utils.enable_progress_bars()
