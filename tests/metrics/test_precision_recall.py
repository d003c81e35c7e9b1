import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from ganzoo.errors import MetricError, TooFewSamplesError
from ganzoo.metrics import arrays
from ganzoo.metrics.precision_recall import precision_recall, radii

BOTH = pytest.mark.parametrize("reference", ["torch-fidelity", "prdc"])


def draw(count, seed, dimension=4, scale=1.0):
    return scale * np.random.default_rng(seed).standard_normal((count, dimension))


def by_definition(real, fake, k, compare):
    def distances(a, b):
        return np.sqrt(np.square(a[:, np.newaxis] - b).sum(axis=-1))

    def reach(a):
        return np.sort(distances(a, a), axis=1)[:, k]  # column 0 is the sample itself

    between = distances(real, fake)
    in_real = compare(between, reach(real)[:, np.newaxis])
    in_fake = compare(between, reach(fake))
    return [
        in_real.any(axis=0).mean(),
        in_fake.any(axis=1).mean(),
        in_real.sum(axis=0).mean() / k,
        in_real.any(axis=1).mean(),
    ]


def shares(found):
    return [found.precision, found.recall, found.density, found.coverage]


@BOTH
@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 5))
def test_equals_its_definition_in_tiles_with_ties(reference, seed, k):
    random = np.random.default_rng(seed)
    # Points of a small lattice: many equal distances and equal points, all exact in float64.
    real = random.integers(0, 4, (23, 3)).astype(np.float64)
    fake = random.integers(0, 5, (31, 3)).astype(np.float64)
    compare = {"torch-fidelity": np.less_equal, "prdc": np.less}[reference]
    expected = by_definition(real, fake, k, compare)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arrays, "TILE_ROWS", 7)
        patch.setattr(arrays, "TILE_COLUMNS", 9)
        found = precision_recall(real, fake, neighbours=k, reference=reference)
    np.testing.assert_allclose(shares(found), expected, rtol=0, atol=1e-12)


@BOTH
def test_collapsed_generator_has_high_precision_and_low_recall(reference):
    real = draw(400, 0)
    collapsed = real[:3].mean(axis=0) * 0.1 + draw(400, 1, scale=0.05)
    found = precision_recall(real, collapsed, reference=reference)
    assert found.precision > 0.95 and found.recall < 0.05
    assert found.density > 0.95 and found.coverage < 0.2


@BOTH
def test_noisy_generator_has_low_precision_and_high_recall(reference):
    found = precision_recall(draw(400, 0, scale=0.3), draw(400, 1, scale=2.0), reference=reference)
    assert found.precision < 0.2 and found.recall > 0.9


@BOTH
def test_swapping_real_and_fake_swaps_precision_and_recall(reference):
    real, fake = draw(120, 0), draw(90, 1, scale=0.6)
    there = precision_recall(real, fake, reference=reference)
    back = precision_recall(fake, real, reference=reference)
    assert (there.precision, there.recall) == (back.recall, back.precision)
    assert there.precision != there.recall
    assert there.f_score == back.f_score


@BOTH
def test_permutation_and_rotation_change_nothing(reference):
    real, fake = draw(80, 0), draw(70, 1, scale=0.8)
    expected = shares(precision_recall(real, fake, reference=reference))
    rotation = np.linalg.qr(draw(4, 2))[0]
    found = precision_recall(real[::-1] @ rotation, fake[::-1] @ rotation, reference=reference)
    np.testing.assert_allclose(shares(found), expected, atol=1e-12)


def test_copies_are_inside_by_one_convention_only():
    # All reals equal: their balls have the radius 0, and so have the copies'.
    same = np.full((6, 2), 0.1)
    assert shares(precision_recall(same, same, reference="torch-fidelity"))[:2] == [1.0, 1.0]
    assert shares(precision_recall(same, same, reference="prdc")) == [0.0, 0.0, 0.0, 0.0]


def test_f_score_of_nothing_is_zero():
    found = precision_recall(draw(10, 0), draw(10, 1) + 100)
    assert (found.precision, found.recall, found.f_score) == (0.0, 0.0, 0.0)


def test_a_large_common_shift_costs_nothing():
    real, fake = draw(100, 0).astype(np.float32), draw(100, 1, scale=0.7).astype(np.float32)
    expected = shares(precision_recall(real, fake))
    shifted = [features.astype(np.float64) + 2.0**20 for features in (real, fake)]
    assert shares(precision_recall(*shifted)) == expected


def test_radii_leave_out_the_sample_itself():
    points = np.float64([[0.0], [1.0], [3.0], [3.0]])
    np.testing.assert_array_equal(radii(points, 1), [1.0, 1.0, 0.0, 0.0])
    np.testing.assert_array_equal(radii(points, 2), [3.0, 2.0, 2.0, 2.0])


def test_faulty_input():
    with pytest.raises(TooFewSamplesError, match="`fake` needs at least 4 samples"):
        precision_recall(draw(9, 0), draw(3, 1))
    with pytest.raises(MetricError, match="prdc"):
        precision_recall(draw(9, 0), draw(9, 1), reference="mine")
    with pytest.raises(MetricError, match="neighbours=0"):
        precision_recall(draw(9, 0), draw(9, 1), neighbours=0)
