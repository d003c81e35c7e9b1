import harness
import numpy as np
import pytest
import tensorflow as tf

from ganzoo.layers.growing import GrowingTrunk, blur, fade


def make(**options):
    arguments = dict(channel_base=64, channel_max=6, structure="growing")
    return GrowingTrunk(16, 3, name="trunk", **{**arguments, **options})


@pytest.mark.parametrize(
    "options",
    [
        dict(activation="relu", group_size=2, std_channels=3, taps=[1, 2]),
        dict(pooling="after", std_channels=0, structure="fixed"),
    ],
)
def test_layer(options):
    harness.check_layer(lambda: make(**options), harness.images(4, 16))


def test_a_fade_is_a_mixture():
    """Between the network without the largest side and the one with it."""
    trunk, x = make(), tf.constant(harness.images(4, 16))
    trunk(x)
    trunk.lod.assign(0.25)
    last, below = trunk.blocks[2], trunk.blocks[1]
    large = last(last.enter(x))
    small = below.enter(tf.nn.avg_pool2d(x, 2, 2, "VALID"))
    mixed = 0.75 * large + 0.25 * small
    wanted = trunk.blocks[0](below(mixed))
    np.testing.assert_allclose(trunk(x), wanted, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(trunk(x, level=0, fading=True), wanted, rtol=1e-4, atol=1e-5)
    assert np.abs(trunk(x, level=0, fading=False) - wanted).max() > 1e-3


@pytest.mark.parametrize(
    "lod, stage",
    [(0, (0, False)), (0.5, (0, True)), (1, (1, False)), (1.25, (1, True)), (2, (2, False)),
     (7, (2, False)), (-1, (0, False))],
)
def test_stages(lod, stage):
    trunk = make()
    trunk.build((None, 16, 16, 3))
    trunk.lod.assign(lod)
    assert trunk.stage() == stage
    assert float(trunk.share()) == pytest.approx(lod % 1 if 0 <= lod < 2 else 0)


def test_idle_layers():
    trunk = make()
    trunk.build((None, 16, 16, 3))
    four, eight, sixteen = trunk.blocks
    assert trunk.idle(0, False) == [four.rgb, eight.rgb]
    assert trunk.idle(0, True) == [four.rgb]
    assert trunk.idle(1, True) == [sixteen]
    assert trunk.idle(1, False) == [sixteen, four.rgb]
    assert trunk.idle(2, False) == [eight, sixteen]
    fixed = make(structure="fixed")
    fixed.build((None, 16, 16, 3))
    assert fixed.idle(0, False) == [] and fixed.stage() == (0, False)


def test_blur():
    x = harness.images(2, 6)
    wanted = np.zeros((2, 8, 8, 3))
    for i, a in enumerate([1, 2, 5]):
        for j, b in enumerate([1, 2, 5]):
            wanted[:, 2 - i : 8 - i, 2 - j : 8 - j] += a * b / 64 * x
    found = blur(tf.constant(x), [1, 2, 5])
    np.testing.assert_allclose(found, wanted[:, 1:-1, 1:-1], rtol=1e-4, atol=1e-6)
    assert blur(x, None) is x
    np.testing.assert_allclose(fade(x, 2 * x, 0.5), 1.5 * x, rtol=1e-5)


@pytest.mark.parametrize(
    "arguments, words",
    [(dict(structure="still"), "`structure`"), (dict(pooling="max"), "`pooling`"),
     (dict(activation="elu"), "`activation`")],
)
def test_bad_arguments(arguments, words):
    with pytest.raises(ValueError, match=words):
        make(**arguments)
