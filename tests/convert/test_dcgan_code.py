"""The DCGAN paper's own files: turned kernels, units' norms, estimated statistics."""

import numpy as np
import pytest
from layouts import assert_images, fill, inputs, recorded

import ganzoo
from ganzoo.addresses import addresses
from ganzoo.convert import dcgan_code
from ganzoo.errors import WeightsError
from ganzoo.families.dcgan import DCGAN

GENERATOR = [(6, 128), (128,), (128,), (8, 4, 5, 5), (4,), (4,), (4, 3, 5, 5)]
DISCRIMINATOR = [(5, 3, 5, 5), (10, 5, 5, 5), (10,), (10,), (160, 1)]
HOUSES = "checkpoints/dcgan_svhn"
# Made with PyTorch's convolutions, and with statistics of the same latents computed there.
MEANS, STDS = [-0.197318, -0.233731, 0.071014], [0.111492, 0.171066, 0.192523]
MIDDLE = [-0.331290, -0.336312, -0.272066]  # x[0, 16, 16]
LOGITS = [32.450874, 42.655037, 37.731766]  # of noise


def named(player, shapes):
    return {f"7_{player}_params.jl_{i:02d}": shape for i, shape in enumerate(shapes, start=1)}


def deep(blocks):
    """Shapes of a generator of width 1 with so many layers that double the side."""
    units = 2 ** (blocks - 1) * 16
    found = [(3, units), (units,), (units,)]
    for i in reversed(range(blocks - 1)):
        found += [(2 ** (i + 1), 2**i, 5, 5), (2**i,), (2**i,)]
    return [*found, (1, 3, 5, 5)]


def folder(path, *parts):
    for part in parts:
        for name, array in fill(part).items():
            np.save(path / f"{name}.npy", array)
    return path


def test_outputs_are_the_recorded_ones(tmp_path):
    path = folder(tmp_path, named("gen", GENERATOR), named("discrim", DISCRIMINATOR))
    gan = ganzoo.load(path)
    golden, (z, x) = recorded("dcgan_code"), inputs(6, 16)
    assert type(gan) is DCGAN and gan.provenance == dict.fromkeys(gan.networks(), str(path))
    assert gan.generator.prior == "normal" and gan.fakes_from == "fresh"
    assert_images(gan.generator(z), golden["images"], atol=1e-5)
    np.testing.assert_allclose(gan.discriminator(x), golden["logits"], rtol=0, atol=2e-4)


def test_statistics_are_those_of_a_thousand_latents(tmp_path):
    gan = ganzoo.load(folder(tmp_path, named("gen", GENERATOR)))
    assert gan.provenance["discriminator"] == "initial weights"
    z = np.random.RandomState(0).randn(1000, 6).astype("float32")
    kept, batch = gan.generator(z, training=False), gan.generator(z, training=True)
    np.testing.assert_allclose(kept, batch, rtol=0, atol=1e-4)
    other = gan.generator(z[:9], training=True)
    assert np.abs(other - kept[:9]).max() > 0.05  # a small batch has others


@pytest.fixture(scope="module")
def houses(request):
    return ganzoo.load(request.getfixturevalue("shared") / HOUSES)


def test_house_numbers(houses):
    sizes = {key: houses.config[key] for key in ("image_size", "latent_dim", "width", "channels")}
    assert sizes == {"image_size": 32, "latent_dim": 100, "width": 64, "channels": 3}
    assert houses.config["discriminator_width"] == 64
    assert addresses(houses.generator)["norm0/gamma"].shape == (4096,)
    z, x = inputs(100, 32)
    images = houses.generator(z).numpy()
    np.testing.assert_allclose(images.mean((1, 2, 3)), MEANS, rtol=0, atol=2e-5)
    np.testing.assert_allclose(images.std((1, 2, 3)), STDS, rtol=0, atol=2e-5)
    np.testing.assert_allclose(images[0, 16, 16], MIDDLE, rtol=0, atol=1e-4)
    np.testing.assert_allclose(houses.discriminator(x)[:, 0], LOGITS, rtol=0, atol=5e-3)


def test_the_discriminator_knows_its_fakes(houses):
    """With kernels that are not turned round it takes nine in ten for real."""
    fakes = houses.generator(np.random.RandomState(3).randn(100, 100).astype("float32"))
    logits = houses.discriminator(fakes).numpy()
    assert (logits < 0).mean() > 0.95


@pytest.mark.parametrize(
    "shapes",
    [
        {},
        named("discrim", DISCRIMINATOR),
        named("gen", GENERATOR) | {"weights": (3,)},
        named("gen", GENERATOR[:-1]),
        named("gen", deep(5)),
        named("gen", [(6, 128), (8,), (8,), *GENERATOR[3:]]),
        named("gen", [*GENERATOR[:3], (8, 4, 3, 3), *GENERATOR[4:]]),
        named("gen", GENERATOR) | named("discrim", DISCRIMINATOR[:-1]),
        named("gen", GENERATOR) | named("discrim", [*DISCRIMINATOR[:-1], (160, 2)]),
        {f"7_gen_params.jl_{i}": shape for i, shape in enumerate(GENERATOR, start=2)},
    ],
)
def test_other_layouts_are_left_alone(shapes):
    assert dcgan_code.recognise(fill(shapes)) is None


def test_depths_are_recognised():
    for blocks in (1, 2, 3, 4):
        (part,) = dcgan_code.recognise(fill(named("gen", deep(blocks))))
        assert part.config["image_size"] == 4 * 2**blocks


def test_an_incomplete_folder_says_so(tmp_path):
    shapes = named("gen", GENERATOR)
    del shapes["7_gen_params.jl_04"]
    with pytest.raises(WeightsError, match=r"7_gen_params.jl_01"):
        ganzoo.load(folder(tmp_path, shapes))
