"""The eyes of OmniArt: the label beside the latents, numbers moved by the Dropout."""

import numpy as np
import pytest
from layouts import assert_images, fill, inputs, norm, pickled, recorded

import ganzoo
from ganzoo.convert import dcgan, omniart
from ganzoo.families.cgan import CGAN


def generator(latent_dim=6, width=3, shift=1):
    maps = [4 * width, 2 * width, width]
    found = {"main.0.weight": (latent_dim + 8, maps[0], 4, 4), **norm("main.1", maps[0])}
    for i, (before, after) in enumerate(zip(maps, maps[1:]), start=1):
        found[f"main.{3 * i + shift}.weight"] = (before, after, 4, 4)
        found |= norm(f"main.{3 * i + 1 + shift}", after)
    return found | {f"main.{9 + shift}.weight": (width, 3, 4, 4)}


def test_images_are_the_recorded_ones(tmp_path):
    gan = ganzoo.load(pickled(tmp_path / "state.pth", fill(generator())))
    z, _ = inputs(6, 32)
    assert type(gan) is CGAN and gan.generator.num_classes == 8
    images = gan.generator([z, np.array([1, 7, 0])])
    assert_images(images, recorded("omniart")["images"])
    assert gan.provenance["discriminator"] == "initial weights"
    assert gan.generator.get_layer("drop0").rate == 0.2
    assert gan.generate(2, labels=[3, 4]).shape == (2, 32, 32, 3)


def test_pytorch_examples_are_not_taken_for_it():
    arrays = fill(generator(shift=0))
    assert omniart.recognise(arrays) is None and dcgan.recognise(arrays) is not None
    assert dcgan.recognise(fill(generator())) is None


@pytest.mark.parametrize(
    "shapes",
    [
        {},
        generator(latent_dim=0),
        generator() | {"main.3.weight": (5,)} | {"other": (3,)},
        generator() | {"main.13.weight": (4, 4, 4, 4)},
        {name: shape for name, shape in generator().items() if name != "main.7.weight"},
    ],
)
def test_other_layouts_are_left_alone(shapes):
    assert omniart.recognise(fill(shapes)) is None
