"""Metrics of a generator's latent spaces by name: path lengths, and linear separability.

| name | from |
| --- | --- |
| `ppl-<reference>-<space><sampling>[-face][-<classifier>]` | LPIPS, or a shipped classifier |
| `linear-separability-z`, `linear-separability-w` | a classifier of attributes |

They draw samples themselves, so that they need the generator and not a stream of its images.
"""

import dataclasses
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from ganzoo.errors import MeasureError, MetricError
from ganzoo.generator import Generator, StyleGenerator
from ganzoo.metrics import features
from ganzoo.metrics import linear_separability as separability
from ganzoo.metrics import perceptual_path_length as ppl
from ganzoo.metrics.classifier import (
    SHIPPED,
    ClassifierExtractor,
    ClassifierSimilarity,
    load_classifier,
)
from ganzoo.metrics.streams import in_turn

PATH = "ppl"  # names begin with it: those of `perceptual_path_length.metric_id`
SEPARABILITY = ("linear-separability-z", "linear-separability-w")
FEW = 8  # pairs at once through LPIPS
ROWS = 10_000  # latents at once through the mapping
_NAME = re.compile(
    rf"{PATH}-({'|'.join(ppl.PROTOCOLS)})-([zw])(full|end)(-face)?(?:-({'|'.join(SHIPPED)}))?"
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Source:
    """A generator, and how many samples are drawn from it.

    Args:
        generator: `Generator`.
        count: int > 0. Samples, or pairs.
        seed: int. Of latents and all else that is drawn.
        batch_size: int > 0. Path lengths depend on it: it orders what is drawn.
        extractor: `Extractor` or `None`.
    """

    generator: Generator
    count: int
    seed: int
    batch_size: int
    extractor: Any = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class PathName:
    """What the name of a path length says; `classifier` is `None` for LPIPS."""

    reference: str
    space: str
    sampling: str
    crop: str
    classifier: str | None


def is_path(name: str) -> bool:
    """Whether a metric's name is meant as one of a path length."""
    return name.partition("-")[0] == PATH


def parsed(name: str) -> PathName:
    """What the name of a path length says. Raises: MeasureError: another name."""
    match = _NAME.fullmatch(name)
    if match is None:
        legal = [ppl.metric_id(r, s, t) for r in ppl.PROTOCOLS for s in "zw" for t in ppl.SAMPLINGS]
        raise MeasureError(
            f"Path lengths are {legal}, each with -face for the crop of faces, and with - and one "
            f"of {list(SHIPPED)} for distances in its features. Received: {name!r}"
        )
    reference, space, sampling, face, classifier = match.groups()
    return PathName(
        reference=reference,
        space=space,
        sampling=sampling,
        crop="face" if face else "none",
        classifier=classifier,
    )


def check_attributes(names: Sequence[str], extractor, called=None) -> None:
    """Raises MeasureError unless the extractor of separabilities is a classifier of attributes.

    Args: called: what the user calls the extractor. Defaults to its name.
    """
    if isinstance(extractor, ClassifierExtractor) and extractor.attributes:
        return
    legal = [name for name, shipped in SHIPPED.items() if shipped.attributes]
    called = extractor.name if called is None and extractor is not None else called
    raise MeasureError(
        f"{list(names)} need a classifier of attributes: give features (--features) out of "
        f"{legal}. Received: features={called!r}"
    )


def check_generator(names: Sequence[str], generator) -> None:
    """Raises unless the generator has the spaces that the metrics are of.

    Raises: MetricError: there is none, or path lengths in w of one without. MeasureError: its
        separability in w.
    """
    if generator is None:
        raise MetricError(
            f"{list(names)} are of a generator, not of its samples alone; give `generator`."
        )
    for name in filter(is_path, names):
        ppl.check_space(generator, parsed(name).space)
    if SEPARABILITY[1] in names and not isinstance(generator, StyleGenerator):
        cuts = [name for name in names if name in SEPARABILITY]
        raise MeasureError(
            f"{type(generator).__name__} has no w; take {SEPARABILITY[0]!r}. Received: {cuts}"
        )


def path_lengths(source: Source, names: Sequence[str]) -> list[dict]:
    """Fields of the records of path lengths."""
    return [_path_length(source, name) for name in names]


def _path_length(source, name):
    path = parsed(name)
    network = _distance(path.classifier, ppl.PROTOCOLS[path.reference].resizer)
    result = ppl.perceptual_path_length(
        source.generator,
        network,
        space=path.space,
        sampling=path.sampling,
        crop=path.crop,
        reference=path.reference,
        samples=source.count,
        seed=source.seed,
        batch_size=source.batch_size if path.classifier else min(source.batch_size, FEW),
    )
    return {
        "metric": name,
        "value": result.mean,
        "deviation": result.std / result.kept**0.5,
        "network": network.sha256,
        "resizer": network.resizer,
        "quantisation": "float",
        "settings": {"epsilon": ppl.EPSILON, "deviation": "standard error"},
    }


def _distance(classifier, resizer):
    """The `similarity` of a path length."""
    if classifier is None:
        return features.similarity("vgg", resizer=resizer)
    return ClassifierSimilarity(load_classifier(classifier), resizer)


def separabilities(source: Source, names: Sequence[str]) -> list[dict]:
    """Fields of the records of `SEPARABILITY`; labels are in turn, the surer half is kept."""
    generator, count, extractor = source.generator, source.count, source.extractor
    latents = generator.latents(count, source.seed)
    labels = in_turn(generator, count)
    images = generator.generate(latents=latents, labels=labels, batch_size=source.batch_size)
    attributes = extractor.probabilities(images)
    points = {SEPARABILITY[0]: latents}
    if SEPARABILITY[1] in names:
        points[SEPARABILITY[1]] = _styles(generator, latents, labels)
    keep = count // 2
    scores = [
        separability.linear_separability(
            points[name], attributes, keep=keep, separate=separability.linear_svm
        ).score
        for name in names
    ]
    return [
        {
            "metric": f"{name}-{extractor.name}",
            "value": score,
            "network": extractor.sha256,
            "resizer": extractor.resizer,
            "quantisation": "uint8",
            "settings": {"keep": keep, "cut": "LinearSVC"},
        }
        for name, score in zip(names, scores, strict=True)
    ]


def _styles(generator, latents, labels):
    """float32 [N, style_dim]: the w of each latent."""
    parts = []
    for start in range(0, len(latents), ROWS):
        rows = slice(start, start + ROWS)
        ws = generator.mapping(latents[rows], None if labels is None else labels[rows])
        parts.append(ws.numpy()[:, 0])
    return np.concatenate(parts)
