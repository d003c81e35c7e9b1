"""Records: a metric's value with all that decides what it may be compared with.

Two FIDs of the same weights differ by network, resizer, quantisation, number of samples, split,
mirror images, truncation and average. A `Record` holds these; `check_alike`, and with it `ranked`,
refuses records that differ in one, unless the caller says that this is what is varied. Files are
JSON and are read without running anything.
"""

import contextlib
import dataclasses
import importlib.metadata
import json
import math
import os
import pathlib
import platform
from collections.abc import Iterable, Sequence

from ganzoo import resources
from ganzoo.errors import MetricError, RecordFileError, UnlikeRecordsError
from ganzoo.hub.cards import shown

VERSION = 1
BETTER = ("higher", "lower")
# What must agree, in the order in which differences are told.
PROTOCOL = (
    "metric",
    "network",
    "resizer",
    "quantisation",
    "data",
    "split",
    "mirror",
    "n_real",
    "n_fake",
    "truncation",
    "ema",
    "settings",
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Record:
    """One measured number.

    Args:
        metric: str. `<metric>-<feature network>` such as `"fid-inception"`, or `<metric>`.
        value: finite float.
        better: `"lower"` or `"higher"`.
        deviation: float >= 0 or `None`. Over subsets or splits, or the standard error; `settings`
            says of what.
        network: str or `None`. sha256 of the feature network's weights; `None` for metrics of the
            samples themselves.
        resizer: str or `None`. What brought images to the network's size.
        quantisation: str or `None`. What was measured: `"uint8"`; `None` for points.
        data: str or `None`. The real data set with crop and size; `None` if none was needed.
        split: str or `None`. Of the real data.
        mirror: str or `None`. Of the reals: `"none"`, or `"both"`: each image and its mirror image.
        n_real, n_fake: int > 0 or `None`. Samples of each.
        truncation: float or `None`. Of the latents; `None` where the model has none.
        ema: bool or `None`. Whether an average of the weights drew the samples.
        seed: int or `None`. Of the latents.
        labels: str or `None`. How classes were drawn: `"in turn"`; `None`: unconditional.
        settings: dict. Arguments of the metric, defaults included.
        model: str. What drew the samples.
        step: int >= 0 or `None`. Of its training, while that goes on.
        weights: str or `None`. sha256 of its file.
        versions: dict of package to version.
        command: str or `None`. What measures it again.
    Raises:
        MetricError: a value that is not finite, or another `better`.
    """

    metric: str
    value: float
    better: str
    deviation: float | None = None
    network: str | None = None
    resizer: str | None = None
    quantisation: str | None = None
    data: str | None = None
    split: str | None = None
    mirror: str | None = None
    n_real: int | None = None
    n_fake: int | None = None
    truncation: float | None = None
    ema: bool | None = None
    seed: int | None = None
    labels: str | None = None
    settings: dict = dataclasses.field(default_factory=dict)
    model: str = "unnamed"
    step: int | None = None
    weights: str | None = None
    versions: dict = dataclasses.field(default_factory=lambda: versions())
    command: str | None = None

    def __post_init__(self):
        number = isinstance(self.value, (int, float)) and not isinstance(self.value, bool)
        if not number or not math.isfinite(self.value) or self.better not in BETTER:
            raise MetricError(
                f"A record has a finite `value` and `better` out of {BETTER}; measure again. "
                f"Received: metric={self.metric!r}, value={self.value!r}, better={self.better!r}"
            )

    @property
    def protocol(self) -> dict:
        """What must agree before two values are compared."""
        return {field: getattr(self, field) for field in PROTOCOL}

    def json(self) -> dict:
        """All fields as JSON takes them, without a step that there is none of."""
        fields = dataclasses.asdict(self)
        return {k: v for k, v in fields.items() if k != "step" or v is not None}


def versions() -> dict[str, str]:
    """Of Python and the packages that decide a number's last digits; those that are installed."""
    found = {"python": platform.python_version()}
    for name in ("keras-ganzoo", "keras", "tensorflow", "numpy"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


# Comparison


def check_alike(records: Iterable[Record], *, varying: Sequence[str] = ()) -> None:
    """Raises UnlikeRecordsError unless all records have one protocol.

    Args:
        records: of models, data sets or settings.
        varying: names of `PROTOCOL` that are meant to differ, such as `("truncation",)`.
    Raises:
        UnlikeRecordsError: naming every field that differs, with its values.
        MetricError: `varying` names no such field.
    """
    unknown = sorted(set(varying) - set(PROTOCOL))
    if unknown:
        raise MetricError(f"`varying` names fields of {PROTOCOL}. Received: varying={unknown}")
    records = list(records)
    faults = []
    for field in PROTOCOL:
        values = {_text(getattr(record, field)): record.model for record in records}
        if len(values) > 1 and field not in varying:
            shown = ", ".join(f"{value} ({model})" for value, model in values.items())
            faults.append(f"{field}: {shown}")
    if faults:
        raise UnlikeRecordsError(
            "Records compare only if they were measured alike; measure one of them again, or say "
            f"with `varying=` that a field differs on purpose. Received: {'; '.join(faults)}"
        )


def _text(value):
    return json.dumps(value, sort_keys=True)


def ranked(records: Iterable[Record], *, varying: Sequence[str] = ()) -> list[Record]:
    """Records of one metric and protocol, the best first; ties in the given order.

    Raises: UnlikeRecordsError, MetricError: as `check_alike`.
    """
    records = list(records)
    check_alike(records, varying=varying)
    sign = -1.0 if records and records[0].better == "higher" else 1.0
    return sorted(records, key=lambda record: sign * record.value)


def is_better(record: Record, best: Record | None) -> bool:
    """Whether a record beats the best so far, which must be alike; `None` is beaten by any.

    Raises: UnlikeRecordsError: as `check_alike`.
    """
    return best is None or ranked([best, record])[0] is record


# For readers


def groups(records: Iterable[Record], *, varying: Sequence[str] = ()) -> dict[str, list[Record]]:
    """Records by metric, the best first; metrics in the order of their first record.

    Raises: UnlikeRecordsError: those of one metric were not measured alike.
    """
    found = {}
    for record in records:
        found.setdefault(record.metric, []).append(record)
    return {metric: ranked(same, varying=varying) for metric, same in found.items()}


def table(records: Sequence[Record]) -> str:
    """Values of one model in lines, then how they were measured."""
    width = max(len(record.metric) for record in records)
    lines = []
    for record in records:
        deviation = f" +- {record.deviation:.2g}" if record.deviation is not None else ""
        word = f"({record.better} is better)"
        lines.append(f"{record.metric.ljust(width)}  {shown(record.value)}{deviation}  {word}")
    lines += [f"  {line}" for line in dict.fromkeys(map(_how, records))]
    return "\n".join(lines)


def _how(record):
    """How a record was measured, in a line without the metric."""
    parts = [f"n_fake={record.n_fake}"]
    if record.data is not None:
        mirror = "" if record.mirror == "none" else ", mirrored too"
        parts.append(f"n_real={record.n_real} of {record.data} {record.split}{mirror}")
    if record.network is not None:
        parts.append(f"network {record.network[:12]}, resizer {record.resizer}")
    parts += [
        f"{name}={getattr(record, name)}"
        for name in ("truncation", "ema", "labels", "seed")
        if getattr(record, name) is not None
    ]
    return ", ".join(parts)


def comparison(records: Iterable[Record], *, varying: Sequence[str] = ()) -> str:
    """A ranking of each metric with bars: the length is the value, relative to the largest.

    Raises: UnlikeRecordsError: records of one metric that were not measured alike.
    """
    lines = []
    for metric, ranking in groups(records, varying=varying).items():
        lines += ["", f"{metric} ({ranking[0].better} is better)"]
        names = [_name(record, varying) for record in ranking]
        width = max(map(len, names))
        largest = max(abs(record.value) for record in ranking) or 1.0
        for name, record in zip(names, ranking):
            bar = "█" * round(30 * max(record.value, 0.0) / largest)
            lines.append(f"  {name.ljust(width)}  {shown(record.value):>9}  {bar}".rstrip())
        lines += [f"  {line}" for line in dict.fromkeys(map(_how, ranking))]
    return "\n".join(lines[1:])


def _name(record, varying):
    step = [] if record.step is None else [f"step {record.step}"]
    values = [f"{field}={getattr(record, field)}" for field in varying]
    return " ".join([record.model, *step, *values])


def plot(path, records: Iterable[Record], *, varying: Sequence[str] = ()) -> pathlib.Path:
    """Writes `comparison` as a PNG of bars, one panel for each metric.

    Raises: UnlikeRecordsError: as `comparison`. MetricError: matplotlib is not installed.
    """
    rankings = groups(records, varying=varying)
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise MetricError(
            "A plot needs matplotlib: `pip install 'keras-ganzoo[metrics]'`; without --output the "
            "table has bars of its own."
        ) from None
    rows = [max(len(ranking), 2) for ranking in rankings.values()]
    figure = Figure(figsize=(8, 0.4 * sum(rows) + 0.9 * len(rows)), layout="constrained")
    axes = figure.subplots(len(rows), 1, squeeze=False, height_ratios=rows)[:, 0]
    for axis, (metric, ranking) in zip(axes, rankings.items()):
        names = [_name(record, varying) for record in ranking]
        places = range(len(ranking))
        deviations = [record.deviation or 0.0 for record in ranking]
        bars = axis.barh(places, [r.value for r in ranking], xerr=deviations, color="#4477aa")
        axis.bar_label(bars, [shown(record.value) for record in ranking], padding=4)
        axis.set_yticks(places, names)
        axis.invert_yaxis()
        axis.margins(x=0.15)
        axis.spines[["top", "right"]].set_visible(False)
        axis.set_title(f"{metric} ({ranking[0].better} is better)", loc="left", fontsize=10)
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    return path


# Files


def save(path, records: Iterable[Record]) -> pathlib.Path:
    """Writes records as JSON, whole or not at all.

    Args: path: str or path; its folder is made.
    Raises: OSError: the place cannot be written.
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(
        {"version": VERSION, "records": [record.json() for record in records]},
        indent=1,
        sort_keys=True,
    )
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    aside.write_text(text + "\n", "utf-8")
    os.replace(aside, path)
    return path


def load(path) -> list[Record]:
    """Records that `save` wrote.

    Raises: RecordFileError: absent, damaged, of a later version, or with unknown fields.
    """
    path = pathlib.Path(path)
    try:
        found = json.loads(path.read_text("utf-8"))
        if not isinstance(found, dict) or found.get("version") != VERSION:
            raise ValueError(f"expected version {VERSION} of the form")
        return [Record(**entry) for entry in found["records"]]
    except FileNotFoundError:
        raise RecordFileError(
            f"{str(path)!r} does not exist; `ganzoo evaluate NAME --out {path.name}` writes one."
        ) from None
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise RecordFileError(
            f"{str(path)!r} holds no records that can be read; measure again with `ganzoo evaluate "
            f"NAME --out FILE`. Cause: {error}"
        ) from error


def of(name) -> list[Record]:
    """Records of a file, of a folder with `records.json`, or those that come with a shipped model.

    Raises: RecordFileError: none of these.
    """
    path = pathlib.Path(name)
    packaged = resources.RECORDS / f"{name}.json"
    if path.is_dir():
        return load(path / "records.json")
    if path.exists() or not packaged.is_file():
        return load(path)
    return load(packaged)
