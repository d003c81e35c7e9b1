"""Images that are not square: a window in the middle of the square that the networks compute."""

import numpy as np
import pytest
import tensorflow as tf

import ganzoo
from ganzoo import editing
from ganzoo.families.progan import ProGAN
from ganzoo.families.stylegan import StyleGAN
from ganzoo.families.stylegan2 import StyleGAN2
from ganzoo.families.stylegan3 import StyleGAN3
from ganzoo.generator import canvas

WIDE = (12, 16)
SMALL = dict(channels=2, channel_base=64, channel_max=6)
FAMILIES = {
    "progan": lambda size: ProGAN(size, 6, growth=None, **SMALL),
    "stylegan": lambda size: StyleGAN(size, 6, 8, growth=None, **SMALL),
    "stylegan2": lambda size: StyleGAN2(size, 6, 8, **SMALL),
    "stylegan3": lambda size: StyleGAN3(size, 6, 8, **SMALL),
}
families = pytest.mark.parametrize("name", FAMILIES)


def pictures(count, size):
    return np.random.RandomState(0).randint(0, 256, (count, *size, 2), "uint8")


@families
def test_the_middle_of_the_square(name):
    wide, square = FAMILIES[name](WIDE), FAMILIES[name](16)
    for network, weights in wide.networks().items():
        weights.set_weights(square.networks()[network].get_weights())
    images = wide.generate(2, seed=1)
    assert images.shape == (2, *WIDE, 2) and wide.published.sample_shape == (*WIDE, 2)
    np.testing.assert_array_equal(images, square.generate(2, seed=1)[:, 2:14])
    assert wide.published.image_size == 16


@families
def test_training_puts_black_around(name):
    gan = FAMILIES[name](WIDE)
    gan.compile()
    gan.fit(pictures(4, WIDE), batch_size=4, verbose=0)
    real = gan.prepare(tf.constant(pictures(4, WIDE)))["real"].numpy()
    assert real.shape == (4, 16, 16, 2)
    np.testing.assert_allclose(real[:, 2:14], pictures(4, WIDE) / 127.5 - 1, atol=1e-6)
    assert (real[:, :2] == -1).all() and (real[:, 14:] == -1).all()
    gan.check_batch(pictures(4, (16, 16)))  # the square is as welcome
    with pytest.raises(ValueError, match=r"\(None, 12, 16, 2\).*Received: shape \(4, 16, 12, 2\)"):
        gan.fit(pictures(4, WIDE[::-1]), batch_size=4, verbose=0)


@families
def test_saved_and_loaded(name, tmp_path):
    gan = FAMILIES[name](WIDE)
    gan.save_pretrained(tmp_path / "model")
    again = ganzoo.load(str(tmp_path / "model"))
    assert tuple(again.published.window) == WIDE
    np.testing.assert_array_equal(again.generate(2), gan.generate(2))
    generator = ganzoo.load_generator(str(tmp_path / "model"))
    np.testing.assert_array_equal(generator.generate(2), gan.generate(2))
    assert "12 x 16 pixels" in (tmp_path / "model" / "README.md").read_text("utf-8")


def test_an_official_file(shared):
    path = str(shared / "parity/stylegan/sg2tf_64_configf/network.pkl")
    whole, wide = ganzoo.load(path), ganzoo.load(path, resolution=(48, 64))
    np.testing.assert_array_equal(wide.generate(2), whole.generate(2)[:, 8:56])
    ws = whole.published.mapping(whole.published.latents(1))
    assert wide.published.synthesis(ws).shape == (1, 64, 64, 3)


def test_every_published_car_is_wide():
    rows = {k: r for k, r in ganzoo.hub.manifest().items() if r["resolution"] == [384, 512]}
    assert "stylegan-lsun-car-512x384" in rows and "stylegan2-lsun-car-512x384" in rows
    for name, row in rows.items():
        if row["status"] == "available":
            assert row["config"]["image_size"] == [384, 512], name


def test_projection_and_mixing():
    generator = FAMILIES["stylegan2"](WIDE).published
    mixed = editing.style_mix(generator, [0], [1], "coarse")
    assert mixed.images.shape[-3:] == (*WIDE, 2)
    image = generator.generate(1, seed=3)[0]
    found = editing.project(generator, image, steps=2, samples=20, perceptual="multi-scale")
    assert found.image.shape == (*WIDE, 2)
    with pytest.raises(editing.EditingError, match=r"\(12, 16, 2\)"):
        editing.project(generator, pictures(1, (16, 16))[0], steps=2)


@pytest.mark.parametrize(
    "size", [(12, 12), (0, 16), (16,), (8, 12, 16), ("12", 16), (12.0, 16), (True, 16)]
)
def test_bad_sizes(size):
    with pytest.raises(ValueError, match="`image_size` must be an int or"):
        canvas(size)


def test_sizes():
    assert canvas(64) == (64, None)
    assert canvas([64, 64]) == (64, None)
    assert canvas([48, 64]) == (64, (48, 64)) and canvas((64, 30)) == (64, (64, 30))
