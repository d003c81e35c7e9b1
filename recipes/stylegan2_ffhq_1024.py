"""StyleGAN2, configuration F, on FFHQ, 1024 x 1024, with the official code's settings.

FFHQ is no TFDS data set: the images lie in the folder `ffhq` (`images1024x1024` of its authors).
"""

from ganzoo.data import Dataset
from ganzoo.recipe import Recipe


def model():
    from ganzoo.families.stylegan2 import StyleGAN2

    return StyleGAN2(1024)


recipe = Recipe(
    paper="arXiv:1912.04958, appendix B; NVlabs/stylegan2 run_training.py",
    dataset=Dataset(folder="ffhq", channels=3, flip=True),
    model=model,
    batch_size=32,
    images=25_000_000,
    epoch_images=200_000,
    published={"fid": 2.84},
)
