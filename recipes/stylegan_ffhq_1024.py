"""StyleGAN on FFHQ, 1024 x 1024, with the official code's settings.

FFHQ is no TFDS data set: the images lie in the folder `ffhq` (`images1024x1024` of its authors).
"""

from ganzoo.data import Dataset
from ganzoo.recipe import Recipe


def model():
    from ganzoo.families.stylegan import StyleGAN

    return StyleGAN(1024)


recipe = Recipe(
    paper="arXiv:1812.04948, appendix C; NVlabs/stylegan train.py",
    dataset=Dataset(folder="ffhq", channels=3, flip=True),
    model=model,
    batch_size=32,
    images=25_000_000,
    epoch_images=200_000,
    published={"fid": 4.4},
    deviations=(
        "batches of 32 at every size; the official code takes 512 at 4 pixels down to 64 at 64",
    ),
)
