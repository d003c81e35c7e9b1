"""StyleGAN on LSUN bedrooms, 256 x 256, with the official code's settings.

The TFDS builder `lsun/bedroom` downloads 46 GB and reads LMDB through tensorflow-io.
"""

from ganzoo.data import Dataset
from ganzoo.recipe import Recipe


def model():
    from ganzoo.families.stylegan import StyleGAN

    return StyleGAN(256)


recipe = Recipe(
    paper="arXiv:1812.04948, appendix C; NVlabs/stylegan train.py",
    dataset=Dataset(name="lsun/bedroom", crop="square", size=256),
    model=model,
    batch_size=32,
    images=25_000_000,
    epoch_images=200_000,
    published={"fid": 2.65},
    deviations=(
        "batches of 32 at every size; the official code takes 512 at 4 pixels down to 64 at 64",
    ),
)
