"""Recipes of the runs that the files beside this one come from."""

from ganzoo.data import Dataset
from ganzoo.families.stylegan2 import StyleGAN2
from ganzoo.families.vanilla_gan import VanillaGAN
from ganzoo.recipe import Recipe

POINTS = Recipe(
    paper="arXiv:1406.2661",
    dataset=Dataset(name="ring"),
    model=lambda: VanillaGAN(
        (2,), 4, (8,), output="tanh", discriminator="leaky_relu", discriminator_widths=(8,),
        dropout=(0.2, 0.3), initializer="glorot_uniform",
    ),
    batch_size=4,
    images=72,
    epoch_images=24,
    seed=3,
)
PICTURES = Recipe(
    paper="arXiv:2006.06676",
    dataset=Dataset(folder="pictures", flip=True),
    model=lambda: StyleGAN2(16, 6, 8, channel_base=64, channel_max=6, augment="bgc", seed=1),
    batch_size=4,
    images=192,
    epoch_images=64,
    seed=5,
)
recipe = POINTS
variants = {"points": POINTS, "pictures": PICTURES}
