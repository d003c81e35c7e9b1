"""ProGAN on CelebA-HQ, 1024 x 1024, with the paper's schedule.

The TFDS builder `celeb_a_hq/1024` needs images that its page tells how to prepare.
"""

from ganzoo.data import Dataset
from ganzoo.recipe import Recipe


def model():
    from ganzoo.families.progan import ProGAN
    from ganzoo.growing_gan import Growth

    return ProGAN(1024, growth=Growth(stable_images=800_000, fade_images=800_000))


recipe = Recipe(
    paper="arXiv:1710.10196, appendix A; progressive_growing_of_gans config.py",
    dataset=Dataset(name="celeb_a_hq/1024", flip=True),
    model=model,
    batch_size=16,
    images=19_000_000,
    epoch_images=200_000,
    published={"fid": 7.79},  # as measured by arXiv:1812.04948, table 1
    deviations=(
        "batches of 16 at every size; the official code takes 14, 6 and 3 at 256, 512 and 1024",
    ),
)
