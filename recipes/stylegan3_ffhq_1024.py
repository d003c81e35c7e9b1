"""StyleGAN3-T on FFHQ (unaligned: FFHQ-U), 1024 x 1024. Variant: `r`, equivariant to rotation.

FFHQ-U is no TFDS data set: the images lie in the folder `ffhqu`.
"""

import dataclasses

from ganzoo.data import Dataset
from ganzoo.recipe import Recipe


def model(equivariance="translation"):
    from ganzoo.families.stylegan3 import StyleGAN3

    return StyleGAN3(1024, equivariance=equivariance, r1_gamma=32.8)


recipe = Recipe(
    paper="arXiv:2106.12423, appendix G; NVlabs/stylegan3 docs/configs.md",
    dataset=Dataset(folder="ffhqu", channels=3, flip=True),
    model=model,
    batch_size=32,
    images=25_000_000,
    epoch_images=200_000,
)
variants = {"r": dataclasses.replace(recipe, model=lambda: model(equivariance="rotation"))}
