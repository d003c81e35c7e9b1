"""Augmentation: each transformation against plain NumPy, its statistics, the adaptive p."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from harness import (
    assert_same_state,
    batches,
    check_family_in,
    check_second_order,
    images,
    two_replicas,
)

from ganzoo import augment as augment_module
from ganzoo.augment import (
    GROUPS,
    POWERS,
    SETS,
    STRENGTHS,
    AdaptiveAugment,
    DiffAugment,
    ImageTransforms,
    equal_power,
)
from ganzoo.families.dcgan import DCGAN
from ganzoo.families.stylegan2 import StyleGAN2
from ganzoo.layers.image_transforms import (
    SYM2,
    SYM6,
    amplify,
    blit,
    cut_out,
    filter_bank,
    mirrored,
    recolour,
    warp,
)
from ganzoo.penalties import R1

SEED = tf.constant([5, 7])


def made(transforms, p=1.0, **options):
    layer = ImageTransforms(transforms, p, **options)
    layer.build(None)
    return layer


def adaptive(**options):
    layer = AdaptiveAugment(**options)
    layer.build(None)
    return layer


def ints(*values):
    return tf.constant(values, "int32")


# --- the filters


@pytest.mark.parametrize("taps, moments", [(SYM2, 2), (SYM6, 6)])
def test_wavelets_are_orthonormal(taps, moments):
    shifted = [taps[2 * k :] @ taps[: len(taps) - 2 * k] for k in range(len(taps) // 2)]
    np.testing.assert_allclose(shifted, np.eye(len(shifted))[0], atol=1e-12)
    np.testing.assert_allclose(taps.sum(), 2**0.5, atol=1e-12)
    high = taps[::-1] * (-1.0) ** np.arange(len(taps))
    found = [high @ np.arange(len(taps)) ** float(k) for k in range(moments)]
    np.testing.assert_allclose(found, 0, atol=1e-6)


def test_filter_bank_divides_the_frequencies():
    bank = filter_bank()
    assert bank.shape == (4, 43)
    np.testing.assert_allclose(bank, bank[:, ::-1], atol=1e-15)
    np.testing.assert_allclose(bank.sum(0), np.eye(43)[21], atol=1e-15)
    response = np.abs(np.fft.rfft(bank, 512))  # of 0 ... pi
    for band, (low, high) in enumerate(((0, 32), (32, 64), (64, 128), (128, 257))):
        middle = (low + high) // 2 if band else 0
        assert response[:, middle].argmax() == band and response[band, middle] > 0.7


# --- blit


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("mirror", (0, 1))
def test_mirror_and_quarter_turns(mirror, turns):
    x = images(2, 7, 3)
    wanted = np.rot90(x[:, :, ::-1] if mirror else x, turns, (1, 2))
    found = blit(x, ints(mirror, mirror), ints(turns, turns), tf.zeros([2, 2], "int32"))
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("height, width", [(8, 8), (5, 9), (1, 3)])
@pytest.mark.parametrize("right, down", [(3, -2), (0, 4), (-20, 1)])
def test_integer_shift_mirrors_at_the_border(height, width, right, down):
    x = images(1, 12, 2)[:, :height, :width]
    pad = 24
    wide = np.pad(x, [(0, 0), (pad, pad), (pad, pad), (0, 0)], "reflect")
    wanted = wide[:, pad - down :][:, :height, pad - right :][:, :, :width]
    found = blit(x, ints(0), ints(0), ints([right, down]))
    np.testing.assert_array_equal(found, wanted)


def test_turns_of_oblong_images():
    x = images(1, 6, 1)[:, :4]
    half = blit(x, ints(0), ints(2), ints([0, 0]))
    np.testing.assert_array_equal(half, np.rot90(x, 2, (1, 2)))
    quarter = blit(x, ints(0), ints(1), ints([0, 0]))
    np.testing.assert_array_equal(quarter[:, :, 1:5], np.rot90(x, 1, (1, 2))[:, 1:5])


def test_mirrored_is_numpys_reflect():
    for size in (1, 2, 5):
        wanted = np.pad(np.arange(size), 13, "reflect")
        np.testing.assert_array_equal(mirrored(tf.range(-13, size + 13), size), wanted)
    np.testing.assert_allclose(mirrored(tf.constant([-0.25, 4.5]), 5), [0.25, 3.5])


# --- geom


def smooth(x, y):
    return np.sin(x / 6 + 0.3) * np.cos(y / 5) + 0.3 * np.sin((x + y) / 8)


@pytest.mark.parametrize(
    "inverse",
    [
        [[1, 0, 2.4], [0, 1, -1.7]],
        [[np.cos(0.7), -np.sin(0.7), 0.3], [np.sin(0.7), np.cos(0.7), 1.2]],
        [[1.3, 0, 0], [0, 0.8, 0]],
        [[-1, 0, 0], [0, 1, 0]],
        [[0, 0.9, 3.5], [-1.1, 0.2, 0]],
    ],
)
def test_warp_of_a_smooth_image(inverse):
    y, x = np.mgrid[:31, :40] - np.array([15, 19.5])[:, None, None]
    picture = smooth(x, y)[np.newaxis, ..., np.newaxis].astype("float32")
    found = warp(picture, tf.constant([inverse], "float32"))[0, ..., 0]
    (a, b, c), (d, e, f) = inverse
    at = a * x + b * y + c, d * x + e * y + f
    inside = (np.abs(at[0]) < 14) & (np.abs(at[1]) < 9.5)  # the mirrored border is not smooth
    assert inside.mean() > 0.25
    assert np.abs(found - smooth(*at))[inside].max() < 0.003


def test_warp_by_nothing_is_exact():
    for height, width in ((16, 16), (4, 9), (1, 2)):
        x = images(2, 16, 3)[:, :height, :width]
        eye = tf.tile(tf.constant([[[1.0, 0, 0], [0, 1, 0]]]), [2, 1, 1])
        np.testing.assert_allclose(warp(x, eye), x, atol=2e-6)


def test_warp_by_whole_pixels_is_blit():
    x = images(2, 24, 3)
    inverse = tf.tile(tf.constant([[[1.0, 0, -3], [0, 1, 2]]]), [2, 1, 1])
    wanted = blit(x, ints(0, 0), ints(0, 0), ints([3, -2], [3, -2]))
    np.testing.assert_allclose(warp(x, inverse)[:, 4:-4, 4:-4], wanted[:, 4:-4, 4:-4], atol=2e-6)


def test_warp_mirrors_at_the_border():
    y, x = np.mgrid[:32, :32] - 15.5
    picture = smooth(x, y)[np.newaxis, ..., np.newaxis].astype("float32")
    found = warp(picture, tf.constant([[[1.0, 0, -8.5], [0, 1, 0]]]))[0, ..., 0]
    at = np.where(x - 8.5 < -15.5, -31 - (x - 8.5), x - 8.5)
    assert np.abs(found - smooth(at, y))[4:-4].max() < 0.05  # the mirrored image has an edge there
    assert np.abs(found - smooth(at, y))[4:-4, :6].max() < 0.01


# --- color


def matrices(name, value):
    """The colour matrix of one transformation of a given strength."""
    i = tf.constant([value], "float32")
    return {
        "luma_flip": augment_module._along_luma,
        "saturation": augment_module._around_luma,
        "hue": augment_module._hue,
    }[name](i)[:, :3]


def test_luma_flip_is_its_own_inverse():
    x = images(1, 4, 3)
    once = recolour(x, matrices("luma_flip", -1.0))
    np.testing.assert_allclose(once, x - 2 * x.mean(3, keepdims=True), atol=1e-6)
    np.testing.assert_allclose(recolour(once, matrices("luma_flip", -1.0)), x, atol=1e-6)


def test_hue_by_a_third_of_a_turn_permutes_the_channels():
    x = images(1, 4, 3)
    found = recolour(x, matrices("hue", 2 * np.pi / 3))
    np.testing.assert_allclose(found, x[..., [2, 0, 1]], atol=1e-6)


def test_no_saturation_is_grey():
    x = images(1, 4, 3)
    found = recolour(x, matrices("saturation", 0.0))
    np.testing.assert_allclose(found, np.repeat(x.mean(3, keepdims=True), 3, 3), atol=1e-6)


def test_colours_in_the_papers_order():
    """Brightness, contrast, luma flip, hue, saturation: all at once against one after another."""
    layer, count = made("color"), 64
    numbers = augment_module._Numbers(count, SEED)
    x = images(count, 4, 3).astype("float64")
    drawn = {
        name: layer._drawn(numbers, name, kind).numpy().reshape(-1, 1, 1, 1).astype("float64")
        for name, kind in (
            ("brightness", "normal"), ("contrast", "normal"), ("hue", "uniform"),
            ("saturation", "normal"),
        )
    }
    flips = layer._chosen(numbers, "luma_flip", 2).numpy().reshape(-1, 1, 1, 1)
    assert 10 < flips.sum() < 54
    y = (x + drawn["brightness"]) * 2 ** drawn["contrast"]
    y = np.where(flips, y - 2 * y.mean(3, keepdims=True), y)
    v, angle = np.full(3, 3**-0.5), drawn["hue"] * np.pi  # Rodrigues
    along = (y @ v)[..., np.newaxis] * v
    y = y * np.cos(angle) + np.cross(v, y) * np.sin(angle) + along * (1 - np.cos(angle))
    grey = y.mean(3, keepdims=True)
    y = grey + (y - grey) * 2 ** drawn["saturation"]
    np.testing.assert_allclose(layer(x.astype("float32"), SEED), y, atol=1e-4)


def test_grey_images_have_only_luma():
    x, layer = images(16, 4, 1), made("color")
    found = layer(x, SEED).numpy()
    colours = layer(np.repeat(x, 3, 3), SEED).numpy()
    np.testing.assert_allclose(np.repeat(found, 3, 3), colours, atol=1e-5)
    only = made({"hue": 1, "saturation": 1})
    np.testing.assert_allclose(only(x, SEED), x, atol=1e-6)


# --- filter, noise, cutout


def test_amplification_of_one_changes_nothing():
    for side in (3, 16):
        x = images(2, side, 3)
        np.testing.assert_allclose(amplify(x, tf.ones([2, 4])), x, atol=1e-6)


def test_amplify_filters_both_axes():
    x, gains = images(2, 12, 3), np.float32([[0.5, 2, 1, 3], [1, 0, 1, 0.5]])
    for image, gain, found in zip(x, gains, amplify(x, gains)):
        taps = gain @ filter_bank()
        wide = np.pad(image, [(21, 21), (21, 21), (0, 0)], "reflect")
        wide = sum(taps[i] * wide[i : i + 12] for i in range(43))
        wanted = sum(taps[i] * wide[:, i : i + 12] for i in range(43))
        np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_equal_power():
    gains = equal_power(tf.constant([[1.0, 1, 1, 1], [1, 4, 1, 1], [0.25, 1, 1, 1]])).numpy()
    np.testing.assert_allclose((gains**2) @ POWERS, 1, rtol=1e-6)
    np.testing.assert_allclose(gains[1] / gains[1, 0], [1, 4, 1, 1], rtol=1e-6)


def test_noise_is_half_normal():
    found = made("noise")(tf.zeros([4000, 8, 8, 1]), SEED).numpy().reshape(4000, -1)
    deviations = found.std(1)
    np.testing.assert_allclose(deviations.mean(), 0.1 * (2 / np.pi) ** 0.5, rtol=0.05)
    np.testing.assert_allclose((deviations**2).mean() ** 0.5, 0.1, rtol=0.05)
    np.testing.assert_allclose(found.mean(), 0, atol=1e-3)


def test_cutout_of_half_the_sides():
    x = tf.ones([3, 16, 20, 2])
    found = cut_out(x, tf.constant([[0.5, 0.5], [0.0, 1.0], [0.25, 0.5]]), 0.5).numpy()
    assert set(np.unique(found)) == {0.0, 1.0}
    zeros = found[..., 0] == 0
    assert zeros[0, 4:12, 5:15].all() and zeros[0].sum() == 80
    assert zeros[1, 12:, :5].all() and zeros[1].sum() == 20
    assert zeros[2, 4:12, :10].all() and zeros[2].sum() == 80


# --- the pipeline


@pytest.mark.parametrize("name", SETS)
def test_without_probability_nothing_changes(name):
    x = images(4, 9, 3)
    np.testing.assert_array_equal(made(name, 0.0)(x, SEED), x)
    np.testing.assert_array_equal(tf.function(made(name, 0.0))(tf.constant(x), SEED), x)


@pytest.mark.parametrize("name", ["bgcfnc", "diffaugment"])
def test_seeds(name):
    layer = made(name, 0.7) if name in SETS else DiffAugment()
    x = np.repeat(images(1, 8, 3), 6, 0)
    found = layer(x, SEED).numpy()
    np.testing.assert_array_equal(found, layer(x, SEED))
    assert np.abs(found - layer(x, SEED + 1)).max() > 0.1
    for i in range(1, 6):
        assert np.abs(found[i] - found[0]).max() > 1e-3, "samples share numbers"


def test_numbers_of_a_transformation_do_not_depend_on_the_others():
    x = images(8, 8, 3)
    alone = made({"luma_flip": 1.0})(x, SEED).numpy()
    assert np.abs(alone - x).max() > 0.1
    both = made({"luma_flip": 1.0, "cutout": 1.0})(x, SEED).numpy()
    np.testing.assert_array_equal(both[both != 0], alone[both != 0])


@pytest.mark.parametrize(
    "name, share",
    [
        ("x_flip", 0.5), ("quarter_turn", 0.75), ("integer_shift", 1.0), ("isotropic_scale", 1.0),
        ("rotation", 1.0), ("anisotropic_scale", 1.0), ("fractional_shift", 1.0),
        ("brightness", 1.0), ("contrast", 1.0), ("luma_flip", 0.5), ("hue", 1.0),
        ("saturation", 1.0), ("band_1", 1.0), ("band_2", 1.0), ("band_3", 1.0), ("band_4", 1.0),
        ("noise", 1.0), ("cutout", 1.0),
    ],
)  # fmt: skip
def test_share_of_changed_images(name, share):
    """`share` of those that the transformation is applied to are other than before."""
    count, p, multiplier = 2000, 0.5, 0.6
    x = np.repeat(images(1, 8, 3), count, 0) + np.float32(0.01)
    if name == "integer_shift":  # 8 pixels are too few to be shifted always
        layer = made({name: multiplier}, p, strengths={name: 4.0})
    else:
        layer = made({name: multiplier}, p)
    changed = np.abs(layer(x, SEED) - x).max((1, 2, 3)) > 1e-6
    wanted = share * p * multiplier
    assert abs(changed.mean() - wanted) < 4 * (wanted / count) ** 0.5


def test_statistics_of_the_drawn_numbers():
    layer, numbers = made("bgc"), augment_module._Numbers(20000, SEED)
    for name in ("isotropic_scale", "contrast", "saturation", "brightness"):
        drawn = layer._drawn(numbers, name, "normal").numpy()
        np.testing.assert_allclose(drawn.std(), STRENGTHS[name], rtol=0.03)
    shift = layer._integer_shift(tf.zeros([1, 16, 64, 3]), numbers).numpy()
    assert shift.min(0).tolist() == [-8, -2] and shift.max(0).tolist() == [8, 2]
    angles = layer._angles(numbers).numpy()
    assert -np.pi < angles.min() < -3.1 and 3.1 < angles.max() < np.pi
    layer.p.assign(0.36)
    angles = layer._angles(numbers).numpy()
    np.testing.assert_allclose((angles != 0).mean(0), 0.2, atol=0.01)
    np.testing.assert_allclose((angles != 0).any(1).mean(), 0.36, atol=0.015)


def test_strength_zero_is_no_change():
    x = images(8, 12, 3)
    choices = dict.fromkeys(("x_flip", "quarter_turn", "luma_flip"), 0.0)
    layer = made(dict.fromkeys(GROUPS, 1.0) | choices, strengths=dict.fromkeys(STRENGTHS, 0.0))
    np.testing.assert_allclose(layer(x, SEED), x, atol=1e-5)


def test_sets():
    assert [len(GROUPS[g]) for g in GROUPS] == [3, 4, 5, 4, 1, 1]  # 18 in all
    on = {n for n, v in made("bgc").multipliers.items() if v}
    assert on == {*GROUPS["blit"], *GROUPS["geom"], *GROUPS["color"]}
    assert all(made("bgcfnc").multipliers.values())
    mixed = made({"hue": 0.25, "color": 0.5, "x_flip": 1}).multipliers
    assert (mixed["hue"], mixed["contrast"], mixed["x_flip"], mixed["noise"]) == (0.25, 0.5, 1, 0)


@pytest.mark.parametrize("name", [*GROUPS, "diffaugment"])
def test_second_derivatives(name):
    layer = DiffAugment() if name == "diffaugment" else made(name, 0.8)
    x = tf.constant(images(4, 8, 3))
    # as in a training step: the conditions are nodes of a graph
    check_second_order(tf.function(lambda xs: layer(xs[0], SEED)), [x])


def test_under_xla():
    """Its random numbers are others."""
    layer, x = made("bgcfnc", 0.7), tf.constant(images(3, 8, 3))
    compiled = tf.function(lambda x: layer(x, SEED), jit_compile=True)
    found = compiled(x).numpy()
    assert np.isfinite(found).all() and np.abs(found - x).max() > 0.1
    layer.p.assign(0.0)
    np.testing.assert_array_equal(compiled(x), x)


# --- DiffAugment


def test_diffaugment():
    x = images(200, 16, 3)
    cut = DiffAugment(["cutout"])(x, SEED).numpy()
    np.testing.assert_array_equal(cut[cut != 0], x[cut != 0])
    zeros = (cut == 0).all(3).sum((1, 2))
    assert zeros.max() == 64 and zeros.min() < 30
    moved = DiffAugment(["translation"])(x, SEED).numpy()
    found = set()
    for before, after in zip(np.pad(x, [(0, 0), (2, 2), (2, 2), (0, 0)]), moved):
        found |= {
            (i, j)
            for i in range(5) for j in range(5)
            if np.array_equal(before[i : i + 16, j : j + 16], after)
        }
    assert len(found) == 25
    assert all(np.abs(m).sum() > 0 for m in moved)


def test_diffaugments_colours():
    x = images(3000, 4, 3)
    found = DiffAugment(["color"])(x, SEED).numpy().astype("float64")
    shift = found.mean((1, 2, 3)) - x.mean((1, 2, 3))
    assert -0.5 < shift.min() < -0.49 and 0.49 < shift.max() < 0.5
    means, wanted = (a.mean(3) - a.mean((1, 2, 3))[:, None, None] for a in (found, x))
    contrast = means.std((1, 2)) / wanted.std((1, 2))
    assert 0.5 <= contrast.min() < 0.51 and 1.49 < contrast.max() <= 1.5001
    chroma = [(a - a.mean(3, keepdims=True)).std((1, 2, 3)) for a in (found, x)]
    saturation = chroma[0] / chroma[1] / contrast
    assert saturation.min() < 0.01 and 1.99 < saturation.max() <= 2.001


# --- errors and configuration


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: ImageTransforms("bcg"), r"one of \('blit', .*Received: transforms='bcg'"),
        (lambda: ImageTransforms({"turn": 1}), r"keys of .*quarter_turn.*\{'turn': 1\}"),
        (lambda: ImageTransforms({"hue": -1}), r"`hue` must be .*\[0, inf\].*hue=-1"),
        (lambda: ImageTransforms("bgc", 1.5), r"`p` must be .*\[0, 1\].*p=1.5"),
        (lambda: ImageTransforms(strengths={"x_flip": 1.0}), r"keys \('integer_shift'.*x_flip"),
        (lambda: ImageTransforms(strengths={"noise": "big"}), "noise='big'"),
        (lambda: AdaptiveAugment(target=2), r"`target` must be .*\[-1, 1\].*target=2"),
        (lambda: AdaptiveAugment(interval=0), "`interval` must be an int >= 1.*interval=0"),
        (lambda: AdaptiveAugment(ramp_images=0.5), "ramp_images=0.5"),
        (lambda: DiffAugment("color"), r"names out of \('color', .*Received: 'color'"),
        (lambda: DiffAugment(["colour"]), "'colour'"),
        (lambda: augment_module.get("ada"), r"one of \('blit', .*augment='ada'"),
        (lambda: augment_module.get(tf.identity), "`augment` must be an `Augment`"),
    ],
)
def test_wrong_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_wrong_images():
    with pytest.raises(ValueError, match=r"1 or 3 channels.*transforms='bg'.*\(2, 8, 8, 2\)"):
        made("bgc")(images(2, 8, 2), SEED)
    assert made("bg")(images(2, 8, 2), SEED).shape == (2, 8, 8, 2)
    with pytest.raises(ValueError, match="of known size"):
        made("bg")(images(2, 8, 3)[0], SEED)


@pytest.mark.parametrize(
    "layer",
    [
        ImageTransforms({"color": 0.5, "x_flip": 1.0}, 0.3, strengths={"hue": 0.1}, name="a"),
        AdaptiveAugment(
            "bgcf", 0.1, strengths={"hue": 0.1}, target=0.5, interval=2, ramp_images=100, name="b"
        ),
        DiffAugment(["color", "cutout"], name="c"),
    ],
    ids=["fixed", "adaptive", "diffaugment"],
)
def test_configuration(layer):
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert type(copy) is type(layer) and copy.get_config() == layer.get_config()
    layer.build(None), copy.build(None)
    x = images(4, 8, 3)
    np.testing.assert_array_equal(copy(x, SEED), layer(x, SEED))


def test_names():
    assert augment_module.get(None) is None
    found = augment_module.get("bg")
    assert isinstance(found, AdaptiveAugment) and found.transforms == "bg"
    assert isinstance(augment_module.get("diffaugment"), DiffAugment)
    assert augment_module.get(found) is found


# --- adaptive


def test_p_goes_up_at_the_published_rate():
    layer = adaptive(interval=4, ramp_images=1000)
    for step in range(1, 13):
        layer.observe(tf.fill([10, 1], 3.0))
        np.testing.assert_allclose(layer.p.numpy(), step // 4 * 40 / 1000, atol=1e-7)
    assert layer.state_logs()["r_t"] == 1.0


def test_p_goes_down_and_stops_at_zero():
    layer = adaptive(p=0.1, interval=1, ramp_images=100)
    found = []
    for _ in range(4):
        layer.observe(tf.constant([[1.0], [1.0], [-1.0], [1.0]]))  # 0.5 < 0.6
        found.append(float(layer.p.numpy()))
    np.testing.assert_allclose(found, [0.06, 0.02, 0, 0], atol=1e-7)
    np.testing.assert_allclose(layer.r_t.numpy(), 0.5)


def test_r_t_is_the_mean_over_the_interval():
    layer = adaptive(interval=2, ramp_images=100, target=0.4)
    layer.observe(tf.fill([4, 1], 0.1))
    layer.observe(tf.constant([[1.0], [-1.0], [0.0], [0.0]]))
    np.testing.assert_allclose([layer.r_t.numpy(), layer.p.numpy()], [0.5, 0.08], atol=1e-7)
    layer.observe(tf.fill([4, 1], -0.1))
    np.testing.assert_allclose(layer.r_t.numpy(), 0.5)


def gan(**options):
    keras.utils.set_random_seed(0)
    augment = AdaptiveAugment("color", 0.5, target=-0.99, interval=2, ramp_images=100)
    return DCGAN(16, 5, 4, channels=3, augment=augment, **options)


def test_training_moves_p_and_resumes_amid_an_interval(tmp_path):
    one, data = gan(), images(24, 16, 3)
    one.compile()
    logs = one.fit(batches(data[:12], 3), verbose=0).history
    np.testing.assert_allclose(logs["ada_p"], [0.5 + 8 / 100], atol=1e-6)
    assert logs["r_t"] == [one.augment.r_t.numpy()] and -1 <= logs["r_t"][0] <= 1
    one.save(tmp_path / "gan.keras")
    loaded = keras.saving.load_model(tmp_path / "gan.keras")
    assert isinstance(loaded.augment, AdaptiveAugment) and loaded.augment.batches.numpy() == 1
    for model in (one, loaded):
        model.fit(batches(data[12:], 3), verbose=0)
    assert_same_state(one, loaded)
    np.testing.assert_allclose(one.augment.p.numpy(), 0.5 + 3 * 8 / 100, atol=1e-6)


def test_random_numbers_follow_from_the_tag_not_from_the_order_of_calls():
    model = gan()
    x = tf.constant(images(4, 16, 3))
    first, second = model.augmented(x, "a"), model.augmented(x, "b")
    assert np.abs(first - second).max() > 0.1
    np.testing.assert_array_equal(model.augmented(x, "b"), second)
    np.testing.assert_array_equal(model.augmented(x, "a"), first)
    model.step.assign(1)
    assert np.abs(first - model.augmented(x, "a")).max() > 0.1


def test_tags_have_the_numbers_that_calls_had():
    """Runs from before there were tags resume to the last bit: real, fake, penalties, generator."""
    model = gan(penalties=[R1(1.0), R1(1.0, interval=4, name="lazy")])
    model.compile()
    places = {}
    for step in range(2):
        model._due = tuple(phase for phase in model._phases if phase.due(step))
        places[step] = [model._place_of(t) for t in ("real", "fake", "r1", "lazy", "generator")]
    assert places == {0: [1, 2, 3, 4, 5], 1: [1, 2, 3, "lazy", 4]}
    x = tf.constant(images(4, 16, 3))
    numbers = model.seed_for("augment/2")
    np.testing.assert_array_equal(model.augmented(x, "fake"), model.augment(x, numbers))


@pytest.mark.slow
def test_two_replicas_agree():
    strategy = two_replicas()
    with strategy.scope():
        model = gan()
        model.compile()
    model.fit(batches(images(16, 16, 3), 4, batch_size=8), verbose=0)
    for variable in model.augment.variables:
        a, b = (x.numpy() for x in strategy.experimental_local_results(variable.value))
        assert a == b, variable.path
    np.testing.assert_allclose(model.augment.p.numpy(), 0.5 + 2 * 16 / 100, atol=1e-6)


def test_observed_over_two_replicas():
    strategy = two_replicas()
    with strategy.scope():
        layer = adaptive(interval=1, ramp_images=100)

    def observe():
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        layer.observe(tf.fill([4, 1], tf.where(tf.equal(replica, 0), 1.0, -1.0)))

    tf.function(lambda: strategy.run(observe))()
    assert layer.r_t.numpy() == 0.0 and layer.p.numpy() == 0.0
    tf.function(lambda: strategy.run(lambda: layer.observe(tf.ones([4, 1]))))()
    np.testing.assert_allclose([layer.r_t.numpy(), layer.p.numpy()], [1.0, 0.08], atol=1e-7)


def style(**options):
    return StyleGAN2(
        8, 6, 8, channel_base=32, channel_max=4, mapping={"num_layers": 1}, r1_interval=2,
        path_length_interval=2, **options,
    )


def test_stylegan2_takes_a_name():
    model = style(augment="bgc")
    copy = StyleGAN2.from_config(model.get_config())
    assert isinstance(copy.augment, AdaptiveAugment)
    assert copy.augment.get_config() == model.augment.get_config()


@pytest.mark.slow
def test_stylegan2_trains():
    model = style(augment="bgc")
    model.compile()
    logs = model.fit(batches(images(8, 8, 3), 2), verbose=0).history
    assert logs["ada_p"] == [0.0] and np.isfinite(logs["r1/penalty"]).all()


@pytest.mark.slow
@pytest.mark.parametrize("where", ["xla", "two_replicas", "mixed_bfloat16"])
def test_elsewhere(where):
    check_family_in(where, lambda: style(augment=AdaptiveAugment("bgc", 0.5)), images(8, 8, 3))
