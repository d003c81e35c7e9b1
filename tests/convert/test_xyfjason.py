"""xyfJASON's CIFAR-10 networks: biases everywhere, one layout for three losses, labels."""

import numpy as np
import pytest
from layouts import assert_images, fill, inputs, norm, pickled, recorded

import ganzoo
from ganzoo.convert import xyfjason
from ganzoo.errors import WeightsError
from ganzoo.families.cgan import CGAN
from ganzoo.families.dcgan import DCGAN
from ganzoo.families.lsgan import LSGAN
from ganzoo.families.wgan import WGAN

FAMILIES = {"dcgan": DCGAN, "lsgan": LSGAN, "wgan": WGAN}


def convolution(name, *shape, outputs):
    return {f"{name}.weight": (*shape, 4, 4), f"{name}.bias": (outputs,)}


def generator(latent_dim=6, width=4, channels=3):
    maps = [4 * width, 2 * width, width]
    found = convolution("G.first_conv", latent_dim, maps[0], outputs=maps[0])
    for i, (before, after) in enumerate(zip(maps, maps[1:])):
        found |= norm(f"G.layers.{i}.0", before)
        found |= convolution(f"G.layers.{i}.2", before, after, outputs=after)
    found |= norm("G.last_conv.0", width)
    return found | convolution("G.last_conv.2", width, channels, outputs=channels)


def discriminator(width=5, channels=3):
    maps = [width, 2 * width, 4 * width]
    found = convolution("D.first_conv", width, channels, outputs=width)
    for i, (before, after) in enumerate(zip(maps, maps[1:])):
        found |= norm(f"D.layers.{i}.0", before) if i > 0 else {}
        found |= convolution(f"D.layers.{i}.2", after, before, outputs=after)
    found |= norm("D.last_conv.0", maps[-1])
    return found | convolution("D.last_conv.2", 1, maps[-1], outputs=1)


def model(path, shapes):
    """A `model.pt`: the arrays under their player."""
    tree = {"G": {}, "D": {}}
    for name, array in fill(shapes).items():
        tree[name[0]][name[2:]] = array
    return pickled(path / "model.pt", tree)


@pytest.mark.parametrize("family", FAMILIES)
def test_outputs_are_the_recorded_ones(tmp_path, family):
    path = model(tmp_path, generator() | discriminator())
    gan = ganzoo.load(path, family=family)
    golden, (z, x) = recorded("xyfjason"), inputs(6, 32)
    assert type(gan) is FAMILIES[family]
    assert gan.provenance == dict.fromkeys(gan.networks(), str(path))
    assert_images(gan.generator(z), golden["images"])
    np.testing.assert_allclose(gan.discriminator(x), golden["logits"], rtol=0, atol=3e-6)


def test_folded_biases_are_the_same_in_training(tmp_path):
    gan = ganzoo.load(model(tmp_path, generator() | discriminator()), family="dcgan")
    golden, (z, _) = recorded("xyfjason"), inputs(6, 32)
    assert_images(gan.generator(z, training=True), golden["trained_images"], atol=1e-5)


def test_labels_show_in_the_channels_of_the_discriminator(tmp_path):
    path = model(tmp_path, generator(10) | discriminator(4, channels=3 + 4))
    gan = ganzoo.load(path)
    golden, (z, x), labels = recorded("xyfjason"), inputs(6, 32), np.array([1, 3, 0])
    assert type(gan) is CGAN and gan.generator.num_classes == 4
    assert_images(gan.generator([z, labels]), golden["conditional_images"])
    logits = gan.discriminator([x, labels])
    np.testing.assert_allclose(logits, golden["conditional_logits"], rtol=0, atol=3e-6)
    assert gan.generate(3, labels=[0, 1, 3]).shape == (3, 32, 32, 3)


def test_the_loss_is_not_in_the_file(tmp_path):
    path = model(tmp_path, generator() | discriminator())
    with pytest.raises(WeightsError, match=r"may be of \['dcgan', 'lsgan', 'wgan'\]; choose"):
        ganzoo.load(path)


def test_a_missing_array_is_named(tmp_path):
    shapes = generator() | discriminator()
    del shapes["G.layers.0.2.bias"], shapes["D.layers.1.0.running_mean"]
    with pytest.raises(WeightsError, match=r"(?s)D\.layers\.0\.2\.bias.*norm1/moving_mean"):
        ganzoo.load(model(tmp_path, shapes), family="dcgan")
    shapes |= {"D.layers.1.0.running_mean": (10,)}
    assert ganzoo.load(model(tmp_path, shapes), family="dcgan")  # a bias less: nothing to fold


@pytest.mark.parametrize(
    "shapes",
    [
        {},
        generator(),
        discriminator(),
        generator() | discriminator(channels=2),
        generator(10) | discriminator(5, channels=3 + 4),  # widths differ, as `CGAN`'s cannot
        generator() | {n: s for n, s in discriminator().items() if "last_conv.2" not in n},
        generator() | {n.replace("weight", "weight_orig"): s for n, s in discriminator().items()},
        generator() | discriminator() | {"D.cls_head.weight": (10, 20, 4, 4)},
        {name[2:]: shape for name, shape in (generator() | discriminator()).items()},
    ],
)
def test_other_layouts_are_left_alone(shapes):
    assert xyfjason.recognise(fill(shapes)) is None
