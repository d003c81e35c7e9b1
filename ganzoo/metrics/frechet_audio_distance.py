"""Frechet audio distance: `fid.frechet_distance` of embeddings of sound instead of images.

The embedding of the paper, VGGish, is not shipped; anything that is an `Embedding` will do, and
only distances of one embedding compare.
"""

from collections.abc import Iterable
from typing import Protocol

import numpy as np

from ganzoo.errors import MetricError, NonFiniteError, TooFewSamplesError
from ganzoo.metrics.fid import frechet_distance
from ganzoo.metrics.statistics import Key, Statistics, StreamingStatistics


class Embedding(Protocol):
    """What sounds are compared by.

    Attributes:
        name: str, such as "vggish".
        sha256: str. 64 hex digits of its weights, or of what else decides its numbers.
        sample_rate: int, Hz.
        dim: int. Columns of the embedding.
    """

    name: str
    sha256: str
    sample_rate: int
    dim: int

    def __call__(self, audio) -> np.ndarray:
        """Embeddings float [frames, dim] of float [B, T] in [-1, 1]; windows are its own."""


def audio_statistics(stream: Iterable, embedding: Embedding, *, sample_rate) -> Statistics:
    """Mean and covariance of a stream's embeddings.

    Args:
        stream: iterable of float [B, T] or [T] in [-1, 1]; T may differ between batches.
        embedding: `Embedding`.
        sample_rate: int, Hz, of the stream.
    Raises:
        MetricError: another sample rate than the embedding's, samples beyond [-1, 1] (such as 16
            bit integers), or another shape.
        NonFiniteError: NaN. TooFewSamplesError: fewer than two embeddings.
    """
    if sample_rate != embedding.sample_rate:
        raise MetricError(
            f"{embedding.name!r} hears {embedding.sample_rate} Hz; resample the audio first. "
            f"Received: sample_rate={sample_rate!r}"
        )
    moments = StreamingStatistics(embedding.dim)
    for audio in stream:
        moments.update(embedding(_checked(audio)))
    if moments.count < 2:
        raise TooFewSamplesError(
            f"A covariance needs at least 2 embeddings. Received: {moments.count}; is the stream "
            "empty, or shorter than a window?"
        )
    key = Key(
        network=embedding.sha256,
        resizer=f"{sample_rate} Hz",
        quantisation="float",
        dataset=embedding.name,
        split="audio",
        count=moments.count,
    )
    return moments.result(key)


def frechet_audio_distance(real: Iterable, fake: Iterable, embedding, *, sample_rate) -> float:
    """Frechet distance of embeddings of sound; lower is better, 0 for equal statistics.

    Args:
        real, fake: streams as in `audio_statistics`.
        embedding: `Embedding`.
        sample_rate: int, Hz, of both.
    Returns: float. Biased upwards by about 1 / frames: compare equal lengths only.
    Raises: as `audio_statistics`.
    Reference: Kilgour et al. 2019 (arXiv:1812.08466), eq. 1.
    """
    sides = [audio_statistics(side, embedding, sample_rate=sample_rate) for side in (real, fake)]
    return frechet_distance(*sides)


def _checked(audio):
    audio = np.atleast_2d(np.asarray(audio))
    if audio.ndim != 2 or audio.shape[1] == 0 or not np.issubdtype(audio.dtype, np.floating):
        raise MetricError(
            "Audio is float [B, T] in [-1, 1]; divide 16 bit integers by 32768. "
            f"Received: shape={audio.shape}, dtype={audio.dtype}"
        )
    if not np.isfinite(audio).all():
        raise NonFiniteError(f"Audio must be finite. Received: {np.isnan(audio).sum()} NaN samples")
    if np.abs(audio).max() > 1.0:
        raise MetricError(
            "Audio lies in [-1, 1]; clip it, or divide by its full scale. "
            f"Received: samples up to {np.abs(audio).max():g}"
        )
    return audio
