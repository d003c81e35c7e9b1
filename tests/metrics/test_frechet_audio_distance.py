"""The Frechet audio distance with an embedding whose statistics are known."""

import numpy as np
import pytest

from ganzoo.errors import MetricError, NonFiniteError, TooFewSamplesError, UnlikeStatisticsError
from ganzoo.metrics.frechet_audio_distance import audio_statistics, frechet_audio_distance


class Windows:
    """Mean and loudness of windows of 100 samples."""

    name, sha256, sample_rate, dim = "windows", "5" * 64, 16_000, 2

    def __call__(self, audio):
        windows = audio[:, : audio.shape[1] // 100 * 100].reshape(-1, 100)
        return np.stack([windows.mean(axis=1), windows.std(axis=1)], axis=1)


def noise(scale, seed, length=100_000, offset=0.0):
    return np.clip(offset + scale * np.random.RandomState(seed).randn(2, length), -1, 1)


def test_a_sound_is_at_no_distance_from_itself():
    assert abs(distance(noise(0.1, 0), noise(0.1, 0))) < 1e-9


def distance(real, fake, **options):
    return frechet_audio_distance([real], [fake], Windows(), sample_rate=16_000, **options)


def test_louder_and_shifted_noise_is_as_far_as_its_statistics():
    found = distance(noise(0.1, 0), noise(0.2, 1, offset=0.3))
    # Means 0 and 0.3 of the first column, about 0.1 and 0.2 of the second; the deviations of
    # the window means differ by 0.01, those of the loudness by 0.007.
    assert found == pytest.approx(0.3**2 + 0.1**2 + 0.01**2 + 0.007**2, rel=0.02)


def test_batches_and_lengths_do_not_matter():
    whole = noise(0.1, 0, 3000)
    parts = [whole[:, :1000], whole[0, 1000:], whole[1:, 1000:]]
    one, many = (audio_statistics(s, Windows(), sample_rate=16_000) for s in ([whole], parts))
    np.testing.assert_allclose(one.covariance, many.covariance, rtol=1e-12)
    assert one.count == many.count == 60


def test_unlike_embeddings_do_not_compare():
    other = Windows()
    other.sha256 = "6" * 64
    first, second = (
        audio_statistics([noise(0.1, 0)], e, sample_rate=16_000) for e in (Windows(), other)
    )
    with pytest.raises(UnlikeStatisticsError, match="network"):
        first.check_alike(second)


@pytest.mark.parametrize(
    ("audio", "error", "match"),
    [
        (np.zeros((2, 3, 4)), MetricError, "shape"),
        (np.zeros((2, 300), "int16"), MetricError, "32768"),
        (np.full((2, 300), 200.0), MetricError, "200"),
        (np.full((2, 300), np.nan), NonFiniteError, "600 NaN"),
        (np.zeros((1, 150)), TooFewSamplesError, "window"),
    ],
)
def test_faulty_audio_is_refused(audio, error, match):
    with pytest.raises(error, match=match):
        distance(audio, audio)


def test_another_sample_rate_is_refused():
    with pytest.raises(MetricError, match="16000 Hz; resample.*22050"):
        frechet_audio_distance([], [], Windows(), sample_rate=22_050)
