import dataclasses
import warnings

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from ganzoo.errors import MetricError, TooFewSamplesError, UnlikeStatisticsError
from ganzoo.metrics.fid import REFERENCES, frechet_distance, intra_class_distance
from ganzoo.metrics.statistics import Key, Statistics, statistics_of


def draw(count, dimension, seed, shift=0.0):
    random = np.random.default_rng(seed)
    mix = random.standard_normal((dimension, dimension)) / np.sqrt(dimension)
    return np.maximum(random.standard_normal((count, dimension)) @ mix + shift, 0.0)


def distance(real, fake, **options):
    options = {"too_few": "accept", **options}
    return frechet_distance(statistics_of(real), statistics_of(fake), **options)


def test_closed_form_of_diagonal_gaussians():
    real = Statistics(mean=[1.0, 2.0], covariance=np.diag([4.0, 9.0]), count=None)
    fake = Statistics(mean=[0.0, 4.0], covariance=np.diag([1.0, 16.0]), count=None)
    # 1 + 4 + (2 - 1)^2 + (3 - 4)^2
    assert frechet_distance(real, fake) == pytest.approx(7.0, rel=1e-12)


def test_closed_form_of_covariances_that_do_not_commute():
    first, second = np.float64([[2, 1], [1, 2]]), np.float64([[3, 0], [0, 1]])
    real = Statistics(mean=[0, 0], covariance=first, count=None)
    fake = Statistics(mean=[0, 0], covariance=second, count=None)
    # In two dimensions tr sqrt(M) = sqrt(tr M + 2 sqrt(det M)); tr = 8, det = 9.
    expected = 4 + 4 - 2 * np.sqrt(8 + 2 * 3)
    assert frechet_distance(real, fake) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("count", [30, 200])
def test_a_set_with_itself(count):
    features = draw(count, 64, 0).astype(np.float32)
    assert abs(distance(features, features)) < 1e-9


def test_a_constant_set():
    constant, other = np.full((10, 5), 2.0), draw(40, 5, 0)
    expected = np.square(other.mean(axis=0) - 2).sum() + other.var(axis=0, ddof=1).sum()
    assert distance(constant, other) == pytest.approx(expected)
    assert distance(other, constant) == pytest.approx(expected)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([6, 12, 60]))
def test_permutation_rotation_and_swap_change_nothing(seed, count):
    random = np.random.default_rng(seed)
    real, fake = draw(count, 12, seed), draw(count + 3, 12, seed + 1, 0.3)
    rotation = np.linalg.qr(random.standard_normal((12, 12)))[0]
    expected = pytest.approx(distance(real, fake), rel=1e-7, abs=1e-7)
    assert distance(random.permutation(real), random.permutation(fake)) == expected
    assert distance(real @ rotation, fake @ rotation) == expected
    assert distance(fake, real) == expected
    assert distance(3 * real, 3 * fake) / 9 == expected


@pytest.mark.parametrize("reference", ["torch-fidelity", "pytorch-fid"])
@pytest.mark.parametrize("counts", [(40, 35), (12, 10), (12, 90)])
def test_references_agree_on_any_rank(reference, counts):
    if reference == "pytorch-fid":
        pytest.importorskip("scipy")
    real, fake = draw(counts[0], 24, 0), draw(counts[1], 24, 1, 0.2)
    exact = distance(real, fake)
    assert distance(real, fake, reference=reference) == pytest.approx(exact, rel=1e-6)


def test_the_offset_of_pytorch_fid_shows_where_one_set_lacks_rank():
    real, fake = draw(400, 24, 0), draw(400, 24, 1, 0.2)
    offset = dict(reference="pytorch-fid-singular")
    assert distance(real, fake, **offset) == pytest.approx(distance(real, fake), rel=1e-4)
    # Each of the 17 directions that the fakes lack adds sqrt(1e-6 lambda) to the trace of the root.
    change = distance(real, fake[:8]) - distance(real, fake[:8], **offset)
    assert 17 * 2e-3 * 0.1 < change < 17 * 2e-3


def test_a_wrong_count_does_not_cut_the_spectrum():
    real, fake = statistics_of(draw(90, 24, 0)), statistics_of(draw(90, 24, 1, 0.2))
    expected = frechet_distance(real, fake)
    claimed = [dataclasses.replace(statistics, count=5) for statistics in (real, fake)]
    assert frechet_distance(*claimed, too_few="accept") == pytest.approx(expected, rel=1e-12)


def test_too_few_samples_are_said():
    real, fake = statistics_of(draw(40, 24, 0)), statistics_of(draw(24, 24, 1))
    with pytest.warns(UserWarning, match="24 dimensions.*fake has 24 samples"):
        frechet_distance(real, fake)
    with pytest.raises(TooFewSamplesError, match="fake has 24 samples"):
        frechet_distance(real, fake, too_few="raise")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        frechet_distance(real, fake, too_few="accept")
        frechet_distance(real, real)


def test_unknown_choices_list_the_legal_ones():
    real = statistics_of(draw(40, 4, 0))
    with pytest.raises(MetricError, match="torch-fidelity"):
        frechet_distance(real, real, reference="mine")
    with pytest.raises(MetricError, match="accept"):
        frechet_distance(real, real, too_few="ignore")
    assert "exact" in REFERENCES


def test_statistics_of_other_resizers_do_not_compare():
    key = Key(
        network="ab" * 32, resizer="tf1", quantisation="uint8", dataset="a", split="b", count=40
    )
    real = statistics_of(draw(40, 4, 0), key)
    fake = dataclasses.replace(real, key=dataclasses.replace(key, resizer="clean"))
    with pytest.raises(UnlikeStatisticsError, match="resizer"):
        frechet_distance(real, fake)


def test_intra_class_distance_sees_what_the_whole_does_not():
    random = np.random.default_rng(0)
    classes = {label: random.standard_normal((500, 3)) + 4 * label for label in (0, 1)}
    real = {label: statistics_of(features) for label, features in classes.items()}
    swapped = {0: real[1], 1: real[0]}
    whole = statistics_of(np.concatenate([classes[0], classes[1]]))
    assert abs(frechet_distance(whole, whole)) < 1e-9
    found = intra_class_distance(real, swapped)
    assert found.mean == pytest.approx(48.0, rel=0.1)
    assert found.mean == pytest.approx((found.values[0] + found.values[1]) / 2)
    assert abs(intra_class_distance(real, real).mean) < 1e-9


def test_intra_class_distance_needs_the_same_classes():
    real = {0: statistics_of(draw(40, 4, 0))}
    with pytest.raises(MetricError, match=r"in one only: \['1'\]"):
        intra_class_distance(real, {**real, 1: real[0]})
    with pytest.raises(MetricError, match="0 and 0 classes"):
        intra_class_distance({}, {})
