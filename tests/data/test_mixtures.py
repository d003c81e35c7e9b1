"""Mixtures of Gaussians: places, scores, and a stream without end."""

import math

import numpy as np
import pytest
from support.data_sets import assert_equal, take

from ganzoo import data
from ganzoo.data import Dataset


def test_ring_has_eight_places():
    centres = data.ring().centres
    assert centres.shape == (8, 2) and centres.dtype == np.float32
    assert len(np.unique(np.round(centres, 4), axis=0)) == 8
    distances = np.linalg.norm(centres[:, None] - centres, axis=-1) + 9 * np.eye(8)
    np.testing.assert_allclose(distances.min(1), 2 * 2 * math.sin(math.pi / 8), atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(centres, axis=1), 2.0, atol=1e-6)


def test_grid_centres():
    centres = data.grid(16, radius=3.0).centres
    expected = {(x, y) for x in (-3, -1, 1, 3) for y in (-3, -1, 1, 3)}
    assert {tuple(centre) for centre in centres.tolist()} == expected
    assert data.grid().centres.shape == (25, 2)


@pytest.mark.parametrize("mixture", [data.ring(), data.grid(16), data.grid(25)])
def test_score_of_perfect_samples(mixture):
    samples = mixture.sample(20_000, seed=1)
    result = data.score(samples, mixture)
    assert result["modes"] == mixture.modes
    assert abs(result["high_quality"] - (1 - math.exp(-4.5))) < 0.003  # 4 standard deviations
    assert 0 < result["kl"] < 4 * (mixture.modes - 1) / 40_000
    np.testing.assert_array_equal(samples, mixture.sample(20_000, seed=1))
    assert (samples != mixture.sample(20_000, seed=2)).any()


def test_score_of_collapsed_and_bad_samples():
    mixture = data.ring()
    one = np.repeat(mixture.centres[:1], 100, axis=0)
    expected = {"modes": 1, "high_quality": 1.0, "kl": pytest.approx(math.log(8))}
    assert data.score(one, mixture) == expected
    half = np.concatenate([mixture.centres[:4]] * 25 + [np.zeros([100, 2])])
    expected = {"modes": 4, "high_quality": 0.5, "kl": pytest.approx(math.log(2))}
    assert data.score(half, mixture) == expected
    none = {"modes": 0, "high_quality": 0.0, "kl": pytest.approx(math.log(8))}
    assert data.score(np.zeros([10, 2]), mixture) == none
    assert data.score(np.full([10, 2], np.nan), mixture) == none
    near = mixture.centres + np.float32([[0.059, 0]])
    assert data.score(near, mixture)["high_quality"] == 1.0
    far = mixture.centres + np.float32([[0.061, 0]])
    assert data.score(far, mixture)["high_quality"] == 0.0
    with pytest.raises(ValueError, match=r"shape=\(3, 3\)"):
        data.score(np.zeros([3, 3]), mixture)


def test_mixture_stream_resumes_and_is_labelled():
    dataset = Dataset(name="ring", label="label")
    whole = take(data.stream(dataset, 64, seed=5), 6)
    assert_equal(whole[2:], take(data.stream(dataset, 64, seed=5, start=2), 4))
    points = np.concatenate([batch["image"] for batch in whole])
    labels = np.concatenate([batch["label"] for batch in whole])
    assert points.dtype == np.float32 and labels.dtype == np.int32
    assert np.linalg.norm(points - data.ring().centres[labels], axis=1).max() < 0.1
    assert data.score(points, data.ring())["modes"] == 8
    assert (whole[0]["image"] != whole[1]["image"]).all()
    assert list(take(data.stream(Dataset(name="grid"), 4), 1)[0]) == ["image"]


def test_mixtures_have_no_epochs_and_no_images():
    with pytest.raises(ValueError, match="epochs=1"):
        data.stream(Dataset(name="ring"), 4, epochs=1)
    with pytest.raises(ValueError, match="sample"):
        data.images(Dataset(name="ring"))
