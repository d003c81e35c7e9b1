import keras
import numpy as np
import pytest

from ganzoo.errors import MetricError, NonFiniteError
from ganzoo.generator import Generator, StyleGenerator
from ganzoo.metrics.perceptual_path_length import (
    PROTOCOLS,
    latent_pairs,
    lerp,
    metric_id,
    path_length,
    perceptual_path_length,
    slerp,
)

ALL = pytest.mark.parametrize(
    "reference", ["stylegan", "torch-fidelity-any", "torch-fidelity-unit"]
)


@ALL
def test_a_quarter_circle_by_halves(reference):
    start, end = np.float64([[1.0, 0.0]]), np.float64([[0.0, 1.0]])
    found = slerp(start, end, 0.5, reference=reference)
    np.testing.assert_allclose(found, [[np.sqrt(0.5), np.sqrt(0.5)]])
    np.testing.assert_allclose(slerp(start, end, 0.0, reference=reference), start, atol=1e-12)
    np.testing.assert_allclose(slerp(start, end, 1.0, reference=reference), end, atol=1e-12)


@ALL
def test_equal_directions_give_no_nan(reference):
    start = np.float64([[3.0, 4.0]])
    found = slerp(start, 2 * start, 0.25, reference=reference)
    expected = [[3.75, 5.0]] if reference == "torch-fidelity-any" else [[0.6, 0.8]]
    np.testing.assert_allclose(found, expected)


def test_lengths_stay_or_become_one():
    start, end = latent_pairs(20, 9)
    unit = slerp(start, end, 0.3)
    assert unit.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(unit, axis=1), 1.0, rtol=1e-6)
    kept = slerp(start, end, 0.0, reference="torch-fidelity-any")
    np.testing.assert_allclose(kept, start, rtol=1e-6)


def test_lerp_takes_one_t_for_each_path():
    start, end = np.zeros((2, 3)), np.ones((2, 3))
    np.testing.assert_array_equal(lerp(start, end, [[0.25], [1.0]])[:, 0], [0.25, 1.0])


def test_the_tails_are_cut_and_the_bounds_kept():
    found = path_length(np.arange(201.0), epsilon=2.0)
    assert (found.lower, found.upper, found.kept) == (0.5, 49.5, 197)
    assert found.mean == pytest.approx(25.0)
    everything = path_length(np.arange(201.0), lower_percentile=0, upper_percentile=100, epsilon=1)
    assert everything.kept == 201


def test_faulty_input():
    pair = np.ones((2, 3))
    with pytest.raises(MetricError, match="length 0"):
        slerp(np.zeros((2, 3)), pair, 0.5)
    with pytest.raises(MetricError, match=r"t \(3,\)"):
        lerp(pair, pair, [0.1, 0.2, 0.3])
    with pytest.raises(MetricError, match="epsilon"):
        path_length(np.ones(5), epsilon=0.0)
    with pytest.raises(MetricError, match="Percentiles"):
        path_length(np.ones(5), lower_percentile=99, upper_percentile=1)
    with pytest.raises(NonFiniteError):
        path_length([1.0, np.nan])
    with pytest.raises(MetricError, match="axis"):
        path_length(np.ones((5, 1)))


# Whole measurements, of generators whose path lengths are known

DIM, SIDE = 3, 16
TURN = np.random.RandomState(0).randn(DIM, SIDE * SIDE).astype("float32") / 20


class Plain(Generator):
    """Images that are linear in z."""

    latent_dim = DIM

    def __init__(self):
        keras.layers.Layer.__init__(self)  # Keras makes a base of functional models functional

    def __call__(self, inputs, training=False):
        return np.reshape(inputs @ TURN, (-1, SIDE, SIDE, 1))


class Styled(StyleGenerator):
    """w = 2 z + class in two layers, images linear in the first, noise on top."""

    latent_dim = style_dim = DIM
    num_ws, num_classes = 2, 4

    def __init__(self):
        keras.layers.Layer.__init__(self)

    def mapping(self, z, labels=None, truncation=1.0, truncation_cutoff=None):
        w = 2 * z + np.asarray(labels, "float32")[:, np.newaxis]
        return np.stack([w, np.zeros_like(w)], axis=1)

    def synthesis(self, ws, noise="const", seed=0):
        images = np.reshape(ws[:, 0] @ TURN, (-1, SIDE, SIDE, 1))
        if noise == "random":
            images = images + np.random.RandomState(seed).randn(SIDE, SIDE, 1)
        return images


class Squares:
    """Summed squared differences on the scale of [-1, 1]."""

    def __init__(self, reference):
        self.resizer = PROTOCOLS[reference].resizer

    def __call__(self, first, second):
        return np.square((first - second) / 127.5).sum(axis=(1, 2, 3))


def measured(generator, reference="stylegan", **options):
    settings = {"samples": 300, "epsilon": 0.01, "seed": 1, "batch_size": 64, **options}
    return perceptual_path_length(generator, Squares(reference), reference=reference, **settings)


def expected(scale, seed=1):
    """Squared lengths of straight paths between the same latents."""
    random = np.random.RandomState(seed)
    lengths = []
    for size in (64, 64, 64, 64, 44):
        pairs = random.randn(size, 2, DIM)
        random.uniform(size=(size, 1))
        random.randint(1 << 31), random.randint(0, 4, size)
        lengths.append(np.square(scale * (pairs[:, 1] - pairs[:, 0]) @ TURN).sum(axis=1))
    return path_length(np.concatenate(lengths), epsilon=1.0).mean


def test_straight_paths_in_w_have_their_length():
    found = measured(Styled(), space="w")
    assert found.mean == pytest.approx(expected(2.0), rel=2e-3)
    assert found.kept == 296  # of 300, less two tails; the bounds stay


def test_noise_is_the_same_at_both_ends():
    plain, noisy = (measured(Styled(), ref, space="w") for ref in ("stylegan", "stylegan2-ada"))
    assert noisy.mean == pytest.approx(plain.mean, rel=1e-3)


def test_lerp_in_z_as_torch_fidelity_has_it():
    class Classes(Plain):
        num_classes = 4

        def __call__(self, inputs, training=False):
            return super().__call__(inputs[0])

    found = measured(Classes(), "torch-fidelity")
    assert found.mean == pytest.approx(expected(1.0), rel=2e-3)


def test_arcs_in_z_are_those_of_unit_vectors():
    found = measured(Plain(), space="z", samples=200)
    longest = np.linalg.norm(TURN, 2) ** 2 * np.pi**2
    assert 0 < found.mean < longest
    with pytest.raises(AssertionError):
        assert found.mean == pytest.approx(measured(Plain(), "torch-fidelity").mean, rel=0.1)


def test_the_start_of_a_path_is_not_the_whole():
    class Bent(Plain):
        def __call__(self, inputs, training=False):
            return np.reshape((inputs * inputs) @ TURN, (-1, SIDE, SIDE, 1))

    ends, whole = (
        measured(Bent(), "torch-fidelity", sampling=sampling) for sampling in ("end", "full")
    )
    assert ends.mean > 1.2 * whole.mean  # lerp shrinks in the middle


def test_the_crop_of_faces_leaves_its_part():
    class Corner(Plain):
        def __call__(self, inputs, training=False):
            images = np.zeros((len(inputs), SIDE, SIDE, 1), "float32")
            images[:, :6] = 1e3 * inputs[:, :1, np.newaxis, np.newaxis]  # rows 0 to 3/8
            images[:, 6:14, 4:12] = inputs[:, :1, np.newaxis, np.newaxis]
            return images

    whole, face = (measured(Corner(), "torch-fidelity", crop=crop) for crop in ("none", "face"))
    assert face.mean < 1e-3 * whole.mean and face.mean > 0
    tiny = type("Tiny", (Plain,), {"__call__": lambda self, x, training=False: x[:, None, None, :]})
    with pytest.raises(MetricError, match="8 pixels"):
        measured(tiny(), crop="face")


def test_ids_tell_the_variants_apart():
    ids = {
        metric_id(reference, space, sampling, crop)
        for reference in PROTOCOLS
        for space in "zw"
        for sampling in ("full", "end")
        for crop in ("none", "face")
    }
    assert len(ids) == 24 and "ppl-stylegan-wend-face" in ids


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"space": "w"}, "space w"),
        ({"space": "W"}, "space"),
        ({"sampling": "middle"}, "sampling"),
        ({"crop": "center"}, "crop"),
        ({"samples": 0}, "samples"),
    ],
)
def test_unknown_variants_are_refused(options, match):
    with pytest.raises(MetricError, match=match):
        measured(Plain(), **options)


def test_another_resizer_is_refused():
    with pytest.raises(MetricError, match="stylegan-256"):
        perceptual_path_length(Plain(), Squares("torch-fidelity"), samples=2)
