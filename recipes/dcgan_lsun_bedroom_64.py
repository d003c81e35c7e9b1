"""DCGAN on LSUN bedrooms, 64 x 64, with the official code's settings.

The TFDS builder `lsun/bedroom` downloads 46 GB and reads LMDB through tensorflow-io.
"""

import keras

from ganzoo.data import Dataset
from ganzoo.recipe import Recipe


def model():
    from ganzoo.families.dcgan import DCGAN

    return DCGAN(64, 100, 128, variant="paper")


def optimizers():
    def adam():  # L2 1e-5 in the official code is added to the gradient; see deviations
        return keras.optimizers.Adam(2e-4, beta_1=0.5, epsilon=1e-8)

    return {"generator_optimizer": adam(), "discriminator_optimizer": adam()}


recipe = Recipe(
    paper="arXiv:1511.06434, section 4; Newmu/dcgan_code lsun README: 5 epochs",
    dataset=Dataset(name="lsun/bedroom", crop="square", size=64),
    model=model,
    optimizers=optimizers,
    batch_size=128,
    images=5 * 3_033_042,
    epoch_images=500_000,
    deviations=(
        "no L2 1e-5 on the weights",
        "3,033,042 training images as listed by LSUN, not the de-duplicated set",
    ),
)
