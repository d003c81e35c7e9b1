"""Every exception of the package, one type for each next step.

Every message names the file, URL or value, what was expected, what was found and what to do. All
are `ValueError`s, so that a caller who does not care for the kind catches one type; the command
line turns each into one line and exit code 2.
"""


class GanzooError(ValueError):
    """Base of every error of this package."""


def first_line(error: BaseException) -> str:
    """What an error says, for another message."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def with_type(error: BaseException) -> str:
    """`OSError: what it says`."""
    return f"{type(error).__name__}: {error}"


class UnknownModelError(GanzooError):
    """No published model, file or folder has the name; the message lists the nearest names."""


class PlannedModelError(GanzooError):
    """The manifest lists the model, but ganzoo cannot build its family or read its file yet."""


class LicenseError(GanzooError):
    """Non-commercial weights were asked for without accepting their licence."""


# --- files that are here


class WeightsError(GanzooError):
    """A weights file that is absent, corrupt, truncated or made for another network."""


class UnknownFamilyError(WeightsError):
    """The weights are of somebody's own family, whose module was not imported in this process."""


class CheckpointError(WeightsError):
    """A checkpoint cannot be read; the message names the file."""


class CorruptCheckpointError(CheckpointError):
    """The file is truncated, damaged or no checkpoint; the message says what it looks like."""


class UnsafeCheckpointError(CheckpointError):
    """The file names a class or function outside the closed table. Nothing of it was run."""


class HashError(WeightsError):
    """A file whose sha256 or size is not the published one; nothing of it was parsed."""


# --- files that must be fetched


class DownloadError(GanzooError, OSError):
    """No mirror gave the file; the message says for each mirror what happened."""


class OfflineError(DownloadError):
    """The file is not in the cache, and `GANZOO_OFFLINE` or `HF_HUB_OFFLINE` forbids fetching."""


class MissingFileError(DownloadError):
    """The server answers that the file, repository or revision does not exist (404, 410)."""


class AccessError(DownloadError):
    """The server asks for a login, a token or an accepted agreement (401, 403)."""


class WrongBodyError(DownloadError):
    """A web page, a Git-LFS pointer or another text came instead of the file."""


class CacheError(GanzooError, OSError):
    """The cache cannot be written: disk full, read-only, or no permission."""


# --- measurements


class MetricError(GanzooError):
    """Base of what can go wrong between images and a number."""


class NonFiniteError(MetricError):
    """Features or images hold NaN or infinity; the message says how many."""


class TooFewSamplesError(MetricError):
    """The stream is empty, or has fewer samples than the metric needs."""


class UnlikeStatisticsError(MetricError):
    """Statistics of another network, resizer, quantisation or number of dimensions."""


class StatisticsFileError(MetricError):
    """A file of statistics that is damaged, foreign, or not the published one."""


class UnlikeRecordsError(MetricError):
    """Records of different protocols were compared; the message names what differs."""


class RecordFileError(MetricError):
    """A file that holds no records, or one that is damaged."""


class MeasureError(GanzooError):
    """It is not known what a model is to be measured with; the message says what to give."""


# --- data, training, editing


class DatasetNotFoundError(GanzooError):
    """The data set is unknown, or is not on this machine and could not be fetched."""


class DatasetKindError(GanzooError):
    """A data set of another kind than the family trains on; the message says what to build."""


class PackageError(GanzooError, ImportError):
    """Optional packages are missing, or of versions that give other results."""


class RecipeError(GanzooError):
    """A recipe that cannot be read, is not valid, or differs from the one its folder holds."""


class EditingError(GanzooError):
    """An edit that this generator, space or image does not allow; the message says what it does."""
