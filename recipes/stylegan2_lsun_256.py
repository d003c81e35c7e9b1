"""StyleGAN2, configuration F, on LSUN churches, cats or horses, 256 x 256.

Variants: `cat`, `horse`. The TFDS builders read LMDB through tensorflow-io; cats and horses are
large downloads.
"""

import dataclasses

from ganzoo.data import Dataset
from ganzoo.recipe import Recipe


def model():
    from ganzoo.families.stylegan2 import StyleGAN2

    return StyleGAN2(256, r1_gamma=100.0)


recipe = Recipe(
    paper="arXiv:1912.04958, appendix B",
    dataset=Dataset(name="lsun/church_outdoor", crop="square", size=256),
    model=model,
    batch_size=32,
    images=48_000_000,
    epoch_images=200_000,
    published={"fid": 3.86},
)
variants = {
    "cat": dataclasses.replace(
        recipe,
        dataset=Dataset(name="lsun/cat", crop="square", size=256),
        images=88_000_000,
        published={"fid": 6.93},
    ),
    "horse": dataclasses.replace(
        recipe,
        dataset=Dataset(name="lsun/horse", crop="square", size=256),
        images=100_000_000,
        published={"fid": 3.43},
    ),
}
