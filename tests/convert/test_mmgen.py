"""MMGeneration's DCGAN networks: names, biases, slope 0.01, BGR."""

import numpy as np
import pytest
from layouts import assert_images, fill, inputs, norm, pickled, recorded

import ganzoo
from ganzoo.convert import mmgen
from ganzoo.errors import WeightsError
from ganzoo.families.dcgan import DCGAN
from ganzoo.families.lsgan import LSGAN


def generator(latent_dim=6, width=4, blocks=3, channels=3):
    maps = [width * 2**i for i in reversed(range(blocks))]
    found = {"noise2feat.conv.weight": (latent_dim, maps[0], 4, 4)}
    found |= norm("noise2feat.bn", maps[0])
    for i, (before, after) in enumerate(zip(maps, maps[1:])):
        found[f"upsampling.{i}.conv.weight"] = (before, after, 4, 4)
        found |= norm(f"upsampling.{i}.bn", after)
    found |= {"output_layer.conv.weight": (width, channels, 4, 4)}
    found |= {"output_layer.conv.bias": (channels,)}
    return {f"generator.{name}": shape for name, shape in found.items()}


def discriminator(width=3, blocks=3, channels=3, outputs=1):
    found = {"downsamples.0.conv.weight": (width, channels, 4, 4)}
    found |= {"downsamples.0.conv.bias": (width,)}
    for i in range(1, blocks):
        maps = width * 2**i
        found[f"downsamples.{i}.conv.weight"] = (maps, maps // 2, 4, 4)
        found |= norm(f"downsamples.{i}.bn", maps)
    found["output_layer.conv.weight"] = (outputs, width * 2 ** (blocks - 1), 4, 4)
    found["output_layer.conv.bias"] = (outputs,)
    return {f"discriminator.{name}": shape for name, shape in found.items()}


@pytest.fixture
def file(tmp_path):
    arrays = fill(generator() | discriminator())
    counter = {"generator.noise2feat.bn.num_batches_tracked": np.array(9)}
    return pickled(
        tmp_path / "dcgan.pth",
        {"meta": {"iter": 300, "mmgen": "0.1"}, "state_dict": arrays | counter, "optimizer": {}},
    )


@pytest.mark.parametrize(("family", "kind"), [("dcgan", DCGAN), ("lsgan", LSGAN)])
def test_outputs_are_the_recorded_ones(file, family, kind):
    gan = ganzoo.load(file, family=family)
    golden, (z, x) = recorded("mmgen"), inputs(6, 32)
    assert type(gan) is kind and gan.provenance == dict.fromkeys(gan.networks(), str(file))
    assert_images(gan.generator(z), golden["images"])
    np.testing.assert_allclose(gan.discriminator(x), golden["logits"], rtol=0, atol=3e-6)
    assert gan.generator.prior == "normal"


def test_the_loss_is_not_in_the_file(file):
    with pytest.raises(WeightsError, match=r"may be of \['dcgan', 'lsgan'\]; choose .*`family=`"):
        ganzoo.load(file)


def test_grey_images_have_no_channel_order(tmp_path):
    arrays = fill(generator(channels=1))
    gan = ganzoo.load(pickled(tmp_path / "mnist.pth", {"state_dict": arrays}), family="dcgan")
    assert gan.generate(1).shape == (1, 32, 32, 1)
    assert gan.provenance["discriminator"] == "initial weights"


def test_colours_are_turned_round_at_both_ends(file):
    gan = ganzoo.load(file, family="dcgan")
    arrays = fill(generator() | discriminator())
    bias = arrays["generator.output_layer.conv.bias"]
    np.testing.assert_array_equal(gan.generator.get_layer("up3").bias, bias[::-1])
    kernel = arrays["discriminator.downsamples.0.conv.weight"]
    found = gan.discriminator.get_layer("down0").kernel.numpy()
    np.testing.assert_array_equal(found[:, :, 0], kernel[:, 2].transpose(1, 2, 0))


@pytest.mark.parametrize(
    "shapes",
    [
        {},
        discriminator(outputs=100),
        generator() | {"generator.upsampling.2.conv.weight": (4, 4, 3, 3)},
        generator() | {"generator.to_rgb.conv.weight": (3, 4, 1, 1)},
        generator() | {"generator_ema.noise2feat.conv.weight": (6, 16, 4, 4)},
        {name.partition(".")[2]: shape for name, shape in generator().items()},
    ],
)
def test_other_layouts_are_left_alone(shapes):
    assert mmgen.recognise(fill(shapes)) is None
