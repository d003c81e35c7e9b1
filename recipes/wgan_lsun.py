"""WGAN with weight clipping on LSUN bedrooms, 64 x 64, with the official script's settings.

The TFDS builder `lsun/bedroom` downloads 46 GB and reads LMDB through tensorflow-io.
"""

from ganzoo.data import Dataset
from ganzoo.recipe import Recipe


def model():
    from ganzoo.families.wgan import WGAN

    return WGAN(64, 100, 64)


recipe = Recipe(
    paper="arXiv:1701.07875, section 4; martinarjovsky/WassersteinGAN main.py",
    dataset=Dataset(name="lsun/bedroom", crop="square", size=64),
    model=model,
    batch_size=64,
    images=25 * 3_033_042,  # 25 epochs
    epoch_images=500_000,
)
