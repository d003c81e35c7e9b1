"""ProGAN on LSUN bedrooms, 256 x 256, with the paper's schedule.

The TFDS builder `lsun/bedroom` downloads 46 GB and reads LMDB through tensorflow-io.
"""

from ganzoo.data import Dataset
from ganzoo.recipe import Recipe


def model():
    from ganzoo.families.progan import ProGAN
    from ganzoo.growing_gan import Growth

    return ProGAN(256, growth=Growth(stable_images=800_000, fade_images=800_000))


recipe = Recipe(
    paper="arXiv:1710.10196, appendix A; progressive_growing_of_gans config.py",
    dataset=Dataset(name="lsun/bedroom", crop="square", size=256),
    model=model,
    batch_size=16,
    images=20_000_000,
    epoch_images=200_000,
    deviations=("batches of 16 at every size; the official code takes 14 at 256 pixels",),
)
