"""StyleGAN2 with ADA on AFHQ cats, dogs or wild animals, 512 x 512: `paper512`.

Variants: `dog`, `wild`. AFHQ is no TFDS data set: the images lie in the folders `afhq/train/cat`,
`afhq/train/dog` and `afhq/train/wild`.
"""

import dataclasses

import keras

from ganzoo.data import Dataset
from ganzoo.recipe import Recipe


def model():
    from ganzoo.ema import EMA
    from ganzoo.families.stylegan2 import StyleGAN2

    return StyleGAN2(
        512,
        conv_clamp=256,
        discriminator={"architecture": "resnet", "group_size": 8},
        r1_gamma=0.5,
        augment="bgc",
        ema=EMA(half_life_images=20_000),
    )


def optimizers():
    def adam(interval):  # as `StyleGAN2.default_optimizers`, at 0.0025
        share = interval / (interval + 1)
        return keras.optimizers.Adam(0.0025 * share, 0.0, 0.99**share, epsilon=1e-8)

    return {"generator_optimizer": adam(4), "discriminator_optimizer": adam(16)}


recipe = Recipe(
    paper="arXiv:2006.06676, appendix C; stylegan2-ada-pytorch train.py, --cfg=paper512 --mirror=1",
    dataset=Dataset(folder="afhq/train/cat", channels=3, flip=True),
    model=model,
    optimizers=optimizers,
    batch_size=64,
    images=25_000_000,
    epoch_images=200_000,
)
variants = {
    name: dataclasses.replace(
        recipe, dataset=Dataset(folder=f"afhq/train/{name}", channels=3, flip=True)
    )
    for name in ("dog", "wild")
}
