"""LSGAN on LSUN bedrooms, 112 x 112, with the official script's settings.

The TFDS builder `lsun/bedroom` downloads 46 GB and reads LMDB through tensorflow-io.
"""

from ganzoo.data import Dataset
from ganzoo.recipe import Recipe


def model():
    from ganzoo.families.lsgan import LSGAN

    return LSGAN(112, 1024, 64, networks="lsun")


recipe = Recipe(
    paper="arXiv:1611.04076, section 4.1; xudonmao/LSGAN train_lsun.py",
    dataset=Dataset(name="lsun/bedroom", crop="square", size=112),
    model=model,
    batch_size=64,
    images=1_000_000 * 64,
    epoch_images=500_000,
)
